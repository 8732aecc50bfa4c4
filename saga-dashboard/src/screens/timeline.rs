//! The history of an instance over time: the states it was in, its parks, its undos in lanes of their own, and its open
//! commands and timers.
//!
//! Owns: the places on the time axis. Idle time is shortened: a gap counts by the logarithm of its length, so that seconds and
//! days fit on one line. Does not own: the lines themselves (`instance`).

use std::collections::BTreeMap;

use maud::{Markup, html};
use saga_core::message::{Timestamp, visible};
use saga_core::store::{HistoryKind, HistoryRow, Task, TaskKind, TaskStage, TimerRow};

use crate::parts::panel;
use crate::text::{count, length};

/// The part of the width that the names of the lanes take, in percent.
const NAMES: f64 = 14.0;
/// The most times on the axis.
const TICKS: usize = 6;
/// The most undos.
const UNDOS: usize = 12;
/// The most open commands, and the most timers.
const OPEN: usize = 6;
/// The height of one lane.
const LANE: usize = 26;

/// A stretch of time in a lane.
#[derive(Debug, PartialEq)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
    name: String,
}

/// Returns the timeline, or nothing for an instance with one moment only. `end` is now, or the end of the instance. `variant`
/// gives the name of a stored state for people.
pub(super) fn timeline(
    lines: &[HistoryRow],
    (tasks, timers): (&[Task], &[TimerRow]),
    end: Timestamp,
    variant: &dyn Fn(&str) -> String,
) -> Option<Markup> {
    let first = lines.first()?.entry.at;
    let last = lines.iter().map(|line| line.entry.at).max().unwrap_or(end).max(end);
    let commands = commands(tasks, last);
    let timers = self::timers(timers);
    let ahead = commands.iter().chain(&timers).flat_map(|open| [open.from, open.to]);
    let ahead: Vec<Timestamp> = ahead.filter(|at| *at >= first).collect();
    let whole = ahead.iter().copied().max().map_or(last, |at| at.max(last));
    if whole <= first {
        return None;
    }
    let axis = Axis::new(lines.iter().map(|line| line.entry.at).chain([last]).chain(ahead));
    let states = states(lines, last);
    let parks = parks(lines, last);
    let undos = undos(lines, last);
    let below = 2 + undos.len();
    let height = 34 + LANE * (below + commands.len() + timers.len());
    let about = states.iter().map(|state| variant(&state.name)).collect::<Vec<_>>().join(", then ");
    let body = html! {
        div.scroll.pad tabindex="0" role="region" aria-label="Timeline; the history below has the same facts" {
            svg.dia.dia-fluid height=(height) role="img" aria-label=(format!("The instance was in {about}")) {
                @for (at, text) in axis.ticks() {
                    @let x = axis.x(at);
                    line.grid x1=(percent(x)) x2=(percent(x)) y1="20" y2=(height - 4) {}
                    text.lab-mono x=(percent(x)) y="13" text-anchor=(if x > 90.0 { "end" } else { "start" }) { (text) }
                }
                text.lab x="0" y="42" { "State" }
                @for state in &states { (bar(&axis, state, 28, "f-tint", "lab", &variant(&state.name))) }
                @if !parks.is_empty() {
                    text.lab-parked x="0" y=(42 + LANE) { "Parked" }
                    @for park in &parks { (bar(&axis, park, 28 + LANE, "f-parked-tint", "lab-parked", &length(park.to.since(park.from), false))) }
                }
                @if !undos.is_empty() {
                    text.lab-undo x="0" y=(42 + 2 * LANE) { "Undos" }
                    @for (row, undo) in undos.iter().enumerate() {
                        (bar(&axis, undo, 28 + LANE * (2 + row), "f-undo-tint", "lab-undo", &undo.name))
                    }
                }
                (lanes(&axis, "Tries", &commands, below))
                (lanes(&axis, "Timers", &timers, below + commands.len()))
                @if whole > last {
                    // What is right of this line has not happened yet.
                    @let x = axis.x(last);
                    line.now x1=(percent(x)) x2=(percent(x)) y1="20" y2=(height - 4) { title { "now" } }
                }
            }
        }
    };
    let beside = html! { span.small { (length(last.since(first), true)) ", idle time shortened" } };
    Some(panel("timeline-h", "Timeline", Some(beside), &body))
}

