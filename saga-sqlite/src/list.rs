//! One page of a list of instances.
//!
//! Owns: the index along which a list walks, and the number of rows that it examines. Does not own: the conditions
//! (`InstanceFilter`).

use rusqlite::{Connection, Error, ErrorCode, Params, Result, Row};
use saga_core::message::{Alias, InstanceName, Timestamp};
use saga_core::store::{
    Address, InstanceFilter, InstanceOrder, InstancePage, InstanceView, Position, RowId, Status,
};

use crate::error::{Kind, kind};
use crate::table::instance::{list, status_number};
use crate::table::value::name;
use crate::table::{alias, label, names};

/// The cost at which a page ends. It is a few hundredths of a second. A step along an index costs 1.
const COST: usize = 20_000;
/// The cost of the JSON of a row. Each item costs 1 more, and so do 512 bytes.
const PARSE: usize = 5;
/// The number of history lines for one page in the order of the last steps.
const LINES: i64 = 20_000;
/// The most instances with one label that are read for each page, whatever the order.
const RARE: usize = 500;
/// The highest key. Keys have at most 256 bytes.
const HIGHEST: &str = "\u{10FFFF}";

pub(crate) fn page(db: &Connection, filter: &InstanceFilter) -> Result<InstancePage> {
    if let Some(alias) = &filter.alias {
        return holders(db, filter, alias);
    }
    if let Some(page) = rare(db, filter)? {
        return Ok(page);
    }
    let (from, up) = filter.walk();
    let mut walk =
        Walk { db, filter, up, views: Vec::new(), cost: 0, last: None, more: None, is_over: false };
    match filter.order {
        InstanceOrder::Changed => walk.by_line(from)?,
        InstanceOrder::Key => walk.by_key(from)?,
        InstanceOrder::Due => walk.by_due(from)?,
        _ => walk.by_row(from)?,
    }
    Ok(InstancePage::of_walk(filter, walk.views, walk.more))
}

/// A walk along an index.
struct Walk<'a> {
    db: &'a Connection,
    filter: &'a InstanceFilter,
    up: bool,
    views: Vec<InstanceView>,
    cost: usize,
    /// The place of the row that was examined last.
    last: Option<Position>,
    /// The place at which the next page begins.
    more: Option<Position>,
    /// The page is full, or has cost enough.
    is_over: bool,
}

