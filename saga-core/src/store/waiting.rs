//! The sentence that says what an instance waits for.
//!
//! Owns: the words, for people. Does not own: the reason of a park (`Parked`).

use std::fmt::Write;

use super::{Snapshot, Task, TaskKind, TaskStage};
use crate::message::Timestamp;
use crate::step::Parked;

impl Snapshot {
    /// Returns one sentence without a full stop: what the instance waits for, since when, and what would continue it.
    ///
    /// ```text
    /// waits for attempt 4 of `payment.make` at 2026-11-27T12:03:00Z, after: connection reset
    /// waits for the outcome of `payment.make`, since 2026-11-27T12:00:00Z; timer `timeout` is due at 2026-11-27T12:15:00Z
    /// waits for a person: undo refused: no such payment; parked since ..; release the instance with `retry` or `skip`
    /// ```
    ///
    /// The progress is that of the last commit. An attempt that runs right now may not be stored yet.
    pub fn waiting(&self) -> String {
        let record = &self.instance;
        if let Some(parked) = &record.parked {
            return format!("waits for a person: {}", Parked::from_stored(parked, record.changed_at));
        }
        if record.status.is_over() && self.tasks.is_empty() {
            return format!("has ended as {} at {}", record.status.as_str(), record.changed_at);
        }
        let mut text = self.tasks();
        // The next timer can move the instance as well.
        if let Some(timer) = self.timers.iter().min_by_key(|timer| timer.due) {
            // Writing to a string does not fail.
            let _ = write!(text, "; timer `{}` is due at {}", timer.name, timer.due);
        }
        text
    }

    /// Describes the oldest open task, and says how many there are.
    fn tasks(&self) -> String {
        let Some(first) = self.tasks.iter().find(|task| task.progress.stage != TaskStage::Answered) else {
            return "waits for an event".to_owned();
        };
        if first.kind == TaskKind::Child {
            let children = self.tasks.iter().filter(|task| task.kind == TaskKind::Child).count();
            let them = if children == 1 { "child" } else { "children" };
            return format!(
                "waits for {children} {them} of `{}`, since {}",
                first.command.name, first.progress.since
            );
        }
        let mut text = format!("waits for {}", of_command(first));
        let others = self.tasks.len() - 1;
        if others > 0 {
            let _ = write!(text, ", and for {others} more");
        }
        text
    }
}

fn of_command(task: &Task) -> String {
    let (progress, name) = (&task.progress, &task.command.name);
    let undo = if task.kind == TaskKind::Undo { "the undo " } else { "" };
    let after = progress.error.as_ref().map(|error| format!(", after: {error}")).unwrap_or_default();
    match progress.stage {
        TaskStage::Held => format!("a person to decide about {undo}`{name}`{after}"),
        TaskStage::Ready if progress.due > Timestamp::EPOCH => {
            let next = progress.attempts.saturating_add(1);
            format!("attempt {next} of {undo}`{name}` at {}{after}", progress.due)
        }
        _ => format!("the outcome of {undo}`{name}`, since {}{after}", progress.since),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{address, create, payload, task, time, timer};
    use crate::store::{RowId, Status};

    fn snapshot(tasks: Vec<Task>) -> Snapshot {
        let instance = create(&address("a")).instance.unwrap();
        let (timers, obligations, aliases) = (Vec::new(), Vec::new(), Vec::new());
        Snapshot { row: RowId(1), instance, tasks, timers, obligations, aliases }
    }

    fn with(change: impl FnOnce(&mut Task)) -> Task {
        let mut task = task(1, 0);
        change(&mut task);
        task
    }

    #[test]
    fn an_open_command_is_named_with_its_attempt_and_its_error() {
        assert_eq!(
            snapshot(vec![with(|_| {})]).waiting(),
            "waits for the outcome of `payment.make`, since 1970-01-01T00:00:01Z"
        );
        let delayed = with(|task| {
            (task.progress.attempts, task.progress.due) = (3, time(9_000));
            task.progress.error = Some("connection reset".to_owned());
        });
        assert_eq!(
            snapshot(vec![delayed.clone(), with(|task| task.id.ord = 1)]).waiting(),
            "waits for attempt 4 of `payment.make` at 1970-01-01T00:00:09Z, after: connection reset, and for 1 more"
        );
        let undo = Task { kind: TaskKind::Undo, ..delayed };
        assert!(
            snapshot(vec![undo]).waiting().starts_with("waits for attempt 4 of the undo `payment.make` at ")
        );
        let held = with(|task| task.progress.stage = TaskStage::Held);
        assert_eq!(snapshot(vec![held]).waiting(), "waits for a person to decide about `payment.make`");
    }

    #[test]
    fn children_are_counted() {
        let child = |ord| with(|task| (task.kind, task.id.ord) = (TaskKind::Child, ord));
        assert!(
            snapshot(vec![child(0)]).waiting().starts_with("waits for 1 child of `payment.make`, since ")
        );
        assert!(snapshot(vec![child(0), child(1)]).waiting().starts_with("waits for 2 children of "));
    }

    #[test]
    fn without_a_command_it_waits_for_an_event_or_a_timer() {
        let mut idle = snapshot(vec![]);
        assert_eq!(idle.waiting(), "waits for an event");
        idle.timers = vec![timer("later", 9_000), timer("timeout", 5_000)];
        assert_eq!(idle.waiting(), "waits for an event; timer `timeout` is due at 1970-01-01T00:00:05Z");
        let answered = with(|task| task.progress.stage = TaskStage::Answered);
        assert_eq!(snapshot(vec![answered]).waiting(), "waits for an event");
    }

    #[test]
    fn a_parked_instance_waits_for_a_person_and_an_ended_one_for_nothing() {
        let mut parked = snapshot(vec![with(|_| {})]);
        parked.instance.parked = Some(payload("damaged"));
        assert!(
            parked.waiting().starts_with("waits for a person: this build cannot read"),
            "{}",
            parked.waiting()
        );
        let mut ended = snapshot(vec![]);
        ended.instance.status = Status::Failed;
        assert_eq!(ended.waiting(), "has ended as failed at 1970-01-01T00:00:01Z");
    }
}
