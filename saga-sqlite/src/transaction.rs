//! The application's own transaction: its rows and its events become durable together.
//!
//! Owns: a connection for the application, its time limit, and publishing by inbox rows (rule R23). Does not own:
//! applying anything. It never touches an instance, so it needs no lease.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use saga_core::machine::Saga;
use saga_core::message::{
    BoxError, Correlated, Key, KeyError, Message, MessageId, PayloadError, PayloadLimits, Timestamp,
};
use saga_core::store::{Address, Mail, MailKind, OperatorVerb, StoreError};

use crate::SqliteStore;
use crate::error::{of_store, unavailable};
use crate::open::{Role, connect};
use crate::table::{inbox, taker};

/// One transaction of the application, see [`SqliteStore::transaction`].
#[derive(Debug)]
pub struct Transaction<'a> {
    db: &'a Connection,
    published: Cell<bool>,
}

/// Why a transaction was rolled back. None of it happened, except as [`Store`](Self::Store) says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// A statement failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The application decided so.
    #[error(transparent)]
    Application(#[from] BoxError),
    /// It took too long. The dispatcher cannot commit meanwhile.
    #[error(
        "the transaction took longer than its limit of {limit:?} and was rolled back; do slow work before it"
    )]
    TooLong {
        /// The limit in force.
        limit: Duration,
    },
    /// The application ended the transaction by a statement of its own.
    #[error("the transaction was ended by a COMMIT or ROLLBACK of its own; return from it instead")]
    Ended,
    /// No saga or subscriber takes the event.
    #[error(
        "nobody takes the event `{event}`; start the dispatcher that does once, so that it is registered"
    )]
    NobodyTakes {
        /// The event's stored name.
        event: &'static str,
    },
    /// The event's key is no key.
    #[error("the event `{event}` has no usable key: {source}")]
    Key {
        /// The event's stored name.
        event: &'static str,
        /// Why not.
        source: KeyError,
    },
    /// The key of the instance is no key.
    #[error("no instance of `{saga}` has such a key: {source}")]
    InstanceKey {
        /// The saga's stored name.
        saga: &'static str,
        /// Why not.
        source: KeyError,
    },
    /// The event's payload cannot be stored.
    #[error("the event `{event}` {source}")]
    Payload {
        /// The event's stored name.
        event: &'static str,
        /// Why not.
        source: PayloadError,
    },
    /// The store cannot begin or end it. After [`StoreError::Unavailable`] nobody knows whether it happened: publish
    /// under an id of your own, and a repetition is recognised.
    #[error(transparent)]
    Store(StoreError),
}

impl Transaction<'_> {
    /// The connection, for the application's own tables in the same file. Foreign keys are enforced on it.
    pub fn connection(&self) -> &Connection {
        self.db
    }

    /// Publishes an event to everybody who takes it, under an id of its own, which is answered.
    ///
    /// # Errors
    /// When nobody takes it, or its key or payload is over the limits.
    pub fn publish<E: Correlated>(&self, event: &E) -> Result<MessageId, TransactionError> {
        let id = MessageId::unique();
        self.publish_as(&id, event)?;
        Ok(id)
    }

    /// Publishes an event under the caller's id, so that a repetition of the transaction is recognised.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub fn publish_as<E: Correlated>(&self, id: &MessageId, event: &E) -> Result<(), TransactionError> {
        let message = Message::published(event, PayloadLimits::DEFAULT)
            .map_err(|source| TransactionError::Payload { event: E::NAME, source })?;
        let takers = taker::of_event(self.db, E::NAME)?;
        if takers.is_empty() {
            return Err(TransactionError::NobodyTakes { event: E::NAME });
        }
        let at = Timestamp::now();
        for taker in takers {
            // A subscriber takes the event by its own key, whatever it is for a saga.
            let saga = if taker.subscriber { "" } else { &taker.taker };
            let key =
                event.correlation(saga).map_err(|source| TransactionError::Key { event: E::NAME, source })?;
            let mail = Mail {
                to: Address::new(taker.taker, key),
                kind: if taker.subscriber { MailKind::Delivery } else { MailKind::Event },
                message: message.clone(),
                id: Some(id.clone()),
                marked: false,
                task: None,
                hops: 0,
                cause: None,
                at,
                epoch: 0,
            };
            inbox::insert(self.db, &mail)?;
        }
        self.published.set(true);
        Ok(())
    }

    /// Asks for an operator's verb: the dispatcher that runs on this file, or the next one, does it as a step of the
    /// instance. An instance that is not in a position for it declines, which is noted in the log only. `by` and `why`
    /// go to the history.
    ///
    /// # Errors
    /// When the key is over the limits.
    pub fn operate<S: Saga>(
        &self,
        key: impl AsRef<str>,
        verb: OperatorVerb,
        by: &str,
        why: &str,
    ) -> Result<(), TransactionError> {
        let key = Key::new(key).map_err(|source| TransactionError::InstanceKey { saga: S::NAME, source })?;
        let mail = Mail::operator(Address::new(S::NAME, key), verb, by, why, Timestamp::now());
        inbox::insert(self.db, &mail)?;
        self.published.set(true);
        Ok(())
    }
}

