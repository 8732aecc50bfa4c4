//! Reads of instances and of the work lists of the engine. Each call is one statement, so it describes one moment.

use saga_core::message::{InstanceName, Payload};
use saga_core::store::{
    Address, DueTimer, Loaded, OpenTask, RowId, ShardId, Snapshot, Status, TaskId, TimerKey,
};
use saga_stored::instance as body;
use saga_stored::item::{ItemText, Items};
use serde::de::Error as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::shard::owns;
use crate::sums;

#[cfg(test)]
mod plans;

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The columns of an instance with its pending items, as arrays in any order.
macro_rules! instance {
    () => {
        "n.name, i.key, i.id, i.status, i.parked, i.seq, i.checksum, i.body, i.data, t.items, t.bodies, t.progress, t.sums, i.last"
    };
}
/// The pending items of the instance `i`.
macro_rules! items {
    () => {
        " LEFT JOIN LATERAL (SELECT array_agg(item) AS items, array_agg(body) AS bodies, array_agg(progress) AS progress, \
         array_agg(checksum) AS sums FROM saga_item WHERE instance = i.id) t ON true "
    };
}
/// The columns of an instance without its large data, which lists do not show.
pub(crate) const OUTLINE: &str = "n.name, i.key, i.id, i.status, i.parked, i.seq, i.checksum, i.body, NULL::text, t.items, t.bodies, t.progress, t.sums, i.last";
pub(crate) const ITEMS: &str = items!();

const LOAD: &str = concat!(
    "SELECT ",
    instance!(),
    ", d.at FROM unnest($1::int8[], $2::text[], $3::text[]) AS d(at, saga, key)
     JOIN saga_name n ON n.name = d.saga JOIN saga_instance i ON i.saga = n.id AND i.key = d.key",
    items!()
);
const HOLDERS: &str =
    "SELECT d.at, i.key FROM unnest($1::int8[], $2::text[], $3::text[]) AS d(at, saga, alias)
     JOIN saga_name n ON n.name = d.saga JOIN saga_alias a ON a.saga = n.id AND a.alias = d.alias
     JOIN saga_instance i ON i.id = a.instance";
const OPEN_TASKS: &str =
    "SELECT t.instance, t.seq, t.ord, n.name, i.key, t.item, t.body, t.progress, t.checksum
     FROM saga_item t JOIN saga_instance i ON i.id = t.instance JOIN saga_name n ON n.id = i.saga
     WHERE t.seq IS NOT NULL AND (t.instance, t.seq, t.ord) > ($1, $2, $3) AND {own}
     ORDER BY t.instance, t.seq, t.ord LIMIT $4";
const COMPENSATING: &str = "SELECT i.id, n.name, i.key FROM saga_instance i JOIN saga_name n ON n.id = i.saga
     WHERE i.status = 2 AND i.id > $1 AND {own} ORDER BY i.id LIMIT $2";
const DUE_TIMERS: &str = "SELECT t.due_at, t.instance, t.item, n.name, i.key, t.body, t.checksum
     FROM saga_item t JOIN saga_instance i ON i.id = t.instance JOIN saga_name n ON n.id = i.saga
     WHERE t.due_at IS NOT NULL AND t.due_at <= $1 AND (t.due_at, t.instance, t.item) > ($2, $3, $4) AND {own}
     ORDER BY t.due_at, t.instance, t.item LIMIT $5";

/// A connection of the pool, with its prepared statements.
pub(crate) type Reader = deadpool_postgres::Client;

/// Runs a statement that is prepared once for each connection.
pub(crate) async fn query(client: &Reader, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
    #[cfg(test)]
    plans::record(sql);
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, params).await
}

/// A row that cannot be read.
pub(crate) type Unreadable = serde_json::Error;