impl Walk<'_> {
    fn by_row(&mut self, from: Option<&Position>) -> Result<()> {
        let from = match from {
            Some(Position::Row(row)) => row.0,
            _ if self.up => i64::MIN,
            _ => i64::MAX,
        };
        let of_row = |row: &Row<'_>| Ok(Place::At(Position::Row(RowId(row.get(list::PLACE)?))));
        let InstanceFilter { parked, reason, status, labels, .. } = self.filter;
        if *parked == Some(true) || reason.is_some() {
            return self.rows(self.either(list::PARKED, list::PARKED_DOWN), (from,), of_row);
        }
        let label = labels.iter().find_map(|condition| Some((&*condition.name, condition.values()?)));
        if let Some((name, (text, integer))) = label {
            let params = (from, name, text, integer);
            return self.rows(self.either(list::LABELLED, list::LABELLED_DOWN), params, of_row);
        }
        match status {
            Some(Status::Running) => self.rows(self.either(list::LIVE, list::LIVE_DOWN), (from,), of_row),
            Some(Status::Compensating) => {
                self.rows(self.either(list::COMPENSATING, list::COMPENSATING_DOWN), (from,), of_row)
            }
            Some(status @ (Status::Failed | Status::Aborted)) => {
                let params = (from, status_number(*status));
                self.rows(self.either(list::ENDED, list::ENDED_DOWN), params, of_row)
            }
            Some(Status::Completed) | None => {
                self.rows(self.either(list::ALL, list::ALL_DOWN), (from,), of_row)
            }
        }
    }

    /// Walks along the history lines, a limited number of them.
    fn by_line(&mut self, from: Option<&Position>) -> Result<()> {
        let from = match from {
            Some(Position::Line(line)) => *line,
            _ if self.up => i64::MIN,
            _ => i64::MAX,
        };
        // A purge leaves wide gaps between the numbers.
        let Some(first) = self.next_line(from)? else { return Ok(()) };
        let (from, to) = match self.up {
            true => (first.saturating_sub(1), first.saturating_add(LINES)),
            false => (first.saturating_add(1), first.saturating_sub(LINES)),
        };
        let of_line = |row: &Row<'_>| Ok(Place::At(Position::Line(row.get(list::PLACE)?)));
        self.rows(self.either(list::BY_LINE, list::BY_LINE_DOWN), (from, to), of_line)?;
        if !self.is_over && self.next_line(to)?.is_some() {
            self.more = Some(Position::Line(to));
        }
        Ok(())
    }

    /// Returns the next existing line behind a number.
    fn next_line(&self, from: i64) -> Result<Option<i64>> {
        let sql = self.either(list::NEXT_LINE, list::NEXT_LINE_DOWN);
        self.db.prepare_cached(sql)?.query_row((from,), |row| row.get(0))
    }

    /// Walks along the keys of each saga.
    fn by_key(&mut self, from: Option<&Position>) -> Result<()> {
        let from = match from {
            Some(Position::Address(address)) => Some(address),
            _ => None,
        };
        let first = match (&self.filter.saga, from) {
            (Some(saga), _) => saga,
            (None, Some(from)) => &*from.saga,
            (None, None) if self.up => "",
            (None, None) => HIGHEST,
        };
        let prefix = self.filter.key_prefix.as_deref().unwrap_or_default();
        for (number, saga) in names::sorted(self.db, first, self.up)? {
            if self.filter.saga.as_ref().is_some_and(|wanted| *wanted != saga) {
                break;
            }
            let known = from.filter(|from| from.saga == saga).map(|from| from.key.stored());
            let highest = prefix.to_owned() + &HIGHEST.repeat(64);
            let begins = match (known, self.up) {
                (None, true) => prefix,
                (None, false) => &highest,
                (Some(known), true) => known.max(prefix),
                (Some(known), false) => known.min(&highest),
            };
            let of_key = |row: &Row<'_>| {
                // A damaged key has no place. The row is left out.
                let Ok(text) = row.get_ref(1)?.as_str() else { return Ok(Place::Known) };
                let Ok(key) = InstanceName::from_stored(text) else { return Ok(Place::Known) };
                // The statement begins with the known key, because a prefix can be a key as well.
                if known == Some(text) {
                    return Ok(Place::Known);
                }
                if !text.starts_with(prefix) {
                    return Ok(Place::Behind);
                }
                Ok(Place::At(Position::Address(Address { saga: name(row, 0)?, key })))
            };
            self.rows(self.either(list::BY_KEY, list::BY_KEY_DOWN), (begins, number), of_key)?;
            if self.is_over {
                break;
            }
        }
        Ok(())
    }

    fn by_due(&mut self, from: Option<&Position>) -> Result<()> {
        let (due, row) = match from {
            Some(Position::Due(due, row)) => (due.as_millis(), row.0),
            _ if self.up => (i64::MIN, i64::MIN),
            _ => (i64::MAX, i64::MAX),
        };
        let of_due = |row: &Row<'_>| {
            let (due, id) = (Timestamp::from_millis(row.get(list::PLACE)?), RowId(row.get(2)?));
            Ok(Place::At(Position::Due(due, id)))
        };
        self.rows(self.either(list::BY_DUE, list::BY_DUE_DOWN), (due, row), of_due)
    }

    fn either(&self, up: &'static str, down: &'static str) -> &'static str {
        if self.up { up } else { down }
    }

    /// Walks along the rows of a statement, until the page is full or has cost enough.
    fn rows(
        &mut self,
        sql: &str,
        params: impl Params,
        place: impl Fn(&Row<'_>) -> Result<Place>,
    ) -> Result<()> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(()),
                Err(error) => return self.interrupted(error),
            };
            let position = match place(row)? {
                Place::At(position) => position,
                Place::Known => continue,
                Place::Behind => return Ok(()),
            };
            if self.views.len() >= self.filter.page() || self.cost >= COST {
                (self.is_over, self.more) = (true, self.last.take());
                return Ok(());
            }
            self.cost += 1;
            match self.examine(row, &position) {
                Err(error) if kind(&error) == Kind::Step => {
                    tracing::error!(%error, "a row cannot be read and is left out");
                }
                Err(error) => return self.interrupted(error),
                Ok(()) => {}
            }
            self.last = Some(position);
        }
    }

    /// Ends the page where the time of the read was over. Without any row examined, the error stays an error.
    fn interrupted(&mut self, error: Error) -> Result<()> {
        if error.sqlite_error_code() != Some(ErrorCode::OperationInterrupted) || self.last.is_none() {
            return Err(error);
        }
        (self.is_over, self.more) = (true, self.last.take());
        Ok(())
    }

    fn examine(&mut self, row: &Row<'_>, position: &Position) -> Result<()> {
        let line = list::line(row)?;
        if !self.filter.may_match(&line.address, line.status, line.parked) {
            return Ok(());
        }
        let (view, cost) = list::view(self.db, row, line, position.clone())?;
        self.cost += PARSE + cost;
        if let Position::Due(due, _) = position
            // An instance is in the list once, at its next timer. Two timers can have the same time.
            && (view.due != Some(*due) || self.last.as_ref() == Some(position))
        {
            return Ok(());
        }
        if self.filter.matches(&view) {
            self.views.push(view);
        }
        Ok(())
    }
}

