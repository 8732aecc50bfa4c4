//! Refusing to open: nothing is left behind, what is read-only is called so, and no message says its path twice.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use saga_core::store::{Store, StoreError};
use saga_sqlite::SqliteStore;
use saga_sqlite::rusqlite::Connection;

use support::{Dir, application, copy_with_hot_journal};

/// Makes a store that a newer version has written, in this journal mode. The connection is its last user.
fn newer(dir: &Dir, journal_mode: &str) -> Connection {
    drop(SqliteStore::open(dir.db()).unwrap());
    let db = application(&dir.db());
    db.pragma_update(None, "journal_mode", journal_mode).unwrap();
    db.execute("UPDATE saga_meta SET schema_version = 99", []).unwrap();
    db
}

fn refused(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(error @ StoreError::Open { .. }) => error.to_string(),
        other => panic!("should have been refused: {other:?}"),
    }
}

fn refused_as_newer(dir: &Dir) {
    let text = refused(&dir.db());
    assert!(
        text.contains("newer version (schema 99; this version knows schema 9); update this application"),
        "{text}"
    );
}

#[test]
fn r34_a_newer_schema_is_refused_with_the_file_untouched() {
    for journal_mode in ["delete", "wal"] {
        let dir = Dir::new();
        drop(newer(&dir, journal_mode));
        let before = dir.content();
        assert_eq!(before.len(), 1, "the file alone");
        refused_as_newer(&dir);
        assert_eq!(dir.content(), before, "{journal_mode}");
    }
}

#[test]
fn r34_a_newer_schema_in_the_log_of_a_killed_process_is_refused_with_the_log_untouched() {
    let (dir, killed) = (Dir::new(), Dir::new());
    let db = newer(&dir, "wal");
    dir.copy(&["saga.db", "saga.db-wal", "saga.db-shm"], &killed);
    drop(db);
    let before = killed.content();
    refused_as_newer(&killed);
    let after = killed.content();
    assert!(after.keys().eq(before.keys()), "{:?}", after.keys());
    for (name, bytes) in &before {
        // The index is no part of what is stored: whoever comes first writes it anew.
        assert!(name == "saga.db-shm" || after[name] == *bytes, "{name:?} has changed");
    }
}

#[test]
fn r34_a_newer_schema_in_a_log_without_its_index_is_refused_with_nothing_new_beside_it() {
    let (dir, copy) = (Dir::new(), Dir::new());
    let db = newer(&dir, "wal");
    dir.copy(&["saga.db", "saga.db-wal"], &copy);
    drop(db);
    let before = copy.content();
    refused_as_newer(&copy);
    assert!(copy.content() == before, "{:?}", copy.names());
}

#[test]
fn r34_a_newer_schema_is_refused_beside_its_owner() {
    let dir = Dir::new();
    let owner = newer(&dir, "wal");
    let before = dir.names();
    refused_as_newer(&dir);
    assert_eq!(dir.names(), before);
    owner.execute("UPDATE saga_meta SET epoch = epoch + 1", []).unwrap();
    drop(owner);
    assert_eq!(dir.names(), ["saga.db"]);
}

#[test]
fn r34_a_newer_schema_behind_a_hot_journal_is_refused_after_the_rollback() {
    let (dir, killed) = (Dir::new(), Dir::new());
    copy_with_hot_journal(&newer(&dir, "delete"), &dir, &killed);
    refused_as_newer(&killed);
    assert_eq!(killed.names(), ["saga.db"]);
}

#[test]
fn a_log_without_its_index_is_taken_over() {
    let (dir, copy) = (Dir::new(), Dir::new());
    let db = application(&dir.db());
    db.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE customer AS SELECT 'Ada' AS name").unwrap();
    dir.copy(&["saga.db", "saga.db-wal"], &copy);
    drop(SqliteStore::open(copy.db()).unwrap());
    let name: String =
        application(&copy.db()).query_row("SELECT name FROM customer", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "Ada");
}

