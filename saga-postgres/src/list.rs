//! One page of a list of instances.
//!
//! Owns: the index along which a list walks, and the number of rows that it examines. Does not own: the conditions
//! (`InstanceFilter`).

use std::time::{Duration, Instant};

use saga_core::message::{Alias, InstanceName, Timestamp};
use saga_core::store::{
    Address, InstanceFilter, InstanceOrder, InstancePage, InstanceView, Position, RowId, Status,
};
use saga_stored::view::{self, Columns};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::read::{ITEMS, OUTLINE, Reader, Unreadable, items, left_out, name, query, status};

/// The most rows that are examined for one page.
const ROWS: usize = 4_000;
/// The rows of the first statement of a walk. Later statements read more.
const CHUNK: usize = 200;
/// The time after which a page ends.
const PATIENCE: Duration = Duration::from_millis(500);
/// The number of history lines for one page in the order of the last steps.
const LINES: i64 = 20_000;
/// The most instances with one label that are read for each page, whatever the order.
const RARE: usize = 500;
/// The highest key. Keys have at most 256 bytes.
const HIGHEST: &str = "\u{10FFFF}";

const FROM: &str = "FROM saga_instance i JOIN saga_name n ON n.id = i.saga";

pub(crate) async fn page(client: &Reader, filter: &InstanceFilter) -> Result<InstancePage, Error> {
    if let Some(alias) = &filter.alias {
        return holders(client, filter, alias).await;
    }
    if let Some(page) = rare(client, filter).await? {
        return Ok(page);
    }
    let (from, up) = filter.walk();
    let mut walk = Walk {
        client,
        filter,
        up,
        views: Vec::new(),
        examined: 0,
        began: Instant::now(),
        last: None,
        more: None,
        is_over: false,
    };
    match filter.order {
        InstanceOrder::Changed => walk.by_line(from).await?,
        InstanceOrder::Key => walk.by_key(from).await?,
        InstanceOrder::Due => walk.by_due(from).await?,
        _ => walk.by_row(from).await?,
    }
    Ok(InstancePage::of_walk(filter, walk.views, walk.more))
}

/// A walk along an index.
struct Walk<'a> {
    client: &'a Reader,
    filter: &'a InstanceFilter,
    up: bool,
    views: Vec<InstanceView>,
    examined: usize,
    began: Instant,
    /// The place of the row that was examined last.
    last: Option<Position>,
    /// The place at which the next page begins.
    more: Option<Position>,
    /// The page is full, or has cost enough.
    is_over: bool,
}

