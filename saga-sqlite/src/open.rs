//! Opening the file: the conditions for the file and for each connection before the first row access.
//!
//! Owns: flags, pragmas and their order.
//! Does not own: tables, or the error texts for a file (`refusal`).

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use saga_core::store::StoreError;

use crate::options::Durability;
use crate::refusal::{explain, protected, refuse, uncreated};
use crate::resolve::refuse_links;
use crate::schema;
use crate::store_file::StoreFile;

/// Older versions can lose or damage data if two connections write and checkpoint at once (the WAL-reset bug).
const OLDEST_SQLITE: i32 = 3_051_003;

/// The default of rusqlite is 16. A busy writer uses more statements.
const STATEMENT_CACHE: usize = 128;

/// The interval between two attempts to change the journal mode while another process changes the mode.
const AGAIN: Duration = Duration::from_millis(2);

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The connection of the writer. Only this connection has the page limit.
    Write,
    /// Runs checkpoints.
    Checkpoint,
    /// Runs the transactions of the application.
    Application,
    /// Only reads.
    Read,
}

/// Creates or checks the file, migrates the tables, and returns the connection of the writer.
pub(crate) fn open(place: &StoreFile) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let version = rusqlite::version();
        return Err(refuse(place, format!("SQLite {version} is linked, but 3.51.3 or newer is needed")));
    }
    if !create(place)? {
        schema::refuse_newer(place)?;
    }
    let db = connect(place, Role::Write).map_err(|error| explain(place, error))?;
    schema::migrate(place, &db)?;
    place.settle().map_err(|error| refuse(place, error.to_string()))?;
    Ok(db)
}

/// Checks that the file exists and has the tables of this version.
pub(crate) fn check_for_reading(place: &StoreFile) -> Result<(), StoreError> {
    schema::check_present(place, &existing(place)?)
}

/// Opens a file of any version for reading.
pub(crate) fn existing(place: &StoreFile) -> Result<Connection, StoreError> {
    match fs::metadata(place.path()) {
        Ok(metadata) if metadata.is_file() => {
            refuse_links(&metadata).map_err(|detail| refuse(place, detail))?;
        }
        Ok(_) => return Err(refuse(place, "the path is not a file; name a file")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(refuse(place, "the file does not exist; name the file of a store"));
        }
        Err(error) => return Err(refuse(place, error.to_string())),
    }
    connect(place, Role::Read).map_err(|error| explain(place, error))
}

/// Creates the file if it is missing. Returns whether a file was created.
fn create(place: &StoreFile) -> Result<bool, StoreError> {
    let path = place.path();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            return refuse_links(&metadata).map(|()| false).map_err(|detail| refuse(place, detail));
        }
        Ok(_) => return Err(refuse(place, "the path is not a file; name a file; a missing file is created")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refuse(place, error.to_string())),
    }
    if !place.options.create {
        return Err(refuse(place, "the file does not exist; `create(false)` forbids the creation of a file"));
    }
    match private().create_new(true).open(path) {
        Ok(_) => Ok(true),
        // Another process has created the file in the meantime.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(uncreated(place, error)),
    }
}

/// Returns options to write a file. A new file is for its owner alone. SQLite gives its other files the same permissions.
pub(crate) fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens an existing file. A file that cannot be written is an error for a writing connection.
pub(crate) fn open_file(place: &StoreFile, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(place.path(), flags).map_err(without_path)?;
    if access.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) && db.is_readonly(rusqlite::MAIN_DB)? {
        return Err(protected());
    }
    Ok(db)
}

/// Removes the path from the error. rusqlite adds the path only here, and the store error names the store already.
fn without_path(error: Error) -> Error {
    match error {
        Error::SqliteFailure(failure, _) if failure.code == ErrorCode::CannotOpen => {
            Error::SqliteFailure(failure, None)
        }
        error => error,
    }
}

