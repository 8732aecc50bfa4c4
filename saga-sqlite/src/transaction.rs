//! The transaction of the application: its rows and its events become durable together.
//!
//! Owns: a connection for the application, its time limit, and publishing by inbox rows (rule R23). Does not own: the
//! application of events. A transaction never changes an instance and needs no lease.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parking_lot::ReentrantMutexGuard;
use rusqlite::{Connection, ErrorCode};
use saga_core::machine::{Operator, OperatorVerb, Saga};
use saga_core::message::{
    BoxError, Correlated, InstanceName, Key, KeyError, Message, MessageId, PayloadError, PayloadLimits,
    Timestamp, TraceContext,
};
use saga_core::store::{Address, Mail, MailKind, StoreError};

use crate::SqliteStore;
use crate::application_connection::{ApplicationConnection, EndedBy, is_held_here};
use crate::error::{of_store, unavailable};
use crate::open::{Role, connect};
use crate::table::{consumer, inbox, retired};

/// This text is not the name of a saga. The key for this name is the key for all sagas without their own key.
const ANY_SAGA: &str = "\u{1}";

/// One transaction of the application. See [`SqliteStore::transaction`].
#[derive(Debug)]
pub struct Transaction<'a> {
    held: &'a ApplicationConnection,
    limit: Duration,
    published: Cell<bool>,
    trace: Cell<Option<TraceContext>>,
}

/// The connection of a [`Transaction`]. The time limit cannot end the transaction while this value exists.
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

/// The reason for a rollback. The transaction had no effect. [`Store`](Self::Store) describes the exception.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// A statement failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The application returned an error.
    #[error(transparent)]
    Application(#[from] BoxError),
    /// The transaction exceeded its time limit. The dispatcher cannot commit during a transaction.
    #[error(
        "the transaction took longer than its limit of {limit:?} and was rolled back; do slow work before the transaction"
    )]
    TooLong {
        /// The time limit in force.
        limit: Duration,
    },
    /// The transaction began inside another transaction of the same thread. It would wait for itself.
    #[error("this thread already has an open transaction on this store; use one transaction for all work")]
    Nested,
    /// A statement of the application ended the transaction: `COMMIT`, `ROLLBACK` or `OR ROLLBACK`. A severe error can
    /// also make SQLite roll back by itself.
    #[error(
        "a statement ended the transaction; the whole transaction was rolled back; run no COMMIT or ROLLBACK in the \
         transaction; return the error of a failed statement"
    )]
    Ended,
    /// No saga and no subscriber receives the event.
    #[error(
        "event `{event}` has no consumer in this store; start a dispatcher once with a consumer of the event"
    )]
    NoConsumer {
        /// The stored name of the event.
        event: &'static str,
    },
    /// The event has no valid key.
    #[error("event `{event}` has no usable key")]
    Key {
        /// The stored name of the event.
        event: &'static str,
        /// The reason.
        source: KeyError,
    },
    /// The key of the instance is not valid.
    #[error("the key for saga `{saga}` is not valid")]
    InstanceKey {
        /// The stored name of the saga.
        saga: &'static str,
        /// The reason.
        source: KeyError,
    },
    /// The payload of the event cannot be stored.
    #[error("event `{event}` cannot be stored")]
    Payload {
        /// The stored name of the event.
        event: &'static str,
        /// The reason.
        source: PayloadError,
    },
    /// The store cannot begin or end the transaction. After [`StoreError::Unavailable`] the result of the transaction
    /// is unknown. Publish under your own message id. A repetition is then recognised.
    #[error(transparent)]
    Store(StoreError),
}

