//! The same process by hand: one writer, group commit, one prepared statement for a batch.

use std::sync::Arc;

use saga::postgres::tokio_postgres::{Client, NoTls, Statement, connect};
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::Order;

const TABLES: &str = "
CREATE TABLE instance (id bigint PRIMARY KEY, key text COLLATE \"C\" NOT NULL UNIQUE, state text NOT NULL, seq bigint NOT NULL,
                       data text NOT NULL, changed_at bigint NOT NULL) WITH (fillfactor = 75);
CREATE TABLE history (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, instance bigint NOT NULL, seq bigint NOT NULL,
                      event text NOT NULL, payload text NOT NULL, state text NOT NULL, at bigint NOT NULL);
CREATE TABLE task (instance bigint NOT NULL, seq bigint NOT NULL, name text NOT NULL, payload text NOT NULL,
                   idempotency_key uuid NOT NULL, PRIMARY KEY (instance, seq));
CREATE TABLE owed (instance bigint NOT NULL, name text NOT NULL, payload text NOT NULL, PRIMARY KEY (instance, name));
CREATE TABLE timer (instance bigint PRIMARY KEY, due_at bigint NOT NULL);
CREATE INDEX timer_due ON timer (due_at);";

const WRITE: &str = "WITH
 s AS MATERIALIZED (SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
     $9::text[], $10::text[], $11::text[], $12::text[])
     AS s(instance, seq, event, payload, state, key, data, task, task_payload, owe, owe_payload, forget)),
 i AS (INSERT INTO instance SELECT instance, key, state, seq, data, $13 FROM s WHERE seq = 1),
 u AS (UPDATE instance i SET state = s.state, seq = s.seq, data = s.data, changed_at = $13 FROM s
       WHERE i.id = s.instance AND i.seq = s.seq - 1 RETURNING 1),
 h AS (INSERT INTO history (instance, seq, event, payload, state, at) SELECT instance, seq, event, payload, state, $13 FROM s),
 d AS (DELETE FROM task t USING s WHERE t.instance = s.instance AND t.seq = s.seq - 1),
 t AS (INSERT INTO task SELECT instance, seq, task, task_payload, gen_random_uuid() FROM s WHERE task IS NOT NULL),
 o AS (INSERT INTO owed SELECT instance, owe, owe_payload FROM s WHERE owe IS NOT NULL),
 f AS (DELETE FROM owed o USING s WHERE o.instance = s.instance AND o.name = s.forget),
 w AS (INSERT INTO timer SELECT instance, $13 + 900000 FROM s WHERE seq = 1),
 c AS (DELETE FROM timer w USING s WHERE w.instance = s.instance AND s.seq = 2)
 SELECT count(*) FROM u";

/// One step, ready to be written.
struct Step {
    instance: i64,
    seq: i64,
    event: &'static str,
    payload: String,
    state: &'static str,
    key: Option<String>,
    data: String,
    task: Option<(&'static str, String)>,
    owe: Option<(&'static str, String)>,
    forget: Option<&'static str>,
    done: oneshot::Sender<()>,
}

#[derive(Serialize)]
struct About<'a> {
    order: &'a str,
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

async fn write(client: &Client, statement: &Statement, batch: &[Step]) {
    fn all<'a, T>(batch: &'a [Step], of: impl Fn(&'a Step) -> T) -> Vec<T> {
        batch.iter().map(of).collect()
    }
    let (instance, seq) = (all(batch, |step| step.instance), all(batch, |step| step.seq));
    let (event, state) = (all(batch, |step| step.event), all(batch, |step| step.state));
    let (payload, data) = (all(batch, |step| &*step.payload), all(batch, |step| &*step.data));
    let key = all(batch, |step| step.key.as_deref());
    let task = all(batch, |step| step.task.as_ref().map(|task| task.0));
    let task_payload = all(batch, |step| step.task.as_ref().map(|task| &*task.1));
    let owe = all(batch, |step| step.owe.as_ref().map(|owe| owe.0));
    let owe_payload = all(batch, |step| step.owe.as_ref().map(|owe| &*owe.1));
    let forget = all(batch, |step| step.forget);
    let row = client
        .query_one(
            statement,
            &[
                &instance,
                &seq,
                &event,
                &payload,
                &state,
                &key,
                &data,
                &task,
                &task_payload,
                &owe,
                &owe_payload,
                &forget,
                &now(),
            ],
        )
        .await
        .expect("the batch is written");
    let updates = batch.iter().filter(|step| step.seq > 1).count();
    assert_eq!(row.get::<_, i64>(0), i64::try_from(updates).expect("few"));
}

async fn run(client: Client, statement: Statement, mut steps: UnboundedReceiver<Step>) {
    let mut batch = Vec::new();
    while let Some(first) = steps.recv().await {
        batch.push(first);
        while batch.len() < 256 {
            let Ok(next) = steps.try_recv() else { break };
            batch.push(next);
        }
        write(&client, &statement, &batch).await;
        for step in batch.drain(..) {
            // A saga whose round is over does not listen any more.
            let _ = step.done.send(());
        }
    }
}

async fn step(writer: &UnboundedSender<Step>, make: impl FnOnce(oneshot::Sender<()>) -> Step) {
    let (done, written) = oneshot::channel();
    assert!(writer.send(make(done)).is_ok(), "the writer lives");
    written.await.expect("the writer answers");
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

async fn saga(writer: Arc<UnboundedSender<Step>>, n: u64) {
    let instance = i64::try_from(n).expect("few enough");
    let id = format!("order-{n}");
    let mut order = Order::new(id.clone());
    let about = json(&About { order: &id });
    let plain = |seq, event, state, done| Step {
        instance,
        seq,
        event,
        payload: String::new(),
        state,
        key: None,
        data: String::new(),
        task: None,
        owe: None,
        forget: None,
        done,
    };
    step(&writer, |done| Step {
        payload: about.clone(),
        key: Some(id.clone()),
        data: json(&order),
        task: Some(("pay", about.clone())),
        owe: Some(("void", about.clone())),
        ..plain(1, "placed", "paying", done)
    })
    .await;
    // The handlers answer at once.
    order.payment = Some(order.cents);
    step(&writer, |done| Step {
        payload: json(&order.payment),
        data: json(&order),
        task: Some(("ship", about.clone())),
        owe: Some(("refund", String::new())),
        forget: Some("void"),
        ..plain(2, "paid", "shipping", done)
    })
    .await;
    order.label = Some(id.clone());
    step(&writer, |done| Step {
        payload: json(&order.label),
        data: json(&order),
        task: Some(("tell", about.clone())),
        ..plain(3, "shipped", "telling", done)
    })
    .await;
    step(&writer, |done| Step {
        data: json(&order),
        forget: Some("refund"),
        ..plain(4, "told", "done", done)
    })
    .await;
}

/// Sagas per second in one round in a fresh schema.
pub async fn round(config: &str, schema: &str, at_a_time: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let config = format!("{config} options='-c search_path=hand_{schema}'");
    let (client, connection) = connect(&config, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA hand_{schema}; {TABLES}")).await?;
    client
        .batch_execute(
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
             SET enable_mergejoin = off; SET jit = off",
        )
        .await?;
    let statement = client.prepare(WRITE).await?;
    let (writer, steps) = unbounded_channel();
    let running = tokio::spawn(run(client, statement, steps));
    let writer = Arc::new(writer);
    let rate = crate::drive(at_a_time, move |n| saga(Arc::clone(&writer), n)).await;
    running.await?;
    Ok(rate)
}