/// The application's connection while no transaction uses it. A transaction that panics takes it along, which rolls
/// back.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<Option<Connection>>);

impl Idle {
    fn swap(&self, db: Option<Connection>) -> Option<Connection> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), db)
    }
}

impl SqliteStore {
    /// Runs `body` in one transaction of the application's own: what it writes and what it publishes become durable
    /// together, or not at all.
    ///
    /// Works with and without a dispatcher in this process; one elsewhere is woken within a second. Blocks: call it
    /// from a thread that may, such as one of tokio's `spawn_blocking`. It holds up the dispatcher's commits, so it is
    /// rolled back after [a limit](crate::SqliteOptions::transaction_limit).
    ///
    /// # Errors
    /// Whatever `body` returns, or [`TransactionError::TooLong`], or the store's trouble.
    pub fn transaction<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, TransactionError> {
        let shared = &self.shared;
        let place = &shared.place;
        let trouble = |error| TransactionError::Store(of_store(place.name(), error));
        place.check().map_err(TransactionError::Store)?;
        let mut db = match shared.idle.swap(None) {
            Some(db) => db,
            None => {
                let mut db = connect(place, Role::Application).map_err(trouble)?;
                shared.checkpoints.watch(&mut db).map_err(trouble)?;
                db
            }
        };
        db.execute_batch("BEGIN IMMEDIATE").map_err(trouble)?;
        let limit = place.options.transaction_limit;
        let begun = Instant::now();
        db.progress_handler(1_000, Some(move || begun.elapsed() > limit)).map_err(trouble)?;
        let tx = Transaction { db: &db, published: Cell::new(false) };
        let result = body(&tx);
        let published = tx.published.get();
        let overdue = begun.elapsed() > limit
            || matches!(&result, Err(TransactionError::Sqlite(error)) if interrupted(error));
        // The limit is on what the application does: ending the transaction must not be interrupted.
        db.progress_handler(0, None::<fn() -> bool>).map_err(trouble)?;
        let result = match result {
            _ if overdue => Err(TransactionError::TooLong { limit }),
            Ok(_) if db.is_autocommit() => Err(TransactionError::Ended),
            result => result,
        };
        if result.is_ok() {
            // The connection is dropped with the error: nobody knows what became of the transaction.
            db.execute_batch("COMMIT")
                .map_err(|error| TransactionError::Store(unavailable(place.name(), error)))?;
            shared.checkpoints.after_commit(&db);
        } else if !db.is_autocommit() {
            db.execute_batch("ROLLBACK").map_err(trouble)?;
        }
        shared.idle.swap(Some(db));
        if result.is_ok() && published {
            self.wake(false);
        }
        result
    }
}

fn interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}
