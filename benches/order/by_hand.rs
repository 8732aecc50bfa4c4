//! The same process by hand: one writer thread, group commit, prepared statements.
//!
//! Two layouts: tables with a column for each value, as most people write them, and narrow rows with a JSON body.

use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::{Connection, params};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::Order;

const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 4000;";
const NARROW: &str = "
CREATE TABLE instance (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, wake_at INTEGER,
                       body TEXT NOT NULL) STRICT;
CREATE INDEX instance_wake ON instance (wake_at) WHERE wake_at IS NOT NULL;
CREATE TABLE history (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
";
const TABLES: &str = "
CREATE TABLE instance (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, state TEXT NOT NULL, seq INTEGER NOT NULL,
                       data TEXT NOT NULL, changed_at INTEGER NOT NULL) STRICT;
CREATE TABLE history (id INTEGER PRIMARY KEY, instance INTEGER NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL,
                      payload TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE task (instance INTEGER NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, payload TEXT NOT NULL,
                   idempotency_key BLOB NOT NULL, PRIMARY KEY (instance, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE owed (instance INTEGER NOT NULL, name TEXT NOT NULL, payload TEXT NOT NULL,
                   PRIMARY KEY (instance, name)) STRICT, WITHOUT ROWID;
CREATE TABLE timer (instance INTEGER PRIMARY KEY, due_at INTEGER NOT NULL) STRICT;
CREATE INDEX timer_due ON timer (due_at);
";

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
    forget: &'static [&'static str],
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

/// The layout of the hand-written program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Tables,
    Narrow,
}

/// Writes one step as one narrow row and one line.
fn write_narrow(tx: &Connection, step: &Step, at: i64) -> rusqlite::Result<()> {
    let Step { instance, seq, event, payload, state, key, data, task, owe, .. } = step;
    let (task, owe) = (task.as_ref().map_or(("", ""), both), owe.as_ref().map_or(("", ""), both));
    let body = format!(
        r#"{{"state":"{state}","at":{at},"task":"{}","task_payload":{:?},"key":"{}","owed":"{}","owed_payload":{:?},"data":{data}}}"#,
        task.0,
        task.1,
        uuid::Uuid::now_v7(),
        owe.0,
        owe.1,
    );
    match key {
        Some(key) => {
            tx.prepare_cached("INSERT INTO instance VALUES (?, ?, ?, ?, ?)")?.execute(params![
                instance,
                key,
                seq,
                at + 900_000,
                body
            ])?;
        }
        None => {
            let sql = if *seq == 2 {
                "UPDATE instance SET seq = ?, body = ?, wake_at = NULL WHERE id = ? AND seq = ?"
            } else {
                "UPDATE instance SET seq = ?, body = ? WHERE id = ? AND seq = ?"
            };
            let changed = tx.prepare_cached(sql)?.execute(params![seq, body, instance, seq - 1])?;
            assert_eq!(changed, 1);
        }
    }
    let line = format!(r#"[{instance},{seq},"{event}",{payload:?},"{state}",{at}]"#);
    tx.prepare_cached("INSERT INTO history VALUES (NULL, ?)")?.execute(params![line])?;
    Ok(())
}

fn both<'a>((name, payload): &'a (&'static str, String)) -> (&'a str, &'a str) {
    (name, payload)
}

fn write(db: &mut Connection, steps: &Receiver<Step>, layout: Layout) -> rusqlite::Result<()> {
    let mut batch = Vec::new();
    while let Ok(first) = steps.recv() {
        batch.push(first);
        while batch.len() < 256 {
            let Ok(next) = steps.try_recv() else { break };
            batch.push(next);
        }
        let at = now();
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for step in &batch {
            if layout == Layout::Narrow {
                write_narrow(&tx, step, at)?;
                continue;
            }
            let Step { instance, seq, event, payload, state, key, data, task, owe, forget, .. } = step;
            match key {
                Some(key) => {
                    tx.prepare_cached("INSERT INTO instance VALUES (?, ?, ?, ?, ?, ?)")?
                        .execute(params![instance, key, state, seq, data, at])?;
                    tx.prepare_cached("INSERT INTO timer VALUES (?, ?)")?
                        .execute(params![instance, at + 900_000])?;
                }
                None => {
                    let changed = tx
                        .prepare_cached(
                            "UPDATE instance SET state = ?, seq = ?, data = ?, changed_at = ? WHERE id = ? AND seq = ?",
                        )?
                        .execute(params![state, seq, data, at, instance, seq - 1])?;
                    assert_eq!(changed, 1);
                    tx.prepare_cached("DELETE FROM task WHERE instance = ? AND seq = ?")?
                        .execute(params![instance, seq - 1])?;
                }
            }
            tx.prepare_cached("INSERT INTO history VALUES (NULL, ?, ?, ?, ?, ?, ?)")?
                .execute(params![instance, seq, event, payload, state, at])?;
            if let Some((name, payload)) = task {
                tx.prepare_cached("INSERT INTO task VALUES (?, ?, ?, ?, ?)")?.execute(params![
                    instance,
                    seq,
                    name,
                    payload,
                    uuid::Uuid::now_v7().as_bytes()
                ])?;
            }
            if let Some((name, payload)) = owe {
                tx.prepare_cached("INSERT INTO owed VALUES (?, ?, ?)")?
                    .execute(params![instance, name, payload])?;
            }
            for name in *forget {
                tx.prepare_cached("DELETE FROM owed WHERE instance = ? AND name = ?")?
                    .execute(params![instance, name])?;
            }
            if *seq == 2 {
                tx.prepare_cached("DELETE FROM timer WHERE instance = ?")?.execute(params![instance])?;
            }
        }
        tx.commit()?;
        for step in batch.drain(..) {
            // A saga whose round is over does not listen any more.
            let _ = step.done.send(());
        }
    }
    Ok(())
}

async fn step(writer: &Sender<Step>, make: impl FnOnce(oneshot::Sender<()>) -> Step) {
    let (done, written) = oneshot::channel();
    writer.send(make(done)).expect("the writer lives");
    written.await.expect("the writer answers");
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

async fn saga(writer: Sender<Step>, n: u64) {
    let instance = i64::try_from(n).expect("few enough");
    let id = format!("order-{n}");
    let mut order = Order::new(id.clone());
    let about = json(&About { order: &id });
    step(&writer, |done| Step {
        instance,
        seq: 1,
        event: "placed",
        payload: about.clone(),
        state: "paying",
        key: Some(id.clone()),
        data: json(&order),
        task: Some(("pay", about.clone())),
        owe: Some(("void", about.clone())),
        forget: &[],
        done,
    })
    .await;
    // The handlers answer at once.
    order.payment = Some(order.cents);
    step(&writer, |done| Step {
        instance,
        seq: 2,
        event: "paid",
        payload: json(&order.payment),
        state: "shipping",
        key: None,
        data: json(&order),
        task: Some(("ship", about.clone())),
        owe: Some(("refund", String::new())),
        forget: &["void"],
        done,
    })
    .await;
    order.label = Some(id.clone());
    step(&writer, |done| Step {
        instance,
        seq: 3,
        event: "shipped",
        payload: json(&order.label),
        state: "telling",
        key: None,
        data: json(&order),
        task: Some(("tell", about.clone())),
        owe: None,
        forget: &[],
        done,
    })
    .await;
    step(&writer, |done| Step {
        instance,
        seq: 4,
        event: "told",
        payload: String::new(),
        state: "done",
        key: None,
        data: json(&order),
        task: None,
        owe: None,
        forget: &["refund"],
        done,
    })
    .await;
}

/// Sagas per second in one round on a fresh database.
pub async fn round(
    at_a_time: usize,
    layout: Layout,
    durable: bool,
) -> Result<f64, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut db = Connection::open(folder.path().join("hand.db"))?;
    db.execute_batch(PRAGMAS)?;
    db.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
    db.execute_batch(if layout == Layout::Narrow { NARROW } else { TABLES })?;
    db.set_prepared_statement_cache_capacity(64);
    let (writer, steps) = channel();
    let thread = std::thread::spawn(move || write(&mut db, &steps, layout));
    let rate = crate::drive(at_a_time, move |n| saga(writer.clone(), n)).await;
    thread.join().map_err(|_| "the writer panicked")??;
    Ok(rate)
}
