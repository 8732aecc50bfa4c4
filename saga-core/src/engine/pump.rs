//! The next item in the queue of an instance: taking it and deciding it, one step at a time (promise 5).

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shard;
use super::io::{Answer, ConsumerAnswer, Out};
use super::log::step_span;
use super::registry::Consumer;
use super::slot::{InFlight, Item, Place, Slot, Token, began};
use crate::machine::{Decision, Disposition, EventIn, Input, Instance, NotStarted, Outgoing, Published};
use crate::message::{Key, MessageId, Name};
use crate::store::{
    Address, DeadLetter, DedupRecord, Delivery, DeliveryChange, Mail, MailKind, Status, Step, Task,
    TaskChange, TaskId, TaskKind, TaskProgress, TaskStage,
};

/// The next action for an instance.
enum Next {
    /// There is nothing to do.
    Rest,
    /// Read the instance first.
    Load,
    /// Find the input over which the instance is parked. A verb is about to skip this input.
    Look,
    /// Decide the item at this place in the queue.
    Take(usize),
    /// Write the items that cannot be applied now to the inbox.
    Spill,
    /// Start an instance with the item at the head. The instance may already exist.
    Start,
    /// Handle the item at the head without an instance.
    NoInstance,
    /// Hand the item at the head on to the instance with this key.
    HandOn(Key),
    /// Refuse all items, because the instance is quarantined.
    TurnAway(String),
}

impl Shard {
    /// Performs the next actions of an instance until it must wait.
    pub(super) fn pump(&mut self, address: &Address) {
        loop {
            match self.next(address) {
                Next::Rest => return,
                Next::Load => return self.load(address),
                Next::Look => return self.fetch_waiting(address),
                Next::Spill => return self.spill(address),
                Next::Take(at) => {
                    if !self.take(address, at) {
                        return;
                    }
                }
                Next::Start => {
                    if !self.start_instance(address) {
                        return;
                    }
                }
                Next::NoInstance => {
                    if !self.no_instance(address) {
                        return;
                    }
                }
                Next::HandOn(to) => {
                    if !self.hand_on(address, to) {
                        return;
                    }
                }
                Next::TurnAway(why) => return self.turn_away(address, &why),
            }
        }
    }

    fn next(&self, address: &Address) -> Next {
        let Some(slot) = self.slots.get(address) else { return Next::Rest };
        if slot.in_flight.is_some() || slot.fetching {
            return Next::Rest;
        }
        let Some(head) = slot.queue.front() else {
            let asked = !slot.waiters.is_empty() && matches!(slot.place, Place::Unknown);
            return if asked { Next::Load } else { Next::Rest };
        };
        let instance = match &slot.place {
            Place::Loading => return Next::Rest,
            Place::Unknown if self.may_start(address, head) => return Next::Start,
            Place::Unknown => return Next::Load,
            Place::Missing if self.may_start(address, head) => return Next::Start,
            Place::Missing => return Next::NoInstance,
            Place::Alias(key) => return Next::HandOn(key.clone()),
            Place::Quarantined(why) => return Next::TurnAway(why.clone()),
            Place::Present(instance) => instance,
        };
        if let Some(verb) = slot.queue.first_verb() {
            let must_look = slot.head.is_none() && slot.queue.get(verb).is_some_and(Item::skips);
            return if must_look && instance.parked_head().is_some() { Next::Look } else { Next::Take(verb) };
        }
        if instance.is_parked() {
            let keeps = |item: &Item| matches!(item.what, Input::Stuck(..));
            return if slot.queue.iter().all(keeps) { Next::Rest } else { Next::Spill };
        }
        if instance.status() == Status::Compensating {
            // Events wait until the arrival (rule R11).
            return match slot.queue.first_other() {
                Some(at) => Next::Take(at),
                // This includes durable items. In memory they would occupy the room for reading the inbox. The outcome
                // that ends the wait may be an unread row.
                None => Next::Spill,
            };
        }
        Next::Take(0)
    }