/// The place of a row.
enum Place {
    At(Position),
    /// The row is the place behind which the page begins.
    Known,
    /// The row and all later rows are outside the list.
    Behind,
}

/// The holders of an alias. There is at most one in each saga, so all of them are read.
fn holders(db: &Connection, filter: &InstanceFilter, alias: &str) -> Result<InstancePage> {
    let Ok(alias) = Alias::new(alias) else { return Ok(InstancePage::default()) };
    let alias = InstanceName::from(alias);
    let mut views = Vec::new();
    for (saga, _) in names::sorted(db, "", true)? {
        views.extend(single(db, filter, alias::HOLDER_LINE, (saga, alias.stored()))?.map(|(view, _)| view));
    }
    Ok(InstancePage::of_all(filter, views))
}

/// The instances with a rare label, read as a whole. `None` if each label of the filter is common, or if its instances are
/// large.
fn rare(db: &Connection, filter: &InstanceFilter) -> Result<Option<InstancePage>> {
    for condition in &filter.labels {
        let Some(values) = condition.values() else { continue };
        let found = label::find(db, &condition.name, values, RARE + 1)?;
        if found.len() > RARE {
            continue;
        }
        let (mut views, mut cost) = (Vec::with_capacity(found.len()), 0);
        for row in found {
            match single(db, filter, list::OF_ROW, (row.0,)) {
                Ok(read) => {
                    cost += PARSE + read.as_ref().map_or(0, |(_, cost)| *cost);
                    views.extend(read.map(|(view, _)| view));
                }
                // A walk gives what it has read in the time.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
            if cost > COST {
                return Ok(None);
            }
        }
        return Ok(Some(InstancePage::of_all(filter, views)));
    }
    Ok(None)
}

/// Reads one instance by a statement that has its newest history line as its place. `None` if the instance does not
/// exist, cannot be read, or is not in the order of the filter. Returns the cost as well.
fn single(
    db: &Connection,
    filter: &InstanceFilter,
    sql: &str,
    params: impl Params,
) -> Result<Option<(InstanceView, usize)>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let read = || {
        let line = list::line(row)?;
        let (id, last) = (line.id, row.get::<_, Option<i64>>(list::PLACE)?);
        let (mut view, cost) = list::view(db, row, line, Position::Row(id))?;
        let position = match filter.order {
            InstanceOrder::Changed => last.map(Position::Line),
            InstanceOrder::Key => Some(Position::Address(view.address.clone())),
            InstanceOrder::Due => view.due.map(|due| Position::Due(due, id)),
            _ => Some(Position::Row(id)),
        };
        Ok(position.map(|position| {
            view.position = position;
            (view, cost)
        }))
    };
    match read() {
        Err(error) if kind(&error) == Kind::Step => {
            tracing::error!(%error, "a row cannot be read and is left out");
            Ok(None)
        }
        read => read,
    }
}
