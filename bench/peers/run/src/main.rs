//! Builds each side, runs them in interleaved rounds and prints one table of medians.
//!
//! `cargo run --release --manifest-path bench/peers/run/Cargo.toml -- [--rounds N] [--seconds S] [--write] [LEVEL ..]
//! [SIDE ..]`. With `--write` the table also goes to `bench/peers/RESULTS.md`.

#![forbid(unsafe_code)]

mod build;
mod machine;
mod process;
mod sides;
mod table;

use std::path::{Path, PathBuf};

use process::{Outcome, Round};
use sides::{SIDES, Side};

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// What to run.
struct Options {
    rounds: usize,
    seconds: f64,
    write: bool,
    levels: Vec<usize>,
    only: Vec<String>,
}

/// What one side did at one level, round by round.
#[derive(Clone, Debug, Default)]
struct Cell {
    rounds: Vec<Option<Round>>,
    /// Why a round gave no figures.
    reason: Option<String>,
}

/// A side and its cells, one for each level.
struct Row {
    side: &'static Side,
    version: String,
    cells: Vec<Cell>,
}

fn options() -> Answer<Options> {
    let mut options = Options { rounds: 3, seconds: 2.0, write: false, levels: vec![], only: vec![] };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--write" => options.write = true,
            other => match other.parse() {
                Ok(level) => options.levels.push(level),
                Err(_) if SIDES.iter().any(|side| side.folder == other) => options.only.push(arg),
                Err(_) => return Err(format!("neither an option nor a level nor a side: {other}").into()),
            },
        }
    }
    if options.levels.is_empty() {
        options.levels = vec![1, 16, 256];
    }
    Ok(options)
}

fn main() -> Answer<()> {
    let options = options()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), PathBuf::from);
    let chosen = |side: &&Side| {
        // The ratio needs this library in each run.
        options.only.is_empty() || side.is_ours() || options.only.iter().any(|name| name == side.folder)
    };
    let mut rows = Vec::new();
    for side in SIDES.iter().filter(chosen) {
        let reason = build::build(&folder, &target, side).err().map(|error| error.to_string());
        let cells = vec![Cell { rounds: vec![], reason }; options.levels.len()];
        rows.push(Row { side, version: build::version(&folder, side), cells });
    }
    let mut facts = machine::Facts::before()?;
    measure(&options, &target, &mut rows)?;
    facts.after()?;
    let text = table::markdown(&facts, &options, &rows);
    println!("{text}");
    if options.write {
        std::fs::write(folder.join("RESULTS.md"), text + "\n")?;
    }
    Ok(())
}

/// Level by level and round by round, each side once, so that noise hits all sides.
fn measure(options: &Options, target: &Path, rows: &mut [Row]) -> Answer<()> {
    for (column, level) in options.levels.iter().enumerate() {
        for round in 0..options.rounds {
            for row in &mut *rows {
                let cell = &mut row.cells[column];
                // A side that gave a reason gives it again: a time limit is too long to wait for in each round.
                if cell.reason.is_some() {
                    cell.rounds.push(None);
                    continue;
                }
                let label = format!("{} {level} round {}", row.side.name, round + 1);
                match process::run(&build::program(target, row.side), row.side, *level, options.seconds)? {
                    Outcome::Measured(round) => {
                        eprintln!("{label}: {:.0} sagas/s", round.rate);
                        cell.rounds.push(Some(round));
                    }
                    Outcome::Reason(reason) => {
                        eprintln!("{label}: {reason}");
                        cell.rounds.push(None);
                        cell.reason = Some(reason);
                    }
                }
            }
        }
    }
    Ok(())
}