/// Opens a connection to an existing file. Every pragma is set and read back.
pub(crate) fn connect(place: &StoreFile, role: Role) -> rusqlite::Result<Connection> {
    let access = match role {
        Role::Write | Role::Checkpoint | Role::Application => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let db = open_file(place, access)?;
    db.busy_timeout(place.options.busy_timeout)?;
    harden(&db)?;
    if role != Role::Read {
        // The page size has an effect only for an empty file, and only before WAL mode.
        db.pragma_update(None, "page_size", 4096)?;
        begin_log(&db, place.options.busy_timeout)?;
        set(
            &db,
            "synchronous",
            match place.options.durability {
                Durability::Durable => 2,
                Durability::Relaxed => 1,
            },
        )?;
        set(&db, "wal_autocheckpoint", 0)?;
        set(&db, "journal_size_limit", crate::checkpoint::WAL_BYTES_MAX)?;
        #[cfg(target_os = "macos")]
        set(&db, "fullfsync", 1)?;
    }
    if role == Role::Application {
        set(&db, "foreign_keys", 1)?;
    }
    if role == Role::Write {
        set(&db, "cache_size", -i64::from(place.options.cache_kib))?;
        if let Some(pages) = place.options.max_pages {
            db.pragma_update(None, "max_page_count", pages)?;
        }
    }
    Ok(db)
}

/// Turns on the write-ahead log. SQLite does not wait for other processes during this change. Two processes that open a
/// new file at once would otherwise fail.
fn begin_log(db: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let until = Instant::now().checked_add(patience);
    loop {
        match set(db, "journal_mode", "wal".to_owned()) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && until.is_none_or(|until| Instant::now() < until) =>
            {
                std::thread::sleep(AGAIN);
            }
            done => return done,
        }
    }
}

/// Applies the settings common to all connections. A file from elsewhere must not be able to do harm.
pub(crate) fn harden(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Otherwise SQLite compiles a statement again for each binding of a column with a partial index, because the value
    // might fit the condition of the index. Such a load cost ten times its reads.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, 64 << 20)?;
    db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10)?;
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    db.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    set(db, "cell_size_check", 1)?;
    set(db, "foreign_keys", 0)?;
    set(db, "temp_store", 2)
}

/// Sets a pragma and reads it back. SQLite ignores values that it does not understand.
pub(crate) fn set(db: &Connection, pragma: &str, value: impl Into<Value>) -> rusqlite::Result<()> {
    let value = value.into();
    db.pragma_update(None, pragma, &value)?;
    let found: Value = db.pragma_query_value(None, pragma, |row| row.get(0))?;
    if found == value {
        Ok(())
    } else {
        Err(misuse(format!("the pragma {pragma} keeps the value {found:?}")))
    }
}

fn misuse(what: String) -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISUSE), Some(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;

    fn place(dir: &tempfile::TempDir, durability: Durability) -> StoreFile {
        StoreFile::new(
            dir.path().join("saga.db"),
            SqliteStore::options().durability(durability).cache_kib(1_000),
        )
    }

    fn pragma(db: &Connection, name: &str) -> Value {
        db.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    #[test]
    fn pragmas_read_back_as_they_were_meant() {
        for (durability, synchronous) in [(Durability::Durable, 2), (Durability::Relaxed, 1)] {
            let dir = tempfile::tempdir().unwrap();
            let place = place(&dir, durability);
            drop(open(&place).unwrap());
            for (role, foreign_keys) in
                [(Role::Write, 0), (Role::Checkpoint, 0), (Role::Application, 1), (Role::Read, 0)]
            {
                let db = connect(&place, role).unwrap();
                let int = |name| pragma(&db, name);
                assert_eq!(int("journal_mode"), Value::Text("wal".to_owned()));
                assert_eq!(int("page_size"), Value::Integer(4096));
                assert_eq!(int("trusted_schema"), Value::Integer(0));
                assert_eq!(int("cell_size_check"), Value::Integer(1));
                assert_eq!(int("temp_store"), Value::Integer(2));
                assert_eq!(int("busy_timeout"), Value::Integer(5_000));
                assert_eq!(int("foreign_keys"), Value::Integer(foreign_keys));
                assert!(db.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
                if role == Role::Read {
                    assert!(db.execute("DELETE FROM saga_meta", []).is_err());
                } else {
                    assert_eq!(int("synchronous"), Value::Integer(synchronous));
                    assert_eq!(int("wal_autocheckpoint"), Value::Integer(0));
                    assert_eq!(int("journal_size_limit"), Value::Integer(64 << 20));
                }
                if role == Role::Write {
                    assert_eq!(int("cache_size"), Value::Integer(-1_000));
                }
            }
        }
    }

    #[test]
    fn a_pragma_that_does_not_take_is_an_error() {
        let db = Connection::open_in_memory().unwrap();
        let error = set(&db, "journal_mode", "wal".to_owned()).unwrap_err();
        assert!(error.to_string().contains("journal_mode keeps"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_without_its_path() {
        let dir = tempfile::tempdir().unwrap();
        for role in [Role::Write, Role::Read] {
            let error = connect(&place(&dir, Durability::Durable), role).unwrap_err();
            assert_eq!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen));
            assert!(!error.to_string().contains("saga.db"), "{error}");
        }
    }
}
