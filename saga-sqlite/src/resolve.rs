//! The resolution of a path to one file.
//!
//! Owns: the possible paths of a store, and the one spelling of each path: absolute, without symbolic links. SQLite,
//! the lock and the files beside the database use this spelling. Different spellings of a path therefore use the same
//! lock. A later change of the working directory has no effect.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use saga_core::store::StoreError;

/// Returns the path of the existing or future file.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let found = match no_file(path) {
        Some(why) => Err(why.to_owned()),
        None => real(path),
    };
    found.map_err(|detail| StoreError::Open { store: named(path), detail })
}

/// Returns the name of an unresolved path for errors.
fn named(path: &Path) -> String {
    if path.as_os_str().is_empty() { "an empty path".to_owned() } else { path.display().to_string() }
}

/// Returns the reason why a path with a special meaning in SQLite cannot be a store.
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

/// Returns the resolved path of a file that does not exist yet.
fn future(path: &Path) -> Result<PathBuf, String> {
    if let Ok(target) = fs::read_link(path) {
        // The volume of the target may not be mounted. A new empty store would hide the sagas of the real store.
        let target = target.display();
        return Err(format!(
            "the path is a symbolic link to {target}; this target does not exist; restore the target, or remove the link"
        ));
    }
    let Some(name) = path.file_name() else {
        return Err(
            "the last part of the path is not a file name; name a file; a missing file is created".to_owned()
        );
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
            "this process may not search a directory of the path; give this process the right to search the directory".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Refuses a file with more than one hard link.
///
/// SQLite keeps the log beside the opened name. Under another name the last commits are missing, and the lock is
/// another one. No lock can solve the problem of the log. The check happens only at opening. A later link does no harm
/// before its own opening. That opening is refused.
pub(crate) fn refuse_links(metadata: &Metadata) -> Result<(), String> {
    #[cfg(unix)]
    {
        let links = std::os::unix::fs::MetadataExt::nlink(metadata);
        if links > 1 {
            return Err(format!(
                "the file has {links} hard links; a store must have one name; remove the other links (`find \
                 -samefile` lists all links)"
            ));
        }
    }
    // The standard library gives no count of links on other platforms.
    #[cfg(not(unix))]
    let _ = metadata;
    Ok(())
}
