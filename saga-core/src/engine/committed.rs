//! Effects of a commit: callers are answered, attempts start, timers are armed, waiters wake. None of this happens
//! before the commit.

use std::collections::BTreeSet;

use super::Shard;
use super::io::{Answer, ConsumerAnswer, Out};
use super::log::{tell_life, tell_parked};
use super::slot::{InFlight, Item, Late, Place, Run, Token};
use crate::machine::{Input, Taken};
use crate::message::MessageId;
use crate::store::{
    Address, Committed, DeadLetter, DeliveryChange, InboxId, MailKind, Status, Step, StepOutcome, TaskId,
    TaskKind, TaskProgress, TaskStage,
};

const TAKEN_BEFORE: &str = "another event with this message id and other content was taken before";

impl Shard {
    /// Handles the outcomes of the batch in progress, in order.
    pub(super) fn committed(&mut self, outcomes: Vec<StepOutcome>) {
        let Some((tokens, steps)) = self.under_way.pop_front() else { return };
        self.tally.batches += 1;
        let handled = tokens.len() as u64;
        for ((token, step), outcome) in tokens.into_iter().zip(&steps.steps).zip(outcomes) {
            if let StepOutcome::Committed(committed) = &outcome {
                self.tally.steps += u64::from(step.instance.is_some());
                self.inbox.tell(&committed.mail);
            }
            match token {
                Token::Instance(address) => self.instance_committed(&address, step, outcome),
                Token::Mailed { ticket, consumers, .. } => {
                    let answer = match &outcome {
                        StepOutcome::Duplicate => ConsumerAnswer::Duplicate,
                        StepOutcome::IdConflict => ConsumerAnswer::IdConflict,
                        StepOutcome::Refused(why) => ConsumerAnswer::Refused(why.clone()),
                        // A step that touches no instance claims no alias.
                        StepOutcome::Committed(_)
                        | StepOutcome::Repeated
                        | StepOutcome::Conflict
                        | StepOutcome::AliasTaken { .. } => ConsumerAnswer::Queued,
                    };
                    if matches!(outcome, StepOutcome::Duplicate | StepOutcome::IdConflict) {
                        self.use_up(step, outcome == StepOutcome::IdConflict);
                    }
                    self.forward(step, &outcome, 0);
                    if let Some(ticket) = ticket {
                        let answers =
                            consumers.into_iter().map(|consumer| (consumer, answer.clone())).collect();
                        self.out.push(Out::Answer(ticket, Answer::Published(answers)));
                    }
                }
                Token::Mark(address, task, lane) => {
                    self.noted(&address, &outcome);
                    self.marked(&address, task, lane, matches!(outcome, StepOutcome::Committed(_)));
                }
                Token::Progress(address) => self.noted(&address, &outcome),
                Token::Delayed(address, task) => {
                    self.noted(&address, &outcome);
                    if matches!(outcome, StepOutcome::Committed(_)) {
                        self.delayed(&address, task);
                    }
                }
                Token::DelayedDelivery(delivery) => match outcome {
                    StepOutcome::Refused(why) => {
                        tracing::error!(
                            why,
                            "the store refused to write how far a delivery is; it waits for the next start"
                        );
                        self.forgetful = true;
                    }
                    _ => self.enlist_delivery(delivery),
                },
                Token::Saved { ticket, address } => {
                    if let Some(address) = address {
                        self.noted(&address, &outcome);
                    }
                    let saved = matches!(outcome, StepOutcome::Committed(_));
                    self.out.push(Out::Answer(ticket, Answer::Saved(saved)));
                }
                Token::MarkDelivery(delivery) => {
                    self.delivery_marked(delivery, matches!(outcome, StepOutcome::Committed(_)));
                }
                Token::Note => {
                    if let StepOutcome::Refused(why) = outcome {
                        tracing::error!(why, "the store refused to remove what has been dealt with");
                        self.forgetful |= !step.deliveries.is_empty();
                    }
                }
                Token::Delivered(delivery) => {
                    if let StepOutcome::Refused(why) = outcome {
                        tracing::error!(
                            why,
                            "the store refused to remove a delivery that is over; it is delivered again after the next start"
                        );
                        self.forgetful = true;
                    }
                    self.delivered(delivery);
                }
                Token::Redriven { ticket } => {
                    self.forward(step, &outcome, 0);
                    let answer = match outcome {
                        StepOutcome::Refused(why) => Err(why),
                        _ => Ok(()),
                    };
                    self.out.push(Out::Answer(ticket, Answer::Redriven(answer)));
                }
            }
        }
        self.take_ups.done += handled;
        self.steps_are_durable();
    }

