//! One round of one side: a process of its own, with a time limit.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Answer;
use crate::sides::Side;

/// The figures of one round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub cpu_ms: f64,
    pub written_kb: f64,
    pub peak_mib: f64,
}

/// How a process ended.
pub enum Outcome {
    Measured(Round),
    Reason(String),
}

/// Longer than the limit that a side sets itself, so that its own reason is seen.
const GRACE: Duration = Duration::from_secs(60);

/// Runs one round.
pub fn run(program: &Path, side: &Side, level: usize, seconds: f64) -> Answer<Outcome> {
    let folder = tempfile::tempdir()?;
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    let mut child = Command::new(program)
        .args([level.to_string(), seconds.to_string(), side.variant.to_owned()])
        .stdin(Stdio::null())
        // Files, not pipes: a side that logs much must not wait for a reader.
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?)
        .spawn()?;
    let limit = Instant::now() + Duration::from_secs_f64(seconds) + GRACE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Outcome::Reason("killed: did not end by itself".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let [out, err] = [out, err].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    // A side may log to its output too.
    let ours = |line: &&str| line.starts_with('{') || line.starts_with("skipped");
    let line = out.lines().rev().find(ours).unwrap_or_default();
    if line.starts_with("skipped") {
        return Ok(Outcome::Reason(line.to_owned()));
    }
    if !status.success() {
        return Ok(Outcome::Reason(reason(&err, status)));
    }
    Ok(parse(line).map_or_else(|| Outcome::Reason(format!("no figures: {line}")), Outcome::Measured))
}

/// The first words of a failure: a panic says its message in the line after the place.
fn reason(err: &str, status: std::process::ExitStatus) -> String {
    let panicked = err.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    let line = panicked.or_else(|| err.lines().last()).unwrap_or_default();
    let line: String = line.chars().take(160).collect();
    format!("failed ({status}): {line}")
}

fn parse(line: &str) -> Option<Round> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let number = |name: &str| value.get(name)?.as_f64();
    Some(Round {
        rate: number("rate")?,
        p50_ms: number("p50_ms")?,
        p99_ms: number("p99_ms")?,
        cpu_ms: number("cpu_ms")?,
        written_kb: number("written_kb")?,
        peak_mib: number("peak_mib")?,
    })
}
