//! Events in a transaction of the application: the rows of the application and the events become durable together.
//!
//! Owns: one statement with one text, which every client of PostgreSQL can run in its own transaction, and the way of its rows
//! into the inbox. A transaction of the application can be long, so its rows are put down in a table without an order, and the
//! lease holder moves them into the inbox. Does not own: the transaction.

use saga_core::message::{
    Correlated, InstanceName, KeyError, Message, MessageId, PayloadError, PayloadLimits, Timestamp,
    TraceContext, chain,
};
use saga_core::store::{Address, Inspect, Mail, MailKind, NameOf, ShardId, Store, StoreError};
use serde::Serialize;
use tokio_postgres::Error;

use crate::deliver::{number_of, numbers_of_inbox_rows};
use crate::read::{Reader, query};
use crate::shard::{inbox_sequence, lock_of, number};
use crate::store::PostgresStore;
use crate::stored::write_mail;

/// No saga has this name.
const ANY_SAGA: &str = "\u{1}";

/// An event that a transaction of the application publishes. See [`PostgresStore::prepare`].
#[derive(Clone, Debug)]
pub struct PreparedEvent {
    event: &'static str,
    id: MessageId,
    sql: String,
    text: String,
    rows: u64,
}

/// The reason why an event cannot be published in a transaction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The event has no consumer in the store.
    #[error(
        "event `{event}` has no consumer in this store; start a dispatcher once with a consumer of the event"
    )]
    NoConsumer {
        /// The stored name of the event.
        event: &'static str,
    },
    /// The consumers of the event have changed since it was prepared. Roll back, and prepare the event again.
    #[error("the consumers of event `{event}` have changed; roll back, and prepare the event again")]
    ConsumersChanged {
        /// The stored name of the event.
        event: &'static str,
    },
    /// The event has no usable key.
    #[error("event `{event}` has no usable key")]
    Key {
        /// The stored name of the event.
        event: &'static str,
        /// The reason.
        source: KeyError,
    },
    /// The event cannot be stored.
    #[error("event `{event}` cannot be stored")]
    Payload {
        /// The stored name of the event.
        event: &'static str,
        /// The reason.
        source: PayloadError,
    },
    /// The consumers cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PreparedEvent {
    /// Returns the message id. A repetition under the same id has no effect within the deduplication window.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// Returns the statement. It has one parameter, [`text`](Self::text).
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Returns the parameter of the statement, a text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks the number of rows that the statement has inserted, which every client returns.
    ///
    /// # Errors
    /// [`PrepareError::ConsumersChanged`] if the event was not published, because its consumers are others now. Roll back the
    /// transaction then.
    pub fn check(&self, rows: u64) -> Result<(), PrepareError> {
        match rows == self.rows {
            true => Ok(()),
            false => Err(PrepareError::ConsumersChanged { event: self.event }),
        }
    }
}

#[derive(Serialize)]
struct Text<'a> {
    event: &'a str,
    rows: Vec<Arrival<'a>>,
}

#[derive(Serialize)]
struct Arrival<'a> {
    shard: i16,
    consumer: &'a str,
    key: &'a str,
    kind: &'a str,
    message: &'a str,
    body: String,
}

impl PostgresStore {
    /// Prepares an event for a transaction of the application. Its rows and the event then become durable together, or neither
    /// does.
    ///
    /// Run [`PreparedEvent::sql`] with [`PreparedEvent::text`] as its only parameter in the transaction, with any client, and
    /// [`check`](PreparedEvent::check) the number of inserted rows. Call [`nudge`](Self::nudge) after the commit: the dispatcher
    /// takes up the event within milliseconds, and otherwise within a second. The connection of the application must be to the
    /// same database, and its role needs the right to insert into `saga_arrival` and to read `saga_consumer` and `saga_pause`.
    ///
    /// Events of one connection keep their order.
    ///
    /// # Errors
    /// [`PrepareError`], if the event has no consumer, no key or no payload that can be stored, or if the consumers cannot be read.
    ///
    /// # Cancellation
    /// Dropping the future has no effect. A prepared event that is not used has no effect either.
    pub async fn prepare<E: Correlated>(&self, event: &E) -> Result<PreparedEvent, PrepareError> {
        self.prepare_as(MessageId::unique(), event, None).await
    }

