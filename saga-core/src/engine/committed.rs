//! After a commit, and only then: callers are answered, effects start, timers are armed, waiters wake.

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
    /// Takes the outcomes of the batch under way, in order.
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
                        // A step that touches no instance claims nothing.
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

    /// Takes an event that is a duplicate out of the inbox, if it lies there: what the step was to consume is still there,
    /// and would be taken for new once its mark is gone. One that only has the id of another is kept as a dead letter for
    /// each of its consumers, where the store counts it on the one that is there.
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

    /// How far a task is, is durable.
    fn noted(&mut self, address: &Address, outcome: &StepOutcome) {
        if let StepOutcome::Refused(why) = outcome {
            tracing::error!(instance = %address, why, "the store refused to write how far a task is");
            self.forgetful = true;
            // Still counted, so that the instance stays in memory: only there its attempts are known.
            return;
        }
        if let Some(slot) = self.slots.get_mut(address) {
            slot.noting -= 1;
        }
    }

    /// Hands on the mail and deliveries that a durable step added; the first `own` of the mail stay where they are.
    fn forward(&mut self, step: &Step, outcome: &StepOutcome, own: usize) {
        let StepOutcome::Committed(Committed { mail, deliveries, .. }) = outcome else { return };
        for (row, &id) in step.mail.iter().zip(mail).skip(own) {
            if row.epoch == 0 {
                // Left to the scan; the page that was being read may not have seen it.
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
                    // What was skipped may have come by the scan meanwhile, or be on its way.
                    slot.queue.retain(|item| item.inbox.is_none_or(|row| !step.consumed.contains(&row)));
                    self.inbox.use_up(&step.consumed);
                }
                // Before what the step has published by an alias is handed on.
                self.aliases_changed(address, &step.aliases);
                self.step_is_durable(address, step, in_flight, committed);
                self.forward(step, &outcome, own);
            }
            StepOutcome::Repeated => {
                self.aliases_changed(address, &step.aliases);
                // Its numbers are not known, so everything about the instance is read again.
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
                // Decided once more, knowing that: the instance is parked over it, or does not start.
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
        // Before the next step is begun: who waits for every step must not starve at a busy instance.
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

    /// An instance is free again: what waits in the inbox is read, then timers that were due fire.
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

    /// Puts what a step that was not written had used up back to the head of the queue.
    fn put_back(&mut self, address: &Address, in_flight: InFlight) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        for item in in_flight.spilled.into_iter().rev() {
            slot.queue.push_front(item);
        }
        if let Some(item) = in_flight.item {
            slot.queue.push_front(item);
        }
    }

    /// The event had been taken before.
    fn was_duplicate(&mut self, address: &Address, in_flight: InFlight, answer: ConsumerAnswer) {
        let verb = in_flight.item.as_ref().is_some_and(|item| matches!(item.what, Input::Verb(_)));
        if verb || in_flight.spilled.len() > 1 {
            // A verb, or what it was to skip, is used up already: it is decided anew, with what the inbox holds now. One of
            // several that were to be written down together: each is tried by itself.
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

    /// The store will never take this step: the instance waits for a person, everything else goes on (rule R31).
    fn was_refused(&mut self, address: &Address, in_flight: InFlight, why: &str) {
        tracing::error!(instance = %address, why, "the store refused a step; the instance is quarantined");
        self.forgetful |= in_flight.spilled.iter().chain(&in_flight.item).any(Item::is_unwritten_report);
        let refused = ConsumerAnswer::Refused(why.to_owned());
        self.answer(address, in_flight.item, &refused);
        for item in in_flight.spilled {
            self.answer(address, Some(item), &refused);
        }
        if let Some(slot) = self.slots.get_mut(address) {
            // What began and is not running is known to nobody once the instance is gone.
            self.forgetful |= !(in_flight.begun.is_empty() && slot.begun().is_empty());
            // What was to be taken may lie in the inbox, and nothing may pass it.
            slot.spilled = true;
            slot.place = Place::Quarantined(format!("the store refused its step: {why}"));
        }
    }

    /// Reads an instance again: what is in memory is ahead of, or beside, what is stored.
    ///
    /// Attempts that are not written down are kept, so that none is forgotten: a refusal after an indeterminate attempt is not
    /// a failure (rule R17). That goes also for tasks which the step that was not written has ended.
    fn reload(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let known = slot.instance().into_iter().flat_map(|instance| instance.tasks.iter());
        let known = known.filter(|task| slot.run(task.id).is_some() || task.progress.attempts > 0);
        let known: Vec<_> = known.map(|task| (task.id, task.progress.clone())).collect();
        // What is known of them now counts: it comes later and so prevails.
        slot.progress.extend(known);
        slot.place = Place::Loading;
        slot.head = None;
        self.read_instance(address);
    }

    /// Takes up a row that is durable in the inbox.
    pub(super) fn take_mail(&mut self, id: InboxId, mail: crate::store::Mail) {
        if mail.kind == MailKind::Delivery {
            self.admit_delivery(id, mail);
            return;
        }
        let address = self.address(&mail.to.saga, mail.to.key.clone());
        if !self.registry.sagas.contains_key(&*address.saga) {
            // Stays for a build that has the saga (rule R28).
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

    /// Turns a delivery from outside into a task (rule R23: only the lease holder writes those).
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

    /// Takes up the tasks of an instance that has just been read.
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

    /// Puts into an instance that has just been read how far its tasks are known to be: that is ahead of the store.
    pub(super) fn remember_progress(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let progress = std::mem::take(&mut slot.progress);
        self.forgetful |= matches!(slot.place, Place::Quarantined(_)) && !progress.is_empty();
        let Some(instance) = slot.instance_mut() else { return };
        for (task, known) in progress {
            if let Some(found) = instance.task_mut(task) {
                // How far it had come and whether it counts is decided by steps, and they are in the store: the step that
                // was not written may have decided otherwise. Only a mark may be on its way there.
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
                // The process that marked it ended in order, or is this one: had it begun, it would run or have an outcome.
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
                // Rule R18: it may have been called, and nobody knows what came of it.
                TaskStage::Started => reports.push((
                    task.id,
                    task.progress.attempts,
                    "the process ended while it may have been running",
                )),
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
        if unwinding_stopped {
            slot.queue.push_front(Item::own(Input::Continue, now));
        }
        for task in enlisted {
            self.enlist(address, task);
        }
        if self.stopping {
            self.write_attempts_of(address);
        }
    }
}
