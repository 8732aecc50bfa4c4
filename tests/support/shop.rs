//! The shop of `examples/order` as a program.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each test file uses its own part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The example as a program. `cargo test` builds it only as a test of itself, so it is built here, once.
fn shop() -> &'static Path {
    static SHOP: OnceLock<PathBuf> = OnceLock::new();
    SHOP.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--all-features", "--example", "order"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the example does not build");
        let shop = folder.join("examples").join(format!("order{}", std::env::consts::EXE_SUFFIX));
        assert!(shop.exists(), "cargo has built {} somewhere else", shop.display());
        shop
    })
}

/// The shop on the files of a folder.
pub fn run(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(shop());
    command.arg("--db").arg(folder.join("orders.db")).arg("--bank").arg(folder.join("bank")).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Runs to the end and returns the figures of the last line.
pub fn finished(folder: &Path, args: &[&str]) -> Value {
    let output = run(folder, args).arg("--json").output().expect("the shop starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {text}", output.status);
    serde_json::from_str(text.lines().last().expect("a last line")).expect("the last line is JSON")
}
