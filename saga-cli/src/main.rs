//! `saga`: the command line. It reads a store, and hands decisions to the dispatcher by the inbox.
//!
//! Owns: the verbs, their output and the exit codes. Does not own: the reads themselves (`Inspect`).

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program, not a library.

mod args;
mod batch;
mod body;
mod check;
mod conditions;
mod copy;
mod decide;
#[cfg(feature = "demo")]
mod demo;
mod migrate;
mod open;
mod operate;
mod output;
mod relocate;
mod source;
mod stats;
#[cfg(feature = "ui")]
mod ui;
mod verbs;
mod wait;
mod watch;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use args::{Arguments, Migrate, Verb};
use clap::{CommandFactory, Parser};
use output::{Output, Written, tell};
use saga_core::store::StoreError;
use source::{Place, Source};

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
    let ended = run(Arguments::parse()).unwrap_or_else(|error| {
        tell(&format!("saga: {}", output::plain(&format!("{error:#}"))));
        match error.downcast_ref::<StoreError>() {
            Some(StoreError::Corrupt { .. }) => Ended::Damaged,
            _ => Ended::Failed,
        }
    });
    ExitCode::from(ended as u8)
}

fn run(arguments: Arguments) -> Result<Ended> {
    if let Verb::Completions { shell } = arguments.verb {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "saga", &mut script);
        return closed(std::io::stdout().write_all(&script)).map(|_| Ended::Well);
    }
    if arguments.watch && !arguments.verb.shows() {
        tell("saga: --watch is for the verbs that show something, such as ls, show and count");
        return Ok(Ended::Usage);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[cfg(feature = "demo")]
    if let Verb::Demo(demo) = &arguments.verb {
        return runtime.block_on(demo::demo(demo));
    }
    let place = Place::of(&arguments)?;
    if let Verb::Import { from } = &arguments.verb {
        return runtime.block_on(copy::import(from, &place.file()?));
    }
    if let Verb::Move(of) = &arguments.verb {
        let mut written = Written::default();
        let output = &mut Output::new(arguments.output, &mut written);
        let ended = runtime.block_on(relocate::relocate(&place, of, output));
        closed(written.print())?;
        return ended;
    }
    if let Verb::Migrate(verb) = &arguments.verb {
        let mut written = Written::default();
        let output = &mut Output::new(arguments.output, &mut written);
        let ended = runtime.block_on(async {
            match verb {
                Migrate::Status => migrate::status(&place, output).await,
                Migrate::Run => migrate::run(&place, output).await,
            }
        });
        closed(written.print())?;
        return ended;
    }
    let store = runtime.block_on(Source::open(&place))?;
    if arguments.watch {
        return runtime.block_on(watch::watch(&arguments.verb, &store, arguments.reveal, arguments.output));
    }
    let mut written = Written::default();
    let ended = runtime.block_on(verbs::run(
        &arguments.verb,
        &store,
        arguments.reveal,
        &mut Output::new(arguments.output, &mut written),
    ));
    // A verb that fails may have written something before.
    closed(written.print())?;
    ended
}

/// Returns whether the reader has closed the output, which `head` does early.
fn closed(written: std::io::Result<()>) -> Result<bool> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(true),
        written => written.context("the output cannot be written").map(|()| false),
    }
}