    fn may_start(&self, address: &Address, item: &Item) -> bool {
        let Input::Event(event) = &item.what else { return false };
        if address.key.is_alias() {
            return false;
        }
        let Some(program) = self.registry.sagas.get(&*address.saga) else { return false };
        let definition = program.definition();
        definition.event(&event.message.name).is_some_and(|event| definition.starts(event))
    }

    /// Decides one item. Returns whether more work is ready at once, because nothing had to be committed.
    fn take(&mut self, address: &Address, at: usize) -> bool {
        let moment = self.next_at();
        let Self { slots, registry, lanes, lease, out, .. } = self;
        let Some(slot) = slots.get_mut(address) else { return false };
        let Some(item) = slot.queue.remove(at) else { return false };
        if !item.take() {
            return withdrawn(out, &item);
        }
        let mut head = if item.skips() { slot.head.take().flatten() } else { None };
        let Slot { place: Place::Present(instance), runs, .. } = &mut **slot else { return false };
        let begun = |task: &Task| lanes.begun(registry, lease, runs.get(task.id), task);
        let before = (instance.is_parked(), instance.status() == Status::Compensating);
        self.tally.best_effort_failures += u64::from(instance.is_best_effort_failure(&item.what));
        instance.head = head.as_mut().map(|head| std::mem::replace(&mut head.what, Input::Continue));
        let span = step_span(address, Some(&*instance), &item.what);
        let decision = span.in_scope(|| instance.apply(&item.what, moment, &begun));
        let declined = match (&decision.disposition, item.verb_from_elsewhere()) {
            (Disposition::Declined(why), Some(verb)) => {
                tracing::warn!(instance = %address, why, "an operator's verb was declined");
                Some(instance.declined(verb, why, moment))
            }
            _ => None,
        };
        let decision = declined.unwrap_or(decision);
        instance.taken.clear();
        if let (Some(head), Some(what)) = (&mut head, instance.head.take()) {
            head.what = what;
        }
        if decision.disposition == Disposition::Deferred {
            return self.defer(address, item);
        }
        if decision.step.instance.is_none() {
            return self.nothing_to_commit(address, item, decision.disposition);
        }
        let skipped = head.filter(|_| decision.skipped);
        self.commit_decision(address, item, decision, skipped, before, false);
        false
    }

    /// Answers the caller that has withdrawn the item. More work is then ready at once.
    pub(super) fn withdrawn(&mut self, item: &Item) -> bool {
        withdrawn(&mut self.out, item)
    }

    /// Handles an item that changes nothing. Its caller is answered, and its inbox row is removed.
    fn nothing_to_commit(&mut self, address: &Address, item: Item, disposition: Disposition) -> bool {
        if matches!(item.what, Input::Timer { .. }) {
            self.tally.stale_timers += 1;
        }
        if let Disposition::Declined(why) = disposition {
            match item.ticket {
                Some(ticket) => self.out.push(Out::Answer(ticket, Answer::Verb(Err(why)))),
                // The abort of the parent came too late.
                None => tracing::debug!(instance = %address, why, "the abort of a child was declined"),
            }
        }
        if let Some(inbox) = item.inbox {
            self.queue_step(Token::Note, Step { consumed: vec![inbox], ..Step::default() });
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
        (was_parked, was_compensating): (bool, bool),
        created: bool,
    ) {
        let Decision {
            mut step, disposition, published, outgoing, ended, stop, rerun, again, before, ..
        } = decision;
        let added = task_ids(&step, |change| match change {
            TaskChange::Add(task) if task.kind != TaskKind::Child => Some(task.id),
            _ => None,
        });
        let mut finished = task_ids(&step, |change| match change {
            TaskChange::Finish(id) => Some(*id),
            _ => None,
        });
        finished.extend(ended);
        let kept = disposition == Disposition::Kept;
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
        }
        let answer = match disposition {
            Disposition::Applied | Disposition::Stale | Disposition::Declined(_) => ConsumerAnswer::Applied,
            Disposition::Ignored(why) => ConsumerAnswer::Ignored(why),
            Disposition::Kept | Disposition::Deferred => ConsumerAnswer::Queued,
            Disposition::Dead { reason, detail } => {
                self.bury(address, skipped.as_deref().unwrap_or(&item), reason, detail, &mut step);
                ConsumerAnswer::Dead(reason.to_owned())
            }
        };
        self.route(address, &item, published, &mut step);
        step.mail.extend(outgoing.into_iter().map(|out| self.relative(out, address, item.hops)));
        let in_flight = InFlight {
            item: Some(item),
            answer,
            kept,
            was_parked,
            was_compensating,
            created,
            added,
            finished,
            stop,
            rerun,
            again,
            spilled_events: spilled.iter().filter(|item| item.is_event()).count(),
            spilled,
            begun: began(before.iter()),
        };
        if let Some(slot) = self.slots.get_mut(address) {
            slot.in_flight = Some(in_flight);
        }
        self.queue_step(Token::Instance(address.clone()), step);
    }

