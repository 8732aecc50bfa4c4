//! The decision on one item: the machine decides, and the step is completed with the parts that belong to the item.
//!
//! Owns: the step of a decision, until it waits for its batch. Does not own: which item is next (`schedule`), or the
//! decision itself (the machine).

use std::sync::Arc;

use crate::engine::advance::Purpose;
use crate::engine::attempts::lingering;
use crate::engine::io::{Answer, Out, Ticket};
use crate::engine::log::{start_span, step_span};
use crate::engine::slot::{Before, InFlight, Item, Presence, Run, Slot};
use crate::engine::{Disposition, Shard};
use crate::machine::DeclinedReason;
use crate::machine::{AttemptState, Decision, Effect, EventIn, Input, Instance, NotStarted, StepContext};
use crate::store::{Address, DeadLetterReason, DedupRecord, Mail, Step, Task, TaskChange, TaskStage};

impl Shard {
    /// Decides one item. Returns whether more work is ready at once, because nothing had to be committed.
    pub(in crate::engine) fn take(&mut self, address: &Address, at: usize) -> bool {
        let step = self.next_step();
        let Self { slots, registry, lanes, lease, out, moment, limits, began, .. } = self;
        let running = moment.mono.saturating_sub(*began);
        let Some(slot) = slots.get_mut(address) else {
            self.broken("a scheduled item has a slot", Some(address));
            return false;
        };
        let Some(item) = slot.queue.remove(at) else {
            self.broken("a scheduled item is in the queue", Some(address));
            return false;
        };
        if !item.take() {
            return withdrawn(out, &item);
        }
        let purge_of_waited_for = item.purges() && (slot.backlog.has_rows() || slot.queue.events() > 0);
        let mut head = if item.skips() { slot.take_parked_input() } else { None };
        let Slot { presence: Presence::Present(instance), runs, .. } = &mut **slot else {
            self.broken("an item is decided while its instance is in memory", Some(address));
            return false;
        };
        let attempts = |task: &Task| {
            let run = runs.get(task.id);
            match lanes.attempt_state(registry, lease, run, task) {
                // An attempt of an earlier process may still run (rule R36). The report comes when it cannot any more.
                AttemptState::Between
                    if matches!(run, Some(Run::Waiting | Run::Delayed))
                        && lingering(lanes, registry, lease, running, task).is_some() =>
                {
                    AttemptState::Running
                }
                state => state,
            }
        };
        let context = StepContext {
            now: moment.wall,
            epoch: lease.epoch,
            step,
            limits: limits.payload,
            attempts: &attempts,
            trace: None,
        };
        let before = Before::of(instance);
        self.tally.best_effort_failures += u64::from(instance.is_best_effort_failure(&item.what));
        instance.head = head.as_mut().map(|head| std::mem::replace(&mut head.what, Input::Continue));
        let (span, trace) = step_span(registry.tracer(), address, instance, (&item.what, item.trace));
        let context = StepContext { trace, ..context };
        let purge_of_waited_for = purge_of_waited_for && instance.status().is_over() && !instance.is_parked();
        let decision = match purge_of_waited_for {
            // The next event would start the instance again.
            true => {
                let (instance, why) = (address.clone(), "events wait for it in the inbox");
                Decision::nothing(Effect::Declined(DeclinedReason::NotOver { instance, why }))
            }
            false => span.in_scope(|| instance.apply(&item.what, context)),
        };
        let declined = match (&decision.effect, item.verb_from_elsewhere()) {
            (Effect::Declined(why), Some(verb)) => {
                tracing::warn!(instance = %address, %why, "an operator's verb was declined");
                Some(instance.declined(verb, why, context))
            }
            _ => None,
        };
        let why = declined.is_some().then(|| decision.effect.clone());
        let mut decision = declined.unwrap_or(decision);
        if let (Some(verb), true) = (item.operator_verb(), decision.step.instance.is_some()) {
            let entry = verb.entry(address, moment.wall);
            decision.step.audit.push(match why {
                Some(Effect::Declined(why)) => entry.declined(why),
                _ => entry,
            });
        }
        instance.rejected_claims.clear();
        if let (Some(head), Some(what)) = (&mut head, instance.head.take()) {
            head.what = what;
        }
        if decision.effect == Effect::Deferred {
            return self.defer(address, item);
        }
        if decision.step.instance.is_none() {
            return self.nothing_to_commit(address, item, decision.effect);
        }
        let skipped = head.filter(|_| decision.skipped);
        self.commit_decision(address, item, decision, skipped, before, false);
        false
    }

