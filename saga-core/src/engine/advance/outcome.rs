//! The outcome of the step of an instance: its effects when it is durable, and the way back when it is not written.
//!
//! Owns: the order of these effects. Does not own: the other steps of a batch (`commit`).

use super::commit::TAKEN_BEFORE;
use crate::engine::advance::Purpose;
use crate::engine::io::Out;
use crate::engine::log::{log_life, log_parked};
use crate::engine::slot::{Before, InFlight, Item, ParkedInput, Presence, progress_of_begun};
use crate::engine::{ConsumerAnswer, Disposition, Rejection, Shard};
use crate::machine::{DeclinedReason, Input, RejectedClaim};
use crate::store::{Address, Committed, DeadLetterReason, Step, StepOutcome, TaskChange, TaskKind};

impl Shard {
    pub(in crate::engine) fn instance_committed(
        &mut self,
        address: &Address,
        step: &Step,
        outcome: StepOutcome,
    ) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its step is in flight", Some(address));
        };
        let Some(mut in_flight) = slot.in_flight.take() else {
            return self.broken("each commit answers the step in flight", Some(address));
        };
        if matches!(outcome, StepOutcome::Committed(_) | StepOutcome::Repeated) {
            log_life(step);
            if in_flight.after.purge {
                self.out.push(Out::Purge);
            }
        }
        if !matches!(outcome, StepOutcome::Committed(_) | StepOutcome::Refused(_)) {
            slot.runs.keep_unstored(progress_of_begun(&in_flight.tasks));
        }
        match &outcome {
            StepOutcome::Committed(committed) => {
                let own = in_flight.spilled().len();
                if in_flight.item.as_ref().is_some_and(Item::skips) {
                    slot.head_is_known = false;
                    // The scan may have queued the skipped input in the meantime, or may still bring it.
                    slot.queue.retain(|item| item.inbox.is_none_or(|row| !step.consumed.contains(&row)));
                    self.intake.use_up(&step.consumed);
                }
                // The step may publish an event by an alias that it claims. So the holder is set before the event is
                // taken up.
                self.aliases_changed(address, &step.aliases);
                self.step_is_durable(address, step, in_flight, committed);
                self.forward(step, &outcome, own);
            }
            StepOutcome::Repeated => {
                // The row numbers of a repeated step are not known, so the instance is read again.
                if in_flight.kept || !in_flight.spilled().is_empty() {
                    slot.backlog.keep_uncounted();
                }
                for item in in_flight.take_spilled() {
                    self.answer(address, Some(item), &Ok(Disposition::Queued));
                }
                self.aliases_changed(address, &step.aliases);
                self.answer(address, in_flight.item, &in_flight.answer);
                self.reload(address);
            }
            StepOutcome::Conflict => {
                if !in_flight.created {
                    tracing::error!(instance = %address, "a step conflicts with another step of the same number; the instance is read again");
                }
                self.put_back(address, in_flight);
                self.reload(address);
            }
            StepOutcome::AliasTaken { alias, by } => {
                // The step is decided again with this knowledge. Then the instance is parked, or does not start (rule
                // R35).
                let claim = RejectedClaim { alias: alias.clone(), by: by.to_string() };
                self.put_back(address, in_flight);
                self.reload(address);
                if let Some(slot) = self.slots.get_mut(address) {
                    slot.rejected_claims = vec![claim];
                }
            }
            StepOutcome::Duplicate => self.was_duplicate(address, in_flight, Ok(Disposition::Duplicate)),
            StepOutcome::IdConflict => self.was_duplicate(address, in_flight, Err(Rejection::IdConflict)),
            StepOutcome::Refused(why) => self.was_refused(address, in_flight, why),
        }
        if matches!(outcome, StepOutcome::Committed(_) | StepOutcome::Repeated) {
            self.take_up_by(address, &step.aliases);
        }
        self.resume_after_step(address);
        // Waiters are answered before the next step begins. Otherwise they could starve at a busy instance.
        self.answer_waiters(address);
        if address.key.is_alias() {
            self.read_holder_after_step(address);
            self.take_up_by_alias(address);
        } else {
            self.schedule(address);
        }
        self.answer_waiters(address);
        self.forget_if_over(address);
        self.weigh(address);
    }

    fn step_is_durable(
        &mut self,
        address: &Address,
        step: &Step,
        mut in_flight: InFlight,
        committed: &Committed,
    ) {
        let spilled = in_flight.take_spilled();
        let InFlight { item, answer, kept, before, after, .. } = in_flight;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory until its step is durable", Some(address));
        };
        let stays = item.iter().filter(|item| kept && item.inbox.is_some());
        spilled.iter().chain(stays).for_each(|item| slot.backlog.keep(item));
        if let (Some(row), Some(instance)) = (committed.row, slot.instance_mut()) {
            instance.row = Some(row);
            self.rows.insert(row, address.clone());
        }
        for change in &step.tasks {
            if let TaskChange::Finish(task) = change {
                slot.runs.remove_unless_running(*task);
            }
        }
        after.ended.iter().for_each(|task| slot.runs.remove_unless_running(*task));
        if after.again {
            slot.queue.push_front(Item::own(Input::Continue, self.moment.wall));
        }
        let now = slot.instance().map_or_else(Before::default, Before::of);
        self.answer(address, item, &answer);
        let waits = if answer == Ok(Disposition::Deferred) { answer } else { Ok(Disposition::Queued) };
        for item in spilled {
            self.answer(address, Some(item), &waits);
        }
        let touches_instance = step.instance.is_some();
        if now.parked && !before.parked && touches_instance {
            self.tally.parked += 1;
            if let Some(slot) = self.slots.get_mut(address) {
                slot.head_is_known = false;
            }
            log_parked(step);
            self.attend_to_park(step);
        }
        for task in after.stop {
            self.cancel(address, task);
        }
        self.sync_timers(address);
        for change in &step.tasks {
            if let TaskChange::Add(task) = change
                && task.kind != TaskKind::Child
            {
                self.enlist(address, task.id);
            }
        }
        for task in after.rerun {
            self.enlist(address, task);
        }
        let released = before.parked && !now.parked;
        let arrived = before.compensating && !now.compensating && !now.parked;
        if touches_instance && (released || arrived) {
            self.released(address);
        } else if touches_instance {
            self.undefer(address);
        }
    }

    /// The instance takes events again. The waiting inbox rows are read first, then due timers fire (rule R16).
    fn released(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory until its step is durable", Some(address));
        };
        if slot.backlog.has_rows() {
            self.fetch_waiting(address);
        } else {
            self.rearm(address);
        }
    }

    /// Puts the items of a step that was not written back to the head of the queue.
    fn put_back(&mut self, address: &Address, mut in_flight: InFlight) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self
                .broken("an instance stays in memory until its items are back in the queue", Some(address));
        };
        for item in in_flight.take_spilled().into_iter().rev() {
            slot.queue.push_front(item);
        }
        if let Some(item) = in_flight.item {
            slot.queue.push_front(item);
        }
    }

    /// Handles a step that the store found to be a duplicate or a conflict.
    fn was_duplicate(&mut self, address: &Address, mut in_flight: InFlight, answer: ConsumerAnswer) {
        let verb = in_flight.item.as_ref().is_some_and(|item| matches!(item.what, Input::Verb(_)));
        if verb || in_flight.spilled().len() > 1 {
            // A verb, or the input that it skips, was used up before. So the verb is decided again with the present
            // inbox. Of several spilled items, each one may be the duplicate. So each item is written in its own step.
            if let Some(slot) = self.slots.get_mut(address) {
                if verb {
                    slot.head_is_known = in_flight.item.as_ref().is_some_and(Item::skips);
                } else {
                    slot.backlog.write_one_at_a_time();
                }
            }
            self.put_back(address, in_flight);
            return self.reload(address);
        }
        let (item, spilled) = (in_flight.item.take(), in_flight.take_spilled());
        let mut step = Step::default();
        for item in item.iter().chain(&spilled) {
            step.consumed.extend(item.inbox);
            if answer == Err(Rejection::IdConflict) && item.is_event() {
                let detail = TAKEN_BEFORE.to_owned();
                step.dead.extend(self.letter(address, item, DeadLetterReason::IdConflict, detail));
            }
        }
        self.tally.dead_letters += step.dead.len() as u64;
        if !step.consumed.is_empty() || !step.dead.is_empty() {
            self.queue_step(Purpose::Housekeeping, step);
        }
        for item in spilled {
            self.answer(address, Some(item), &answer);
        }
        self.answer(address, item, &answer);
        self.reload(address);
    }

    /// The store will never take this step. The instance is quarantined, and everything else continues (rule R31).
    fn was_refused(&mut self, address: &Address, mut in_flight: InFlight, why: &str) {
        tracing::error!(instance = %address, why, "the store refused a step; the instance is quarantined");
        self.unrecorded_attempts |= in_flight.items().any(Item::is_unwritten_report);
        if let Some(item) = in_flight.item.take_if(|item| matches!(item.what, Input::Verb(_)))
            && let Some(ticket) = item.ticket
        {
            self.decline(address, &item, ticket, DeclinedReason::Refused { why: why.to_owned() });
        }
        let refused = Err(Rejection::Refused(why.to_owned()));
        self.answer(address, in_flight.item.take(), &refused);
        for item in in_flight.take_spilled() {
            self.answer(address, Some(item), &refused);
        }
        if let Some(slot) = self.slots.get_mut(address) {
            // Only memory knows these attempts, and the instance leaves memory here.
            self.unrecorded_attempts |=
                !(progress_of_begun(&in_flight.tasks).is_empty() && slot.progress_of_begun().is_empty());
            // The refused items may be in the inbox, and no later item may pass them.
            slot.backlog.keep_uncounted();
            slot.presence = Presence::Quarantined(format!("the store refused a step of the instance: {why}"));
        }
    }

    /// Reads an instance again, because memory and store differ.
    ///
    /// Unwritten attempts are kept, because a refusal after an indeterminate attempt is not a failure (rule R17).
    /// Attempts of tasks that the unwritten step ended are kept as well.
    fn reload(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory until it is read again", Some(address));
        };
        let known = slot.instance().into_iter().flat_map(|instance| instance.tasks.iter());
        let known = known.filter(|task| slot.run(task.id).is_some() || task.progress.attempts > 0);
        let known: Vec<_> = known.map(|task| (task.id, task.progress.clone())).collect();
        // The present progress is newer. It comes last, so it overrides earlier entries.
        slot.runs.keep_unstored(known);
        slot.parked_input = ParkedInput::Unread;
        // A due task may have begun a read while the step was in flight. One read answers both.
        if !slot.is_loading() {
            slot.presence = Presence::Loading;
            self.read_instance(address);
        }
    }
}
