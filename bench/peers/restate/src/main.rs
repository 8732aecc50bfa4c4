//! Restate: a service with three journaled steps, called through the ingress of a server that runs already.
//!
//! Needs `RESTATE_URL` (ingress) and `RESTATE_ADMIN_URL`. Without them it prints that it is skipped. The service listens
//! on the loopback interface, so the server must run on this machine.

#![forbid(unsafe_code)]

use peers_common::{Answer, Args, Measured, Order, activities, check, order};
use restate_sdk::prelude::*;
use tokio::net::TcpListener;

struct Orders;

#[service]
impl Orders {
    #[handler]
    async fn process(&self, ctx: Context<'_>, order: Json<Order>) -> HandlerResult<Json<Order>> {
        let mut order = order.into_inner();
        let cents = order.cents;
        order.payment = Some(ctx.run(|| async move { Ok(activities::pay(cents)) }).name("pay").await?);
        let id = order.id.clone();
        order.label = Some(ctx.run(|| async move { Ok(activities::ship(&id)) }).name("ship").await?);
        ctx.run(|| async {
            activities::tell();
            Ok(())
        })
        .name("tell")
        .await?;
        Ok(Json(order))
    }
}

/// Serves the handler on a free port and tells the server about it.
async fn register(client: &reqwest::Client, admin: &str) -> Answer<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    tokio::spawn(HttpServer::new(Endpoint::builder().bind(Orders).build()).serve(listener));
    // The last process of this side has another port and is gone: its deployment is replaced.
    let body = serde_json::json!({ "uri": uri, "force": true });
    client.post(format!("{admin}/deployments")).json(&body).send().await?.error_for_status()?;
    Ok(())
}

async fn side(args: Args) -> Answer<Measured> {
    let (Ok(ingress), Ok(admin)) = (std::env::var("RESTATE_URL"), std::env::var("RESTATE_ADMIN_URL")) else {
        println!("skipped: RESTATE_URL and RESTATE_ADMIN_URL are not set");
        std::process::exit(0);
    };
    let client = reqwest::Client::new();
    register(&client, admin.trim_end_matches('/')).await?;
    // A key that an earlier round used would be answered from the journal of that round.
    let round = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros();
    let call = format!("{}/Orders/process", ingress.trim_end_matches('/'));
    peers_common::drive(&args, move |n| {
        let (client, call) = (client.clone(), call.clone());
        async move {
            let request = client.post(call).header("idempotency-key", format!("{round}-{n}")).json(&order(n));
            let answer = request.send().await.and_then(reqwest::Response::error_for_status);
            let done: Order = answer.expect("the order starts").json().await.expect("the order ends");
            check(&done);
        }
    })
    .await
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