/// Lanes with a common name, one below the other from the lane `from`.
fn lanes(axis: &Axis, name: &str, of: &[Stretch], from: usize) -> Markup {
    html! {
        @if !of.is_empty() {
            text.lab x="0" y=(42 + from * LANE) { (name) }
            @for (row, open) in of.iter().enumerate() {
                (bar(axis, open, 28 + LANE * (from + row), "f-tint", "lab", &open.name))
            }
        }
    }
}

/// A stretch as a bar with its name. The name of a narrow bar stands behind it.
fn bar(axis: &Axis, stretch: &Stretch, y: usize, class: &str, label: &str, name: &str) -> Markup {
    let (from, to) = (axis.x(stretch.from), axis.x(stretch.to));
    let width = (to - from).max(0.4);
    // The width of a character, in percent of a panel of common width.
    let fits = name.chars().count() as f64 * 0.95 < width;
    let (x, anchor) = match (fits, to > 75.0) {
        (true, _) => (from + 0.8, "start"),
        (false, false) => (to + 0.8, "start"),
        (false, true) => (from - 0.8, "end"),
    };
    html! {
        g {
            title { (visible(name)) ": " (length(stretch.to.since(stretch.from), true)) }
            rect class=(class) x=(percent(from)) width=(percent(width)) y=(y) height="20" rx="3" {}
            text class=(label) x=(percent(x)) y=(y + 14) text-anchor=(anchor) { (visible(name)) }
        }
    }
}

fn percent(x: f64) -> String {
    format!("{x:.2}%")
}

/// Returns the stretches of the states, in order.
fn states(lines: &[HistoryRow], end: Timestamp) -> Vec<Stretch> {
    let mut states: Vec<Stretch> = Vec::new();
    for HistoryRow { entry, .. } in lines.iter().filter(|line| !line.entry.to.is_empty()) {
        if states.last().is_some_and(|last| last.name == *entry.to) {
            continue;
        }
        if let Some(last) = states.last_mut() {
            last.to = entry.at;
        }
        states.push(Stretch { from: entry.at, to: end, name: entry.to.to_string() });
    }
    states
}

/// Returns the stretches in which the instance was parked. The step of a verb ends a park.
fn parks(lines: &[HistoryRow], end: Timestamp) -> Vec<Stretch> {
    let mut parks: Vec<Stretch> = Vec::new();
    let mut parked = false;
    for HistoryRow { entry, .. } in lines {
        match entry.kind {
            HistoryKind::Verb if parked => {
                if let Some(last) = parks.last_mut() {
                    last.to = entry.at;
                }
                // Fire and postpone release nobody.
                parked = matches!(&*entry.name, "fire" | "postpone");
                if let (true, Some(last)) = (parked, parks.last_mut()) {
                    last.to = end;
                }
            }
            HistoryKind::Parked if !parked => {
                parks.push(Stretch { from: entry.at, to: end, name: "parked".to_owned() });
                parked = true;
            }
            _ => {}
        }
    }
    parks
}

/// Returns the open commands and undos: each from its first attempt to now, or to its next attempt.
fn commands(tasks: &[Task], now: Timestamp) -> Vec<Stretch> {
    let commands = tasks.iter().filter(|task| task.kind != TaskKind::Child);
    let stretch = |task: &Task| {
        let progress = &task.progress;
        let tries = match (progress.attempts, &progress.stage) {
            (0, _) => String::new(),
            (tries, TaskStage::Held) => format!(", held after {}", count(tries.into(), "try", "tries")),
            (tries, _) => format!(", {}", count(tries.into(), "try", "tries")),
        };
        let name = format!("{}{tries}", task.command.name);
        Stretch { from: progress.since, to: progress.due.max(now), name }
    };
    commands.take(OPEN).map(stretch).collect()
}

