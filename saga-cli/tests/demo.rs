//! The demo starts, says where it is, and leaves nothing behind.

#![cfg(feature = "demo")]

use std::process::Command;

#[test]
fn a_demo_says_its_link_and_removes_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_saga"));
    demo.args(["demo", "--port", "0", "--seconds", "1"]).env("TMPDIR", folder.path());
    let output = demo.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Open http://127.0.0.1:") && said.contains("/log-in?code="), "{said}");
    assert!(said.contains("log in with the token "), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the folder of the shop is gone");
}

#[test]
fn a_dashboard_on_a_file_says_its_link_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    drop(saga_sqlite::SqliteStore::open(&file).unwrap());
    let mut ui = Command::new(env!("CARGO_BIN_EXE_saga"));
    ui.arg("--db").arg(&file).args(["ui", "--port", "0", "--seconds", "0", "--read-only"]);
    let output = ui.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("/log-in?code="), "{said}");
    assert!(output.stdout.is_empty(), "standard output is for data");
}
