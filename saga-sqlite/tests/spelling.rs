//! One file, one owner, however its path is spelt.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use saga_core::store::conformance::{address, create};
use saga_core::store::{Batch, StepOutcome, Store, StoreError};
use saga_sqlite::SqliteStore;

use support::{CHILD, Dir, run_child};

/// Why a path is refused.
fn refused(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(error @ StoreError::Open { .. }) => error.to_string(),
        other => panic!("{} should have been refused: {other:?}", path.display()),
    }
}

/// Whoever opens the second path cannot have what the owner by the first one has, and the other way round.
async fn one_owner(first: &Path, second: &Path) {
    for (owner, other) in [(first, second), (second, first)] {
        let (owner, other) = (SqliteStore::open(owner).unwrap(), SqliteStore::open(other).unwrap());
        assert_eq!(owner.path(), other.path());
        assert!(owner.path().is_absolute());
        let lease = owner.lease("the day shift").await.unwrap();
        let error = other.lease("the night shift").await.unwrap_err();
        assert!(matches!(error, StoreError::Owned { .. }), "{error:?}");
        assert!(error.to_string().contains("the day shift"), "{error}");
        works(&owner).await;
        owner.release(&lease).await.unwrap();
    }
}

/// What a dispatcher asks of a store while it runs.
async fn works(store: &SqliteStore) {
    assert!(!store.pulse().await.unwrap());
    store.load(&[address("a")]).await.unwrap();
    store.transaction(|_| Ok(())).unwrap();
}

#[tokio::test]
async fn a_symbolic_link_to_the_file() {
    let dir = Dir::new();
    let other = Dir::new();
    drop(SqliteStore::open(dir.db()).unwrap());
    symlink(dir.db(), other.file("link.db")).unwrap();
    symlink(other.file("link.db"), other.file("again.db")).unwrap();
    one_owner(&dir.db(), &other.file("link.db")).await;
    one_owner(&other.file("again.db"), &dir.db()).await;
    assert_eq!(other.names(), ["again.db", "link.db"], "what belongs to the file lies beside the file");
}

#[tokio::test]
async fn a_symbolic_link_to_the_directory() {
    let dir = Dir::new();
    let other = Dir::new();
    symlink(dir.path(), other.file("data")).unwrap();
    // The first path creates the file.
    one_owner(&other.file("data/saga.db"), &dir.db()).await;
}

#[tokio::test]
async fn dots_in_the_path() {
    let dir = Dir::new();
    fs::create_dir(dir.file("sub")).unwrap();
    one_owner(&dir.file("sub/.././sub/../saga.db"), &dir.db()).await;
}

#[tokio::test]
async fn a_relative_path_and_a_change_of_directory() {
    // The working directory is one of the whole process.
    let Some(work) = std::env::var_os(CHILD) else {
        let dir = Dir::new();
        let said = run_child("a_relative_path_and_a_change_of_directory", dir.path());
        assert!(said.contains("1 passed") && dir.db().exists(), "{said}");
        return;
    };
    let dir = fs::canonicalize(work).unwrap();
    std::env::set_current_dir(&dir).unwrap();
    let store = SqliteStore::open("saga.db").unwrap();
    assert_eq!(store.path(), dir.join("saga.db"));
    std::env::set_current_dir("/").unwrap();

    let lease = store.lease("me").await.unwrap();
    works(&store).await;
    let batch = Batch { number: 1, steps: vec![create(&address("a"))] };
    let outcomes = store.commit(&lease, batch.into()).await.unwrap();
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
    let second = SqliteStore::open(dir.join("saga.db")).unwrap();
    assert!(matches!(second.lease("you").await, Err(StoreError::Owned { .. })));
    store.release(&lease).await.unwrap();
    drop((store, second));
    assert!(!Path::new("/saga.db").exists() && !Path::new("/saga.db.lock").exists());
}

#[test]
fn an_address_is_refused() {
    let dir = Dir::new();
    let address = format!("file:{}?mode=rw", dir.db().display());
    let memory = "file::memory:?cache=shared".to_owned();
    for address in [address, memory, "file:saga.db".to_owned()] {
        let text = refused(Path::new(&address));
        assert!(text.contains("a store takes a plain path; leave out `file:`"), "{text}");
    }
    assert!(dir.names().is_empty());
}

#[tokio::test]
async fn a_name_that_only_looks_like_an_address() {
    let dir = Dir::new();
    for name in ["file:saga.db", "saga.db?mode=memory", "sa%67a.db", "saga.db#1", ":memory:"] {
        let store = SqliteStore::open(dir.file(name)).unwrap();
        assert!(dir.file(name).is_file(), "{name}");
        works(&store).await;
    }
    assert!(!dir.db().exists());
}

#[test]
fn memory_and_nothing_at_all_are_refused() {
    for path in [":memory:", ""] {
        let text = refused(Path::new(path));
        assert!(text.contains("use `MemoryStore` to keep everything in memory"), "{text}");
        assert!(!Path::new(":memory:").exists());
    }
}

#[tokio::test]
async fn a_hard_link() {
    let dir = Dir::new();
    let second = dir.file("second.db");
    let owner = SqliteStore::open(dir.db()).unwrap();
    let lease = owner.lease("me").await.unwrap();
    fs::hard_link(dir.db(), &second).unwrap();
    let text = refused(&second);
    assert!(text.contains("the file has 2 hard links") && text.contains("remove the other links"), "{text}");
    refused(&dir.db());
    assert_eq!(dir.names().iter().filter(|name| name.to_string_lossy().starts_with("second")).count(), 1);
    works(&owner).await;
    owner.release(&lease).await.unwrap();
    drop(owner);

    fs::remove_file(&second).unwrap();
    drop(SqliteStore::open(dir.db()).unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_path_that_is_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new();
    let directory = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&directory).unwrap();
    let path = directory.join(OsStr::from_bytes(b"saga-\xff.db"));
    symlink(&path, dir.file("link.db")).unwrap();
    drop(SqliteStore::open(&path).unwrap());
    one_owner(&path, &dir.file("link.db")).await;
    fs::hard_link(&path, dir.file("second.db")).unwrap();
    assert!(refused(&path).contains("caf\u{fffd}/saga-\u{fffd}.db: the file has 2 hard links"));
}

#[test]
fn a_link_that_leads_nowhere() {
    let dir = Dir::new();
    symlink("elsewhere.db", dir.file("link.db")).unwrap();
    let text = refused(&dir.file("link.db"));
    assert!(
        text.contains("the path is a symbolic link to elsewhere.db; this target does not exist"),
        "{text}"
    );
    assert_eq!(dir.names(), ["link.db"], "nothing is created in the place of what is missing");
}

#[test]
fn paths_that_lead_to_no_file() {
    let dir = Dir::new();
    fs::write(dir.file("letter.txt"), "Dear Sir or Madam").unwrap();
    symlink("ring.db", dir.file("ring.db")).unwrap();
    for (name, why) in [
        ("none/saga.db", "its directory does not exist; create it first"),
        ("letter.txt/saga.db", "a directory of its path is a file"),
        ("none/..", "the last part of the path is not a file name"),
        (".", "is not a file"),
        ("ring.db", "symbolic links"),
        ("nul\0byte.db", "nul byte"),
    ] {
        let text = refused(&dir.file(name));
        assert!(text.to_lowercase().contains(why), "{text}");
    }
}
