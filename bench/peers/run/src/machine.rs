//! What the machine is, and how long its disk takes for one fsync.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Answer;

/// The facts above the table.
pub struct Facts {
    pub cores: usize,
    pub cpu: String,
    pub rustc: String,
    pub commit: String,
    pub fsync_before: Duration,
    pub fsync_after: Duration,
    pub load_before: String,
    pub load_after: String,
}

impl Facts {
    /// Before the first round.
    pub fn before() -> Answer<Self> {
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            cpu: cpu(),
            rustc: first_line("rustc", &["--version"]),
            commit: first_line("git", &["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]),
            fsync_before: fsync()?,
            fsync_after: Duration::ZERO,
            load_before: load(),
            load_after: String::new(),
        })
    }

    /// After the last round: what changed meanwhile.
    pub fn after(&mut self) -> Answer<()> {
        self.fsync_after = fsync()?;
        self.load_after = load();
        Ok(())
    }
}

/// The median time of an append of 4 KiB and `fdatasync`, in the folder that the sides use for their databases.
fn fsync() -> Answer<Duration> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("file"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[0x5a; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// The load average of the last minute: what else runs.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned()
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
