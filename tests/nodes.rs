//! Three processes on one PostgreSQL server, of which the one that runs the sagas is killed or frozen, again and again. The bank
//! is the witness. The program is `examples/cluster`.

#![cfg(feature = "postgres")]

#[path = "../saga-postgres/tests/support/mod.rs"]
mod cluster;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

const BLOWS: u64 = 20;
const ORDERS: u64 = 1_500;

/// The example as a program. `cargo test` builds it only as a test of itself, so it is built here.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--all-features", "--example", "cluster"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "the example does not build");
    folder.join("examples").join(format!("cluster{}", std::env::consts::EXE_SUFFIX))
}

#[test]
fn kills_and_freezes_of_the_owner_lose_nothing_and_move_no_cent_twice() {
    if !cluster::is_here() {
        return;
    }
    let output = Command::new(program())
        .args(["--count", &ORDERS.to_string(), "--blows", &BLOWS.to_string()])
        .args(["--ttl-ms", "1000", "--pause-ms", "8", "--json"])
        .stderr(Stdio::inherit())
        .output()
        .expect("the example runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let figures: Value = serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
    // Cargo hides the output of a test that passes, and not that of the process.
    let _ = writeln!(std::io::stderr(), "nodes: {figures}");
    assert_eq!((&figures["kills"], &figures["freezes"]), (&(BLOWS / 2).into(), &(BLOWS / 2).into()));
    assert_eq!((&figures["orders"], &figures["parked"]), (&ORDERS.into(), &0.into()));
    assert!(figures["cancelled"].as_u64() > Some(100), "too few compensations to mean anything: {figures}");
    let ended =
        ["completed", "payment_failed", "cancelled"].map(|end| figures[end].as_u64().expect("a number"));
    assert_eq!(ended.iter().sum::<u64>(), ORDERS);
}