    /// Adds the deduplication record of an event with a message id from outside (rule R26).
    pub(super) fn mark(&self, address: &Address, item: &Item, step: &mut Step) {
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

    /// Marks the task of a waiting report as answered. The task then does not run again.
    pub(super) fn mark_answered(&mut self, address: &Address, item: &Item, step: &mut Step) {
        let Input::Report(task, _) = &item.what else { return };
        let Some(instance) = self.slots.get_mut(address).and_then(|slot| slot.instance_mut()) else { return };
        if let Some(found) = instance.task_mut(*task) {
            found.progress.stage = TaskStage::Answered;
            step.tasks.push(TaskChange::Progress(*task, found.progress.clone()));
        }
    }

    /// Builds the inbox row of a message between parent and child.
    fn relative(&self, out: Outgoing, from: &Address, hops: u32) -> Mail {
        Mail {
            to: self.address(&out.to.saga, out.to.key),
            kind: out.kind,
            message: out.message,
            id: out.id,
            deduplicated: true,
            task: out.task,
            hops: hops + 1,
            epoch: self.inbox.epoch(self.lease.epoch),
            cause: Some(Name::Owned(from.to_string())),
            at: self.moment.wall,
        }
    }

    /// Routes the published events of a step: inbox rows for sagas, deliveries for subscribers.
    fn route(&mut self, from: &Address, cause: &Item, published: Vec<Published>, step: &mut Step) {
        let Some((incarnation, seq)) = step.instance.as_ref().map(|record| (record.incarnation, record.seq))
        else {
            return;
        };
        let now = self.moment.wall;
        let registry = Arc::clone(&self.registry);
        for (ordinal, event) in published.into_iter().enumerate() {
            let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
            let id = MessageId::from(incarnation.derive(seq, ordinal, &event.message.name));
            let hops = cause.hops + 1;
            for consumer in registry.consumers.get(&*event.message.name).map_or(&[] as &[_], Vec::as_slice) {
                let saga = match consumer {
                    Consumer::Saga(saga) => saga,
                    Consumer::Subscriber(_) => "",
                };
                let (key, reason, detail) = match event.event.correlation(saga) {
                    Ok(key) if hops <= self.limits.hops => {
                        let to = self.address(consumer.name(), key);
                        self.send(to, consumer, &event, &id, hops, from, step);
                        continue;
                    }
                    Ok(key) => (
                        key,
                        "too-many-hops",
                        format!("it has come through {hops} sagas; the limit is {}", self.limits.hops),
                    ),
                    // An event with a bad key is kept under the key of its publisher, where an operator can find it.
                    Err(error) => {
                        let detail = format!("`{}` of {from}: {error}", event.message.name);
                        (from.key.clone(), DeadLetter::BAD_KEY, detail)
                    }
                };
                self.tally.dead_letters += 1;
                step.dead.push(DeadLetter {
                    to: self.address(consumer.name(), key),
                    kind: match consumer {
                        Consumer::Saga(_) => MailKind::Event,
                        Consumer::Subscriber(_) => MailKind::Delivery,
                    },
                    message: event.message.clone(),
                    id: Some(id.clone()),
                    hops,
                    reason: Name::Borrowed(reason),
                    detail,
                    times: 1,
                    at: now,
                });
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // One call site; a struct for it would be these seven fields again.
    fn send(
        &self,
        to: Address,
        consumer: &Consumer,
        event: &Published,
        id: &MessageId,
        hops: u32,
        from: &Address,
        step: &mut Step,
    ) {
        let (now, epoch) = (self.moment.wall, self.lease.epoch);
        match consumer {
            Consumer::Saga(_) => step.mail.push(Mail {
                to,
                kind: MailKind::Event,
                message: event.message.clone(),
                id: Some(id.clone()),
                deduplicated: true,
                task: None,
                hops,
                epoch: self.inbox.epoch(epoch),
                cause: Some(Name::Owned(from.to_string())),
                at: now,
            }),
            Consumer::Subscriber(_) => step.deliveries.push(DeliveryChange::Add(Delivery {
                to,
                event: event.message.clone(),
                id: id.clone(),
                named: false,
                hops,
                progress: TaskProgress::queued(now, epoch),
            })),
        }
    }

    /// Starts an instance with the item at the head. If an instance exists already, the commit reports the conflict,
    /// and the item is applied to that instance (rule R25). A starting action is pure, so the attempt costs only time.
    fn start_instance(&mut self, address: &Address) -> bool {
        let Some(program) = self.registry.sagas.get(&*address.saga).map(Arc::clone) else { return false };
        let at = self.next_at();
        let incarnation = self.incarnation();
        let Some(slot) = self.slots.get_mut(address) else { return false };
        let known_missing = matches!(slot.place, Place::Missing);
        let Some(item) = slot.queue.pop_front() else { return false };
        if !item.take() {
            return self.withdrawn(&item);
        }
        let Input::Event(event) = &item.what else { return false };
        let taken = std::mem::take(&mut slot.taken);
        let started = step_span(address, None, &item.what)
            .in_scope(|| Instance::start(&program, address.clone(), incarnation, event, &taken, at));
        match started {
            Ok((instance, decision)) => {
                slot.place = Place::Present(Box::new(instance));
                self.commit_decision(address, item, decision, None, (false, false), true);
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
    fn no_instance(&mut self, address: &Address) -> bool {
        let Some(slot) = self.slots.get_mut(address) else { return false };
        let Some(item) = slot.queue.pop_front() else { return false };
        if !item.take() {
            return self.withdrawn(&item);
        }
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        match &item.what {
            Input::Event(_) => return self.event_without_instance(address, item),
            Input::Verb(_) => {
                let why = format!("there is no {address}");
                match (item.ticket, item.verb_from_elsewhere()) {
                    (Some(ticket), _) => self.out.push(Out::Answer(ticket, Answer::Verb(Err(why)))),
                    (None, Some(verb)) => {
                        tracing::warn!(instance = %address, why, "an operator's verb was declined");
                        // Without an instance there is no history that could hold the answer.
                        let detail = format!("{why}; {} has asked for it: {}", verb.by, verb.why);
                        step.dead.extend(self.letter(address, &item, "declined", detail));
                        self.tally.dead_letters += 1;
                    }
                    // The parent aborts a child that never started.
                    (None, None) => {
                        tracing::debug!(instance = %address, why, "the abort of a child was declined");
                    }
                }
            }
            // The instance of this timer or report has been removed in the meantime.
            _ => {}
        }
        if step != Step::default() {
            self.queue_step(Token::Note, step);
        }
        self.answer_waiters(address);
        true
    }

    /// Keeps an item that will not be applied as a dead letter. If the event was to start a child, the parent gets a
    /// report instead (rule R8).
    fn bury(
        &mut self,
        address: &Address,
        item: &Item,
        reason: &'static str,
        detail: String,
        step: &mut Step,
    ) {
        if let Input::Event(EventIn { parent: Some(parent), .. }) = &item.what {
            let refusal = parent.not_started(&address.key, detail);
            step.mail.extend(refusal.map(|out| self.relative(out, address, item.hops)));
        } else if let Some(letter) = self.letter(address, item, reason, detail) {
            self.tally.dead_letters += 1;
            step.dead.push(letter);
        }
    }

    /// Handles an event that has started nothing.
    pub(super) fn dead_on_arrival(&mut self, address: &Address, item: Item, not: NotStarted) {
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        self.mark(address, &item, &mut step);
        self.bury(address, &item, not.reason, not.detail, &mut step);
        let in_flight = InFlight::of(item, ConsumerAnswer::Dead(not.reason.to_owned()));
        if let Some(slot) = self.slots.get_mut(address) {
            slot.in_flight = Some(in_flight);
        }
        self.queue_step(Token::Instance(address.clone()), step);
    }

    /// Writes all items without an inbox row to the inbox. They stay there until the instance is free again.
    fn spill(&mut self, address: &Address) {
        let epoch = self.lease.epoch;
        let Some(slot) = self.slots.get_mut(address) else { return };
        let parked = slot.instance().is_some_and(Instance::is_parked);
        let mut step = Step { row: slot.instance().and_then(|instance| instance.row), ..Step::default() };
        let most = if slot.one_at_a_time { 1 } else { usize::MAX };
        let (mut spilled, mut stay) = (Vec::new(), VecDeque::new());
        let mut queue = slot.queue.take();
        while let Some(item) = queue.pop_front() {
            if !item.take() {
                self.withdrawn(&item);
                continue;
            }
            let Some(slot) = self.slots.get_mut(address) else { return };
            // A `Stuck` input has no inbox form, so it stays in memory.
            if matches!(item.what, Input::Stuck(..)) {
                stay.push_back(item);
            } else if item.inbox.is_some() {
                slot.spilled = true;
                slot.held += usize::from(item.is_event());
            } else if let Some(mail) = item.mail(address, epoch) {
                self.mark_answered(address, &item, &mut step);
                self.mark(address, &item, &mut step);
                step.mail.push(Mail { deduplicated: true, ..mail });
                spilled.push(item);
                if spilled.len() == most {
                    break;
                }
            }
            // The other inputs need no inbox row. A timer has its own row, and `Continue` is found again.
        }
        if let Some(slot) = self.slots.get_mut(address) {
            slot.one_at_a_time &= !queue.is_empty();
            stay.append(&mut queue);
            slot.queue = stay.into_iter().collect();
        }
        if spilled.is_empty() {
            return;
        }
        let mut in_flight = InFlight::nothing();
        in_flight.spilled_events = spilled.iter().filter(|item| item.is_event()).count();
        in_flight.spilled = spilled;
        in_flight.was_parked = parked;
        if let Some(slot) = self.slots.get_mut(address) {
            slot.in_flight = Some(in_flight);
        }
        self.queue_step(Token::Instance(address.clone()), step);
    }

    /// Refuses all items of a quarantined instance (rule R31). Callers get the reason, and durable items stay in the
    /// inbox.
    fn turn_away(&mut self, address: &Address, why: &str) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let why = format!("{address} is quarantined: {why}");
        slot.spilled = true;
        for item in slot.queue.take() {
            self.forgetful |= item.is_unwritten_report();
            let Some(ticket) = item.ticket else { continue };
            let answer = match item.what {
                Input::Verb(_) => Answer::Verb(Err(why.clone())),
                _ => Answer::Published(vec![(address.clone(), ConsumerAnswer::Refused(why.clone()))]),
            };
            self.out.push(Out::Answer(ticket, answer));
        }
    }
}

impl InFlight {
    /// A step for this item that changes no instance.
    pub(super) fn of(item: Item, answer: ConsumerAnswer) -> Self {
        Self { item: Some(item), answer, ..Self::nothing() }
    }

    pub(super) fn nothing() -> Self {
        Self {
            item: None,
            answer: ConsumerAnswer::Queued,
            kept: false,
            was_parked: false,
            was_compensating: false,
            created: false,
            added: Vec::new(),
            finished: Vec::new(),
            stop: Vec::new(),
            rerun: Vec::new(),
            again: false,
            spilled: Vec::new(),
            spilled_events: 0,
            begun: Vec::new(),
        }
    }
}

fn withdrawn(out: &mut Vec<Out>, item: &Item) -> bool {
    out.extend(item.ticket.map(|ticket| Out::Answer(ticket, Answer::Withdrawn)));
    true
}

fn task_ids(step: &Step, of: impl Fn(&TaskChange) -> Option<TaskId>) -> Vec<TaskId> {
    step.tasks.iter().filter_map(of).collect()
}
