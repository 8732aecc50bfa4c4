//! One instance as a file, and its copy in a store of its own.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use saga_core::message::MASK;
use saga_core::store::{Inspect, InstanceExport};
use saga_sqlite::{Durability, SqliteStore};

use crate::Ended;
use crate::args::Of;
use crate::output::{Output, plain, tell};
use crate::verbs::{address, not_found};

/// Prints the instance. A table of it would be no file to read again, so this is JSON in each form of the output.
pub(crate) async fn export(of: &Of, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let Some(export) = InstanceExport::read(store, &address(of)?).await? else { return Ok(not_found(of)) };
    output.json(&serde_json::to_string_pretty(&export)?);
    Ok(Ended::Well)
}

/// Writes an exported instance into a new file.
pub(crate) async fn import(from: &Path, to: &Path) -> Result<Ended> {
    let text = match from.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
            text
        }
        false => {
            std::fs::read_to_string(from).with_context(|| format!("{} cannot be read", from.display()))?
        }
    };
    let export: InstanceExport =
        serde_json::from_str(&text).context("the file is no instance that `saga export` has printed")?;
    ensure!(
        !to.try_exists().with_context(|| format!("{} cannot be looked at", to.display()))?,
        "{} exists; import into a new file",
        to.display()
    );
    // A copy to look at needs no sync for each step.
    let store = SqliteStore::options().durability(Durability::Relaxed).open(to)?;
    let written = export.write(&store).await;
    written.with_context(|| format!("{} is incomplete; remove it", to.display()))?;
    if text.contains(&format!("\"{MASK}\"")) {
        tell("redacted values are *** in the copy; the export has them with --reveal");
    }
    let record = &export.snapshot.instance;
    tell(&format!(
        "{} with {} lines of history is in {}",
        plain(&record.address.to_string()),
        export.history.len(),
        plain(&to.display().to_string())
    ));
    Ok(Ended::Well)
}