/// Loads instances, in the order of the addresses.
pub(crate) async fn load(client: &Reader, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, Error> {
    let mut found = vec![None; addresses.len()];
    let of = |aliases: bool| {
        let chosen =
            addresses.iter().enumerate().filter(move |(_, address)| address.key.is_alias() == aliases);
        let mut columns: (Vec<i64>, Vec<&str>, Vec<&str>) = Default::default();
        for (at, address) in chosen {
            columns.0.push(i64::try_from(at).unwrap_or(i64::MAX));
            columns.1.push(&address.saga);
            columns.2.push(address.key.stored());
        }
        columns
    };
    let (at, saga, key) = of(false);
    if !at.is_empty() {
        for row in query(client, LOAD, &[&at, &saga, &key]).await? {
            if let Some(slot) = slot(&mut found, row.try_get(14)?) {
                *slot = Some(loaded(&row)?);
            }
        }
    }
    let (at, saga, key) = of(true);
    if !at.is_empty() {
        for row in query(client, HOLDERS, &[&at, &saga, &key]).await? {
            if let Some(slot) = slot(&mut found, row.try_get(0)?) {
                let key = InstanceName::from_stored(row.try_get(1)?).ok().and_then(|name| name.as_key());
                let why = || "its instance is stored under an alias".to_owned();
                *slot = Some(key.map_or_else(|| Loaded::Unreadable(why()), Loaded::Alias));
            }
        }
    }
    Ok(found)
}

fn slot<T>(found: &mut [T], at: i64) -> Option<&mut T> {
    found.get_mut(usize::try_from(at).ok()?)
}

fn loaded(row: &Row) -> Result<Loaded, Error> {
    let address = format!("{} `{}`", row.try_get::<_, &str>(0)?, row.try_get::<_, &str>(1)?);
    Ok(match snapshot(row)? {
        Ok(snapshot) => Loaded::Snapshot(Box::new(snapshot)),
        Err(why) => Loaded::Unreadable(format!("{address}: {why}")),
    })
}

/// Reads an instance from the columns [`INSTANCE`].
fn snapshot(row: &Row) -> Result<Result<Snapshot, Unreadable>, Error> {
    let (id, seq, sum): (i64, i64, i64) = (row.try_get(2)?, row.try_get(5)?, row.try_get(6)?);
    let (saga, key): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    let (number, parked): (i16, bool) = (row.try_get(3)?, row.try_get(4)?);
    let (text, data): (&str, Option<&str>) = (row.try_get(7)?, row.try_get(8)?);
    let items = items(row, id)?;
    let read = || {
        if sum != sums::stored_instance(id, key, number, seq, text, data) {
            return Err(Unreadable::custom("the checksum of its row is wrong"));
        }
        let address = Address::new(saga.to_owned(), name(key)?);
        let status = status(number)?;
        let change = body::read(address, status, seq.cast_unsigned(), text, data.map(Payload::from))?;
        if change.parked.is_some() != parked {
            return Err(Unreadable::custom("the column `parked` does not fit the row"));
        }
        let Items { tasks, timers, obligations, aliases } = items?;
        Ok(Snapshot { row: RowId(id), instance: change, tasks, timers, obligations, aliases })
    };
    Ok(read())
}

/// Reads the pending items of an instance from the columns [`INSTANCE`].
pub(crate) fn items(row: &Row, instance: i64) -> Result<Result<Items, Unreadable>, Error> {
    let names: Vec<&str> = row.try_get::<_, Option<_>>(9)?.unwrap_or_default();
    let bodies: Vec<&str> = row.try_get::<_, Option<_>>(10)?.unwrap_or_default();
    let progress: Vec<Option<&str>> = row.try_get::<_, Option<_>>(11)?.unwrap_or_default();
    let sums: Vec<i64> = row.try_get::<_, Option<_>>(12)?.unwrap_or_default();
    let mut items = Items::default();
    let rows = names.iter().zip(bodies).zip(progress.into_iter().zip(sums));
    for ((name, body), (progress, sum)) in rows {
        if let Err(error) = item(&mut items, instance, name, body, progress, sum) {
            return Ok(Err(error));
        }
    }
    items.sort();
    Ok(Ok(items))
}

/// Adds one pending item.
fn item(
    items: &mut Items,
    instance: i64,
    name: &str,
    body: &str,
    progress: Option<&str>,
    sum: i64,
) -> Result<(), Unreadable> {
    if sum != sums::item(instance, name, body, progress) {
        return Err(Unreadable::custom(format!("the pending item `{name}` has a wrong checksum")));
    }
    // The name has the escapes of a JSON string.
    let name: String = serde_json::from_str(&format!("\"{name}\""))?;
    items.read(&name, &mut serde_json::Deserializer::from_str(body), progress)
}

pub(crate) fn status(number: i16) -> Result<Status, Unreadable> {
    body::known_status(number.into())
        .ok_or_else(|| Unreadable::custom(format!("this version does not know the status {number}")))
}

/// Reads the stored text of a key or an alias.
pub(crate) fn name(text: &str) -> Result<InstanceName, Unreadable> {
    InstanceName::from_stored(text).map_err(Unreadable::custom)
}

/// Reports a row that cannot be read. It is left out of its page, and harms no other row.
pub(crate) fn left_out(error: &Unreadable) {
    tracing::error!(%error, "a row cannot be read and is left out");
}

/// The readable rows of a page, and the cursor behind the last row.
struct Read<T, C> {
    rows: Vec<T>,
    /// `None` at the end of the table.
    more: Option<C>,
}

/// Reads pages until `limit` rows are read. An unreadable row is left out, so a short page always means the end.
async fn pages<T, C>(
    mut cursor: C,
    limit: usize,
    mut page: impl AsyncFnMut(C, i64) -> Result<Read<T, C>, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    while found.len() < limit {
        let read = page(cursor, i64::try_from(limit - found.len()).unwrap_or(i64::MAX)).await?;
        found.extend(read.rows);
        match read.more {
            Some(more) => cursor = more,
            None => break,
        }
    }
    Ok(found)
}

/// Reads a page of rows behind a number. `sql` has the number as `$1`, the limit as `$2`, and the number of the row in its
/// first column.
pub(crate) async fn numbered<T>(
    client: &Reader,
    sql: &str,
    (after, rest): (i64, Params<'_>),
    limit: usize,
    read: impl Fn(&Row) -> Result<Result<T, Unreadable>, Error>,
) -> Result<Vec<T>, Error> {
    pages(after, limit, async |after, limit| {
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&after, &limit];
        params.extend(rest);
        let rows = query(client, sql, &params).await?;
        readable(rows, limit, &read, |row| row.try_get(0))
    })
    .await
}

fn readable<T, C>(
    rows: Vec<Row>,
    limit: i64,
    read: impl Fn(&Row) -> Result<Result<T, Unreadable>, Error>,
    cursor: impl Fn(&Row) -> Result<C, Error>,
) -> Result<Read<T, C>, Error> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let more = rows.last().filter(|_| is_full).map(cursor).transpose()?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        match read(row)? {
            Ok(row) => found.push(row),
            Err(error) => left_out(&error),
        }
    }
    Ok(Read { rows: found, more })
}

