//! Rows: finding the row for a trigger (rule R2) and running its user code (rule R4).

use std::time::Duration;

use super::context::Context;
use super::family::too_deep;
use super::input::StepContext;
use super::instance::{Instance, guarded};
use super::live::{Kept, Live};
use super::outbox::Outbox;
use super::saga::{Cause, Wait};
use crate::definition::{Answer, Clause, Definition, Due, Move, Trigger, Verdict};
use crate::message::{ActionError, Payload, PayloadLimits, Timestamp};
use crate::step::IgnoredReason;

/// The result of the search for a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    Row(usize),
    /// The row or `unhandled` says `ignore`.
    Ignore(IgnoredReason),
    /// The row or `unhandled` says `defer`.
    Defer,
    /// The row or `unhandled` says `reject`. The text is the reason.
    Reject(&'static str),
    /// The event belongs to a set that is not complete.
    Collected,
    /// The event completes the set of this row.
    Joined(usize),
    /// No row takes the trigger. This does not occur for events (rule R1).
    NoRow,
}

/// The result of the user code of a row. The record of the instance has not changed yet.
pub(super) struct Performed {
    /// The outboxes of `on_leave`, the row and `on_enter`, in this order.
    pub(super) out: [Outbox; 3],
    /// The new state, if the row enters a state.
    pub(super) entered: Option<usize>,
    /// The payload of the old state, if the row leaves the state.
    pub(super) left: Option<Payload>,
    /// The new payload of the state, and the new data.
    pub(super) payload: Option<Payload>,
    pub(super) data: Kept,
    /// The due times of the timers of the new state, in the order of the definition.
    pub(super) dues: Vec<Timestamp>,
}

impl Instance {
    /// Finds the decision for `trigger` in the present state. `Err` if a guard panics.
    pub(super) fn decide(&self, trigger: Trigger, cause: Cause<'_>, cx: &Context) -> Result<Decided, String> {
        let definition = self.definition();
        let (_, state) = self.state()?;
        let live = self.live.as_ref().map_err(Clone::clone)?;
        for &index in state.rows {
            let row = &definition.rows[index];
            // A set is no single trigger. `joined` decides about its row.
            if row.all || !row.triggers.contains(&trigger) {
                continue;
            }
            if row.guard.is_some() && !guarded(|| Ok(live.guard(index, cause, cx)))? {
                continue;
            }
            return Ok(match row.verdict {
                None => Decided::Row(index),
                Some(Verdict::Ignore) => Decided::Ignore(IgnoredReason::RowIgnores),
                Some(Verdict::Defer) => Decided::Defer,
                Some(Verdict::Reject) => Decided::Reject("the row has `reject`"),
            });
        }
        // A row for this event alone comes before the sets (rule R5).
        if let Trigger::Event(event) = trigger
            && self.is_member(event)
        {
            return Ok(self.joined(Some(event), cx)?.map_or(Decided::Collected, Decided::Joined));
        }
        Ok(match trigger {
            // A publisher repeats a start after a lost answer. The repeat must do no harm.
            Trigger::Event(event) if definition.starts(event) => {
                Decided::Ignore(IgnoredReason::AlreadyStarted)
            }
            Trigger::Event(_) => match state.unhandled {
                Some(Verdict::Ignore) => Decided::Ignore(IgnoredReason::Unhandled),
                Some(Verdict::Defer) => Decided::Defer,
                Some(Verdict::Reject) | None => Decided::Reject("unhandled in this state"),
            },
            _ => Decided::NoRow,
        })
    }