#[cfg(target_os = "linux")]
#[test]
fn what_nobody_may_write_to_is_called_read_only() {
    // The superuser is not held back by permissions, but by these.
    let file = Path::new("/sys/kernel/uevent_seqnum");
    if !file.is_file() {
        support::say("skipped: there is no /sys/kernel/uevent_seqnum here, a file that nobody may write to");
        return;
    }
    let text = refused(file);
    assert!(text.contains("uevent_seqnum: the file and its directory are read-only"), "{text}");
    let text = refused(Path::new("/sys/saga.db"));
    assert!(text.contains("/sys/saga.db: its directory is read-only"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_read_only_file_is_called_read_only_and_so_is_a_read_only_directory() {
    let dir = Dir::new();
    drop(SqliteStore::open(dir.db()).unwrap());
    let db = dir.db();
    if let Some(_protected) = protection::protect(&db) {
        let text = refused(&db);
        assert!(
            text.ends_with("the file is read-only; give this process the right to write to it"),
            "{text}"
        );
    }
    if let Some(_protected) = protection::protect(dir.path()) {
        let text = refused(&db);
        let way_out = "its directory is read-only; give this process the right to create files in it";
        assert!(text.ends_with(way_out), "{text}");
    }
    drop(SqliteStore::open(dir.db()).unwrap());
}

#[tokio::test]
async fn no_message_says_its_path_twice() {
    let once = |text: String| assert_eq!(text.matches("saga.db").count(), 1, "{text}");
    once(refused(Path::new("file:saga.db")));
    once(refused(&Dir::new().file("none/saga.db")));

    let dir = Dir::new();
    once(SqliteStore::options().create(false).open(dir.db()).unwrap_err().to_string());
    fs::create_dir(dir.db()).unwrap();
    once(refused(&dir.db()));

    let dir = Dir::new();
    fs::write(dir.db(), "Dear Sir or Madam, ".repeat(100)).unwrap();
    once(refused(&dir.db()));
    fs::hard_link(dir.db(), dir.file("second")).unwrap();
    #[cfg(unix)]
    once(refused(&dir.db()));

    let dir = Dir::new();
    drop(newer(&dir, "wal"));
    once(refused(&dir.db()));

    let dir = Dir::new();
    drop(SqliteStore::open(dir.db()).unwrap());
    let mut bytes = fs::read(dir.db()).unwrap();
    bytes[100..1_000].fill(0xff);
    fs::write(dir.db(), bytes).unwrap();
    once(refused(&dir.db()));

    let dir = Dir::new();
    application(&dir.db()).execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x)").unwrap();
    fs::create_dir(dir.file("saga.db-wal")).unwrap();
    let text = refused(&dir.db());
    assert!(text.contains("SQLite cannot open the file or one beside it"), "{text}");
    once(text);

    let dir = Dir::new();
    let other = application(&dir.db());
    other.execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE").unwrap();
    let options = SqliteStore::options().busy_timeout(Duration::ZERO);
    once(options.open(dir.db()).unwrap_err().to_string());
    drop(other);

    let dir = Dir::new();
    let store = SqliteStore::open(dir.db()).unwrap();
    fs::create_dir(dir.file("saga.db.lock")).unwrap();
    let error = store.lease("me").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    once(error.to_string());
    fs::remove_dir(dir.file("saga.db.lock")).unwrap();
    store.lease("me").await.unwrap();
    let second = SqliteStore::open(dir.db()).unwrap();
    once(second.lease("you").await.unwrap_err().to_string());
    fs::rename(dir.db(), dir.file("elsewhere.db")).unwrap();
    once(store.pulse().await.unwrap_err().to_string());
    once(store.transaction(|_| Ok(())).unwrap_err().to_string());
}

#[cfg(unix)]
mod protection {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Nobody may write to this file or directory: by its mode, and by `chattr` the superuser, whom no mode holds back.
    pub(crate) struct Protected<'a>(&'a Path);

    /// `None`, with a visible line, where there is no way to.
    pub(crate) fn protect(path: &Path) -> Option<Protected<'_>> {
        let protected = Protected(path);
        protected.mode(0o500);
        if takes_writing(path) {
            let kept = chattr("+i", path) && !takes_writing(path);
            if !kept {
                let path = path.display();
                crate::support::say(&format!(
                    "skipped: {path} cannot be kept from the superuser (chattr +i)"
                ));
                return None;
            }
        }
        Some(protected)
    }

    impl Protected<'_> {
        fn mode(&self, mode: u32) {
            fs::set_permissions(self.0, Permissions::from_mode(mode)).unwrap();
        }
    }

    impl Drop for Protected<'_> {
        fn drop(&mut self) {
            // Where it was not set there is nothing to take back.
            chattr("-i", self.0);
            self.mode(0o700);
        }
    }

    fn chattr(change: &str, path: &Path) -> bool {
        let mut command = Command::new("chattr");
        command.arg(change).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn takes_writing(path: &Path) -> bool {
        if !path.is_dir() {
            return File::options().append(true).open(path).is_ok();
        }
        let probe = path.join("probe");
        File::create(&probe).is_ok_and(|_| fs::remove_file(&probe).is_ok())
    }
}
