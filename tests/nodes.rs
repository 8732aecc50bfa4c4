//! Three processes share the work on one PostgreSQL server, and one after the other is killed, frozen, or replaced. The bank is the
//! witness. The program is `examples/cluster`.

#![cfg(feature = "postgres")]

#[path = "../saga-postgres/tests/support/mod.rs"]
mod cluster;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

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

/// Runs the example, and returns the figures of its last line. Each order must have ended, and no instance may be parked.
fn run(orders: u64, ttl_ms: u64, args: &[&str]) -> Option<Value> {
    if !cluster::is_here() {
        return None;
    }
    let output = Command::new(program())
        .args(["--count", &orders.to_string(), "--ttl-ms", &ttl_ms.to_string(), "--json"])
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .expect("the example runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let figures: Value = serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
    // Cargo hides the output of a test that passes, and not that of the process.
    let _ = writeln!(std::io::stderr(), "nodes {args:?}: {figures}");
    assert_eq!((&figures["orders"], &figures["parked"]), (&orders.into(), &0.into()));
    let cancelled = figures["cancelled"].as_u64().expect("a number");
    assert!(cancelled > orders / 20, "too few compensations to mean anything: {figures}");
    let ended =
        ["completed", "payment_failed", "cancelled"].map(|end| figures[end].as_u64().expect("a number"));
    assert_eq!(ended.iter().sum::<u64>(), orders);
    Some(figures)
}

#[test]
fn kills_and_freezes_of_nodes_lose_nothing_and_move_no_cent_twice() {
    let Some(figures) = run(2_000, 1_000, &["--blows", "20", "--pause-ms", "20"]) else { return };
    assert_eq!((&figures["kills"], &figures["freezes"]), (&10.into(), &10.into()));
}

#[test]
fn kills_and_freezes_of_a_single_owner_lose_nothing_and_move_no_cent_twice() {
    let Some(figures) = run(600, 1_000, &["--blows", "6", "--pause-ms", "20", "--shards", "1"]) else {
        return;
    };
    assert_eq!((&figures["kills"], &figures["freezes"]), (&3.into(), &3.into()));
}

#[test]
fn a_rolling_update_moves_each_shard_at_most_twice_while_orders_run() {
    // No process may seem to be silent on a slow machine, because its shards would move once more.
    let Some(figures) = run(800, 10_000, &["--roll", "--pause-ms", "15"]) else { return };
    let moves = figures["moves"].as_u64().expect("a number");
    assert!((1..=2).contains(&moves), "{figures}");
}
