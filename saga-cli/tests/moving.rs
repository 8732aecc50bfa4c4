//! `saga move`: everything is in the other store, also after the process was killed fifty times.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[cfg(feature = "postgres")]
#[path = "../../saga-postgres/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use saga_core::store::conformance::{Driver, address, create, mail};
use saga_core::store::{Step, Store};
use saga_sqlite::{Durability, SqliteStore};

/// How often the process is killed.
const KILLS: usize = 50;
/// The instances between two lines of progress.
const PORTION: usize = 50;

/// A file with this many instances.
fn filled(dir: &Path, instances: usize) -> PathBuf {
    let path = dir.join("from.db");
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::options().durability(Durability::Relaxed).open(&path).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::lease(Arc::clone(&store)).await;
        let steps: Vec<Step> = (0..instances).map(|n| create(&address(&format!("k{n:05}")))).collect();
        for portion in steps.chunks(200) {
            driver.commit(portion.to_vec()).await;
        }
        driver.committed(Step { mail: vec![mail(&address("k00000"), "m")], ..Step::default() }).await;
        store.release(&driver.lease).await.unwrap();
    });
    path
}

fn saga(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saga"));
    command.env_remove("SAGA_DB").env_remove("SAGA_POSTGRES").args(args);
    command
}

fn says(args: &[&str]) -> (i32, String) {
    let output = saga(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_move_that_is_killed_fifty_times_ends_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let instances = (KILLS + 2) * PORTION;
    let (from, to) = (filled(dir.path(), instances), dir.path().join("to.db"));
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let moves = ["--db", from, "move", "--to", to, "--yes", "--follow"];
    for lines in 1..=KILLS {
        let mut child = saga(&moves).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines().take(lines).count();
        assert_eq!(told, lines, "it has not ended before it is killed");
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it was killed in the middle");
    }
    let other = dir.path().join("other.db");
    let (code, said) = says(&["--db", from, "move", "--to", other.to_str().unwrap(), "--yes"]);
    assert!(code == 1 && said.contains("to another target was begun"), "{code} {said}");
    let (code, said) = says(&moves);
    assert!(code == 0 && said.contains(&format!("moved: {instances} instances")), "{code} {said}");
    let (code, said) = says(&["--db", to, "check"]);
    assert_eq!(code, 0, "{said}");
    let count = |db: &str| says(&["--db", db, "count", "-o", "json"]);
    assert_eq!(count(from), count(to));
    let (code, said) = says(&moves);
    assert!(code == 1 && said.contains("everything was moved out of the source before"), "{code} {said}");
}

#[test]
fn a_move_asks_first_and_names_its_stores() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (filled(dir.path(), 3), dir.path().join("to.db"));
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let (code, said) = says(&["--db", from, "move", "--to", to]);
    assert!(code == 2 && said.contains("add --yes"), "{code} {said}");
    let (code, said) = says(&["--db", from, "move", "--yes"]);
    assert!(code == 1 && said.contains("name the target"), "{code} {said}");
    let (code, said) = says(&["--db", from, "move", "--to", from, "--yes"]);
    assert!(code == 1 && said.contains("the target is the store itself"), "{code} {said}");
    let (code, said) = says(&["--db", to, "move", "--to", from, "--yes"]);
    assert!(code == 1 && said.contains("cannot be opened"), "{code} {said}");
    let (code, said) = says(&["--db", from, "move", "--to", to, "--yes", "-o", "json"]);
    assert!(code == 0 && said.contains("\"inbox\": 1"), "{code} {said}");
    let (_, pauses) = says(&["--db", from, "pauses"]);
    assert!(pauses.contains("saga move"), "{pauses}");
    let (code, said) = says(&["--db", from, "move", "--give-up", "--yes"]);
    assert!(code == 1 && said.contains("everything was moved out"), "{code} {said}");
}

#[cfg(feature = "postgres")]
#[test]
fn a_file_moves_to_postgres_and_back() {
    let Some(schema) = support::Schema::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (filled(dir.path(), 120), dir.path().join("back.db"));
    let (from, back) = (from.to_str().unwrap(), back.to_str().unwrap());
    let to = ["--db", from, "move", "--to-postgres", &schema.config, "--to-schema", &schema.name, "--yes"];
    let (code, said) = says(&to);
    assert!(code == 0 && said.contains("moved: 120 instances"), "{code} {said}");
    assert!(!said.contains(&schema.config), "a configuration may have a password: {said}");
    let here = ["--postgres", &schema.config, "--schema", &schema.name, "move", "--to", back, "--yes"];
    let (code, said) = says(&here);
    assert!(code == 0 && said.contains("moved: 120 instances"), "{code} {said}");
}

#[test]
fn a_move_that_was_interrupted_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (filled(dir.path(), 120), dir.path().join("to.db"));
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let moves = ["--db", from, "move", "--to", to, "--yes", "--follow"];
    let mut child = saga(&moves).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    assert!(BufReader::new(child.stderr.take().unwrap()).lines().next().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, said) = says(&["--db", from, "move", "--give-up"]);
    assert!(code == 2 && said.contains("add --yes"), "{code} {said}");
    let (code, said) = says(&["--db", from, "move", "--give-up", "--yes"]);
    assert_eq!(code, 0, "{said}");
    let (_, pauses) = says(&["--db", from, "pauses"]);
    assert!(!pauses.contains("saga.move"), "{pauses}");
}