    /// Starts an instance with the item at the head. If an instance exists already, the commit reports the conflict,
    /// and the item is applied to that instance (rule R25). A starting action is pure, so the attempt costs only time.
    pub(in crate::engine) fn start_instance(&mut self, address: &Address) -> bool {
        let Some(program) = self.registry.sagas.get(&*address.saga).map(Arc::clone) else {
            self.broken("only a registered saga starts an instance", Some(address));
            return false;
        };
        let step = self.next_step();
        let incarnation = self.incarnation();
        let Some(slot) = self.slots.get_mut(address) else {
            self.broken("a scheduled item has a slot", Some(address));
            return false;
        };
        let known_missing = matches!(slot.presence, Presence::Missing);
        let Some(item) = slot.queue.pop_front() else {
            self.broken("a scheduled item is in the queue", Some(address));
            return false;
        };
        if !item.take() {
            return self.withdrawn(&item);
        }
        let Input::Event(event) = &item.what else {
            self.broken("only an event starts an instance", Some(address));
            return false;
        };
        let rejected = std::mem::take(&mut slot.rejected_claims);
        // A new instance has no task.
        let attempts = |_: &Task| AttemptState::NotBegun;
        let context = StepContext {
            now: self.moment.wall,
            epoch: self.lease.epoch,
            step,
            limits: self.limits.payload,
            attempts: &attempts,
            trace: None,
        };
        let starts = (incarnation, &item.what, item.trace);
        let (span, trace) = start_span(self.registry.tracer(), address, starts);
        let context = StepContext { trace, ..context };
        let started = span
            .in_scope(|| Instance::start(&program, address.clone(), incarnation, event, &rejected, context));
        match started {
            Ok((instance, decision)) => {
                slot.presence = Presence::Present(Box::new(instance));
                self.commit_decision(address, item, decision, None, Before::default(), true);
                false
            }
            // The instance may exist, so it is loaded before the failure counts.
            Err(_) if !known_missing => {
                slot.queue.push_front(item);
                self.load(address);
                false
            }
            Err(not) => {
                self.dead_on_arrival(address, item, not);
                false
            }
        }
    }

    /// Handles the item at the head without an instance. Returns whether more work is ready at once.
    pub(in crate::engine) fn no_instance(&mut self, address: &Address) -> bool {
        let Some(slot) = self.slots.get_mut(address) else {
            self.broken("a scheduled item has a slot", Some(address));
            return false;
        };
        let Some(item) = slot.queue.pop_front() else {
            self.broken("a scheduled item is in the queue", Some(address));
            return false;
        };
        slot.read_for = slot.read_for.saturating_sub(1);
        if !item.take() {
            return self.withdrawn(&item);
        }
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        match &item.what {
            Input::Event(_) => return self.event_without_instance(address, item),
            Input::Verb(_) => {
                let why = DeclinedReason::NoInstance { instance: address.clone() };
                match (item.ticket, item.verb_from_elsewhere()) {
                    (Some(ticket), _) => self.decline(address, &item, ticket, why),
                    (None, Some(verb)) => {
                        step.audit.push(verb.entry(address, self.moment.wall).declined(&why));
                        tracing::warn!(instance = %address, %why, "an operator's verb was declined");
                        // Without an instance there is no history that could hold the answer.
                        let detail = format!("{why}; the verb was requested by {}: {}", verb.by, verb.why);
                        step.dead.extend(self.letter(address, &item, DeadLetterReason::Declined, detail));
                        self.tally.dead_letters += 1;
                    }
                    // The parent aborts a child that never started.
                    (None, None) => {
                        tracing::debug!(instance = %address, %why, "the abort of a child was declined");
                    }
                }
            }
            // The instance of this timer or report has been removed in the meantime.
            _ => {}
        }
        if step != Step::default() {
            self.queue_step(Purpose::Housekeeping, step);
        }
        self.answer_waiters(address);
        true
    }

