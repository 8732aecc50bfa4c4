//! The text of the results: facts, one table of rates and latencies, one of costs, and what each side leaves out.

use std::fmt::Write;

use crate::machine::Facts;
use crate::process::Round;
use crate::{Cell, Options, Row};

/// The whole text. Writing to a string does not fail, so its results are not looked at.
pub fn markdown(facts: &Facts, options: &Options, rows: &[Row]) -> String {
    let mut text = String::from("# The order saga on this library and on its peers\n\n");
    let micros = |time: std::time::Duration| time.as_micros();
    let _ = writeln!(
        text,
        "{} rounds of {} s for each side and level, interleaved; medians. Commit `{}`, {}, {} cores ({}).",
        options.rounds, options.seconds, facts.commit, facts.rustc, facts.cores, facts.cpu
    );
    let _ = writeln!(
        text,
        "One fsync took {} µs before the first round and {} µs after the last (medians of 200). Load average: {} and {}.",
        micros(facts.fsync_before),
        micros(facts.fsync_after),
        facts.load_before,
        facts.load_after
    );
    let _ = writeln!(
        text,
        "`ours/peer` is the median of the ratios of each round, with the lowest and the highest. \
         `README.md` says what is measured and with which settings.\n"
    );
    rates(&mut text, options, rows);
    costs(&mut text, options, rows);
    let _ = writeln!(text, "\nWhat a side does not do in this job:\n");
    for row in rows {
        let _ = writeln!(text, "- **{}**: {}", row.side.name, row.side.leaves_out);
    }
    text.trim_end().to_owned()
}

fn rates(text: &mut String, options: &Options, rows: &[Row]) {
    let mut head = "| side | version | durable |".to_owned();
    let mut line = "|---|---|---|".to_owned();
    for level in &options.levels {
        let _ = write!(head, " sagas/s at {level} | p50 / p99 ms | ours/peer |");
        line.push_str("--:|--:|--:|");
    }
    let _ = writeln!(text, "{head}\n{line}");
    let ours = rows.iter().find(|row| row.side.is_ours());
    for row in rows {
        let _ = write!(text, "| {} | {} | {} |", row.side.name, row.version, row.side.durability);
        for (column, cell) in row.cells.iter().enumerate() {
            let Some(rate) = median(cell, |round| round.rate) else {
                let reason = cell.reason.as_deref().unwrap_or("no round");
                let _ = write!(text, " {} | – | – |", reason.replace('|', "/"));
                continue;
            };
            let [p50, p99] = [|round: &Round| round.p50_ms, |round: &Round| round.p99_ms]
                .map(|part| median(cell, part).unwrap_or_default());
            let ratio = match ours {
                Some(ours) if !row.side.is_ours() => ratio(&ours.cells[column], cell),
                _ => "1".to_owned(),
            };
            let done = cell.rounds.iter().flatten().count();
            let failed = cell.reason.as_deref().map_or_else(String::new, |reason| {
                format!(" ({done} of {} rounds, then {})", options.rounds, reason.replace('|', "/"))
            });
            let _ = write!(text, " {rate:.0}{failed} | {p50:.1} / {p99:.1} | {ratio} |");
        }
        text.push('\n');
    }
}

fn costs(text: &mut String, options: &Options, rows: &[Row]) {
    let mut head = "\n| side |".to_owned();
    let mut line = "|---|".to_owned();
    for level in &options.levels {
        let _ = write!(head, " CPU ms/saga at {level} | kB written/saga | peak MiB |");
        line.push_str("--:|--:|--:|");
    }
    let _ = writeln!(text, "{head}\n{line}");
    for row in rows {
        let _ = write!(text, "| {} |", row.side.name);
        for cell in &row.cells {
            let part = |part: fn(&Round) -> f64, digits: usize| {
                median(cell, part).map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
            };
            let [cpu, written, peak] = [
                part(|round| round.cpu_ms, 2),
                part(|round| round.written_kb, 1),
                part(|round| round.peak_mib, 0),
            ];
            let _ = write!(text, " {cpu} | {written} | {peak} |");
        }
        text.push('\n');
    }
}

/// The median of one part over the rounds that gave figures.
fn median(cell: &Cell, part: impl Fn(&Round) -> f64) -> Option<f64> {
    middle(cell.rounds.iter().flatten().map(part).collect())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The ratios of the rounds: both sides of a pair ran within the same round.
fn ratio(ours: &Cell, peer: &Cell) -> String {
    let pairs = ours.rounds.iter().zip(&peer.rounds);
    let mut ratios: Vec<f64> =
        pairs.filter_map(|(ours, peer)| Some(ours.as_ref()?.rate / peer.as_ref()?.rate)).collect();
    ratios.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (ratios.first().copied(), ratios.last().copied()) else {
        return "–".to_owned();
    };
    middle(ratios).map_or_else(
        || "–".to_owned(),
        |middle| format!("**{}** ({}–{})", short(middle), short(low), short(high)),
    )
}

/// Two digits below ten, none above.
fn short(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
