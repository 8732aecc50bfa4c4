//! The command line of the example, and of the nodes that it starts.

use std::path::PathBuf;
use std::time::Duration;

/// What the command line asks for.
#[derive(Debug)]
pub enum Mode {
    Help,
    /// All of it.
    Cluster(Options),
    /// One node, started by the example itself.
    Node(NodeOptions),
}

#[derive(Clone, Debug)]
pub struct Options {
    /// How many orders to generate. `None` for the bundled ones.
    pub count: Option<u64>,
    /// The time between two orders.
    pub pause: Duration,
    /// The number of nodes to kill or freeze.
    pub blows: usize,
    /// How long an owner may be silent.
    pub ttl: Duration,
    pub seed: u64,
    /// The number of shards.
    pub shards: u16,
    /// Replace the nodes by those of a later release, instead of killing them.
    pub roll: bool,
    pub json: bool,
}

#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub name: String,
    pub config: String,
    pub bank: PathBuf,
    pub ttl: Duration,
    pub seed: u64,
    /// The number of the release.
    pub build: u64,
}

/// The help text.
pub const HELP: &str = "\
Three nodes of the order shop share one PostgreSQL database, and one of them is killed again and again.

  cluster [OPTIONS]

  --count N      generate N orders                  (default: the 1,000 orders of the order example)
  --pause-ms N   the time between two orders        (default: 10)
  --blows N      how many nodes are killed or frozen while they run a shard (default: 4)
  --shards N     the parts that the nodes share; with 1 one node works and the others stand by (default: 12)
  --roll         replace the nodes one by one by those of a later release, instead of killing them
  --ttl-ms N     how long an owner may be silent    (default: 3000, at least 1000)
  --seed S       which orders meet with trouble     (default: 1)
  --json         the last line is one JSON object
  --help         this text";

pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Mode, String> {
    let (mut count, mut pause, mut blows, mut ttl, mut seed, mut json) = (None, 10, 4, 3_000, 1, false);
    let (mut node, mut config, mut bank, mut shards) = (None, String::new(), PathBuf::new(), 12);
    let (mut roll, mut build) = (false, 1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--count" => count = Some(number(&arg, &value()?)?),
            "--pause-ms" => pause = number(&arg, &value()?)?,
            "--blows" => blows = number(&arg, &value()?)?,
            "--ttl-ms" => ttl = number(&arg, &value()?)?,
            "--shards" => shards = number(&arg, &value()?)?,
            "--seed" => seed = number(&arg, &value()?)?,
            "--json" => json = true,
            "--roll" => roll = true,
            "--build" => build = number(&arg, &value()?)?,
            "--node" => node = Some(value()?),
            "--config" => config = value()?,
            "--bank" => bank = value()?.into(),
            "--help" | "-h" => return Ok(Mode::Help),
            _ => return Err(format!("unknown option `{arg}`")),
        }
    }
    let ttl = Duration::from_millis(ttl);
    Ok(match node {
        Some(name) => Mode::Node(NodeOptions { name, config, bank, ttl, seed, build }),
        None => Mode::Cluster(Options {
            count,
            pause: Duration::from_millis(pause),
            blows: usize::try_from(blows).unwrap_or(usize::MAX),
            ttl,
            seed,
            shards: u16::try_from(shards).map_err(|_| "`--shards` is at most 256".to_owned())?,
            roll,
            json,
        }),
    })
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{option}` takes a whole number, not `{text}`"))
}