    /// Makes a step the one in flight of its instance, and queues it for the next batch.
    pub(in crate::engine) fn launch_step(
        &mut self,
        address: &Address,
        in_flight: InFlight,
        step: impl Into<Box<Step>>,
    ) {
        let Some(slot) = self.slots.get_mut(address).filter(|slot| slot.in_flight.is_none()) else {
            return self.broken("an instance has at most one step in flight", Some(address));
        };
        slot.in_flight = Some(in_flight);
        self.queue_step(Purpose::Instance(address.clone()), step);
    }

    /// Answers the caller that has withdrawn the item. More work is then ready at once.
    pub(in crate::engine) fn withdrawn(&mut self, item: &Item) -> bool {
        withdrawn(&mut self.out, item)
    }

    /// Declines the verb of a caller. The caller gets the answer when its entry in the audit is durable.
    pub(in crate::engine) fn decline(
        &mut self,
        address: &Address,
        item: &Item,
        ticket: Ticket,
        why: DeclinedReason,
    ) {
        let entry = item.operator_verb().map(|verb| verb.entry(address, self.moment.wall).declined(&why));
        let step = Step { audit: entry.into_iter().collect(), ..Step::default() };
        self.queue_step(Purpose::Declined { ticket, why }, step);
    }

    /// Handles an item that changes nothing. Its caller is answered, and its inbox row is removed.
    fn nothing_to_commit(&mut self, address: &Address, item: Item, effect: Effect) -> bool {
        if matches!(item.what, Input::Timer { .. }) {
            self.tally.stale_timers += 1;
        }
        if let Effect::Declined(why) = effect {
            match item.ticket {
                Some(ticket) => self.decline(address, &item, ticket, why),
                // The abort of the parent came too late.
                None => tracing::debug!(instance = %address, %why, "the abort of a child was declined"),
            }
        }
        if let Some(inbox) = item.inbox {
            self.queue_step(Purpose::Housekeeping, Step { consumed: vec![inbox], ..Step::default() });
        }
        if let Input::Report(task, _) = item.what
            && let Some(slot) = self.slots.get_mut(address)
        {
            slot.runs.remove(task);
        }
        true
    }

