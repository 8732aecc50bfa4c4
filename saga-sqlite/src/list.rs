//! One page of a list of instances.
//!
//! Owns: the index along which a list walks, and the number of rows that it examines. Does not own: the conditions
//! (`InstanceFilter`).

use rusqlite::{Connection, Params, Result, Row};
use saga_core::message::{Alias, InstanceName, Timestamp};
use saga_core::store::{
    Address, InstanceFilter, InstanceOrder, InstancePage, InstanceView, Position, RowId, Status,
};

use crate::error::{Kind, kind};
use crate::table::instance::{list, status_number};
use crate::table::value::name;
use crate::table::{alias, names};

/// The cost at which a page ends. It is a few hundredths of a second. A step along an index costs 1.
const COST: usize = 20_000;
/// The cost of the JSON of a row. Each item costs 1 more.
const PARSE: usize = 5;
/// The number of history lines for one page in the order of the last steps.
const LINES: i64 = 20_000;
/// The highest key. Keys have at most 256 bytes.
const HIGHEST: &str = "\u{10FFFF}";

pub(crate) fn page(db: &Connection, filter: &InstanceFilter) -> Result<InstancePage> {
    if let Some(alias) = &filter.alias {
        return holders(db, filter, alias);
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
        let InstanceFilter { parked, reason, status, .. } = self.filter;
        if *parked == Some(true) || reason.is_some() {
            return self.rows(self.either(list::PARKED, list::PARKED_DOWN), (from,), of_row);
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
        let bounds = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
        let (Some(first), Some(last)) =
            self.db.prepare_cached(list::BOUNDS_OF_LINES)?.query_row([], bounds)?
        else {
            return Ok(());
        };
        let from = match from {
            Some(Position::Line(line)) => *line,
            _ if self.up => first.saturating_sub(1),
            _ => last.saturating_add(1),
        };
        let to = if self.up { from.saturating_add(LINES) } else { from.saturating_sub(LINES) };
        let of_line = |row: &Row<'_>| Ok(Place::At(Position::Line(row.get(list::PLACE)?)));
        self.rows(self.either(list::BY_LINE, list::BY_LINE_DOWN), (from, to), of_line)?;
        let is_end = if self.up { to >= last } else { to <= first };
        if !self.is_over && !is_end {
            self.more = Some(Position::Line(to));
        }
        Ok(())
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
            let begins = match known {
                Some(known) => known.to_owned(),
                None if self.up => prefix.to_owned(),
                None => prefix.to_owned() + &HIGHEST.repeat(64),
            };
            let of_key = |row: &Row<'_>| {
                let text = row.get_ref(1)?.as_str().unwrap_or_default();
                Ok(match InstanceName::from_stored(text) {
                    // The statement begins with the known key, because a prefix can be a key as well.
                    _ if known == Some(text) => Place::Known,
                    _ if !text.starts_with(prefix) => Place::Behind,
                    Ok(key) => Place::At(Position::Address(Address { saga: name(row, 0)?, key })),
                    // Damaged. The row has no place, and is left out.
                    Err(_) => Place::Known,
                })
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
        while let Some(row) = rows.next()? {
            let position = match place(row)? {
                Place::At(position) => position,
                Place::Known => continue,
                Place::Behind => break,
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
                examined => examined?,
            }
            self.last = Some(position);
        }
        Ok(())
    }

    fn examine(&mut self, row: &Row<'_>, position: &Position) -> Result<()> {
        let line = list::line(row)?;
        if !self.filter.may_match(&line.address, line.status, line.parked) {
            return Ok(());
        }
        let (view, items) = list::view(self.db, row, line, position.clone())?;
        self.cost += PARSE + items;
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
        let mut statement = db.prepare_cached(alias::HOLDER_LINE)?;
        let mut rows = statement.query((saga, alias.stored()))?;
        let Some(row) = rows.next()? else { continue };
        let line = list::line(row)?;
        let (id, last) = (line.id, row.get::<_, Option<i64>>(list::PLACE)?);
        let (mut view, _) = list::view(db, row, line, Position::Row(id))?;
        let position = match filter.order {
            InstanceOrder::Changed => last.map(Position::Line),
            InstanceOrder::Key => Some(Position::Address(view.address.clone())),
            InstanceOrder::Due => view.due.map(|due| Position::Due(due, id)),
            _ => Some(Position::Row(id)),
        };
        let Some(position) = position else { continue };
        view.position = position;
        views.push(view);
    }
    Ok(InstancePage::of_all(filter, views))
}
