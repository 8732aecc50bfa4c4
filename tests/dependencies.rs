//! The crates that may be linked: what `deny.toml` refuses, held also where `cargo deny` is not installed.

#![allow(missing_docs)]

#[path = "support/sources.rs"]
mod sources;

use sources::read;

/// The names of all packages in the lock file, with where each comes from.
fn locked() -> Vec<(String, Option<String>)> {
    let lock = read("Cargo.lock");
    let field = |package: &str, name: &str| {
        package.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().trim_matches('"').to_owned()))
    };
    let packages = lock.split("[[package]]").skip(1);
    packages
        .map(|package| (field(package, "name =").expect("it has a name"), field(package, "source =")))
        .collect()
}

#[test]
fn no_refused_crate_is_locked() {
    let deny = read("deny.toml");
    let refused: Vec<&str> =
        deny.split("{ crate = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(refused.len() >= 10, "{refused:?}");
    for (name, _) in locked() {
        assert!(!refused.contains(&name.as_str()), "`{name}` is refused by deny.toml");
    }
}

#[test]
fn every_crate_comes_from_the_registry_or_from_here() {
    let from_here = [
        "saga-rs",
        "saga-core",
        "saga-macros",
        "saga-postgres",
        "saga-sqlite",
        "saga-stored",
        "saga-cli",
        "saga-dashboard",
        "saga-opentelemetry",
        "saga-browser-tests",
        "saga-sqlx-tests",
    ];
    for (name, source) in locked() {
        match source {
            None => assert!(from_here.contains(&name.as_str()), "`{name}` is of no registry"),
            Some(source) => assert!(source.starts_with("registry+"), "`{name}` comes from {source}"),
        }
    }
}

/// Two versions of one crate cost time to build, and their types do not fit.
#[test]
fn heavy_crates_are_locked_once() {
    let names: Vec<String> = locked().into_iter().map(|(name, _)| name).collect();
    for heavy in ["tokio", "serde", "serde_json", "rusqlite", "libsqlite3-sys", "uuid", "jiff", "tracing"] {
        assert_eq!(names.iter().filter(|name| *name == heavy).count(), 1, "{heavy}");
    }
}
