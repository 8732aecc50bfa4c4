//! The processes of the nodes, and the blows that hit them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Anything;
use crate::node::{LOST, RUNS};
use crate::options::Options;

const NODES: usize = 3;
/// The time between a take-over and the next blow, so that orders move in between.
const REST: Duration = Duration::from_millis(400);
/// The time after which a missing take-over is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Nodes {
    nodes: Vec<Node>,
    said: UnboundedReceiver<(usize, String)>,
    speak: UnboundedSender<(usize, String)>,
    config: String,
    bank: PathBuf,
    ttl: Duration,
    seed: u64,
    /// The node that runs the sagas.
    owner: Option<usize>,
    /// Whether each node says that it runs the sagas. A frozen one says so until it finds out.
    runs: [bool; NODES],
}

struct Node {
    process: Child,
    stdin: Option<ChildStdin>,
}

/// What has happened to the nodes.
#[derive(Default)]
pub struct Blows {
    pub kills: usize,
    pub freezes: usize,
    pub longest_gap: Duration,
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
            owner: None,
            runs: [false; NODES],
        };
        for at in 0..NODES {
            let node = nodes.spawn(at)?;
            nodes.nodes.push(node);
        }
        Ok(nodes)
    }

    fn spawn(&self, at: usize) -> Result<Node, Anything> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--node", &format!("node {}", at + 1), "--config", &self.config])
            .args(["--ttl-ms", &self.ttl.as_millis().to_string(), "--seed", &self.seed.to_string()])
            .arg("--bank")
            .arg(&self.bank)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, speak) = (process.stdin.take(), process.stdout.take(), self.speak.clone());
        std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
                let Ok(line) = line else { return };
                println!("node {} {line}", at + 1);
                if speak.send((at, line)).is_err() {
                    return;
                }
            }
        });
        Ok(Node { process, stdin })
    }

    /// Kills or freezes the owner, again and again.
    pub async fn strike(&mut self, options: &Options) -> Result<Blows, Anything> {
        let mut blows = Blows::default();
        self.next_owner(None).await?;
        for blow in 0..options.blows {
            tokio::time::sleep(REST).await;
            let owner = self.catch_up().await?;
            let struck = Instant::now();
            if blow % 2 == 0 {
                println!("node {} is killed", owner + 1);
                self.nodes[owner].process.kill()?;
                self.nodes[owner].process.wait()?;
                self.next_owner(Some(owner)).await?;
                self.nodes[owner] = self.spawn(owner)?;
                blows.kills += 1;
            } else {
                println!("node {} is frozen", owner + 1);
                signal(&self.nodes[owner].process, "STOP")?;
                self.next_owner(Some(owner)).await?;
                signal(&self.nodes[owner].process, "CONT")?;
                // It finds out by itself, and stands by.
                while self.runs[owner] {
                    self.hears(|at, _| at == owner).await?;
                }
                blows.freezes += 1;
            }
            blows.longest_gap = blows.longest_gap.max(struck.elapsed());
        }
        Ok(blows)
    }

    /// Waits until a node runs the sagas, after `before` has been struck.
    async fn next_owner(&mut self, before: Option<usize>) -> Result<(), Anything> {
        if self.owner == before {
            self.owner = None;
        }
        while self.owner.is_none() {
            self.hears(|_, line| line == RUNS).await?;
        }
        Ok(())
    }

    /// Takes note of what the nodes have said. On a busy machine another node may have taken over meanwhile.
    async fn catch_up(&mut self) -> Result<usize, Anything> {
        while let Ok((at, line)) = self.said.try_recv() {
            self.note(at, &line);
        }
        self.next_owner(None).await?;
        self.owner.ok_or_else(|| "no node runs the sagas".into())
    }

    fn note(&mut self, at: usize, line: &str) {
        self.runs[at] = line == RUNS;
        if line == RUNS {
            self.owner = Some(at);
        } else if line.starts_with(LOST) && self.owner == Some(at) {
            self.owner = None;
        }
    }

    /// Waits for a line of a node.
    async fn hears(&mut self, wanted: impl Fn(usize, &str) -> bool) -> Result<(), Anything> {
        let heard = async {
            while let Some((at, line)) = self.said.recv().await {
                self.note(at, &line);
                if wanted(at, &line) {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(true) => Ok(()),
            _ => Err("no other node has taken over within a minute".into()),
        }
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

fn signal(process: &Child, name: &str) -> Result<(), Anything> {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status()?;
    if sent.success() { Ok(()) } else { Err(format!("the signal {name} was not sent").into()) }
}
