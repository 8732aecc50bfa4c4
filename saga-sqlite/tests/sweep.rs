//! `kill -9` at every system call that creates, opens, migrates, writes, checkpoints and closes a store. After each kill
//! the next start must succeed, with every row that was there and every commit that was answered.
//!
//! `strace` kills a child of this program at its Nth call of one kind, for N from 1 until the child ends by itself. It
//! counts each thread's calls alone, so the first thread to come to N dies. Therefore there are several states to start
//! from, in which different threads come first: with an empty directory all begins with the opening thread, beside an open
//! connection with the writer's.
#![cfg(target_os = "linux")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use saga_core::store::conformance::{Driver, address, create, mail};
use saga_core::store::{InboxId, Inspect, Store, StoreError};
use saga_sqlite::rusqlite::Connection;
use saga_sqlite::{Durability, SqliteStore};

use support::{CHILD, Dir, alone, application, run_child, say};

/// Those that change a file, its size, its name or a lock on it. A name that the machine does not have is passed over.
const CALLS: [&str; 12] = [
    "?open",
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "?unlink",
    "unlinkat",
    "ftruncate",
    "fchmod",
    "fcntl",
    "flock",
];

/// Set where a machine without `strace` is a mistake.
const REQUIRED: &str = "SAGA_REQUIRE_STRACE";

/// The child leaves without closing anything when this file is there.
const LEAVE: &str = "leave";

/// What the child was told is durable: an instance, a delivery or a note a line.
const ANSWERED: &str = "answered";

const CUSTOMERS: [&str; 3] = ["Ada", "Grace", "Mary"];

/// What is there when the child starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Nothing,
    /// A file of the application with a rollback journal.
    Journal,
    /// A file of the application with a write-ahead log, which has been moved into the file.
    Log,
    /// A store of the first version, beside tables of the application.
    First,
    /// A store of the version before the present one.
    Earlier,
    /// A store whose process has been killed.
    Killed,
    /// The same while another process has it open.
    Shared,
}

impl Start {
    /// Fills a directory, from which each run gets its own copy.
    fn prepare(self) -> Dir {
        let dir = Dir::quick();
        if self == Self::Nothing {
            return dir;
        }
        let db = application(&dir.db());
        let mode = if self == Self::Journal { "delete" } else { "wal" };
        db.pragma_update(None, "journal_mode", mode).unwrap();
        db.execute("CREATE TABLE customer (name TEXT NOT NULL)", []).unwrap();
        for name in CUSTOMERS {
            db.execute("INSERT INTO customer VALUES (?1)", [name]).unwrap();
        }
        if matches!(self, Self::First | Self::Earlier) {
            db.execute_batch(include_str!("../migrations/0001_initial.sql")).unwrap();
        }
        if self == Self::Earlier {
            db.execute_batch(include_str!("../migrations/0002_retired_names.sql")).unwrap();
            db.execute_batch(include_str!("../migrations/0003_receipts.sql")).unwrap();
            db.execute("UPDATE saga_meta SET schema_version = 3", []).unwrap();
        }
        drop(db);
        if matches!(self, Self::Killed | Self::Shared) {
            fs::write(dir.file(LEAVE), "").unwrap();
            run_child("child", dir.path());
            fs::remove_file(dir.file(LEAVE)).unwrap();
            assert!(fs::metadata(dir.file("saga.db-wal")).unwrap().len() > 0, "there is a log");
        }
        dir
    }
}

/// What is killed. It does nothing unless it is started by one of the tests.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut answered = File::options().create(true).append(true).open(dir.join(ANSWERED)).unwrap();
    // One call for a line, so that a kill leaves no half of one.
    let mut told = |kind: &str, key: &str| answered.write_all(format!("{kind} {key}\n").as_bytes()).unwrap();
    let store = SqliteStore::open(dir.join("saga.db")).unwrap();
    for round in 0..3 {
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let key = format!("{}-{round}", std::process::id());
        driver.created(create(&address(&key))).await;
        told("instance", &key);
        store.deliver(vec![mail(&address(&key), "m")]).await.unwrap();
        told("delivery", &key);
        store
            .transaction(|tx| {
                tx.connection()?.execute_batch("CREATE TABLE IF NOT EXISTS note (text TEXT)")?;
                tx.connection()?.execute("INSERT INTO note VALUES (?1)", [&key])?;
                Ok(())
            })
            .unwrap();
        told("note", &key);
        driver.snapshot(&address(&key)).await;
        if dir.join(LEAVE).exists() {
            std::process::exit(0);
        }
        // Empties the log into the file.
        store.release(&driver.lease).await.unwrap();
    }
}