    /// Prepares an event like [`prepare`](Self::prepare), under the message id of the caller and with the trace context of its
    /// cause.
    ///
    /// # Errors
    /// The errors of `prepare`.
    ///
    /// # Cancellation
    /// As for `prepare`.
    pub async fn prepare_as<E: Correlated>(
        &self,
        id: MessageId,
        event: &E,
        trace: Option<TraceContext>,
    ) -> Result<PreparedEvent, PrepareError> {
        let message = Message::published(event, PayloadLimits::DEFAULT)
            .map_err(|source| PrepareError::Payload { event: E::NAME, source })?;
        let mut consumers: Vec<_> =
            self.consumers().await?.into_iter().filter(|row| row.event == E::NAME).collect();
        let pauses = self.pauses().await?;
        consumers.retain(|row| !pauses.iter().any(|pause| pause.retires(&row.consumer)));
        if consumers.is_empty() {
            return Err(PrepareError::NoConsumer { event: E::NAME });
        }
        let retired = self.retired().await?;
        let earlier = |saga: &str| {
            let of = retired.iter().filter(|name| name.what == NameOf::Saga && name.name == saga);
            of.map(|name| name.was.clone()).collect::<Vec<_>>()
        };
        let (mut mails, at) = (Vec::with_capacity(consumers.len()), Timestamp::now());
        for consumer in consumers {
            // The order of a subscriber uses the plain key, even if the event has an alias for sagas.
            let (key, kind) = match consumer.subscriber {
                true => (key(event, "")?, MailKind::Delivery),
                false => (key_for(event, &consumer.consumer, &earlier(&consumer.consumer))?, MailKind::Event),
            };
            let mail = Mail::new(Address::new(consumer.consumer, key), kind, message.clone(), at);
            mails.push(Mail { id: Some(id.clone()), trace, ..mail });
        }
        let row = |mail| Arrival::of(mail, &id, self.shards());
        let text = Text { event: E::NAME, rows: mails.iter().map(row).collect() };
        let text = serde_json::to_string(&text)
            .map_err(|error| crate::error::refuse(self.name(), chain(&error).to_string()))?;
        let schema = self.schema();
        let sql = format!(
            "INSERT INTO {schema}.saga_arrival (shard, consumer, key, kind, message, body) \
             SELECT r.shard, r.consumer, r.key, r.kind, r.message, r.body \
             FROM json_to_recordset(($1::text)::json -> 'rows') \
             AS r(shard int2, consumer text, key text, kind text, message text, body text) \
             WHERE (SELECT count(*) FROM {schema}.saga_consumer c WHERE event = ($1::text)::json ->> 'event' \
             AND NOT EXISTS (SELECT FROM {schema}.saga_pause p WHERE p.kind = 'consumer' AND p.name = c.consumer)) \
             = json_array_length(($1::text)::json -> 'rows')"
        );
        let rows = u64::try_from(mails.len()).unwrap_or(u64::MAX);
        Ok(PreparedEvent { event: E::NAME, id, sql, text, rows })
    }
}

impl<'a> Arrival<'a> {
    fn of(mail: &'a Mail, id: &'a MessageId, shards: u16) -> Self {
        Self {
            shard: number_of(mail, shards),
            consumer: &mail.to.saga,
            key: mail.to.key.stored(),
            kind: mail.kind.as_str(),
            message: id.as_str(),
            body: write_mail(mail),
        }
    }
}

fn key<E: Correlated>(event: &E, saga: &str) -> Result<InstanceName, PrepareError> {
    event.correlation(saga).map_err(|source| PrepareError::Key { event: E::NAME, source })
}

/// Returns the key for a saga. The build of the caller may know only an earlier name of the saga.
fn key_for<E: Correlated>(event: &E, saga: &str, earlier: &[String]) -> Result<InstanceName, PrepareError> {
    let present = key(event, saga)?;
    for was in earlier {
        let under_it = key(event, was)?;
        if under_it != present && present == key(event, ANY_SAGA)? {
            return Ok(under_it);
        }
    }
    Ok(present)
}

/// Returns the oldest open transaction, and the next one to begin.
pub(crate) async fn open_transactions(client: &Reader) -> Result<(i64, i64), Error> {
    const SQL: &str = "SELECT pg_snapshot_xmin(s)::text::int8, pg_snapshot_xmax(s)::text::int8 FROM pg_current_snapshot() s";
    match query(client, SQL, &[]).await?.first() {
        Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
        None => Ok((0, i64::MAX)),
    }
}

/// The most rows that one statement moves.
const PORTION: i64 = 1_000;

/// Moves the rows of committed transactions into the inbox, in their order.
///
/// A saga that was renamed while the transaction was open has its present name in the inbox.
///
/// The look begins behind the row `after`. Returns the highest number of a moved row, or 0.
pub(crate) async fn move_arrivals(client: &Reader, shard: ShardId, after: i64) -> Result<i64, Error> {
    const WAITS: &str = "SELECT FROM saga_arrival WHERE shard = $1 AND id > $2 LIMIT 1";
    if query(client, WAITS, &[&number(shard), &after]).await?.is_empty() {
        return Ok(0);
    }
    // One move at a time, because another one could give later rows lower numbers. The lock of all writers comes behind the
    // locks of the rows, so a row that another session holds delays nothing else.
    let sequence = inbox_sequence(shard);
    let (lock, last) = numbers_of_inbox_rows(&sequence, "(SELECT count(*) FROM moved)");
    let (alone, number) = (lock_of(&sequence, 1_935_763_298), shard.number());
    let sql = format!(
            "WITH alone AS MATERIALIZED (SELECT {alone}),
             moved AS (DELETE FROM saga_arrival WHERE id IN
                 (SELECT a.id FROM alone, saga_arrival a WHERE a.shard = {number} AND a.id > $2 ORDER BY a.id LIMIT $1 FOR UPDATE OF a)
                 RETURNING *),
             locked AS MATERIALIZED ({lock} FROM (SELECT count(*) AS n FROM moved) m WHERE m.n > 0),
             counter AS MATERIALIZED ({last}),
             ordered AS (SELECT moved.*, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS total FROM moved),
             placed AS (INSERT INTO saga_inbox (id, consumer, key, kind, message, body)
             SELECT counter.inbox - total + n, CASE WHEN kind = 'delivery' THEN consumer ELSE coalesce(
                 (SELECT name FROM saga_retired WHERE what = 'saga' AND saga = '' AND was = consumer), consumer) END,
                 key, kind, message, body FROM ordered, counter)
             SELECT count(*), coalesce(max(id), 0) FROM moved"
        );
    let mut highest = 0;
    loop {
        let rows = query(client, &sql, &[&PORTION, &after]).await?;
        let (count, last): (i64, i64) = match rows.first() {
            Some(row) => (row.try_get(0)?, row.try_get(1)?),
            None => (0, 0),
        };
        highest = highest.max(last);
        if count < PORTION {
            return Ok(highest);
        }
    }
}