/// Reads a page of open tasks.
pub(crate) async fn open_tasks(
    client: &Reader,
    shard: Option<ShardId>,
    after: Option<(RowId, TaskId)>,
    limit: usize,
) -> Result<Vec<OpenTask>, Error> {
    let after =
        after.map_or((i64::MIN, 0, 0), |(row, task)| (row.0, task.seq.cast_signed(), task.ord.into()));
    let read = |row: &Row| {
        let (instance, saga, key): (i64, &str, &str) = (row.try_get(0)?, row.try_get(3)?, row.try_get(4)?);
        let (item_name, body): (&str, &str) = (row.try_get(5)?, row.try_get(6)?);
        let (progress, sum): (Option<&str>, i64) = (row.try_get(7)?, row.try_get(8)?);
        let read = || {
            let mut items = Items::default();
            item(&mut items, instance, item_name, body, progress, sum)?;
            let task = items.tasks.pop().ok_or_else(|| Unreadable::custom("the row is not a task"))?;
            Ok(OpenTask { row: RowId(instance), address: Address::new(saga.to_owned(), name(key)?), task })
        };
        Ok(read())
    };
    let sql = OPEN_TASKS.replace("{own}", &owns("t.instance", shard));
    pages(after, limit, async |(instance, seq, ord): (i64, i64, i64), limit| {
        let rows = query(client, &sql, &[&instance, &seq, &ord, &limit]).await?;
        readable(rows, limit, read, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    })
    .await
}

/// Reads a page of the compensating instances.
pub(crate) async fn compensating(
    client: &Reader,
    shard: Option<ShardId>,
    after: Option<RowId>,
    limit: usize,
) -> Result<Vec<(RowId, Address)>, Error> {
    let after = after.map_or(i64::MIN, |row| row.0);
    let sql = COMPENSATING.replace("{own}", &owns("i.id", shard));
    numbered(client, &sql, (after, &[]), limit, |row| {
        let (id, saga, key): (i64, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(name(key).map(|key| (RowId(id), Address::new(saga.to_owned(), key))))
    })
    .await
}

/// Reads a page of due timers.
pub(crate) async fn due_timers(
    client: &Reader,
    shard: Option<ShardId>,
    until: i64,
    after: Option<TimerKey>,
    limit: usize,
) -> Result<Vec<DueTimer>, Error> {
    let after = after.map_or((i64::MIN, i64::MIN, String::new()), |after| {
        let mut item = ItemText::default();
        item.name_timer(&after.name);
        (after.due.as_millis(), after.row.0, item.name)
    });
    let read = |row: &Row| {
        let (instance, item_name, saga): (i64, &str, &str) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let (key, body, sum): (&str, &str, i64) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let read = || {
            let mut items = Items::default();
            item(&mut items, instance, item_name, body, None, sum)?;
            let timer = items.timers.pop().ok_or_else(|| Unreadable::custom("the row is not a timer"))?;
            Ok(DueTimer { row: RowId(instance), address: Address::new(saga.to_owned(), name(key)?), timer })
        };
        Ok(read())
    };
    let sql = DUE_TIMERS.replace("{own}", &owns("t.instance", shard));
    pages(after, limit, async |(due, instance, item): (i64, i64, String), limit| {
        let rows = query(client, &sql, &[&until, &due, &instance, &item, &limit]).await?;
        readable(rows, limit, read, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    })
    .await
}
