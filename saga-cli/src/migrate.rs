//! The version of a file, which may be one that the other verbs cannot read.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::Result;
use saga_sqlite::{Schema, SqliteReader};
use serde::Serialize;

use crate::Ended;
use crate::output::{Output, field};

#[derive(Debug, Serialize)]
struct Status {
    file: String,
    /// The version of the tables of the file.
    schema: usize,
    /// The version of this program.
    known: usize,
    /// The names of the migrations that the file needs, in order.
    missing: Vec<&'static str>,
}

pub(crate) fn status(path: &Path, output: &mut Output<'_>) -> Result<Ended> {
    let Schema { found, known, missing, .. } = SqliteReader::schema(path)?;
    let status = Status { file: path.display().to_string(), schema: found, known, missing };
    output.one(&status, page)?;
    Ok(Ended::Well)
}

fn page(status: &Status) -> String {
    let Status { file, schema, known, missing } = status;
    let advice = match schema.cmp(known) {
        Ordering::Equal => "none is missing".to_owned(),
        Ordering::Greater => "the file is newer than this program; update the program".to_owned(),
        Ordering::Less => format!(
            "needed: {}; an application with version {known} migrates the file when it opens the file",
            missing.join(", ")
        ),
    };
    let mut page = String::new();
    for (name, value) in [
        ("file", file),
        ("schema", &schema.to_string()),
        ("program", &known.to_string()),
        ("migrations", &advice),
    ] {
        field(&mut page, name, value);
    }
    page
}