    /// Removes the inbox row of a duplicate event, if there is one. Otherwise the row would count as new after its
    /// deduplication record expires. An event with a conflicting id becomes a dead letter for each consumer. The store
    /// counts repeated conflicts on the same dead letter.
    fn use_up(&mut self, step: &Step, conflict: bool) {
        let consumed = step.consumed.clone();
        let dead = if conflict { self.conflicting(step) } else { Vec::new() };
        if !consumed.is_empty() || !dead.is_empty() {
            self.tally.dead_letters += dead.len() as u64;
            self.queue_step(Token::Note, Step { consumed, dead, ..Step::default() });
        }
    }

    fn conflicting(&self, step: &Step) -> Vec<DeadLetter> {
        let at = self.moment.wall;
        let letter =
            |to: &Address, kind, message: &crate::message::Message, id: Option<MessageId>, hops| DeadLetter {
                to: to.clone(),
                kind,
                message: message.clone(),
                id,
                hops,
                reason: DeadLetter::ID_CONFLICT.into(),
                detail: TAKEN_BEFORE.to_owned(),
                times: 1,
                at,
            };
        let mail = step.mail.iter().map(|m| letter(&m.to, m.kind, &m.message, m.id.clone(), m.hops));
        let deliveries = step.deliveries.iter().filter_map(|change| match change {
            DeliveryChange::Add(d) => {
                Some(letter(&d.to, MailKind::Delivery, &d.event, Some(d.id.clone()), d.hops))
            }
            _ => None,
        });
        mail.chain(deliveries).collect()
    }

    /// The store has answered a step that writes task progress.
    fn noted(&mut self, address: &Address, outcome: &StepOutcome) {
        if let StepOutcome::Refused(why) = outcome {
            tracing::error!(instance = %address, why, "the store refused to write how far a task is");
            self.forgetful = true;
            // `noting` still counts the step, so the instance stays in memory. Only memory knows its attempts.
            return;
        }
        if let Some(slot) = self.slots.get_mut(address) {
            slot.noting -= 1;
        }
    }

    /// Takes up the mail and deliveries that a durable step added. The first `own` rows of the mail stay in the inbox.
    fn forward(&mut self, step: &Step, outcome: &StepOutcome, own: usize) {
        let StepOutcome::Committed(Committed { mail, deliveries, .. }) = outcome else { return };
        for (row, &id) in step.mail.iter().zip(mail).skip(own) {
            if row.epoch == 0 {
                // The scan reads this row. The page that is being read may not contain the row.
                self.woken();
            } else {
                self.take_mail(id, row.clone());
            }
        }
        let added = step.deliveries.iter().filter_map(|change| match change {
            DeliveryChange::Add(delivery) => Some(delivery.clone()),
            _ => None,
        });
        for (delivery, &id) in added.zip(deliveries) {
            self.add_delivery(id, delivery);
        }
    }

