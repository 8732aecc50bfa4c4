//! A saga that waits for thirty days and counts events meanwhile: by the library and by hand.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rusqlite::{Connection, params};
use saga::prelude::*;
use saga::{Dispatcher, SqliteStore};
use tokio::sync::oneshot;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "counter", version = 1, data(Counter), actions(CounterActions))]
#[initially(when(Opened, run(open), transition_to(Waiting)))]
#[unhandled(ignore)]
pub enum CounterState {
    #[during(when(Touched, run(touch), stay), timeout(days = 30, transition_to(Over)))]
    Waiting,
    #[terminal]
    Over,
}

/// About 300 bytes of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    touches: u64,
    text: String,
}

impl Counter {
    fn new() -> Self {
        Self { touches: 0, text: "x".repeat(270) }
    }
}

impl CounterActions for Counter {
    fn open(_: &Opened, _: &mut Context) -> ActionResult<Self> {
        Ok(Self::new())
    }
    fn touch(&mut self, _: &Touched, _: &mut Context) -> ActionResult<()> {
        self.touches += 1;
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "opened", key(key))]
pub struct Opened {
    pub key: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "touched", key(key))]
pub struct Touched {
    pub key: String,
}

/// One of the two programs on a file.
#[derive(Clone)]
pub enum Side {
    Saga(Dispatcher),
    ByHand(ByHand),
}

impl Side {
    pub async fn by_saga(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self::Saga(Dispatcher::builder(SqliteStore::open(path)?).saga::<CounterState>().start().await?))
    }

    /// Begins a new instance, and returns when it is durable.
    pub async fn open(&self, key: String) {
        match self {
            Self::Saga(dispatcher) => drop(dispatcher.publish(Opened { key }).await.expect("accepted")),
            Self::ByHand(hand) => hand.send(key, true).await,
        }
    }

    /// Sends an event to an instance, and returns when its step is durable.
    pub async fn touch(&self, key: String) {
        match self {
            Self::Saga(dispatcher) => drop(dispatcher.publish(Touched { key }).await.expect("accepted")),
            Self::ByHand(hand) => hand.send(key, false).await,
        }
    }

    pub async fn end(self) -> Result<(), Box<dyn std::error::Error>> {
        if let Self::Saga(dispatcher) = self {
            dispatcher.shutdown(Duration::from_secs(5)).await?;
        }
        Ok(())
    }
}

/// A request to the hand-written program: a key, and whether it is new.
type Request = (String, bool, oneshot::Sender<()>);

/// The hand-written program on a file.
#[derive(Clone)]
pub struct ByHand(Sender<Request>);

impl ByHand {
    pub fn start(path: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(path)?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE IF NOT EXISTS instance (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
                 seq INTEGER NOT NULL, data TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY, instance INTEGER NOT NULL,
                 seq INTEGER NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS timer (instance INTEGER PRIMARY KEY, due_at INTEGER NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS timer_due ON timer (due_at);",
        )?;
        let (requests, received) = channel();
        std::thread::spawn(move || write(db, &received).expect("the file can be written"));
        Ok(Self(requests))
    }

    async fn send(&self, key: String, new: bool) {
        let (done, written) = oneshot::channel();
        self.0.send((key, new, done)).expect("the writer lives");
        written.await.expect("the writer answers");
    }
}

fn write(mut db: Connection, requests: &Receiver<Request>) -> Result<(), Box<dyn std::error::Error>> {
    db.set_prepared_statement_cache_capacity(64);
    let mut batch = Vec::new();
    while let Ok(first) = requests.recv() {
        batch.push(first);
        while batch.len() < 256 {
            let Ok(next) = requests.try_recv() else { break };
            batch.push(next);
        }
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for (key, new, _) in &batch {
            let (id, seq, event): (i64, i64, &str) =
                if *new {
                    let data = serde_json::to_string(&Counter::new())?;
                    tx.prepare_cached("INSERT INTO instance VALUES (NULL, ?, 1, ?)")?
                        .execute(params![key, data])?;
                    let id = tx.last_insert_rowid();
                    tx.prepare_cached("INSERT INTO timer VALUES (?, ?)")?
                        .execute(params![id, 2_592_000_000_i64])?;
                    (id, 1, "opened")
                } else {
                    let (id, seq, data): (i64, i64, String) = tx
                        .prepare_cached("SELECT id, seq, data FROM instance WHERE key = ?")?
                        .query_row((key,), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                    let mut counter: Counter = serde_json::from_str(&data)?;
                    counter.touches += 1;
                    let data = serde_json::to_string(&counter)?;
                    tx.prepare_cached("UPDATE instance SET seq = ?, data = ? WHERE id = ?")?
                        .execute(params![seq + 1, data, id])?;
                    (id, seq + 1, "touched")
                };
            tx.prepare_cached("INSERT INTO history VALUES (NULL, ?, ?, ?, 0)")?
                .execute(params![id, seq, event])?;
        }
        tx.commit()?;
        for (.., done) in batch.drain(..) {
            let _ = done.send(());
        }
    }
    Ok(())
}