impl Walk<'_> {
    async fn by_row(&mut self, from: Option<&Position>) -> Result<(), Error> {
        let mut from = match from {
            Some(Position::Row(row)) => row.0,
            _ if self.up => i64::MIN,
            _ => i64::MAX,
        };
        let InstanceFilter { parked, reason, status, labels, .. } = self.filter;
        let is_parked = *parked == Some(true) || reason.is_some();
        let label = labels.iter().find_map(|condition| Some((&*condition.name, condition.values()?)));
        let label = label.filter(|_| !is_parked);
        let (compare, order) = self.direction();
        let condition = match status {
            _ if is_parked => "AND i.parked",
            Some(Status::Running) => "AND i.over_at IS NULL",
            Some(Status::Compensating) => "AND i.status = 2",
            Some(Status::Failed) => "AND i.status >= 4 AND i.status = 4",
            Some(Status::Aborted) => "AND i.status >= 4 AND i.status = 5",
            Some(Status::Completed) | None => "",
        };
        loop {
            let limit = self.chunk();
            let rows = match label {
                Some((label, values)) => {
                    let values = label_values(values);
                    let sql = format!(
                        "SELECT {OUTLINE}, i.id {FROM} JOIN saga_label l ON l.instance = i.id {ITEMS}
                         WHERE l.name = $3 AND l.value = ANY($4) AND l.instance {compare} $1 ORDER BY l.instance {order} LIMIT $2"
                    );
                    query(self.client, &sql, &[&from, &limit, &label, &values]).await?
                }
                None => {
                    let sql = format!(
                        "SELECT {OUTLINE}, i.id {FROM} {ITEMS} WHERE i.id {compare} $1 {condition} ORDER BY i.id {order} LIMIT $2"
                    );
                    query(self.client, &sql, &[&from, &limit]).await?
                }
            };
            let is_end = is_end(&rows, limit);
            for row in &rows {
                from = row.try_get(14)?;
                self.examine(row, Position::Row(RowId(from)))?;
            }
            if is_end || self.is_over {
                return Ok(());
            }
        }
    }

    /// Walks along the history lines, a limited number of them.
    async fn by_line(&mut self, from: Option<&Position>) -> Result<(), Error> {
        let from = match from {
            Some(Position::Line(line)) => *line,
            _ if self.up => i64::MIN,
            _ => i64::MAX,
        };
        let mut from = from;
        let to = self.line_behind(from).await?;
        let (compare, order) = self.direction();
        let end = if self.up { "<=" } else { ">=" };
        let sql = format!(
            "SELECT {OUTLINE}, h.id FROM saga_history h JOIN saga_instance i ON i.id = h.instance AND i.last = h.id
             JOIN saga_name n ON n.id = i.saga {ITEMS}
             WHERE h.id {compare} $1 AND h.id {end} $3 ORDER BY h.id {order} LIMIT $2"
        );
        loop {
            let limit = self.chunk();
            let rows = query(self.client, &sql, &[&from, &limit, &to]).await?;
            let is_end = is_end(&rows, limit);
            for row in &rows {
                from = row.try_get(14)?;
                self.examine(row, Position::Line(from))?;
            }
            if is_end || self.is_over {
                break;
            }
        }
        if let (false, true) = (self.is_over, to != self.end_of_lines()) {
            self.more = Some(Position::Line(to));
        }
        Ok(())
    }

    /// Returns the last of the lines for this page. The numbers of lines have gaps, and those of several shards are times.
    async fn line_behind(&self, from: i64) -> Result<i64, Error> {
        let (compare, order) = self.direction();
        let sql = format!(
            "SELECT id FROM saga_history WHERE id {compare} $1 ORDER BY id {order} OFFSET $2 LIMIT 1"
        );
        let rows = query(self.client, &sql, &[&from, &(LINES - 1)]).await?;
        rows.first().map_or(Ok(self.end_of_lines()), |row| row.try_get(0))
    }

    const fn end_of_lines(&self) -> i64 {
        if self.up { i64::MAX } else { i64::MIN }
    }

    /// Walks along the keys of each saga.
    async fn by_key(&mut self, from: Option<&Position>) -> Result<(), Error> {
        let from = match from {
            Some(Position::Address(address)) => Some(address),
            _ => None,
        };
        let (compare, order) = self.direction();
        let prefix = self.filter.key_prefix.as_deref().unwrap_or_default();
        let sagas = format!("SELECT name, id FROM saga_name ORDER BY name {order}");
        for saga in query(self.client, &sagas, &[]).await? {
            let (saga, number): (&str, i32) = (saga.try_get(0)?, saga.try_get(1)?);
            let is_before =
                from.is_some_and(|from| if self.up { saga < &*from.saga } else { saga > &*from.saga });
            if is_before || self.filter.saga.as_ref().is_some_and(|wanted| *wanted != saga) {
                continue;
            }
            let known = from.filter(|from| from.saga == saga).map(|from| from.key.stored());
            let highest = prefix.to_owned() + &HIGHEST.repeat(64);
            // A prefix can be a key as well, so the first statement includes its bound, unless this bound is a known key.
            let (mut begin, mut with) = match (known, self.up) {
                (None, true) => (prefix.to_owned(), "="),
                (None, false) => (highest, "="),
                (Some(known), true) if known < prefix => (prefix.to_owned(), "="),
                (Some(known), false) if *known > *highest => (highest, "="),
                (Some(known), _) => (known.to_owned(), ""),
            };
            'saga: loop {
                let limit = self.chunk();
                let sql = format!(
                    "SELECT {OUTLINE}, i.key {FROM} {ITEMS} WHERE i.saga = $3 AND i.key {compare}{with} $1
                     ORDER BY i.key {order} LIMIT $2"
                );
                let rows = query(self.client, &sql, &[&begin, &limit, &number]).await?;
                let is_end = is_end(&rows, limit);
                for row in &rows {
                    let key: &str = row.try_get(14)?;
                    key.clone_into(&mut begin);
                    if !key.starts_with(prefix) {
                        break 'saga;
                    }
                    // A damaged key has no place.
                    if let Ok(key) = name(key) {
                        self.examine(row, Position::Address(Address::new(saga.to_owned(), key)))?;
                    }
                }
                with = "";
                if is_end || self.is_over {
                    break;
                }
            }
            if self.is_over {
                break;
            }
        }
        Ok(())
    }

    async fn by_due(&mut self, from: Option<&Position>) -> Result<(), Error> {
        let (mut due, mut instance) = match from {
            Some(Position::Due(due, row)) => (due.as_millis(), row.0),
            _ if self.up => (i64::MIN, i64::MIN),
            _ => (i64::MAX, i64::MAX),
        };
        let (compare, order) = self.direction();
        // The row of the timer with the highest number of the time is enough: an instance is in the list once.
        let sql = format!(
            "SELECT {OUTLINE}, d.due_at FROM
                 (SELECT DISTINCT due_at, instance FROM saga_item WHERE due_at IS NOT NULL AND (due_at, instance) {compare} ($1, $3)
                  ORDER BY due_at {order}, instance {order} LIMIT $2) d
             JOIN saga_instance i ON i.id = d.instance JOIN saga_name n ON n.id = i.saga {ITEMS}
             ORDER BY d.due_at {order}, d.instance {order}"
        );
        loop {
            let limit = self.chunk();
            let rows = query(self.client, &sql, &[&due, &limit, &instance]).await?;
            let is_end = is_end(&rows, limit);
            for row in &rows {
                (due, instance) = (row.try_get(14)?, row.try_get(2)?);
                self.examine(row, Position::Due(Timestamp::from_millis(due), RowId(instance)))?;
            }
            if is_end || self.is_over {
                return Ok(());
            }
        }
    }

    /// Returns the comparison behind a place, and the order.
    fn direction(&self) -> (&'static str, &'static str) {
        if self.up { (">", "ASC") } else { ("<", "DESC") }
    }

    /// Returns how many rows the next statement reads. A filter that matches few rows reads more at once.
    fn chunk(&self) -> i64 {
        let rows = if self.examined == 0 { self.filter.page() + 1 } else { CHUNK.max(self.examined) };
        i64::try_from(rows.min(ROWS)).unwrap_or(i64::MAX)
    }

    fn examine(&mut self, row: &Row, position: Position) -> Result<(), Error> {
        if self.is_over {
            return Ok(());
        }
        let is_full = self.views.len() >= self.filter.page();
        if is_full || self.examined >= ROWS || self.examined > 0 && self.began.elapsed() > PATIENCE {
            (self.is_over, self.more) = (true, self.last.take());
            return Ok(());
        }
        self.examined += 1;
        match view(row, position.clone())? {
            Err(error) => left_out(&error),
            Ok(view) => {
                let is_next = match position {
                    Position::Due(due, _) => view.due == Some(due),
                    _ => true,
                };
                if is_next && self.filter.matches(&view) {
                    self.views.push(view);
                }
            }
        }
        self.last = Some(position);
        Ok(())
    }
}

