//! Reads for people, on the connections of the pool.

use async_trait::async_trait;
use saga_core::definition::StoredDefinition;
use saga_core::message::{Message, MessageId, Timestamp};
use saga_core::store::{
    Address, AuditFilter, AuditFrom, AuditId, AuditLink, AuditRow, ConsumerRow, DeadId, DeadLetterReason,
    DeadLetterRow, DedupRecord, DeliveryId, DeliveryRow, HistoryRow, InboxId, Inspect, InstanceCount,
    InstanceFilter, InstancePage, Loaded, Mail, Meeting, NameOf, Pause, RetiredName, Snapshot, Store,
    StoreError, StoreSizes, StoredName, Trace,
};
use saga_stored::history;
use serde::de::Error as _;
use tokio_postgres::{Error, Row};

use crate::committer::COUNTS;
use crate::read::{Reader, Unreadable, left_out, load, name, numbered, query, status};
use crate::shard::of_row;
use crate::store::PostgresStore;
use crate::stored::{LetterColumns, read_audit, read_letter, read_mail, read_pause};
use crate::{list, names, sums};

/// The most rows of a list without pages.
const ALL: usize = usize::MAX >> 1;

#[async_trait]
impl Inspect for PostgresStore {
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError> {
        let (mut address, saga) = (address.clone(), address.saga.clone());
        loop {
            let asked = vec![address.clone()];
            let found = self.read(async move |client| load(client, &asked).await).await?;
            match found.into_iter().next().flatten() {
                None => return Ok(None),
                Some(Loaded::Alias(key)) => address = Address::new(saga.clone(), key),
                Some(Loaded::Snapshot(snapshot)) => return Ok(Some(*snapshot)),
                Some(Loaded::Unreadable(detail)) => {
                    return Err(StoreError::Corrupt { store: self.name().to_owned(), detail });
                }
            }
        }
    }

    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = Store::deliveries(self, after, limit).await?;
        Ok(rows.into_iter().map(|(id, delivery)| DeliveryRow { id, delivery }).collect())
    }

    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError> {
        const SQL: &str = "SELECT consumer, key, message, content, at FROM saga_dedup
                           WHERE (consumer, key, message) > ($1, $2, $3) ORDER BY consumer, key, message LIMIT $4";
        let after = after.cloned();
        let store = self.name().to_owned();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self
            .read(async move |client| {
                let (consumer, key, message) =
                    after.as_ref().map_or(("", "", ""), |(to, id)| (&*to.saga, to.key.stored(), id.as_str()));
                let rows = query(client, SQL, &[&consumer, &key, &message, &limit]).await?;
                rows.iter().map(dedup_record).collect::<Result<Vec<_>, Error>>()
            })
            .await?;
        // A copy must not leave a record out.
        let read = |row: Result<DedupRecord, Unreadable>| {
            row.map_err(|error| StoreError::Corrupt { store: store.clone(), detail: error.to_string() })
        };
        rows.into_iter().map(read).collect()
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError> {
        let filter = filter.clone();
        self.read(async move |client| list::page(client, &filter).await).await
    }

    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        self.read(async |client| {
            let rows = query(client, COUNTS, &[]).await?;
            let mut counts = rows.iter().map(count).collect::<Result<Vec<_>, _>>()?;
            counts.sort();
            Ok(counts)
        })
        .await
    }

    async fn names(&self) -> Result<Vec<StoredName>, StoreError> {
        names::names(self).await
    }

    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError> {
        const SQL: &str = "SELECT what, saga, was, name FROM saga_retired";
        let store = self.name().to_owned();
        let rows =
            self.read(async |client| query(client, SQL, &[]).await?.iter().map(retired).collect()).await?;
        // An unreadable retired name is an error. Without the name, an outdated build would start (rule R34).
        let read = |row: Option<RetiredName>| {
            let detail = "a retired name has an unknown kind".to_owned();
            row.ok_or(StoreError::Corrupt { store: store.clone(), detail })
        };
        let rows: Vec<Option<RetiredName>> = rows;
        let mut names = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        names.sort();
        Ok(names)
    }

    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        let (saga, key) = (address.saga.to_string(), address.key.stored().to_owned());
        self.read(async move |client| lines(client, &saga, &key, limit).await).await
    }

    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        const SQL: &str = "SELECT id, consumer, key, kind, message, reason, times, at, body FROM saga_dead
                           WHERE id > $1 ORDER BY id LIMIT $2";
        self.read(async move |client| numbered(client, SQL, (after.0, &[]), limit, letter).await).await
    }

    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError> {
        const SQL: &str =
            "SELECT event, consumer, subscriber FROM saga_consumer ORDER BY event, consumer, subscriber";
        self.read(async |client| {
            let read = |row: &Row| {
                Ok(ConsumerRow {
                    event: row.try_get(0)?,
                    consumer: row.try_get(1)?,
                    subscriber: row.try_get(2)?,
                })
            };
            query(client, SQL, &[]).await?.iter().map(read).collect()
        })
        .await
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        const SQL: &str = "SELECT saga, version, body FROM saga_definition ORDER BY saga, version";
        self.read(async |client| {
            let mut found = Vec::new();
            for row in query(client, SQL, &[]).await? {
                // The columns decide, because a rename changes only the column.
                let (saga, version): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
                match serde_json::from_str::<StoredDefinition>(row.try_get(2)?) {
                    Ok(definition) => found.push(StoredDefinition {
                        saga: saga.to_owned(),
                        version: u32::try_from(version).unwrap_or(definition.version),
                        ..definition
                    }),
                    Err(error) => left_out(&error),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        const SQL: &str = "SELECT kind, name, body FROM saga_pause ORDER BY kind, name";
        self.read(async |client| {
            let mut found = Vec::new();
            for row in query(client, SQL, &[]).await? {
                match read_pause(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) {
                    Ok(pause) => found.push(pause),
                    Err(error) => left_out(&error),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let (filter, shards) = (filter.clone(), self.shards());
        let rows = self.read(async move |client| audit(client, &filter, shards).await).await?;
        // An unreadable row is an error, so that no decision is missing without a word.
        rows.map_err(|error| StoreError::Corrupt {
            store: self.name().to_owned(),
            detail: format!("a row of the audit cannot be read: {error}"),
        })
    }

    async fn meeting(&self) -> Result<Option<Meeting>, StoreError> {
        self.look_at_all().await.map(Some)
    }

    async fn sizes(&self) -> Result<StoreSizes, StoreError> {
        const SQL: &str = "SELECT (SELECT count(*) FROM (SELECT 1 FROM saga_inbox LIMIT $1) m)
                                  + (SELECT count(*) FROM (SELECT 1 FROM saga_arrival LIMIT $1) a),
                                  (SELECT count(*) FROM (SELECT 1 FROM saga_dead LIMIT $1) l),
                                  (SELECT sum(pg_total_relation_size(c.oid))::int8 FROM pg_class c
                                   WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r')";
        self.read(async |client| {
            let most = StoreSizes::MOST.cast_signed();
            let mut sizes = StoreSizes::default();
            if let Some(row) = query(client, SQL, &[&most]).await?.first() {
                let (inbox, dead): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                (sizes.inbox, sizes.dead_letters) = (inbox.cast_unsigned(), dead.cast_unsigned());
                sizes.file_bytes = row.try_get::<_, Option<i64>>(2)?.map(i64::cast_unsigned);
            }
            Ok(sizes)
        })
        .await
    }

    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        const SQL: &str = "SELECT id, consumer, key, kind, message, body FROM saga_inbox
                           WHERE id > $1 AND consumer = $3 AND key = $4 ORDER BY id LIMIT $2";
        // Mail that its shard has not taken up gets its number later. It comes behind all others.
        const ALL: &str = "SELECT id, consumer, key, kind, message, body FROM (
                SELECT id, consumer, key, kind, message, body FROM saga_inbox WHERE consumer = $3 AND key = $4
                UNION ALL SELECT (1::int8 << 62) + id, consumer, key, kind, message, body FROM saga_arrival
                WHERE consumer = $3 AND key = $4) m
            WHERE id > $1 ORDER BY id LIMIT $2";
        let (saga, key) = (address.saga.to_string(), address.key.stored().to_owned());
        let sql = if self.shows_all() { ALL } else { SQL };
        self.read(async move |client| numbered(client, sql, (0, &[&saga, &key]), limit, mail).await).await
    }

    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError> {
        let (id, event, consumers) = (id.clone(), event.clone(), consumers.to_vec());
        self.read(async move |client| traces(client, &id, &event, &consumers).await).await
    }
}

fn count(row: &Row) -> Result<InstanceCount, Error> {
    let (number, instances): (i16, i64) = (row.try_get(2)?, row.try_get(4)?);
    Ok(InstanceCount {
        saga: row.try_get(0)?,
        state: row.try_get(1)?,
        status: status(number).ok(),
        parked: row.try_get(3)?,
        instances: instances.cast_unsigned(),
    })
}

fn retired(row: &Row) -> Result<Option<RetiredName>, Error> {
    let what: &str = row.try_get(0)?;
    let Some(what) = NameOf::parse(what) else { return Ok(None) };
    Ok(Some(RetiredName { what, saga: row.try_get(1)?, was: row.try_get(2)?, name: row.try_get(3)? }))
}

/// Reads an inbox row: id, consumer, key, kind, message and body.
pub(crate) fn mail(row: &Row) -> Result<Result<(InboxId, Mail), Unreadable>, Error> {
    let id = InboxId(row.try_get(0)?);
    let mail =
        read_mail((row.try_get(1)?, row.try_get(2)?), row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(mail.map(|mail| (id, mail)))
}

fn letter(row: &Row) -> Result<Result<DeadLetterRow, Unreadable>, Error> {
    let id = DeadId(row.try_get(0)?);
    let columns = LetterColumns {
        consumer: row.try_get(1)?,
        key: row.try_get(2)?,
        kind: row.try_get(3)?,
        id: row.try_get(4)?,
        reason: row.try_get(5)?,
        times: row.try_get(6)?,
        at: row.try_get(7)?,
    };
    Ok(read_letter(&columns, row.try_get(8)?).map(|letter| DeadLetterRow { id, letter }))
}

/// Reads the chain of history lines from the newest line.
async fn lines(client: &Reader, saga: &str, key: &str, limit: usize) -> Result<Vec<HistoryRow>, Error> {
    const SQL: &str = "WITH RECURSIVE chain AS (
            SELECT h.id, h.instance, h.prev, h.checksum, h.body FROM saga_name n
            JOIN saga_instance i ON i.saga = n.id AND i.key = $2 JOIN saga_history h ON h.id = i.last AND h.instance = i.id
            WHERE n.name = $1
            UNION ALL
            SELECT h.id, h.instance, h.prev, h.checksum, h.body FROM chain c
            JOIN saga_history h ON h.id = c.prev AND h.instance = c.instance AND h.id < c.id)
        SELECT id, instance, checksum, body FROM chain LIMIT $3";
    let limit = i64::try_from(limit.min(ALL)).unwrap_or(i64::MAX);
    let rows = query(client, SQL, &[&saga, &key, &limit]).await?;
    rows.iter().rev().map(line).collect()
}

/// Reads a line. An unreadable line has the kind `unreadable` and the error as its note. The other lines stay visible.
fn line(row: &Row) -> Result<HistoryRow, Error> {
    let (id, instance, sum): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let body: &str = row.try_get(3)?;
    let read = match sum == sums::line(id, instance, body) {
        true => history::read(body),
        false => Err(Unreadable::custom("the line has a wrong checksum")),
    };
    Ok(read.unwrap_or_else(|error| history::unreadable(body, error)))
}

async fn audit(
    client: &Reader,
    filter: &AuditFilter,
    shards: u16,
) -> Result<Result<Vec<AuditRow>, Unreadable>, Error> {
    let (mut from, compare, order) = match filter.from {
        AuditFrom::After(id) => (id.0, '>', "ASC"),
        AuditFrom::Before(id) => (id.0, '<', "DESC"),
    };
    let to = filter.to.as_ref().map(|to| (to.saga.to_string(), to.key.stored().to_owned()));
    let request = filter.request.as_ref().map(MessageId::as_str);
    let chunk = i64::try_from(filter.limit.clamp(1, 1_000)).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    loop {
        let select = "SELECT id, body, link FROM saga_audit WHERE";
        let rows = match (request, &to) {
            (Some(request), _) => {
                query(client, &format!("{select} request = $1 ORDER BY id LIMIT 1"), &[&request]).await?
            }
            (None, Some((saga, key))) => {
                let sql = format!(
                    "{select} id {compare} $1 AND consumer = $3 AND key = $4 ORDER BY id {order} LIMIT $2"
                );
                query(client, &sql, &[&from, &chunk, saga, key]).await?
            }
            (None, None) => {
                let sql = format!("{select} id {compare} $1 ORDER BY id {order} LIMIT $2");
                query(client, &sql, &[&from, &chunk]).await?
            }
        };
        for row in &rows {
            from = row.try_get(0)?;
            let (body, link): (&str, &[u8]) = (row.try_get(1)?, row.try_get(2)?);
            let read = || {
                let link = link.try_into().map(AuditLink).map_err(Unreadable::custom)?;
                Ok(AuditRow {
                    id: AuditId(from),
                    entry: read_audit(body)?,
                    link,
                    chain: of_row(from, shards),
                })
            };
            match read() {
                Ok(row) if filter.matches(&row) => found.push(row),
                Ok(_) => {}
                Err(error) => return Ok(Err(error)),
            }
            if found.len() >= filter.limit {
                return Ok(Ok(found));
            }
        }
        if request.is_some() || i64::try_from(rows.len()).is_ok_and(|count| count < chunk) {
            return Ok(Ok(found));
        }
    }
}

fn dedup_record(row: &Row) -> Result<Result<DedupRecord, Unreadable>, Error> {
    let (consumer, key, id): (String, &str, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (content, at): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
    let record = || {
        Ok(DedupRecord {
            to: Address::new(consumer, name(key)?),
            id: MessageId::new(id).map_err(Unreadable::custom)?,
            content: content.cast_unsigned(),
            at: Timestamp::from_millis(at),
        })
    };
    Ok(record())
}

/// Reads the traces of an event in one statement for each consumer and table, in one moment.
async fn traces(
    client: &Reader,
    id: &MessageId,
    event: &Message,
    consumers: &[Address],
) -> Result<Vec<Trace>, Error> {
    // For an alias, inbox rows and dead letters are also at the instance that holds the alias. One statement reads all.
    const SQL: &str = "WITH asked AS (SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a(consumer, key, at)),
         place AS (SELECT at, consumer, key, 0 AS side FROM asked
                   UNION ALL SELECT a.at, a.consumer, i.key, 1 FROM asked a JOIN saga_name n ON n.name = a.consumer
                   JOIN saga_alias s ON s.saga = n.id AND s.alias = a.key JOIN saga_instance i ON i.id = s.instance)
         SELECT p.at, p.side, 'record', d.content, NULL::text, NULL::text FROM place p
             JOIN saga_dedup d ON d.consumer = p.consumer AND d.key = p.key AND d.message = $3 WHERE p.side = 0
         UNION ALL SELECT p.at, p.side, 'inbox', m.id, m.kind, m.body FROM place p
             JOIN saga_inbox m ON m.consumer = p.consumer AND m.key = p.key AND m.message = $3
         UNION ALL SELECT p.at, p.side, 'inbox', m.id, m.kind, m.body FROM place p
             JOIN saga_arrival m ON m.consumer = p.consumer AND m.key = p.key AND m.message = $3
         UNION ALL SELECT p.at, p.side, 'delivery', 0::int8, NULL, NULL FROM place p
             JOIN saga_delivery y ON y.consumer = p.consumer AND y.key = p.key AND y.message = $3 AND y.named WHERE p.side = 0
         UNION ALL SELECT p.at, p.side, 'letter', l.id, l.reason, l.body FROM place p
             JOIN saga_dead l ON l.consumer = p.consumer AND l.key = p.key AND l.message = $3
         ORDER BY 1, 2, 4";
    let consumer: Vec<&str> = consumers.iter().map(|to| &*to.saga).collect();
    let key: Vec<&str> = consumers.iter().map(|to| to.key.stored()).collect();
    let rows = query(client, SQL, &[&consumer, &key, &id.as_str()]).await?;
    let mut traces = vec![Trace::default(); consumers.len()];
    let mut at_alias = vec![false; consumers.len()];
    for row in &rows {
        let (at, side): (i64, i32) = (row.try_get(0)?, row.try_get(1)?);
        let Some(at) = usize::try_from(at - 1).ok().filter(|at| *at < traces.len()) else { continue };
        let (kind, number): (&str, i64) = (row.try_get(2)?, row.try_get(3)?);
        let (word, body): (Option<&str>, Option<&str>) = (row.try_get(4)?, row.try_get(5)?);
        let is_event = body.is_some_and(|body| holds(body, event));
        let trace = &mut traces[at];
        match kind {
            "record" => trace.dedup_record = Some(number.cast_unsigned()),
            "inbox" if is_event => trace.waiting = true,
            "delivery" => trace.delivering = true,
            // The newest letter counts, and a letter of the alias before one of the instance.
            "letter" if is_event && (side == 0 || !at_alias[at]) => {
                at_alias[at] |= side == 0;
                trace.dead = word.map(|word| DeadLetterReason::from_word(word.to_owned()));
            }
            _ => {}
        }
    }
    Ok(traces)
}

/// Returns whether the body of a row holds this event.
fn holds(body: &str, event: &Message) -> bool {
    #[derive(serde::Deserialize)]
    struct Held<'t> {
        #[serde(borrow)]
        name: std::borrow::Cow<'t, str>,
        #[serde(borrow)]
        payload: &'t serde_json::value::RawValue,
    }
    serde_json::from_str::<Held<'_>>(body)
        .is_ok_and(|held| held.name == event.name && held.payload.get() == event.payload.as_str())
}
