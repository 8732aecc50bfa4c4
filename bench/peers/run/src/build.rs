//! Builds a side, finds its program, and reads the version of the peer from the lock file of the side.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Answer;
use crate::sides::Side;

/// Builds one side in release mode. The error holds the last lines of the compiler.
pub fn build(folder: &Path, target: &Path, side: &Side) -> Answer<()> {
    eprintln!("building {}", side.folder);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = folder.join(side.folder).join("Cargo.toml");
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().find(|line| line.starts_with("error")).unwrap_or("no reason given");
    Err(format!("not built: {first}").into())
}

/// The program of a side.
pub fn program(target: &Path, side: &Side) -> PathBuf {
    target.join("release").join(format!("peer-{}", side.folder))
}

/// The version that the lock file holds, or a dash.
pub fn version(folder: &Path, side: &Side) -> String {
    let lock = std::fs::read_to_string(folder.join(side.folder).join("Cargo.lock")).unwrap_or_default();
    let name = format!("name = \"{}\"", side.package);
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.map_or_else(|| "–".to_owned(), |version| version.trim_matches('"').to_owned())
}
