//! Opening the file: everything that must be true of it and of each connection before a row is touched.
//!
//! Owns: flags, pragmas and their order, and the words for what is wrong with a file. Does not own: tables.

use std::fs::{self, File};
use std::io::ErrorKind;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use saga_core::store::StoreError;

use crate::options::Durability;
use crate::place::Place;
use crate::schema;

/// Older versions can lose or damage data when two connections write and checkpoint at once (the WAL-reset bug).
const OLDEST_SQLITE: i32 = 3_051_003;

/// rusqlite keeps 16, and the statements of a busy writer are more.
const STATEMENT_CACHE: usize = 128;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The writer's, which alone is held to the page limit.
    Write,
    /// Moves the write-ahead log into the file.
    Checkpoint,
    /// The application's transactions.
    Application,
    /// Reads only.
    Read,
}

/// Creates or checks the file, migrates it, and answers the writer's connection.
pub(crate) fn open(place: &Place) -> Result<Connection, StoreError> {
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

/// Creates the file if there is none; answers whether it did.
fn create(place: &Place) -> Result<bool, StoreError> {
    let path = place.path();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(false),
        Ok(_) => return Err(refuse(place, "it is not a file; name a file, which is created if need be")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refuse(place, error.to_string())),
    }
    if !place.options.create {
        return Err(refuse(place, "there is no such file, and creating one was not asked for"));
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    // SQLite gives its other files the permissions of this one.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(refuse(place, "its directory does not exist; create it first"))
        }
        Err(error) => Err(refuse(place, format!("it cannot be created: {error}"))),
    }
}

/// A connection to the file, which must exist, with every pragma set and read back.
pub(crate) fn connect(place: &Place, role: Role) -> rusqlite::Result<Connection> {
    let access = match role {
        Role::Write | Role::Checkpoint | Role::Application => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(place.path(), flags)?;
    if role != Role::Read && db.is_readonly(rusqlite::MAIN_DB)? {
        // SQLite would rather open a protected file for reading only than not at all.
        return Err(Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), None));
    }
    db.busy_timeout(place.options.busy_timeout)?;
    harden(&db)?;
    if role != Role::Read {
        // The page size only counts for an empty file, and only before it is in WAL mode.
        db.pragma_update(None, "page_size", 4096)?;
        set(&db, "journal_mode", "wal".to_owned())?;
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

/// What every connection gets, whatever it is for: a file from elsewhere must not be able to do anything.
pub(crate) fn harden(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, 64 << 20)?;
    db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10)?;
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    db.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    set(db, "cell_size_check", 1)?;
    set(db, "foreign_keys", 0)?;
    set(db, "temp_store", 2)
}

/// Sets a pragma and believes it only when it reads back: SQLite ignores what it does not understand.
fn set(db: &Connection, pragma: &str, value: impl Into<rusqlite::types::Value>) -> rusqlite::Result<()> {
    let value = value.into();
    db.pragma_update(None, pragma, &value)?;
    let found: rusqlite::types::Value = db.pragma_query_value(None, pragma, |row| row.get(0))?;
    if found == value { Ok(()) } else { Err(misuse(format!("the pragma {pragma} stays {found:?}"))) }
}

fn misuse(what: String) -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISUSE), Some(what))
}

pub(crate) fn refuse(place: &Place, detail: impl Into<String>) -> StoreError {
    StoreError::Open { store: place.name().to_owned(), detail: detail.into() }
}

/// Says what is wrong with the file and what to do about it.
pub(crate) fn explain(place: &Place, error: Error) -> StoreError {
    let Error::SqliteFailure(failure, _) = &error else { return refuse(place, error.to_string()) };
    let detail = match failure.code {
        ErrorCode::NotADatabase => "the file is not an SQLite database; name another file".to_owned(),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "the file or its directory is read-only; the store needs to write to both".to_owned()
        }
        ErrorCode::CannotOpen => {
            "the file cannot be opened; this process needs to read and write it and its directory".to_owned()
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "the file is locked by another process; end its transaction and try again".to_owned()
        }
        ErrorCode::DatabaseCorrupt => format!("the file is damaged ({error}); restore it from a backup"),
        _ => error.to_string(),
    };
    refuse(place, detail)
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;
    use crate::SqliteStore;

    fn place(dir: &tempfile::TempDir, durability: Durability) -> Place {
        Place::new(dir.path().join("saga.db"), SqliteStore::options().durability(durability).cache_kib(1_000))
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
        assert!(error.to_string().contains("journal_mode stays"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_the_way_out() {
        let place = Place::new("orders.db".into(), SqliteStore::options());
        let say =
            |code| explain(&place, Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)).to_string();
        use rusqlite::ffi;
        assert_eq!(
            say(ffi::SQLITE_READONLY),
            "cannot open orders.db: the file or its directory is read-only; the store needs to write to both"
        );
        assert_eq!(
            say(ffi::SQLITE_BUSY),
            "cannot open orders.db: the file is locked by another process; end its transaction and try again"
        );
        assert!(say(ffi::SQLITE_CANTOPEN).contains("needs to read and write it and its directory"));
        assert!(say(ffi::SQLITE_CORRUPT).contains("restore it from a backup"));
    }
}
