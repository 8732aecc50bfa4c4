//! The processes of the nodes, and the blows that hit them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Anything;
use crate::node::RUNS;
use crate::options::Options;

const NODES: usize = 3;
/// The time between a take-over and the next blow, so that orders move in between.
const REST: Duration = Duration::from_millis(400);
/// The time after which a missing take-over is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a node is frozen anew, because it was within a call to the bank.
const FREEZES: usize = 20;
/// The looks at the lock of the bank after a freeze, and the time between two of them.
const LOOKS: usize = 500;
const LOOK: Duration = Duration::from_millis(1);

pub struct Nodes {
    nodes: Vec<Node>,
    said: UnboundedReceiver<(usize, u64, String)>,
    speak: UnboundedSender<(usize, u64, String)>,
    config: String,
    bank: PathBuf,
    ttl: Duration,
    seed: u64,
    shards: u16,
    /// Who has run each shard, one after the other.
    runners: BTreeMap<u16, Vec<u64>>,
    /// Counts the processes, so that a line of a killed one is not taken for one of its successor.
    spawned: u64,
}

struct Node {
    process: Child,
    stdin: Option<ChildStdin>,
    /// The number of its process.
    number: u64,
    /// The shards that it runs, as it said last. Empty from a blow to the next word.
    shards: BTreeSet<u16>,
    frozen: bool,
}

/// What has happened to the nodes.
#[derive(Default)]
pub struct Blows {
    pub kills: usize,
    pub freezes: usize,
    pub longest_gap: Duration,
    /// How often a shard has moved at most, while the nodes were replaced by those of a later release.
    pub moves: usize,
}

impl Nodes {
    pub fn start(config: &str, bank: &Path, options: &Options) -> Result<Self, Anything> {
        let (speak, said) = unbounded_channel();
        let mut nodes = Self {
            nodes: Vec::new(),
            said,
            speak,
            config: config.to_owned(),
            bank: bank.to_owned(),
            ttl: options.ttl,
            seed: options.seed,
            shards: options.shards,
            runners: BTreeMap::new(),
            spawned: 0,
        };
        for at in 0..NODES {
            let node = nodes.spawn(at, 1)?;
            nodes.nodes.push(node);
        }
        Ok(nodes)
    }

