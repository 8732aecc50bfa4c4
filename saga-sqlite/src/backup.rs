//! A copy of the file while the dispatcher runs.
//!
//! Owns: the new file, its check, and its removal after an error. Does not own: the restoring, which is the opening of the
//! copy under the name of the file.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use saga_core::store::StoreError;

use crate::error::of_store;
use crate::open::{Role, connect, private};
use crate::reader::SqliteReader;
use crate::refusal::{refuse, uncreated};
use crate::resolve::resolve;
use crate::store_file::StoreFile;

impl SqliteReader {
    /// Copies the store into the new file `to`, as the store is at one moment. Everything answered before the call is in the
    /// copy. The copy is checked and synced before the answer.
    ///
    /// The dispatcher keeps running. The write-ahead log cannot be emptied during the copy, so it grows. This call blocks.
    /// Use a thread that may block. Only the owner of the file may read the copy.
    ///
    /// A restored copy is a store of the past. Handlers may have run since, and they run again under the same idempotency
    /// keys.
    ///
    /// # Errors
    /// [`StoreError::Open`] with the reason and the remedy if `to` exists or cannot be created. [`StoreError::Full`] if there
    /// is no space. [`StoreError::Corrupt`] if a table of the store is damaged in the copy. No file remains after an error. A
    /// killed process can leave a file with `.partial-` in its name. Only a whole copy gets the name `to`.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        let (from, to) = (self.readers.place(), resolve(to.as_ref())?);
        let place = StoreFile::new(to.clone(), crate::SqliteStore::options());
        if fs::symlink_metadata(&to).is_ok() {
            return Err(refuse(&place, EXISTS));
        }
        let mut name = to.clone().into_os_string();
        name.push(format!(".partial-{}", std::process::id()));
        let partial = Partial(PathBuf::from(name));
        let created = private().create(true).truncate(true).open(&partial.0);
        created.map_err(|error| uncreated(&place, error))?;
        copy(from, &place, &partial.0)?;
        publish(&partial.0, &to).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => refuse(&place, EXISTS),
            _ => uncreated(&place, error),
        })
    }
}

const EXISTS: &str = "the file exists; name a new file for the copy";
/// The tables of the store. A table of the application may need functions that are not known here.
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'saga_*'";
const CHECK: &str = "SELECT quick_check FROM pragma_quick_check(?1)";

/// The file under which a copy is made. It is removed at the end, with or without success.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // After a success, the copy has its own name as well.
        let _ = fs::remove_file(&self.0);
    }
}

fn copy(from: &StoreFile, place: &StoreFile, partial: &Path) -> Result<(), StoreError> {
    from.check()?;
    let source = connect(from, Role::Read).map_err(|error| of_store(from.name(), error))?;
    let of_copy = |error| of_store(place.name(), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(partial, flags).map_err(of_copy)?;
    {
        let backup = Backup::new(&source, &mut copy).map_err(of_copy)?;
        // All pages in one step: the copy would begin again after each commit otherwise.
        match backup.step(-1).map_err(of_copy)? {
            StepResult::Done => {}
            _ => return Err(refuse(place, "another process uses the file of the copy; name a new file")),
        }
    }
    if let Some(detail) = damage(&copy).map_err(of_copy)? {
        return Err(StoreError::Corrupt { store: place.name().to_owned(), detail });
    }
    copy.close().map_err(|(_, error)| of_copy(error))
}

/// Returns the first damage of a table of the store.
fn damage(copy: &Connection) -> rusqlite::Result<Option<String>> {
    let mut tables = copy.prepare(TABLES)?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for table in tables {
        let found: String = copy.query_row(CHECK, [&table], |row| row.get(0))?;
        if found != "ok" {
            return Ok(Some(format!("{table}: {found}")));
        }
    }
    Ok(None)
}

/// Makes the copy durable, and gives it its name. An existing file is not replaced.
fn publish(partial: &Path, to: &Path) -> io::Result<()> {
    File::options().write(true).open(partial)?.sync_all()?;
    fs::hard_link(partial, to)?;
    #[cfg(unix)]
    if let Some(directory) = to.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
