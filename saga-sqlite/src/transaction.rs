//! The application's own transaction: its rows and its events become durable together.
//!
//! Owns: a connection for the application, its time limit, and publishing by inbox rows (rule R23). Does not own:
//! applying anything. It never touches an instance, so it needs no lease.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parking_lot::ReentrantMutexGuard;
use rusqlite::{Connection, ErrorCode};
use saga_core::machine::OperatorVerb;
use saga_core::machine::Saga;
use saga_core::message::{
    BoxError, Correlated, Key, KeyError, Message, MessageId, PayloadError, PayloadLimits, Timestamp,
};
use saga_core::store::{Address, Mail, MailKind, StoreError};

use crate::SqliteStore;
use crate::error::{of_store, unavailable};
use crate::held::{EndedBy, Held, is_held_here};
use crate::open::{Role, connect};
use crate::table::{consumer, inbox, retired};

/// Not the name of a saga: what an event answers for it, it answers for every saga it has no key of its own for.
const ANY_SAGA: &str = "\u{1}";

/// One transaction of the application, see [`SqliteStore::transaction`].
#[derive(Debug)]
pub struct Transaction<'a> {
    held: &'a Held,
    limit: Duration,
    published: Cell<bool>,
}

/// The connection of a [`Transaction`]. While it is kept, the transaction cannot be ended by its limit.
pub struct TransactionConnection<'a>(ReentrantMutexGuard<'a, Connection>);

impl Deref for TransactionConnection<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl std::fmt::Debug for TransactionConnection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
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
    /// It was begun inside another one of the same thread, which it would wait for.
    #[error("a transaction on this store is open on this thread already; do both in one")]
    Nested,
    /// A statement of the application ended the transaction: `COMMIT`, `ROLLBACK`, `OR ROLLBACK`, or one that failed so
    /// badly that SQLite rolled back by itself.
    #[error(
        "a statement ended the transaction, and all of it was rolled back; run no COMMIT or ROLLBACK in it, and return \
         the error of a statement that fails"
    )]
    Ended,
    /// No saga or subscriber takes the event.
    #[error(
        "event `{event}` has no consumer in this store; start a dispatcher with its saga or subscriber once"
    )]
    NoConsumer {
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
    /// The connection, for the application's own tables in the same file. Foreign keys are enforced on it. Use it for one
    /// statement after the other, `tx.connection()?.execute(..)`, and keep it no longer than it runs SQL.
    ///
    /// # Errors
    /// [`TransactionError::TooLong`] and [`TransactionError::Ended`] when the transaction has been rolled back.
    pub fn connection(&self) -> Result<TransactionConnection<'_>, TransactionError> {
        self.held.connection().map(TransactionConnection).map_err(|ended| match ended {
            EndedBy::Limit => TransactionError::TooLong { limit: self.limit },
            EndedBy::Statement => TransactionError::Ended,
        })
    }

    /// Publishes an event to everybody who takes it, under an id of its own, which is answered.
    ///
    /// # Errors
    /// When it has no consumer, or its key or payload is over the limits.
    pub fn publish<E: Correlated>(&self, event: &E) -> Result<MessageId, TransactionError> {
        let id = MessageId::unique();
        self.publish_as(&id, event)?;
        Ok(id)
    }

    /// Publishes an event under the caller's id, so that a repetition of the transaction is recognised.
    ///
    /// What becomes of it is decided when a dispatcher takes it up, after the transaction. Then
    /// [`taken_up`](saga_core::dispatcher::Dispatcher::taken_up) with the same id and event waits for that and says it, also
    /// that the id was used for other content.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub fn publish_as<E: Correlated>(&self, id: &MessageId, event: &E) -> Result<(), TransactionError> {
        let message = Message::published(event, PayloadLimits::DEFAULT)
            .map_err(|source| TransactionError::Payload { event: E::NAME, source })?;
        let db = self.connection()?;
        let consumers = consumer::of_event(&db, E::NAME)?;
        if consumers.is_empty() {
            return Err(TransactionError::NoConsumer { event: E::NAME });
        }
        let at = Timestamp::now();
        for consumer in consumers {
            // A subscriber takes the event by its own key, whatever it is for a saga.
            let key =
                if consumer.subscriber { key(event, "")? } else { key_for(&db, event, &consumer.consumer)? };
            let mail = Mail {
                to: Address::new(consumer.consumer, key),
                kind: if consumer.subscriber { MailKind::Delivery } else { MailKind::Event },
                message: message.clone(),
                id: Some(id.clone()),
                deduplicated: false,
                task: None,
                hops: 0,
                cause: None,
                at,
                epoch: 0,
            };
            inbox::insert(&db, &mail)?;
        }
        self.published.set(true);
        Ok(())
    }

    /// Asks for an operator's verb: the dispatcher that runs on this file, or the next one, does it as a step of the
    /// instance. `by` and `why` go to the history. An instance that is not in a position for it declines: then a line of
    /// the kind `declined` in its history says why. Without an instance the verb becomes a dead letter for the reason
    /// `declined`.
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
        inbox::insert(&*self.connection()?, &mail)?;
        self.published.set(true);
        Ok(())
    }
}

