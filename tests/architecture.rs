//! The invariants of ARCHITECTURE.md about who may know whom.

#![allow(missing_docs)]

#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sources::{files, read};

/// The top modules of `saga-core`, each above those that it may use.
const LAYERS: [&str; 11] = [
    "shape",
    "message",
    "step",
    "definition",
    "machine",
    "store",
    "engine",
    "dispatcher",
    "recurring",
    "routing_slip",
    "testing",
];

/// The code of a file: no comments, and nothing of its unit tests.
fn code(path: &Path) -> String {
    let text = read(path);
    let without_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = without_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The files that are shipped, of one crate or of a folder in it.
fn shipped(folder: &str) -> Vec<PathBuf> {
    let tests = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.contains("simulation") || text.ends_with("tests.rs") || text.ends_with("properties.rs")
    };
    files(folder, "rs").into_iter().filter(|path| !tests(path)).collect()
}

/// The names that stand behind `before` in a text, such as modules behind `crate::`.
fn names_behind<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

#[test]
fn no_module_of_the_core_knows_one_above_it() {
    let mut arrows: BTreeMap<(usize, usize), BTreeSet<PathBuf>> = BTreeMap::new();
    for path in shipped("saga-core/src") {
        let top = path.iter().nth(2).expect("it is in the source folder").to_string_lossy().into_owned();
        let Some(from) = LAYERS.iter().position(|layer| top == *layer) else {
            assert_eq!(top, "lib.rs", "a module that is no layer");
            continue;
        };
        for to in names_behind(&code(&path), "crate::") {
            if let Some(to) = LAYERS.iter().position(|layer| to == *layer) {
                arrows.entry((from, to)).or_default().insert(path.clone());
            }
        }
    }
    assert!(arrows.len() > 20, "the arrows are found");
    for ((from, to), paths) in arrows {
        assert!(from >= to, "`{}` knows `{}`, which is above it: {paths:?}", LAYERS[from], LAYERS[to]);
    }
}

#[test]
fn the_machine_waits_for_nothing_and_the_engine_has_no_runtime() {
    for (folder, words) in [
        (
            "saga-core/src/machine",
            &["tokio", "async ", ".await;", ".await?", "std::fs", "std::net", "SystemTime", "Instant"][..],
        ),
        ("saga-core/src/step", &["tokio", "async ", ".await;", ".await?", "std::fs"][..]),
        ("saga-core/src/definition", &["tokio", "async ", ".await;", ".await?", "std::fs"][..]),
        (
            "saga-core/src/engine",
            &["tokio::runtime", "async ", ".await;", ".await?", "std::fs", "std::thread", "Instant::now"][..],
        ),
    ] {
        for path in shipped(folder) {
            let code = code(&path);
            for word in words {
                assert!(!code.contains(word), "{} has `{word}`", path.display());
            }
        }
    }
}

#[test]
fn only_the_store_of_sqlite_speaks_sql() {
    for folder in ["saga-core/src", "saga-macros/src", "src"] {
        for path in shipped(folder) {
            let code = code(&path);
            for word in ["rusqlite", "SELECT ", "INSERT INTO", "UPDATE "] {
                // A store of the facade is re-exported by its crate.
                assert!(!code.contains(word), "{} has `{word}`", path.display());
            }
        }
    }
}

#[test]
fn no_library_prints_or_is_unsafe() {
    for folder in ["saga-core/src", "saga-dashboard/src", "saga-macros/src", "saga-sqlite/src", "src"] {
        for path in shipped(folder) {
            let code = code(&path);
            for word in ["println!", "eprintln!", "print!", "dbg!", "unsafe "] {
                assert!(!code.contains(word), "{} has `{word}`", path.display());
            }
        }
    }
}

#[test]
fn one_file_gives_the_permit_to_start_an_attempt() {
    for path in shipped("saga-core/src") {
        if code(&path).contains("Out::Run(") {
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            assert!(["start.rs", "performing.rs"].contains(&&*name), "{}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for folder in ["saga-core/src", "saga-dashboard/src", "saga-macros/src", "saga-sqlite/src", "src"] {
        for path in files(folder, "rs") {
            let text = read(&path);
            assert!(text.starts_with("//!") || text.starts_with("#!["), "{} has no header", path.display());
        }
    }
}