/// Runs the child on `dir` until it comes to its `n`th `call`; whether it did and was killed.
fn killed(dir: &Path, call: &str, n: u32) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={n}")]);
    strace.arg(std::env::current_exe().unwrap()).args(alone("child")).env(CHILD, dir);
    let output = strace.stdin(Stdio::null()).output().unwrap();
    match (output.status.code(), output.status.signal()) {
        (_, Some(9)) => true,
        (Some(0), _) => false,
        _ => {
            let (said, complained) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            panic!("{call} {n}: {}\n{said}\n{complained}", output.status);
        }
    }
}

/// Starts again: with every answered commit, fit for the next one, and with all rows of the application.
async fn usable(dir: &Dir, start: Start) {
    let options = SqliteStore::options().durability(Durability::Relaxed);
    let store = options.open(dir.db()).unwrap_or_else(|error| panic!("the next start fails: {error}"));
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let answered = fs::read_to_string(dir.file(ANSWERED)).unwrap_or_default();
    let of = |kind: &str| -> BTreeSet<String> {
        answered
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(of, _)| *of == kind)
            .map(|(_, key)| key.to_owned())
            .collect()
    };
    for key in of("instance") {
        driver.snapshot(&address(&key)).await;
    }
    let inbox = store.inbox(InboxId(0), 1_000).await.unwrap();
    let delivered: BTreeSet<_> = inbox.iter().map(|(_, mail)| mail.to.key.text().to_owned()).collect();
    assert!(delivered.is_superset(&of("delivery")), "{delivered:?}\n{answered}");
    driver.created(create(&address("afterwards"))).await;
    let counts = store.counts().await.unwrap();
    assert!(counts.iter().map(|count| count.instances).sum::<u64>() > of("instance").len() as u64);
    store.release(&driver.lease).await.unwrap();
    drop((driver, store));

    let db = Connection::open(dir.db()).unwrap();
    let noted = of("note");
    if !noted.is_empty() {
        let mut notes = db.prepare("SELECT text FROM note").unwrap();
        let notes: BTreeSet<String> =
            notes.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(notes.is_superset(&noted), "{notes:?}\n{answered}");
    }
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    if start != Start::Nothing {
        let mut names = db.prepare("SELECT name FROM customer ORDER BY name").unwrap();
        let names = names.query_map([], |row| row.get(0)).unwrap();
        assert_eq!(names.collect::<Result<Vec<String>, _>>().unwrap(), CUSTOMERS);
    }
}

/// Opens a store, and writes down what that answered. It does nothing unless it is started by the test.
#[test]
fn opening_child() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let answer = match SqliteStore::open(dir.join("saga.db")) {
        Ok(_) => "open".to_owned(),
        Err(StoreError::Full { store, .. }) if store.ends_with("saga.db") => "full".to_owned(),
        Err(error) => error.to_string(),
    };
    // By standard error, because there is no room for a file.
    say(&format!("answer: {answer}"));
}

/// Opens a store in a child for which the disk is full at its `n`th `call`; whether it came to that, and the answer.
fn opened_on_full_disk(dir: &Path, call: &str, n: u32) -> (bool, String) {
    let log = dir.join("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", log.to_str().unwrap(), "-e", &format!("trace={call}")]);
    // The test program itself writes to its standard output only.
    strace.args([
        "-P",
        dir.join("saga.db").to_str().unwrap(),
        "-P",
        dir.join("saga.db-wal").to_str().unwrap(),
    ]);
    strace.args(["-P", dir.join("saga.db-shm").to_str().unwrap()]);
    strace.args(["-P", dir.join("saga.db.lock").to_str().unwrap()]);
    strace.args(["-e", &format!("inject={call}:error=ENOSPC:when={n}+")]);
    strace.arg(std::env::current_exe().unwrap()).args(alone("opening_child")).env(CHILD, dir);
    let output = strace.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer =
        said.lines().find_map(|line| line.split_once("answer: ")).map(|(_, answer)| answer.to_owned());
    let fired = fs::read_to_string(&log).unwrap_or_default().contains("INJECTED");
    fs::remove_file(log).unwrap();
    (fired, answer.unwrap_or_else(|| panic!("{call} {n}: {said}")))
}