fn key<E: Correlated>(event: &E, saga: &str) -> Result<Key, TransactionError> {
    event.correlation(saga).map_err(|source| TransactionError::Key { event: E::NAME, source })
}

/// The key of the event for a saga. A build from before the saga was renamed has a key for it under an earlier name: with
/// any other key the event would start a second instance (rule R34).
fn key_for<E: Correlated>(db: &Connection, event: &E, saga: &str) -> Result<Key, TransactionError> {
    let present = key(event, saga)?;
    for earlier in retired::earlier(db, saga)? {
        let under_it = key(event, &earlier)?;
        if under_it != present && present == key(event, ANY_SAGA)? {
            return Ok(under_it);
        }
    }
    Ok(present)
}

/// The application's connection while no transaction uses it. A transaction that panics takes it along, which rolls
/// back.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<Option<Arc<Held>>>);

impl Idle {
    fn swap(&self, held: Option<Arc<Held>>) -> Option<Arc<Held>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), held)
    }
}

/// Rolls back when the application panics.
struct Open<'a>(&'a Held);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.end();
        let db = self.0.idle();
        if !db.is_autocommit()
            && let Err(error) = db.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction cannot be rolled back");
        }
    }
}

impl SqliteStore {
    /// Runs `body` in one transaction of the application's own: what it writes and what it publishes become durable
    /// together, or not at all.
    ///
    /// Works with and without a dispatcher in this process; one elsewhere is woken within a second. Blocks: call it
    /// from a thread that may, such as one of tokio's `spawn_blocking`. It holds up the dispatcher's commits, so it is
    /// rolled back after [a limit](crate::SqliteOptions::transaction_limit), whether or not SQL is running. Only while
    /// `body` keeps what [`Transaction::connection`] answers, and runs no SQL on it, has that to wait. A dispatcher's
    /// `publish` that is awaited inside `body` is refused at once; publish with [`Transaction::publish`].
    ///
    /// # Errors
    /// Whatever `body` returns, or [`TransactionError::TooLong`], or the store's trouble.
    ///
    /// # Panics
    /// When `body` does. Nothing has happened then.
    pub fn transaction<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, TransactionError> {
        let shared = &self.shared;
        let place = &shared.place;
        let trouble = |error| TransactionError::Store(of_store(place.name(), error));
        place.check().map_err(TransactionError::Store)?;
        if is_held_here(place) {
            return Err(TransactionError::Nested);
        }
        let held = match shared.idle.swap(None) {
            Some(held) => held,
            None => {
                let mut db = connect(place, Role::Application).map_err(trouble)?;
                shared.checkpoints.watch(&mut db).map_err(trouble)?;
                Arc::new(Held::new(db).map_err(trouble)?)
            }
        };
        held.idle().execute_batch("BEGIN IMMEDIATE").map_err(trouble)?;
        let open = Open(&held);
        crate::schema::check_still(place, &held.idle()).map_err(TransactionError::Store)?;
        let limit = place.options.transaction_limit;
        let holding = shared
            .watch
            .begin(place, &held, limit)
            .map_err(|error| TransactionError::Store(unavailable(place.name(), error)))?;
        let tx = Transaction { held: &held, limit, published: Cell::new(false) };
        let result = body(&tx);
        let published = tx.published.get();
        drop(holding);
        let overdue =
            held.end() || matches!(&result, Err(TransactionError::Sqlite(error)) if interrupted(error));
        let db = held.idle();
        let result = match result {
            _ if overdue => Err(TransactionError::TooLong { limit }),
            Ok(_) if db.is_autocommit() => Err(TransactionError::Ended),
            result => result,
        };
        if result.is_ok() {
            // The connection is dropped with the error: nobody knows what became of the transaction.
            held.commit(&db).map_err(|error| TransactionError::Store(unavailable(place.name(), error)))?;
            shared.checkpoints.after_commit(&db);
            // What was written into a file that is gone is gone with it.
            place.check().map_err(TransactionError::Store)?;
        }
        drop(db);
        drop(open);
        // One that cannot be rolled back is dropped, which ends its transaction.
        if held.idle().is_autocommit() {
            shared.idle.swap(Some(Arc::clone(&held)));
        }
        if result.is_ok() && published {
            self.wake(false);
        }
        result
    }
}

fn interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}
