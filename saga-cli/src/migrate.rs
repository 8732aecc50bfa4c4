//! The version of the tables of a store, which may be one that the other verbs cannot read.

use std::cmp::Ordering;

use anyhow::Result;
use saga_sqlite::{Schema, SqliteReader};
use serde::Serialize;

use crate::Ended;
use crate::output::{Output, field};
use crate::source::{Place, Source};

#[derive(Debug, Serialize)]
struct Status {
    /// The file, or the server with the database and the schema.
    store: String,
    /// The version of the tables.
    schema: usize,
    /// The version of this program.
    known: usize,
    /// The names of the migrations that the file needs, in order.
    missing: Vec<&'static str>,
}

pub(crate) async fn status(place: &Place, output: &mut Output<'_>) -> Result<Ended> {
    let status = match place {
        Place::File(path) => {
            let Schema { found, known, missing, .. } = SqliteReader::schema(path)?;
            Status { store: path.display().to_string(), schema: found, known, missing }
        }
        // A store in PostgreSQL of another version is an error that names both versions.
        #[cfg(feature = "postgres")]
        Place::Postgres(..) => of_this_version(&Source::open(place).await?),
    };
    output.one(&status, page)?;
    Ok(Ended::Well)
}

/// Migrates the tables. The dispatcher of a file must not run.
pub(crate) async fn run(place: &Place, output: &mut Output<'_>) -> Result<Ended> {
    place.migrate().await?;
    output.one(&of_this_version(&Source::open(place).await?), page)?;
    Ok(Ended::Well)
}

fn of_this_version(store: &Source) -> Status {
    Status { store: store.name(), schema: store.schema(), known: store.schema(), missing: Vec::new() }
}

fn page(status: &Status) -> String {
    let Status { store, schema, known, missing } = status;
    let advice = match schema.cmp(known) {
        Ordering::Equal => "none is missing".to_owned(),
        Ordering::Greater => "the store is newer than this program; update the program".to_owned(),
        Ordering::Less => format!(
            "needed: {}; `saga migrate run` and an application with version {known} migrate the file",
            missing.join(", ")
        ),
    };
    let mut page = String::new();
    for (name, value) in [
        ("store", store),
        ("schema", &schema.to_string()),
        ("program", &known.to_string()),
        ("migrations", &advice),
    ] {
        field(&mut page, name, value);
    }
    page
}