    /// Completes the step of a decision with the parts that belong to the item, and queues the step for the next batch.
    fn commit_decision(
        &mut self,
        address: &Address,
        mut item: Item,
        decision: Decision,
        skipped: Option<Box<Item>>,
        before: Before,
        created: bool,
    ) {
        let Decision { mut step, effect, published, outgoing, after, before: tasks, .. } = decision;
        let kept = effect == Effect::Kept;
        let mut spilled = Vec::new();
        if kept {
            // The item must outlive a crash, so this step also writes it to the inbox (rule R8).
            if let Some(mail) = item.mail(address, self.lease.epoch).filter(|_| item.inbox.is_none()) {
                self.mark_answered(address, &item, &mut step);
                self.mark(address, &item, &mut step);
                step.mail.push(Mail { deduplicated: true, ..mail });
                spilled.push(item);
                item = Item::own(Input::Continue, self.moment.wall);
            }
        } else {
            step.consumed.extend(item.inbox);
            step.consumed.extend(skipped.as_ref().and_then(|head| head.inbox));
            self.mark(address, &item, &mut step);
            // A repetition of a skipped event would be new without its record.
            if let Some(head) = skipped.as_deref().filter(|_| !self.head_is_known(address)) {
                self.mark(address, head, &mut step);
            }
        }
        let answer = Ok(match effect {
            Effect::Applied | Effect::Stale | Effect::Declined(_) => Disposition::Applied,
            Effect::Ignored(why) => Disposition::Ignored { why },
            Effect::Kept => Disposition::Queued,
            Effect::Deferred => Disposition::Deferred,
            Effect::Dead { reason, detail } => {
                let dead = skipped.as_deref().unwrap_or(&item);
                self.bury(address, dead, reason.clone(), detail, &mut step);
                Disposition::Dead { reason }
            }
        });
        self.route(address, &item, published, &mut step);
        let trace = step.instance.as_ref().and_then(|record| record.trace).or(item.trace);
        step.mail.extend(outgoing.into_iter().map(|out| self.relative(out, address, (item.hops, trace))));
        self.tell_of_claims(address, &mut step);
        let mut in_flight = InFlight::of(item, answer).with_spilled(spilled);
        (in_flight.kept, in_flight.created) = (kept, created);
        (in_flight.before, in_flight.after, in_flight.tasks) = (before, after, tasks);
        self.launch_step(address, in_flight, step);
    }

    /// Adds the deduplication record of an event with a message id from outside (rule R26).
    pub(in crate::engine) fn mark(&self, address: &Address, item: &Item, step: &mut Step) {
        if item.deduplicated {
            return;
        }
        if let Input::Event(event) = &item.what
            && let Some(id) = &event.id
        {
            let content = event.message.content_hash();
            let to = match &item.alias {
                Some(alias) => self.address(&address.saga, alias.clone()),
                None => address.clone(),
            };
            step.dedup.push(DedupRecord { to, id: id.clone(), content, at: self.moment.wall });
        }
    }

    fn head_is_known(&self, address: &Address) -> bool {
        self.slots.get(address).is_some_and(|slot| slot.head_is_known)
    }

    /// Marks the task of a waiting report as answered. The task then does not run again.
    pub(in crate::engine) fn mark_answered(&mut self, address: &Address, item: &Item, step: &mut Step) {
        let Input::Report(task, _) = &item.what else { return };
        let Some(instance) = self.slots.get_mut(address).and_then(|slot| slot.instance_mut()) else { return };
        if let Some(found) = instance.task_mut(*task) {
            found.progress.stage = TaskStage::Answered;
            step.tasks.push(TaskChange::Progress(*task, found.progress.clone()));
        }
    }

    /// Keeps an item that will not be applied as a dead letter. If the event was to start a child, the parent gets a
    /// report instead (rule R8).
    fn bury(
        &mut self,
        address: &Address,
        item: &Item,
        reason: DeadLetterReason,
        detail: String,
        step: &mut Step,
    ) {
        if let Input::Event(EventIn { parent: Some(parent), .. }) = &item.what {
            let refusal = parent.not_started(&address.key, detail);
            step.mail.extend(refusal.map(|out| self.relative(out, address, (item.hops, item.trace))));
        } else if let Some(letter) = self.letter(address, item, reason, detail) {
            self.tally.dead_letters += 1;
            step.dead.push(letter);
        }
    }

    /// Handles an event that has started nothing.
    pub(in crate::engine) fn dead_on_arrival(&mut self, address: &Address, item: Item, not: NotStarted) {
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        self.mark(address, &item, &mut step);
        self.bury(address, &item, not.reason.clone(), not.detail, &mut step);
        let in_flight = InFlight::of(item, Ok(Disposition::Dead { reason: not.reason }));
        self.launch_step(address, in_flight, step);
    }
}

fn withdrawn(out: &mut Vec<Out>, item: &Item) -> bool {
    out.extend(item.ticket.map(|ticket| Out::Answer(ticket, Answer::Withdrawn)));
    true
}