impl Transaction<'_> {
    /// Returns the connection, for tables of the application in the same file.
    ///
    /// Foreign keys are enforced on this connection. Use the connection for one statement at a time:
    /// `tx.connection()?.execute(..)`. Keep the connection only while SQL runs.
    ///
    /// # Errors
    /// [`TransactionError::TooLong`] and [`TransactionError::Ended`] if the transaction has been rolled back.
    pub fn connection(&self) -> Result<TransactionConnection<'_>, TransactionError> {
        self.held.connection().map(TransactionConnection).map_err(|ended| match ended {
            EndedBy::Limit => TransactionError::TooLong { limit: self.limit },
            EndedBy::Statement => TransactionError::Ended,
        })
    }

    /// Sets the trace context of the events that this transaction publishes from now on. It goes through everything that
    /// follows from them.
    pub fn set_trace(&self, trace: Option<TraceContext>) {
        self.trace.set(trace);
    }

    /// Publishes an event to all its consumers. Returns the new message id of the event.
    ///
    /// # Errors
    /// If the event has no consumer, or if its key or payload exceeds a limit.
    pub fn publish<E: Correlated>(&self, event: &E) -> Result<MessageId, TransactionError> {
        let id = MessageId::unique();
        self.publish_as(&id, event)?;
        Ok(id)
    }

    /// Publishes an event under the message id of the caller. A repetition of the transaction is then recognised.
    ///
    /// A dispatcher takes up the event after the transaction. The result for each consumer is known only then. Use
    /// [`taken_up`](saga_core::dispatcher::Dispatcher::taken_up) with the same id and event to wait for the result. The
    /// result also reports an id already used for other content.
    ///
    /// # Errors
    /// The same as for [`publish`](Self::publish).
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
            // The order of a subscriber uses the plain key, even if the event has an alias for sagas.
            let key =
                if consumer.subscriber { key(event, "")? } else { key_for(&db, event, &consumer.consumer)? };
            let kind = if consumer.subscriber { MailKind::Delivery } else { MailKind::Event };
            let mail = Mail::new(Address::new(consumer.consumer, key), kind, message.clone(), at);
            inbox::insert(&db, &Mail { id: Some(id.clone()), trace: self.trace.get(), ..mail })?;
        }
        self.published.set(true);
        Ok(())
    }

    /// Requests a verb of an operator. The running or next dispatcher on this file applies the verb as a step.
    ///
    /// The history names the operator and the reason. An instance may decline the verb. A history line `declined` then
    /// gives the reason. Without an instance the verb becomes a dead letter with the reason `declined`.
    ///
    /// # Errors
    /// If the key exceeds a limit.
    pub fn operate<S: Saga>(
        &self,
        key: impl AsRef<str>,
        verb: OperatorVerb,
        operator: Operator,
    ) -> Result<(), TransactionError> {
        let key = Key::new(key).map_err(|source| TransactionError::InstanceKey { saga: S::NAME, source })?;
        let mail = Mail::operator(Address::new(S::NAME, key), verb, operator, Timestamp::now());
        inbox::insert(&*self.connection()?, &mail)?;
        self.published.set(true);
        Ok(())
    }
}

fn key<E: Correlated>(event: &E, saga: &str) -> Result<InstanceName, TransactionError> {
    event.correlation(saga).map_err(|source| TransactionError::Key { event: E::NAME, source })
}

/// Returns the key of the event for a saga. Before a rename, the event may have another key under the earlier name of
/// the saga. Any other key would start a second instance (rule R34).
fn key_for<E: Correlated>(db: &Connection, event: &E, saga: &str) -> Result<InstanceName, TransactionError> {
    let present = key(event, saga)?;
    for earlier in retired::earlier(db, saga)? {
        let under_it = key(event, &earlier)?;
        if under_it != present && present == key(event, ANY_SAGA)? {
            return Ok(under_it);
        }
    }
    Ok(present)
}

/// The connection of the application between transactions. A panic in a transaction drops the connection, which rolls
/// the transaction back.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<Option<Arc<ApplicationConnection>>>);

impl Idle {
    fn swap(&self, held: Option<Arc<ApplicationConnection>>) -> Option<Arc<ApplicationConnection>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), held)
    }
}

/// Rolls the transaction back after a panic of the application.
struct Open<'a>(&'a ApplicationConnection);

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
    /// Runs `body` in one transaction of the application. Its rows and its events become durable together, or not at
    /// all.
    ///
    /// A dispatcher in this process is not necessary. A dispatcher elsewhere wakes within a second. This call blocks.
    /// Use a thread that may block, for example with tokio's `spawn_blocking`.
    ///
    /// The transaction stops the commits of the dispatcher. The transaction is therefore rolled back after [a
    /// limit](crate::SqliteOptions::transaction_limit), with or without running SQL. The rollback waits while `body`
    /// keeps the value of [`Transaction::connection`] without running SQL.
    ///
    /// A `publish` of a dispatcher inside `body` is refused at once. Use [`Transaction::publish`] instead.
    ///
    /// # Errors
    /// The error of `body`, [`TransactionError::TooLong`], or an error of the store.
    ///
    /// # Panics
    /// If `body` panics. The transaction then has no effect.
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
                Arc::new(ApplicationConnection::new(db).map_err(trouble)?)
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
        let tx = Transaction { held: &held, limit, published: Cell::new(false), trace: Cell::new(None) };
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
            // The connection is dropped with the error, because the result of the transaction is unknown.
            held.commit(&db).map_err(|error| TransactionError::Store(unavailable(place.name(), error)))?;
            shared.checkpoints.after_commit(&db);
            // Rows written to a deleted file are lost.
            place.check().map_err(TransactionError::Store)?;
        }
        drop(db);
        drop(open);
        // A connection with an open transaction is dropped. The drop ends the transaction.
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