    fn instance_committed(&mut self, address: &Address, step: &Step, outcome: StepOutcome) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let Some(mut in_flight) = slot.in_flight.take() else { return };
        if matches!(outcome, StepOutcome::Committed(_) | StepOutcome::Repeated) {
            tell_life(step);
        }
        if !matches!(outcome, StepOutcome::Committed(_) | StepOutcome::Refused(_)) {
            slot.progress = std::mem::take(&mut in_flight.begun);
        }
        match &outcome {
            StepOutcome::Committed(committed) => {
                let own = in_flight.spilled.len();
                if in_flight.item.as_ref().is_some_and(Item::skips) {
                    // The scan may have queued the skipped input in the meantime, or may still bring it.
                    slot.queue.retain(|item| item.inbox.is_none_or(|row| !step.consumed.contains(&row)));
                    self.inbox.use_up(&step.consumed);
                }
                // The step may publish an event by an alias that it claims. So the holder is set before the event is
                // taken up.
                self.aliases_changed(address, &step.aliases);
                self.step_is_durable(address, step, in_flight, committed);
                self.forward(step, &outcome, own);
            }
            StepOutcome::Repeated => {
                self.aliases_changed(address, &step.aliases);
                // The row numbers of a repeated step are not known, so the instance is read again.
                if let Some(slot) = self.slots.get_mut(address) {
                    slot.spilled |= in_flight.kept || !in_flight.spilled.is_empty();
                }
                for item in in_flight.spilled {
                    self.answer(address, Some(item), &ConsumerAnswer::Queued);
                }
                self.answer(address, in_flight.item, &in_flight.answer);
                self.reload(address);
            }
            StepOutcome::Conflict => {
                if !in_flight.created {
                    tracing::error!(instance = %address, "a step met another step of the same number; reading again");
                }
                self.put_back(address, in_flight);
                self.reload(address);
            }
            StepOutcome::AliasTaken { alias, by } => {
                // The step is decided again with this knowledge. Then the instance is parked, or does not start (rule
                // R35).
                let taken = Taken { alias: alias.clone(), by: by.to_string() };
                self.put_back(address, in_flight);
                self.reload(address);
                if let Some(slot) = self.slots.get_mut(address) {
                    slot.taken = vec![taken];
                }
            }
            StepOutcome::Duplicate => self.was_duplicate(address, in_flight, ConsumerAnswer::Duplicate),
            StepOutcome::IdConflict => self.was_duplicate(address, in_flight, ConsumerAnswer::IdConflict),
            StepOutcome::Refused(why) => self.was_refused(address, in_flight, why),
        }
        if matches!(outcome, StepOutcome::Committed(_) | StepOutcome::Repeated) {
            self.take_up_by(address, &step.aliases);
        }
        // Waiters are answered before the next step begins. Otherwise they could starve at a busy instance.
        self.answer_waiters(address);
        if address.key.is_alias() {
            self.take_up_by_alias(address);
        } else {
            self.pump(address);
        }
        self.answer_waiters(address);
        self.weigh(address);
    }

    fn step_is_durable(
        &mut self,
        address: &Address,
        step: &Step,
        in_flight: InFlight,
        committed: &Committed,
    ) {
        let InFlight {
            item,
            answer,
            kept,
            was_parked,
            was_compensating,
            added,
            finished,
            stop,
            rerun,
            again,
            spilled,
            ..
        } = in_flight;
        let now = self.moment.wall;
        let touches_instance = step.instance.is_some();
        let Some(slot) = self.slots.get_mut(address) else { return };
        let stays = kept && item.as_ref().is_some_and(|item| item.inbox.is_some());
        slot.spilled |= !spilled.is_empty() || stays;
        slot.held +=
            spilled.iter().chain(item.iter().filter(|_| stays)).filter(|item| item.is_event()).count();
        if let (Some(row), Some(instance)) = (committed.row, slot.instance_mut()) {
            instance.row = Some(row);
            self.rows.insert(row, address.clone());
        }
        self.answer(address, item, &answer);
        let waits = match answer {
            ConsumerAnswer::Deferred => ConsumerAnswer::Deferred,
            _ => ConsumerAnswer::Queued,
        };
        for item in spilled {
            self.answer(address, Some(item), &waits);
        }
        let Some(slot) = self.slots.get_mut(address) else { return };
        finished.iter().for_each(|task| slot.runs.remove_unless_running(*task));
        if again {
            slot.queue.push_front(Item::own(Input::Continue, now));
        }
        let (parked, compensating) =
            slot.instance().map_or((false, false), |i| (i.is_parked(), i.status() == Status::Compensating));
        if parked && !was_parked && touches_instance {
            self.tally.parked += 1;
            tell_parked(step);
        }
        for task in stop {
            self.cancel(address, task);
        }
        self.sync_timers(address);
        for task in added.into_iter().chain(rerun) {
            self.enlist(address, task);
        }
        if touches_instance && (was_parked && !parked || was_compensating && !compensating && !parked) {
            self.released(address);
        } else if touches_instance {
            self.undefer(address);
        }
    }

    /// The instance takes events again. The waiting inbox rows are read first, then due timers fire (rule R16).
    fn released(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        if slot.spilled {
            self.fetch_waiting(address);
        } else {
            self.rearm(address);
        }
    }

    pub(super) fn answer(&mut self, address: &Address, item: Option<Item>, answer: &ConsumerAnswer) {
        let Some(item) = item else { return };
        let Some(ticket) = item.ticket else { return };
        let answer = match item.what {
            Input::Verb(_) => Answer::Verb(match answer {
                ConsumerAnswer::Refused(why) => Err(why.clone()),
                _ => Ok(()),
            }),
            _ => Answer::Published(vec![(address.clone(), answer.clone())]),
        };
        self.out.push(Out::Answer(ticket, answer));
    }

    /// Puts the items of a step that was not written back to the head of the queue.
    fn put_back(&mut self, address: &Address, in_flight: InFlight) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        for item in in_flight.spilled.into_iter().rev() {
            slot.queue.push_front(item);
        }
        if let Some(item) = in_flight.item {
            slot.queue.push_front(item);
        }
    }

    /// Handles a step that the store found to be a duplicate or a conflict.
    fn was_duplicate(&mut self, address: &Address, in_flight: InFlight, answer: ConsumerAnswer) {
        let verb = in_flight.item.as_ref().is_some_and(|item| matches!(item.what, Input::Verb(_)));
        if verb || in_flight.spilled.len() > 1 {
            // A verb, or the input that it skips, was used up before. So the verb is decided again with the present
            // inbox. Of several spilled items, each one may be the duplicate. So each item is written in its own step.
            if let Some(slot) = self.slots.get_mut(address) {
                slot.one_at_a_time |= !verb;
            }
            self.put_back(address, in_flight);
            return self.reload(address);
        }
        let InFlight { item, spilled, .. } = in_flight;
        let mut step = Step::default();
        for item in item.iter().chain(&spilled) {
            step.consumed.extend(item.inbox);
            if answer == ConsumerAnswer::IdConflict && item.is_event() {
                let detail = TAKEN_BEFORE.to_owned();
                step.dead.extend(self.letter(address, item, DeadLetter::ID_CONFLICT, detail));
            }
        }
        self.tally.dead_letters += step.dead.len() as u64;
        if !step.consumed.is_empty() || !step.dead.is_empty() {
            self.queue_step(Token::Note, step);
        }
        for item in spilled {
            self.answer(address, Some(item), &answer);
        }
        self.answer(address, item, &answer);
        self.reload(address);
    }

    /// The store will never take this step. The instance is quarantined, and everything else continues (rule R31).
    fn was_refused(&mut self, address: &Address, in_flight: InFlight, why: &str) {
        tracing::error!(instance = %address, why, "the store refused a step; the instance is quarantined");
        self.forgetful |= in_flight.spilled.iter().chain(&in_flight.item).any(Item::is_unwritten_report);
        let refused = ConsumerAnswer::Refused(why.to_owned());
        self.answer(address, in_flight.item, &refused);
        for item in in_flight.spilled {
            self.answer(address, Some(item), &refused);
        }
        if let Some(slot) = self.slots.get_mut(address) {
            // Only memory knows these attempts, and the instance leaves memory here.
            self.forgetful |= !(in_flight.begun.is_empty() && slot.begun().is_empty());
            // The refused items may be in the inbox, and no later item may pass them.
            slot.spilled = true;
            slot.place = Place::Quarantined(format!("the store refused its step: {why}"));
        }
    }

    /// Reads an instance again, because memory and store differ.
    ///
    /// Unwritten attempts are kept, because a refusal after an indeterminate attempt is not a failure (rule R17).
    /// Attempts of tasks that the unwritten step ended are kept as well.
    fn reload(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let known = slot.instance().into_iter().flat_map(|instance| instance.tasks.iter());
        let known = known.filter(|task| slot.run(task.id).is_some() || task.progress.attempts > 0);
        let known: Vec<_> = known.map(|task| (task.id, task.progress.clone())).collect();
        // The present progress is newer. It comes last, so it overrides earlier entries.
        slot.progress.extend(known);
        slot.place = Place::Loading;
        slot.head = None;
        self.read_instance(address);
    }

    /// Takes up a durable row of the inbox.
    pub(super) fn take_mail(&mut self, id: InboxId, mail: crate::store::Mail) {
        if mail.kind == MailKind::Delivery {
            self.admit_delivery(id, mail);
            return;
        }
        let address = self.address(&mail.to.saga, mail.to.key.clone());
        if !self.registry.sagas.contains_key(&*address.saga) {
            // The row stays for a build that has the saga (rule R28).
            return;
        }
        match Item::from_mail(id, mail) {
            Ok(item) => {
                let item = Item { _room: Some(self.inbox.room()), ..item };
                self.slot(&address).queue.push_back(item);
                self.pump(&address);
            }
            Err(error) => {
                tracing::error!(instance = %address, error, "an inbox row cannot be read; it stays there");
            }
        }
    }

    /// Turns an inbox row for a subscriber into a delivery. Only the lease holder writes deliveries (rule R23).
    fn admit_delivery(&mut self, id: InboxId, mail: crate::store::Mail) {
        let message_id = mail.id.clone().unwrap_or_else(crate::message::MessageId::unique);
        let delivery = crate::store::Delivery {
            to: mail.to.clone(),
            event: mail.message.clone(),
            id: message_id,
            named: mail.id.is_some(),
            hops: mail.hops,
            progress: crate::store::TaskProgress::queued(self.moment.wall, self.lease.epoch),
        };
        let mut step = Step { consumed: vec![id], ..Step::default() };
        if let (Some(message), false) = (&mail.id, mail.deduplicated) {
            let content = mail.message.content_hash();
            let at = self.moment.wall;
            step.dedup.push(crate::store::DedupRecord { to: mail.to, id: message.clone(), content, at });
        }
        step.deliveries.push(DeliveryChange::Add(delivery));
        self.queue_step(Token::Mailed { ticket: None, consumers: Vec::new(), _claim: None }, step);
    }

    /// Takes up the tasks of an instance after a load.
    pub(super) fn adopt(&mut self, address: &Address) {
        self.adopt_tasks(address);
        let Some(slot) = self.slots.get_mut(address) else { return };
        for late in std::mem::take(&mut slot.late) {
            match late {
                Late::Ended(attempt, how) => self.ended(attempt, how),
                Late::Marked(task, lane, durable) => self.marked(address, task, lane, durable),
                Late::Saved(attempt, saved, ticket) => self.save(attempt, saved, ticket),
            }
        }
    }

    /// Restores the task progress from before the load. This progress is newer than the stored progress.
    pub(super) fn remember_progress(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let progress = std::mem::take(&mut slot.progress);
        self.forgetful |= matches!(slot.place, Place::Quarantined(_)) && !progress.is_empty();
        let Some(instance) = slot.instance_mut() else { return };
        for (task, known) in progress {
            if let Some(found) = instance.task_mut(task) {
                // Steps decide the stage and the superseded flag, and the store holds all durable steps. The unwritten
                // step may have decided otherwise. Only a start record may still be on its way to the store.
                let stage = match (found.progress.stage, known.stage) {
                    (TaskStage::Ready, TaskStage::Started) => TaskStage::Started,
                    (stage, _) => stage,
                };
                let superseded = found.progress.superseded;
                found.progress = TaskProgress { stage, superseded, ..known };
            }
        }
    }

    fn adopt_tasks(&mut self, address: &Address) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else { return };
        let runs = &slot.runs;
        let Place::Present(instance) = &mut slot.place else { return };
        for task in instance.tasks.iter_mut() {
            let progress = &mut task.progress;
            let begun = |run: Run| matches!(run, Run::Marking | Run::Running { .. } | Run::Reported);
            let begun = runs.get(task.id).is_some_and(begun);
            let child = task.kind == TaskKind::Child;
            if progress.stage == TaskStage::Started
                && !child
                && !begun
                && !self.lease.is_suspect(progress.epoch)
            {
                // The process that wrote the start record ended cleanly, or is this process. If the task had begun, it
                // would be running or have an outcome.
                progress.stage = TaskStage::Ready;
            }
        }
        let Some(instance) = slot.instance() else { return };
        let (parked, status) = (instance.is_parked(), instance.status());
        let compensating = status == Status::Compensating;
        let unwinding_stopped = compensating && !parked && instance.tasks.is_empty();
        let mut enlisted = Vec::new();
        let mut reports = Vec::new();
        for task in instance.tasks.iter().filter(|task| task.kind != TaskKind::Child) {
            let run = slot.runs.get(task.id);
            if run.is_some_and(|run| run != Run::Delayed) {
                continue;
            }
            match task.progress.stage {
                TaskStage::Held | TaskStage::Answered => {}
                // The command may have been called, and its effect is unknown (rule R18).
                TaskStage::Started => reports.push((
                    task.id,
                    task.progress.attempts,
                    "the process ended while it may have been running",
                )),
                // A forward command of a compensating instance never runs after a start (rule R13).
                TaskStage::Ready if compensating && task.kind == TaskKind::Command => {
                    reports.push((
                        task.id,
                        task.progress.attempts,
                        "it may have been running when the process ended, and the instance turned",
                    ));
                }
                TaskStage::Ready => enlisted.push(task.id),
            }
        }
        let there: BTreeSet<TaskId> = instance.tasks.iter().map(|task| task.id).collect();
        slot.runs.retain(|id, run| there.contains(&id) || matches!(run, Run::Running { .. }));
        for (task, attempts, reason) in reports {
            slot.set_run(task, Run::Reported);
            let report = crate::machine::ReportRecord::Unknown { attempts, reason: reason.to_owned() };
            slot.queue.push_back(Item::own(Input::Report(task, report), now));
        }
        // No open task will report, so the unwinding continues from here.
        if unwinding_stopped {
            slot.queue.push_front(Item::own(Input::Continue, now));
        }
        for task in enlisted {
            self.enlist(address, task);
        }
        // `stop` wrote only the attempts of instances that were in memory.
        if self.stopping {
            self.write_attempts_of(address);
        }
    }
}
