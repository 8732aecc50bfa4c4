//! `saga`: the command line. It reads a store, and hands decisions to the dispatcher by the inbox.
//!
//! Owns: the verbs, their output and the exit codes. Does not own: the reads themselves (`Inspect`).

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program, not a library.

mod args;
mod batch;
mod body;
mod check;
mod decide;
#[cfg(feature = "demo")]
mod demo;
mod operate;
mod output;
#[cfg(feature = "ui")]
mod ui;
mod verbs;
mod wait;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use args::{Arguments, Verb};
use clap::{CommandFactory, Parser};
use output::{Output, tell};
use saga_core::store::StoreError;
use saga_sqlite::SqliteReader;

/// How a verb has ended, as the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Ended {
    Well = 0,
    /// The store cannot be used.
    Failed = 1,
    /// Nobody could be asked whether the decision is meant.
    Usage = 2,
    /// The instance or the letter does not exist.
    NotFound = 3,
    /// The instance has declined the decision.
    Declined = 4,
    /// No dispatcher has applied the decision yet, or the instance is not where the wait ends.
    NotYet = 5,
    /// The store has damage.
    Damaged = 6,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut written = Vec::new();
    let ended = run(arguments, &mut written);
    let mut to = std::io::stdout();
    let written = to.write_all(&written).and_then(|()| to.flush());
    // A reader such as `head` may close the pipe early.
    let written =
        written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) });
    let ended = ended.and_then(|ended| written.context("the output cannot be written").map(|()| ended));
    let ended = ended.unwrap_or_else(|error| {
        tell(&format!("saga: {}", output::plain(&format!("{error:#}"))));
        match error.downcast_ref::<StoreError>() {
            Some(StoreError::Corrupt { .. }) => Ended::Damaged,
            _ => Ended::Failed,
        }
    });
    ExitCode::from(ended as u8)
}

fn run(arguments: Arguments, to: &mut Vec<u8>) -> Result<Ended> {
    if let Verb::Completions { shell } = arguments.verb {
        clap_complete::generate(shell, &mut Arguments::command(), "saga", to);
        return Ok(Ended::Well);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[cfg(feature = "demo")]
    if let Verb::Demo(demo) = &arguments.verb {
        return runtime.block_on(demo::demo(demo));
    }
    let path = arguments.db.context("name the store with --db FILE, or set SAGA_DB")?;
    let store = SqliteReader::open(path)?;
    let mut output = Output::new(arguments.output, to);
    runtime.block_on(verbs::run(arguments.verb, &store, &mut output))
}
