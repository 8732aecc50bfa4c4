//! The files of this repository, for tests that hold documents and layers to them.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each test file uses its own part of it.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, by its path in the repository.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files with this ending below a folder, by their paths in the repository, in order.
pub fn files(below: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(below), ending, &mut found);
    found.sort();
    found.into_iter().map(|path| path.strip_prefix(root()).expect("it is below").to_owned()).collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, ending, found);
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
}

/// A test, or another function of the sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// The stem of its file; for a `mod.rs` the name of its folder.
    pub file: String,
    pub name: String,
}

/// Every function of every Rust file.
pub fn functions() -> Vec<Function> {
    let mut functions = Vec::new();
    for folder in [
        "src",
        "tests",
        "examples",
        "saga-cli",
        "saga-core",
        "saga-dashboard",
        "saga-macros",
        "saga-postgres",
        "saga-sqlite",
    ] {
        for path in files(folder, "rs") {
            let stem = |path: &Path| path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            let file = match stem(&path) {
                stem_of if stem_of == "mod" => stem(path.parent().expect("it is in a folder")),
                stem_of => stem_of,
            };
            for line in read(&path).lines() {
                let Some((before, rest)) = line.split_once("fn ") else { continue };
                let is_head = before.trim().split(' ').all(|word| {
                    word.is_empty() || word.starts_with("pub") || matches!(word, "async" | "const")
                });
                if is_head {
                    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                    functions
                        .push(Function { file: file.clone(), name: name.unwrap_or_default().to_owned() });
                }
            }
        }
    }
    functions.sort();
    functions.dedup();
    functions
}