/// Returns the timers of the table, each from its setting to its due time.
fn timers(timers: &[TimerRow]) -> Vec<Stretch> {
    let own = timers.iter().filter(|timer| !timer.is_internal());
    let stretch = |timer: &TimerRow| Stretch {
        from: timer.armed,
        to: timer.due.max(timer.armed),
        name: timer.name.to_string(),
    };
    own.take(OPEN).map(stretch).collect()
}

/// Returns the undos, each from its queueing to its answer.
fn undos(lines: &[HistoryRow], end: Timestamp) -> Vec<Stretch> {
    let mut undos: Vec<Stretch> = Vec::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for HistoryRow { entry, .. } in lines {
        match entry.kind {
            HistoryKind::Undoing if undos.len() < UNDOS => {
                open.insert(entry.name.to_string(), undos.len());
                undos.push(Stretch { from: entry.at, to: end, name: entry.name.to_string() });
            }
            HistoryKind::Undone | HistoryKind::GivenUp => {
                if let Some(undo) = open.remove(&*entry.name).and_then(|at| undos.get_mut(at)) {
                    undo.to = entry.at;
                }
            }
            _ => {}
        }
    }
    undos
}

/// The time axis: each known moment with its place, from 0 to 1.
struct Axis(Vec<(Timestamp, f64)>);

impl Axis {
    fn new(times: impl Iterator<Item = Timestamp>) -> Self {
        let mut times: Vec<Timestamp> = times.collect();
        times.sort_unstable();
        times.dedup();
        let mut places = Vec::with_capacity(times.len());
        let mut place = 0.0;
        for (at, time) in times.iter().enumerate() {
            if let Some(before) = at.checked_sub(1).map(|before| times[before]) {
                place += 1.0 + (1.0 + time.since(before).as_secs_f64()).ln();
            }
            places.push((*time, place));
        }
        let whole = if place > 0.0 { place } else { 1.0 };
        places.iter_mut().for_each(|(_, place)| *place /= whole);
        Self(places)
    }

    /// Returns the place of a moment, in percent of the width.
    fn x(&self, time: Timestamp) -> f64 {
        let at = self.0.partition_point(|(known, _)| *known < time).min(self.0.len().saturating_sub(1));
        let place = self.0.get(at).map_or(0.0, |(_, place)| *place);
        NAMES + place * (99.0 - NAMES)
    }