    fn spawn(&mut self, at: usize, build: u64) -> Result<Node, Anything> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--node", &format!("node {}", at + 1), "--config", &self.config])
            .args(["--ttl-ms", &self.ttl.as_millis().to_string(), "--seed", &self.seed.to_string()])
            .args(["--build", &build.to_string()])
            .arg("--bank")
            .arg(&self.bank)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, speak) = (process.stdin.take(), process.stdout.take(), self.speak.clone());
        self.spawned += 1;
        let number = self.spawned;
        std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
                let Ok(line) = line else { return };
                println!("node {} {line}", at + 1);
                if speak.send((at, number, line)).is_err() {
                    return;
                }
            }
        });
        Ok(Node { process, stdin, number, shards: BTreeSet::new(), frozen: false })
    }

    /// Kills or freezes one node after the other, again and again.
    pub async fn strike(&mut self, options: &Options) -> Result<Blows, Anything> {
        let mut blows = Blows::default();
        if options.roll {
            blows.moves = self.roll().await?;
            return Ok(blows);
        }
        self.all_run().await?;
        for blow in 0..options.blows {
            tokio::time::sleep(REST).await;
            self.all_run().await?;
            let victim = self.victim(blow);
            let struck = Instant::now();
            if blow % 2 == 0 {
                println!("node {} is killed", victim + 1);
                self.nodes[victim].process.kill()?;
                self.nodes[victim].process.wait()?;
                self.nodes[victim].shards.clear();
                self.nodes[victim].number = 0;
                self.all_run().await?;
                blows.longest_gap = blows.longest_gap.max(struck.elapsed());
                self.nodes[victim] = self.spawn(victim, 1)?;
                blows.kills += 1;
            } else {
                println!("node {} is frozen", victim + 1);
                self.freeze(victim).await?;
                // What it has said before counts no more.
                while let Ok((at, number, line)) = self.said.try_recv() {
                    self.note(at, number, &line);
                }
                self.nodes[victim].shards.clear();
                self.nodes[victim].frozen = true;
                self.all_run().await?;
                blows.longest_gap = blows.longest_gap.max(struck.elapsed());
                self.nodes[victim].frozen = false;
                signal(&self.nodes[victim].process, "CONT")?;
                // It finds out by itself.
                self.hears(|nodes| nodes.nodes[victim].shards.is_empty()).await?;
                blows.freezes += 1;
            }
        }
        Ok(blows)
    }

    /// Replaces the nodes by those of a later release: each new one joins, and then an earlier one stops. Returns how often a
    /// shard has moved at most.
    pub async fn roll(&mut self) -> Result<usize, Anything> {
        let shards = usize::from(self.shards);
        self.hears(|nodes| nodes.nodes.iter().all(|node| node.shards.len() >= shards / NODES)).await?;
        self.runners.values_mut().for_each(|runners| drop(runners.drain(..runners.len() - 1)));
        for at in 0..NODES {
            let node = self.spawn(NODES + at, 2)?;
            self.nodes.push(node);
            // As a node does that is ready when `balanced` returns. From half of the nodes on, the new release has all shards.
            let all = NODES + 1;
            let share = if 2 * (at + 1) >= all { shards / (at + 1) } else { shards / all };
            self.hears(|nodes| nodes.nodes[NODES + at].shards.len() >= share).await?;
            println!("node {} is stopped", at + 1);
            drop(self.nodes[at].stdin.take());
            self.hears(|nodes| nodes.nodes[at].shards.is_empty()).await?;
            self.all_run().await?;
        }
        Ok(self.runners.values().map(|runners| runners.len() - 1).max().unwrap_or(0))
    }

    /// Freezes a node between two calls to the bank. A node that is frozen within a call keeps the lock of the bank, and
    /// all threads of the other nodes wait for it.
    async fn freeze(&self, victim: usize) -> Result<(), Anything> {
        let (process, bank) = (&self.nodes[victim].process, File::open(&self.bank)?);
        for _ in 0..FREEZES {
            signal(process, "STOP")?;
            if is_free(&bank).await? {
                return Ok(());
            }
            signal(process, "CONT")?;
        }
        Err("each freeze came within a call to the bank".into())
    }

    /// The next node in turn that runs a shard.
    fn victim(&self, blow: usize) -> usize {
        let turn = (0..NODES).map(|n| (blow + n) % NODES);
        turn.into_iter().find(|at| !self.nodes[*at].shards.is_empty()).unwrap_or(0)
    }

    /// Waits until each shard is run by a node.
    async fn all_run(&mut self) -> Result<(), Anything> {
        let shards = self.shards;
        self.hears(|nodes| {
            let all: BTreeSet<u16> =
                nodes.nodes.iter().flat_map(|node| node.shards.iter().copied()).collect();
            all.len() == usize::from(shards)
        })
        .await
    }

    fn note(&mut self, at: usize, number: u64, line: &str) {
        let node = &mut self.nodes[at];
        if node.number == number
            && !node.frozen
            && let Some(shards) = line.strip_prefix(RUNS)
        {
            node.shards = shards.split_whitespace().filter_map(|shard| shard.parse().ok()).collect();
            for shard in &node.shards {
                let runners = self.runners.entry(*shard).or_default();
                if runners.last() != Some(&number) {
                    runners.push(number);
                }
            }
        }
    }

    /// Waits until the nodes have said this.
    async fn hears(&mut self, wanted: impl Fn(&Self) -> bool) -> Result<(), Anything> {
        let heard = async {
            while let Ok((at, number, line)) = self.said.try_recv() {
                self.note(at, number, &line);
            }
            while !wanted(self) {
                let Some((at, number, line)) = self.said.recv().await else { return };
                self.note(at, number, &line);
            }
        };
        let heard = tokio::time::timeout(PATIENCE, heard).await;
        heard.map_err(|_| "the shards were not taken over within a minute".into())
    }

    /// Ends all nodes, each after its running attempts.
    pub async fn stop(mut self) -> Result<(), Anything> {
        for node in &mut self.nodes {
            drop(node.stdin.take());
        }
        for (at, mut node) in self.nodes.drain(..).enumerate() {
            let status = tokio::task::spawn_blocking(move || node.process.wait()).await??;
            if !status.success() {
                return Err(format!("node {} ended with {status}", at + 1).into());
            }
        }
        Ok(())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // It may have ended by itself.
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
    }
}

/// Whether no frozen process has the lock of the bank. The other processes have it for moments only.
async fn is_free(bank: &File) -> io::Result<bool> {
    for _ in 0..LOOKS {
        match bank.try_lock() {
            Ok(()) => return bank.unlock().map(|()| true),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

fn signal(process: &Child, name: &str) -> Result<(), Anything> {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status()?;
    if sent.success() { Ok(()) } else { Err(format!("the signal {name} was not sent").into()) }
}
