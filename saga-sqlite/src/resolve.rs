//! From the path an application names to the one file it means.
//!
//! Owns: which paths a store can have, and the one spelling of each: absolute, without symbolic links. SQLite, the lock
//! and the files beside the database all start from that spelling, so two ways to write a path meet at one lock, and a
//! later change of the working directory moves nothing.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use saga_core::store::StoreError;

/// Where the file is, or will be once it is created.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let found = match no_file(path) {
        Some(why) => Err(why.to_owned()),
        None => real(path),
    };
    found.map_err(|detail| StoreError::Open { store: named(path), detail })
}

/// How an error names a path that could not be resolved.
fn named(path: &Path) -> String {
    if path.as_os_str().is_empty() { "an empty path".to_owned() } else { path.display().to_string() }
}

/// Why a path that SQLite gives a meaning of its own cannot be that of a store.
fn no_file(path: &Path) -> Option<&'static str> {
    match path.as_os_str().as_encoded_bytes() {
        b"" | b":memory:" => Some("a store is a file; use `MemoryStore` to keep everything in memory"),
        address if address.starts_with(b"file:") => Some(
            "a store takes a plain path; leave out `file:` and parameters, or use `MemoryStore` instead of \
             an address in memory",
        ),
        _ => None,
    }
}

fn real(path: &Path) -> Result<PathBuf, String> {
    match fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == ErrorKind::NotFound => future(path),
        Err(error) => Err(unsearchable(&error)),
    }
}

/// Where a file that does not exist yet will be.
fn future(path: &Path) -> Result<PathBuf, String> {
    if let Ok(target) = fs::read_link(path) {
        // Its volume may not be mounted. An empty store in its place would hide the sagas of the real one.
        let target = target.display();
        return Err(format!(
            "it is a symbolic link to {target}, where there is no file; bring that back, or remove the link"
        ));
    }
    let Some(name) = path.file_name() else {
        return Err("its last part is no name of a file; name a file, which is created if need be".to_owned());
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::canonicalize(directory) {
        Ok(directory) => Ok(directory.join(name)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("its directory does not exist; create it first".to_owned())
        }
        Err(error) => Err(unsearchable(&error)),
    }
}

fn unsearchable(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotADirectory => "a directory of its path is a file; name another path".to_owned(),
        ErrorKind::PermissionDenied => {
            "this process may not search a directory of its path; give it the right to".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Refuses a file that has more than one name.
///
/// SQLite keeps the log beside the name by which the file was opened. By another name the last commits are missing,
/// and both names have a lock of their own. No lock can mend the first, so there is no opening such a file. Looked at
/// when it is opened only: a name that is added later does no harm until somebody opens it, and is then refused.
pub(crate) fn refuse_links(metadata: &Metadata) -> Result<(), String> {
    #[cfg(unix)]
    {
        let links = std::os::unix::fs::MetadataExt::nlink(metadata);
        if links > 1 {
            return Err(format!(
                "the file has {links} hard links, and a store must have one name; remove the others, which \
                 `find -samefile` lists"
            ));
        }
    }
    // Elsewhere the standard library does not tell.
    #[cfg(not(unix))]
    let _ = metadata;
    Ok(())
}