    /// Returns the moments that have a time on the axis, which are not too close to each other.
    fn ticks(&self) -> Vec<(Timestamp, String)> {
        let mut ticks: Vec<(Timestamp, String)> = Vec::new();
        let (mut behind, step, mut last) = (0.0, 1.0 / TICKS as f64, String::new());
        for (time, place) in &self.0 {
            if ticks.is_empty() || *place >= behind {
                let text = time.to_string();
                let day = text.get(..10).unwrap_or_default();
                // The day is said where it changes.
                let short = if last.is_empty() || day == last {
                    text.get(11..19).unwrap_or(&text).to_owned()
                } else {
                    text.get(5..16).unwrap_or(&text).replace('T', " ")
                };
                last = day.to_owned();
                ticks.push((*time, short));
                behind = place + step;
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::message::{Message, Payload};
    use saga_core::store::{HistoryEntry, TaskId, TaskProgress};

    fn line(at: i64, kind: HistoryKind, name: &str, from: &str, to: &str) -> HistoryRow {
        let entry = HistoryEntry {
            kind,
            at: Timestamp::from_millis(at * 1_000),
            name: name.to_owned().into(),
            payload: None,
            from: from.to_owned().into(),
            to: to.to_owned().into(),
            cause: None,
            note: None,
        };
        HistoryRow { seq: 1, entry }
    }

    fn second(at: i64) -> Timestamp {
        Timestamp::from_millis(at * 1_000)
    }

    fn story() -> Vec<HistoryRow> {
        vec![
            line(0, HistoryKind::Started, "placed", "", "paying"),
            line(2, HistoryKind::Applied, "paid", "paying", "shipping"),
            line(2, HistoryKind::Parked, "", "shipping", "shipping"),
            line(5, HistoryKind::Verb, "fire", "shipping", "shipping"),
            line(600, HistoryKind::Verb, "abort", "shipping", "shipping"),
            line(600, HistoryKind::Undoing, "refund", "shipping", "shipping"),
            line(603, HistoryKind::Undone, "refund", "shipping", "shipping"),
            line(603, HistoryKind::Compensated, "", "shipping", "cancelled"),
        ]
    }

    #[test]
    fn states_parks_and_undos_have_their_stretches() {
        let lines = story();
        let stretch =
            |from, to, name: &str| Stretch { from: second(from), to: second(to), name: name.to_owned() };
        assert_eq!(
            states(&lines, second(603)),
            [stretch(0, 2, "paying"), stretch(2, 603, "shipping"), stretch(603, 603, "cancelled")]
        );
        assert_eq!(parks(&lines, second(603)), [stretch(2, 600, "parked")]);
        assert_eq!(undos(&lines, second(603)), [stretch(600, 603, "refund")]);
    }

    #[test]
    fn open_commands_and_timers_reach_into_the_future() {
        let progress = TaskProgress { attempts: 3, ..TaskProgress::queued(second(10), 0) };
        let (id, command) = (
            TaskId { seq: 1, ord: 0 },
            Message { name: "pay".into(), version: 1, payload: Payload::from("{}") },
        );
        let (kind, visit, trace) = (TaskKind::Command, 1, None);
        let mut task = Task { id, kind, command, visit, trace, progress };
        task.progress.due = second(700);
        let timer = TimerRow { name: "15m".into(), visit: 1, armed: second(0), due: second(900), fired: 0 };
        assert_eq!(
            commands(std::slice::from_ref(&task), second(603)),
            [Stretch { from: second(10), to: second(700), name: "pay, 3\u{a0}tries".to_owned() }]
        );
        let lines = &story()[..1];
        let drawn = timeline(lines, (&[task], &[timer]), second(603), &|state| state.to_owned());
        let drawn = drawn.unwrap().into_string();
        for text in ["Tries", "pay, 3\u{a0}tries", "Timers", "15m", "class=\"now\""] {
            assert!(drawn.contains(text), "{text} is not in {drawn}");
        }
    }

    #[test]
    fn the_axis_goes_from_left_to_right_and_shortens_long_gaps() {
        let axis = Axis::new([0, 1, 2, 100_000].into_iter().map(second));
        let places: Vec<f64> = [0, 1, 2, 100_000].into_iter().map(|at| axis.x(second(at))).collect();
        assert!(places.is_sorted() && places[0] == NAMES && places[3] == 99.0, "{places:?}");
        assert!(places[1] - places[0] > 5.0, "a second beside a day can be seen: {places:?}");
    }

    #[test]
    fn a_timeline_is_drawn_in_its_own_words_and_needs_two_moments() {
        let lines = story();
        let drawn =
            timeline(&lines, (&[], &[]), second(603), &|state| state.to_uppercase()).unwrap().into_string();
        for text in ["PAYING", "SHIPPING", "CANCELLED", "refund", "10\u{a0}min 3\u{a0}s, idle time shortened"]
        {
            assert!(drawn.contains(text), "{text} is not in {drawn}");
        }
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        assert!(timeline(&lines[..1], (&[], &[]), second(0), &|state| state.to_owned()).is_none());
        assert!(timeline(&[], (&[], &[]), second(0), &|state| state.to_owned()).is_none());
    }
}