    /// Runs the user code of row `index`: `on_leave`, `run`, the other clauses, the move and `on_enter`. `leave` is
    /// false if `on_leave` ran at the turn. After an error, state and data are as before.
    pub(super) fn perform(
        &mut self,
        index: usize,
        cause: Cause<'_>,
        cx: &mut Context,
        leave: bool,
        at: StepContext<'_>,
    ) -> Result<Performed, String> {
        let definition = self.definition();
        let row = &definition.rows[index];
        let (from, _) = self.state()?;
        let record = &self.record;
        let live = self.live.as_mut().map_err(|error| error.clone())?;
        let result = guarded(|| {
            let mut out: [Outbox; 3] = Default::default();
            let moves = matches!(row.to, Move::To(_) | Move::Reenter);
            let mut changed = row.runs();
            if moves && leave {
                changed |= runs(definition.states[from].on_leave);
                live.leave(cx, &mut out[0])?;
            }
            // The undo of the old state is built from its payload as `on_leave` left it (rule R10).
            let left = match (moves && leave, runs(definition.states[from].on_leave)) {
                (true, true) => live.keep_state()?,
                (true, false) => record.payload.clone(),
                (false, _) => None,
            };
            live.run(index, cause, cx)?;
            live.build(index, cause, cx, &mut out[1])?;
            let (mut entered, mut due) = (None, Vec::new());
            if moves {
                live.advance();
                let state = live.state();
                changed |= runs(definition.states[state].on_enter);
                live.enter(cx, &mut out[2])?;
                due = dues(&**live, definition, cx)?;
                entered = Some(state);
            }
            // Only `run` or a move changes the state, and only `run` the data. Nothing else is encoded again.
            let payload = if changed || moves { live.keep_state()? } else { record.payload.clone() };
            let data = if changed { live.keep_data()? } else { Kept::of(record) };
            // Before any write: a result over a limit parks the instance, and the store never sees it.
            check(&out, payload.as_ref(), &data.data, at.limits)?;
            too_deep(record.family.as_ref(), &out)?;
            Ok(Performed { out, entered, left, payload, data, dues: due })
        });
        if result.is_err() {
            self.restore();
        }
        result
    }
}

/// Checks everything that user code produced against the limits.
pub(super) fn check(
    out: &[Outbox],
    payload: Option<&Payload>,
    data: &Payload,
    limits: PayloadLimits,
) -> Result<(), ActionError> {
    // The text is built only for an error.
    let within = |payload: &Payload, what: &dyn Fn() -> String| {
        payload.check(limits).map_err(|error| ActionError::from(format!("{} {error}", what())))
    };
    within(data, &|| "the data".to_owned())?;
    if let Some(payload) = payload {
        within(payload, &|| "the state's payload".to_owned())?;
    }
    for outbox in out {
        for sent in &outbox.sent {
            within(&sent.message.payload, &|| format!("command `{}`", sent.message.name))?;
        }
        for started in &outbox.started {
            within(&started.message.payload, &|| format!("event `{}`", started.message.name))?;
        }
        for published in &outbox.published {
            within(&published.message.payload, &|| format!("event `{}`", published.message.name))?;
        }
    }
    Ok(())
}

/// The due times of the timers of the entered state.
pub(super) fn dues(
    live: &dyn Live,
    definition: &Definition,
    cx: &mut Context,
) -> Result<Vec<Timestamp>, ActionError> {
    let now = cx.now();
    definition.states[live.state()]
        .timers
        .iter()
        .map(|&timer| {
            Ok(match definition.timers[timer].due {
                Due::After(millis) | Due::Every { millis, .. } => now.plus(Duration::from_millis(millis)),
                Due::AfterMethod(_) | Due::AtMethod(_) => match live.due(timer, cx)? {
                    Wait::For(duration) => now.plus(duration),
                    Wait::Until(at) => at,
                },
            })
        })
        .collect()
}

fn runs(clauses: &[Clause]) -> bool {
    clauses.iter().any(|clause| matches!(clause, Clause::Run { .. }))
}

/// Finds a stored trigger in `definition`, by its stored names.
pub(super) fn find_trigger(
    definition: &Definition,
    state: usize,
    trigger: &super::record::TriggerRecord,
) -> Option<Trigger> {
    use super::record::TriggerRecord;
    match trigger {
        TriggerRecord::Event(name) => definition.event(name).map(Trigger::Event),
        TriggerRecord::Failed(name) => definition.command(name).map(Trigger::Failed),
        TriggerRecord::Unknown(name) => definition.command(name).map(Trigger::Unknown),
        TriggerRecord::Timer(name) => definition.timer(state, name).map(Trigger::Timer),
        TriggerRecord::Superseded(answer) => match find_trigger(definition, state, answer)? {
            Trigger::Event(event) => Some(Trigger::Superseded(Answer::Event(event))),
            Trigger::Failed(command) => Some(Trigger::Superseded(Answer::Failed(command))),
            Trigger::Unknown(command) => Some(Trigger::Superseded(Answer::Unknown(command))),
            _ => None,
        },
        TriggerRecord::Finished(name) => definition.child(name).map(Trigger::Finished),
        TriggerRecord::AllFinished(name) => definition.child(name).map(Trigger::AllFinished),
        TriggerRecord::Parked(name) => definition.child(name).map(Trigger::Parked),
        TriggerRecord::All(set) => {
            let rows = definition.states[state].rows.iter().copied();
            rows.filter(|&row| definition.rows[row].all)
                .find(|&row| super::join::is_set(definition, row, set))
                .map(Trigger::All)
        }
    }
}
