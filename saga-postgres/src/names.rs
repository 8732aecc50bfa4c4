//! The count of the stored names (rule R34). The tables are read in portions, each with its own snapshot.

use std::collections::BTreeMap;

use saga_core::store::{StoreError, Stored, StoredName};
use saga_stored::{instance as body, view};
use serde::Deserialize;
use tokio_postgres::{Error, Row};

use crate::read::{ITEMS, OUTLINE, items, left_out, query, status};
use crate::store::PostgresStore;

/// The rows of one portion.
const PORTION: i64 = 5_000;

type Counts = BTreeMap<(String, Stored, String, u32), u64>;

/// A table with messages: its statement, and the meaning of a kind.
type Messages = (&'static str, fn(&str) -> Option<Stored>);

const MESSAGES: [Messages; 4] = [
    ("SELECT id, consumer, kind, body FROM saga_arrival WHERE id > $1 ORDER BY id LIMIT $2", Stored::of_mail),
    ("SELECT id, consumer, kind, body FROM saga_inbox WHERE id > $1 ORDER BY id LIMIT $2", Stored::of_mail),
    (
        "SELECT id, consumer, 'delivery', body FROM saga_delivery WHERE id > $1 ORDER BY id LIMIT $2",
        Stored::of_mail,
    ),
    ("SELECT id, consumer, kind, body FROM saga_dead WHERE id > $1 ORDER BY id LIMIT $2", Stored::of_letter),
];

pub(crate) async fn names(store: &PostgresStore) -> Result<Vec<StoredName>, StoreError> {
    let mut counts = Counts::new();
    let instances = format!(
        "SELECT {OUTLINE} FROM saga_instance i JOIN saga_name n ON n.id = i.saga {ITEMS} WHERE i.id > $1 ORDER BY i.id LIMIT $2"
    );
    portions(store, &instances, 2, &mut counts, of_instance).await?;
    for (sql, what) in MESSAGES {
        portions(store, sql, 0, &mut counts, |row, counts| of_message(row, what, counts)).await?;
    }
    let name = |((consumer, what, name, version), count)| StoredName { consumer, what, name, version, count };
    Ok(counts.into_iter().map(name).collect())
}

/// Reads a table in portions. `id` is the column with the number of the row.
async fn portions(
    store: &PostgresStore,
    sql: &str,
    id: usize,
    counts: &mut Counts,
    count: impl Fn(&Row, &mut Counts) -> Result<(), Error>,
) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let statement = sql.to_owned();
        let rows =
            store.read(async move |client| query(client, &statement, &[&after, &PORTION]).await).await?;
        for row in &rows {
            count(row, counts).map_err(|error| crate::error::of_store(store.name(), error))?;
        }
        match rows.last() {
            Some(row) if i64::try_from(rows.len()) == Ok(PORTION) => {
                after = row.try_get(id).map_err(|error| crate::error::of_store(store.name(), error))?;
            }
            _ => return Ok(()),
        }
    }
}

/// Counts the names in an instance and in its pending items. An unreadable instance is reported and left out.
fn of_instance(row: &Row, counts: &mut Counts) -> Result<(), Error> {
    let (saga, id, number): (&str, i64, i16) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let stored: &str = row.try_get(7)?;
    let items = items(row, id)?;
    let read = || Ok((status(number)?, body::outline(stored)?, items?));
    let (status, outline, items) = match read() {
        Ok(read) => read,
        Err(error) => {
            left_out(&error);
            return Ok(());
        }
    };
    let count = |what, name: &str, version| {
        *counts.entry((saga.to_owned(), what, name.to_owned(), version)).or_default() += 1;
    };
    view::names(status, &outline, &items, count);
    Ok(())
}

fn of_message(row: &Row, what: fn(&str) -> Option<Stored>, counts: &mut Counts) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
        version: u32,
    }
    let (consumer, kind): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let Some(what) = what(kind) else { return Ok(()) };
    match serde_json::from_str::<Named>(row.try_get(3)?) {
        Ok(Named { name, version }) => {
            *counts.entry((consumer.to_owned(), what, name, version)).or_default() += 1;
        }
        Err(error) => left_out(&error),
    }
    Ok(())
}