fn is_end(rows: &[Row], limit: i64) -> bool {
    i64::try_from(rows.len()).is_ok_and(|count| count < limit)
}

/// Reads a line. Unreadable parts are empty, and the line stays visible.
fn view(row: &Row, position: Position) -> Result<Result<InstanceView, Unreadable>, Error> {
    let (saga, key, id): (&str, &str, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (number, parked, seq): (i16, bool, i64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let stored: &str = row.try_get(7)?;
    let items = items(row, id)?.unwrap_or_default();
    let read = || {
        let address = Address::new(saga.to_owned(), name(key)?);
        let columns = Columns { address, status: status(number)?, parked, seq: seq.cast_unsigned() };
        Ok(view::view(columns, stored, &items, position))
    };
    Ok(read())
}

/// The holders of an alias. There is at most one in each saga, so all of them are read.
async fn holders(client: &Reader, filter: &InstanceFilter, alias: &str) -> Result<InstancePage, Error> {
    let Ok(alias) = Alias::new(alias) else { return Ok(InstancePage::default()) };
    let alias = InstanceName::from(alias);
    let sql = format!(
        "SELECT {OUTLINE} FROM saga_name o JOIN saga_alias a ON a.saga = o.id AND a.alias = $1
         JOIN saga_instance i ON i.id = a.instance JOIN saga_name n ON n.id = i.saga {ITEMS}"
    );
    whole(client, filter, &sql, &[&alias.stored()]).await
}

/// The instances with a rare label, read as a whole. `None` if each label of the filter is common.
async fn rare(client: &Reader, filter: &InstanceFilter) -> Result<Option<InstancePage>, Error> {
    for condition in &filter.labels {
        let Some(values) = condition.values() else { continue };
        const FIND: &str = "SELECT instance FROM saga_label WHERE name = $1 AND value = ANY($2) LIMIT $3";
        let limit = i64::try_from(RARE + 1).unwrap_or(i64::MAX);
        let found = query(client, FIND, &[&condition.name, &label_values(values), &limit]).await?;
        if found.len() > RARE {
            continue;
        }
        let ids = found.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
        let sql = format!("SELECT {OUTLINE} {FROM} {ITEMS} WHERE i.id = ANY($1)");
        return whole(client, filter, &sql, &[&ids]).await.map(Some);
    }
    Ok(None)
}

/// Returns the stored forms of a text and an integer of a label.
fn label_values((text, integer): (&str, Option<i64>)) -> Vec<String> {
    let mut stored = String::new();
    saga_stored::json::string(&mut stored, text);
    std::iter::once(stored).chain(integer.map(|number| number.to_string())).collect()
}

/// Returns the page of a list that one statement reads as a whole.
async fn whole(
    client: &Reader,
    filter: &InstanceFilter,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<InstancePage, Error> {
    let mut views = Vec::new();
    for row in query(client, sql, params).await? {
        let (id, last): (i64, Option<i64>) = (row.try_get(2)?, row.try_get(13)?);
        match view(&row, Position::Row(RowId(id)))? {
            Err(error) => left_out(&error),
            Ok(mut view) => {
                let position = match filter.order {
                    InstanceOrder::Changed => last.map(Position::Line),
                    InstanceOrder::Key => Some(Position::Address(view.address.clone())),
                    InstanceOrder::Due => view.due.map(|due| Position::Due(due, RowId(id))),
                    _ => Some(Position::Row(RowId(id))),
                };
                if let Some(position) = position {
                    view.position = position;
                    views.push(view);
                }
            }
        }
    }
    Ok(InstancePage::of_all(filter, views))
}
