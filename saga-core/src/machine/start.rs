//! The start of an instance. There is no instance to park yet, so a failure starts nothing (rule R8).

use crate::step::{DeadLetterReason, HistoryKind};
use std::sync::Arc;

use std::collections::BTreeSet;

use super::alias::{self, RejectedClaim};
use super::family::{FamilyRecord, too_deep};
use super::input::{Decision, Effect, EventIn, StepContext};
use super::instance::{Instance, guarded};
use super::live::Program;
use super::open_work::{Obligations, Tasks};
use super::outbox::Outbox;
use super::row::{check, dues};
use super::saga::Cause;
use super::work::{Line, Work};
use crate::definition::Trigger;
use crate::message::{Incarnation, Name};
use crate::step::{Address, InstanceChange, Labels, Status};

/// Why an event did not start an instance.
pub(crate) struct NotStarted {
    pub(crate) reason: DeadLetterReason,
    pub(crate) detail: String,
}

impl Instance {
    /// Starts an instance with `event`. `Err` holds the reason for a failure.
    pub(crate) fn start(
        program: &Arc<dyn Program>,
        address: Address,
        incarnation: Incarnation,
        event: &EventIn,
        rejected_claims: &[RejectedClaim],
        at: StepContext<'_>,
    ) -> Result<(Self, Decision), NotStarted> {
        let definition = program.definition();
        let name = event.message.name.clone();
        let not = |reason, detail| NotStarted { reason, detail };
        let Some(index) = definition.event(&name).filter(|&index| definition.starts(index)) else {
            let detail = format!("{address} does not exist; `{name}` does not start an instance");
            return Err(not(DeadLetterReason::MissingInstance, detail));
        };
        let decoded;
        let value = match &event.value {
            Some(value) => value,
            None => {
                decoded = (definition.events[index].decode)(&event.message)
                    .map_err(|error| not(DeadLetterReason::Undecodable, format!("event `{name}` {error}")))?;
                &decoded
            }
        };
        let cause = Cause(Some(&**value));
        let mut cx = super::Context::new(at.now, address.key.clone(), incarnation, 1);
        let failed = |error| {
            not(DeadLetterReason::StartFailed, format!("`{name}` could not start {address}: {error}"))
        };
        let mut row = None;
        for &candidate in definition.initially {
            let candidate_row = &definition.rows[candidate];
            if candidate_row.triggers.contains(&Trigger::Event(index))
                && (candidate_row.guard.is_none()
                    || guarded(|| Ok(program.guard_start(candidate, cause, &cx))).map_err(failed)?)
            {
                row = Some(candidate);
                break;
            }
        }
        let Some(row) = row else {
            return Err(not(
                DeadLetterReason::MissingInstance,
                format!("`{name}` did not start {address}: no guard returned true"),
            ));
        };
        let mut out = [Outbox::default(), Outbox::default()];
        let family = event.parent.as_ref().map(FamilyRecord::child_of);
        let (live, state, payload, data, dues) = guarded(|| {
            let mut live = program.begin(row, cause, &mut cx, &mut out[0])?;
            live.enter(&mut cx, &mut out[1])?;
            let dues = dues(&*live, definition, &mut cx)?;
            let (state, payload, data) = (live.state(), live.keep_state()?, live.keep_data()?);
            check(&out, payload.as_ref(), &data.data, at.limits)?;
            too_deep(family.as_ref(), &out)?;
            Ok((live, state, payload, data, dues))
        })
        .map_err(failed)?;
        // The store has refused a claim of an earlier try. The user code may have claimed another alias now.
        if let Some(taken) = alias::taken(rejected_claims, &out) {
            return Err(not(
                DeadLetterReason::AliasTaken,
                format!("`{name}` could not start {address}: {taken}"),
            ));
        }
        let record = InstanceChange {
            address,
            incarnation,
            created_at: at.now,
            seq: 0,
            step: at.step,
            version: definition.version,
            status: Status::Running,
            state: Name::Borrowed(definition.states[state].name),
            payload: None,
            data: data.data.clone(),
            labels: data.labels.clone(),
            visit: 0,
            turn: None,
            parked: None,
            joined: None,
            family,
            trace: at.trace,
            changed_at: at.now,
        };
        let mut instance = Self {
            program: Arc::clone(program),
            // The store numbers the row at the commit.
            row: None,
            record,
            live: Ok(live),
            tasks: Tasks::default(),
            timers: Vec::new(),
            obligations: Obligations::default(),
            aliases: BTreeSet::new(),
            indexed: Labels::new(),
            rejected_claims: Vec::new(),
            head: None,
            verb: None,
        };
        let mut work = Work::new(&mut instance, at).first();
        work.enter(state, payload, data);
        let [sent, entered] = out;
        work.queue(sent);
        if work.instance.record.status == Status::Running {
            work.settle_in(state, &dues);
            work.set_deadline();
            work.join_event(index);
        }
        work.queue(entered);
        let cause = event.id.as_ref().map(|id| Name::Owned(id.to_string()));
        work.line(Line::message(HistoryKind::Started, &event.message).cause(cause));
        let decision = work.finish(Effect::Applied);
        Ok((instance, decision))
    }
}
