//! A notice reaches the server of a webhook, once it answers.
#![cfg(feature = "webhook")]
#![allow(missing_docs)]

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use saga_dashboard::Webhook;
use serde_json::Value;
use support::Shop;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long a request may take. It only bounds a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that gives these answers, and `204` after them.
struct Server {
    url: String,
    requests: UnboundedReceiver<(HeaderMap, Value)>,
}

impl Server {
    async fn start(answers: &[u16]) -> Self {
        Self::leading(String::new(), answers).await
    }

    /// Its answers have this address as their location.
    async fn leading(location: String, answers: &[u16]) -> Self {
        let (to, requests) = unbounded_channel();
        let answers: VecDeque<_> = answers.iter().map(|code| StatusCode::from_u16(*code).unwrap()).collect();
        let answers = Arc::new(Mutex::new(answers));
        let take = move |headers: HeaderMap, body: String| async move {
            drop(to.send((headers, serde_json::from_str(&body).unwrap())));
            let answer = answers.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT);
            (answer, [(LOCATION, location)])
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/s3cret", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/hook/s3cret", post(take));
        drop(tokio::spawn(async move { axum::serve(listener, app).await }));
        Self { url, requests }
    }

    async fn request(&mut self) -> (HeaderMap, Value) {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.expect("a request in time").unwrap()
    }
}

/// Three repetitions without a wait.
fn webhook(url: &str) -> Webhook {
    Webhook::new(url).unwrap().retries([Duration::ZERO; 3])
}

async fn shop(error: &str, webhook: Webhook) -> Shop {
    let (hook, _) = webhook.start().unwrap();
    Shop::built(error, |builder| builder.on_attention(hook)).await
}

#[tokio::test]
async fn a_notice_is_posted_as_json() {
    let mut server = Server::start(&[]).await;
    let webhook = webhook(&server.url).header("authorization", "Bearer 4f1c").unwrap();
    let webhook = webhook.name("orders").dashboard("https://ops.example/saga/").escape_for_slack();
    let shop = shop("<!channel> no\u{202e}money", webhook).await;
    shop.parked("A/1", "").await;
    let (headers, mut body) = server.request().await;
    assert_eq!(headers["authorization"], "Bearer 4f1c");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(body["id"].as_str().unwrap().len(), 64);
    body["id"] = "(random)".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

#[tokio::test]
async fn a_request_that_fails_is_repeated_with_the_same_id() {
    let mut server = Server::start(&[503, 429]).await;
    let shop = shop("no money", webhook(&server.url)).await;
    shop.parked("A-1", "").await;
    let (_, first) = server.request().await;
    for _ in 0..2 {
        assert_eq!(server.request().await.1, first);
    }
    shop.letter("B-1", "").await;
    let (_, next) = server.request().await;
    assert_eq!((&next["kind"], &next["lost"]), (&"dead-letter".into(), &0.into()));
    assert_ne!(next["id"], first["id"]);
}

#[tokio::test]
async fn a_refusal_is_final_and_the_next_notice_says_so() {
    let mut server = Server::start(&[403]).await;
    let shop = shop("no money", webhook(&server.url)).await;
    shop.parked("A-1", "").await;
    assert_eq!(server.request().await.1["kind"], "parked");
    shop.letter("B-1", "").await;
    let (_, next) = server.request().await;
    assert_eq!((&next["kind"], &next["lost"]), (&"dead-letter".into(), &1.into()));
    assert!(next["text"].as_str().unwrap().ends_with("(lost before this one: 1)"), "{next}");
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_given_up() {
    let mut server = Server::start(&[500; 4]).await;
    let shop = shop("no money", webhook(&server.url)).await;
    shop.parked("A-1", "").await;
    for _ in 0..4 {
        assert_eq!(server.request().await.1["kind"], "parked");
    }
    shop.letter("B-1", "").await;
    assert_eq!(server.request().await.1["kind"], "dead-letter");
}

#[tokio::test]
async fn a_long_error_is_shortened() {
    let mut server = Server::start(&[]).await;
    let shop = shop(&"<p>".repeat(5_000), webhook(&server.url).dashboard("https://ops.example")).await;
    shop.parked("A-1", "").await;
    let (_, body) = server.request().await;
    let text = body["text"].as_str().unwrap();
    assert!(text.chars().count() < 2_100 && text.contains("…\nhttps://ops.example/instance"), "{text}");
}

#[tokio::test]
async fn the_end_of_the_dispatcher_ends_the_posts() {
    let mut server = Server::start(&[]).await;
    let (hook, posts) = webhook(&server.url).start().unwrap();
    let shop = Shop::built("no money", |builder| builder.on_attention(hook)).await;
    shop.parked("A-1", "").await;
    shop.dispatcher.shutdown(PATIENCE).await.unwrap();
    assert!(posts.finish(PATIENCE).await);
    assert_eq!(server.request().await.1["kind"], "parked");
}

/// A redirect may lead to a host that must not see the notice.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Server::start(&[]).await;
    let mut server = Server::leading(elsewhere.url.clone(), &[307]).await;
    let shop = shop("no money", webhook(&server.url)).await;
    shop.parked("A-1", "").await;
    server.request().await;
    shop.letter("B-1", "").await;
    assert_eq!(server.request().await.1["lost"], 1);
    assert!(elsewhere.requests.try_recv().is_err());
}

#[tokio::test]
async fn an_https_address_is_spoken_to_in_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook = webhook(&format!("https://{}/", listener.local_addr().unwrap()));
    match webhook.start() {
        Ok((hook, _)) => {
            let shop = Shop::built("no money", |builder| builder.on_attention(hook)).await;
            shop.parked("A-1", "").await;
            let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
            let handshake = stream.read_u8().await.unwrap();
            assert_eq!(handshake, 22, "the first record of TLS is a handshake");
        }
        // A system without certificates cannot verify any host, and says so at the start.
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}

#[test]
fn bad_settings_are_refused_without_their_secrets() {
    for (url, says) in [
        ("hooks.example/s3cret", "begins with `https://`"),
        ("ftp://hooks.example/s3cret", "begins with `https://`"),
        ("https://", "begins with `https://`"),
        ("https://ann:s3cret@hooks.example/", "holds a user name"),
        ("https://hooks.example/s3cret x", "begins with `https://`"),
    ] {
        let error = Webhook::new(url).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("s3cret"), "{url}: {error}");
    }
    let webhook = || Webhook::new("https://hooks.example/s3cret").unwrap();
    assert!(!format!("{:?}", webhook()).contains("s3cret"));
    for (name, value) in [("bad name", "s3cret"), ("authorization", "s3cret\n"), ("host", "s3cret")] {
        let error = webhook().header(name, value).unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
    }
    let error = webhook().start().map(drop).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
