//! What the system tells about this process, and its end.

use std::time::Duration;

/// Ends this process with code 3 after this time, whatever it waits for.
pub fn end_after(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        eprintln!("did not finish within {} s", limit.as_secs());
        std::process::exit(3);
    });
}

/// The CPU time of this process in milliseconds, or 0 where the system does not tell it.
pub fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold spaces, and ends with the last bracket.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    // A tick is a hundredth of a second on Linux.
    ticks.sum::<f64>() * 10.0
}

/// Bytes that this process caused to be written to the disk.
pub fn written() -> f64 {
    field("/proc/self/io", "write_bytes:")
}

/// The most memory that this process held, in MiB.
pub fn peak_mib() -> f64 {
    field("/proc/self/status", "VmHWM:") / 1024.0
}

/// The number after a name in a file of the system.
fn field(path: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}