#[tokio::test]
async fn a_store_that_is_opened_on_a_full_disk_says_so_and_opens_when_there_is_room() {
    if !can_kill() {
        return;
    }
    // The first `openat` creates the file. SQLite does not say why it cannot open another one. A file that must be
    // migrated is locked first, with the name of the owner in the lock file.
    let starts = [
        (Start::Nothing, [("openat", 1), ("pwrite64", u32::MAX)]),
        (Start::Earlier, [("write", u32::MAX), ("pwrite64", u32::MAX)]),
    ];
    for (start, calls) in starts {
        let template = start.prepare();
        let names = template.names();
        let names: Vec<_> = names.iter().map(|name| name.to_str().unwrap()).collect();
        for (call, most) in calls {
            let mut full = 0;
            for n in 1..=most {
                let dir = Dir::quick();
                template.copy(&names, &dir);
                let (fired, answer) = opened_on_full_disk(dir.path(), call, n);
                assert!(answer == "open" || fired && answer == "full", "{start:?} {call} {n}: {answer}");
                usable(&dir, start).await;
                if !fired {
                    break;
                }
                full += u32::from(answer == "full");
            }
            assert!(full > 0, "{start:?} {call}");
        }
    }
}

/// Says at which kill it went wrong.
struct At<'a>(&'a str, u32);

impl Drop for At<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("after a kill at {} {}", self.0, self.1));
        }
    }
}

/// Kills the child at its calls, and answers how often of each kind.
async fn sweep(start: Start) -> BTreeMap<&'static str, u32> {
    let mut kills: BTreeMap<&'static str, u32> = BTreeMap::new();
    let template = start.prepare();
    let names = template.names();
    let names: Vec<_> = names.iter().map(|name| name.to_str().unwrap()).collect();
    for call in CALLS {
        let mut n = 1;
        loop {
            let at = At(call, n);
            let dir = Dir::quick();
            template.copy(&names, &dir);
            let other = (start == Start::Shared).then(|| {
                let db = application(&dir.db());
                // The first row read opens the log.
                db.query_row("SELECT count(*) FROM customer", [], |row| row.get::<_, i64>(0)).unwrap();
                db
            });
            let killed = killed(dir.path(), call, n);
            usable(&dir, start).await;
            drop((other, at));
            if !killed {
                break;
            }
            *kills.entry(call.trim_start_matches('?')).or_default() += 1;
            n += 1;
        }
    }
    kills
}

/// Whether there is an `strace` that may trace.
fn can_kill() -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"]);
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let works = strace.status().is_ok_and(|status| status.success());
    assert!(works || std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, but strace does not work");
    if !works {
        say("skipped: no kill at every system call, because strace is not there or may not trace");
    }
    works
}

/// Sweeps, and holds the sweep to having killed at each of these kinds of calls, in one of the names it goes by.
async fn survives(start: Start, kinds: &[&[&str]]) {
    if !can_kill() {
        return;
    }
    let kills = sweep(start).await;
    for kind in kinds {
        let fired: u32 = kind.iter().filter_map(|call| kills.get(call)).sum();
        assert!(fired > 0, "no kill at {kind:?}: {kills:?}");
    }
}

const OPEN: &[&str] = &["open", "openat"];
const WRITE: &[&str] = &["pwrite64"];
const SYNC: &[&str] = &["fsync", "fdatasync"];
const UNLINK: &[&str] = &["unlink", "unlinkat"];
const TRUNCATE: &[&str] = &["ftruncate"];
const LOCK: &[&str] = &["fcntl"];
const OWN: &[&str] = &["flock"];

#[tokio::test]
async fn a_new_file_survives_a_kill_at_any_call() {
    survives(Start::Nothing, &[OPEN, WRITE, SYNC, UNLINK, TRUNCATE, LOCK, OWN]).await;
}

#[tokio::test]
async fn a_file_of_the_application_with_a_journal_survives_a_kill_at_any_call() {
    survives(Start::Journal, &[OPEN, WRITE, SYNC, UNLINK, TRUNCATE, LOCK, OWN]).await;
}

#[tokio::test]
async fn a_file_of_the_application_with_a_log_survives_a_kill_at_any_call() {
    survives(Start::Log, &[OPEN, WRITE, SYNC, UNLINK, TRUNCATE, LOCK, OWN]).await;
}

#[tokio::test]
async fn a_store_of_the_first_version_survives_a_kill_at_any_call() {
    survives(Start::First, &[OPEN, WRITE, SYNC, UNLINK, TRUNCATE, LOCK, OWN]).await;
}

#[tokio::test]
async fn a_store_of_an_earlier_version_survives_a_kill_at_any_call() {
    survives(Start::Earlier, &[OPEN, WRITE, SYNC, UNLINK, TRUNCATE, LOCK, OWN]).await;
}

#[tokio::test]
async fn a_killed_store_survives_a_kill_at_any_call() {
    survives(Start::Killed, &[OPEN, WRITE, SYNC, UNLINK, TRUNCATE, LOCK, OWN]).await;
}

#[tokio::test]
async fn a_store_that_somebody_else_has_open_survives_a_kill_at_any_call() {
    survives(Start::Shared, &[OPEN, WRITE, SYNC, TRUNCATE, LOCK, OWN]).await;
}
