//! The entry of the engine: published events, operators' verbs on an instance, and waiting callers.

use crate::engine::advance::Purpose;
use crate::engine::intake::Claim;
use crate::engine::io::{Accepted, Answer, Out, Ticket, Until, Waiter};
use crate::engine::registry::Consumer;
use crate::engine::slot::{Item, Presence, Slot};
use crate::engine::{Rejection, Shard};
use crate::machine::{Input, VerbRecord};
use crate::message::{InstanceName, MessageId};
use crate::store::{Address, DeadLetter, DeadLetterReason, DedupRecord, Delivery, Loaded, Mail, Step};

impl Shard {
    /// Accepts an event. An event for one instance takes the short path (rule R25). An event for several consumers is
    /// recorded first.
    pub(in crate::engine) fn publish(&mut self, event: Accepted, ticket: Ticket) {
        if self.stopping {
            self.out.push(Out::Answer(ticket, Answer::Stopped));
            return;
        }
        if self.intake.is_scanning() {
            self.intake.hold(event, ticket);
            return;
        }
        self.publish_now(event, ticket);
    }

    pub(in crate::engine) fn publish_now(&mut self, mut event: Accepted, ticket: Ticket) {
        event.consumers.retain(|(consumer, _)| !self.pauses.is_retired(consumer.name()));
        match &event.consumers[..] {
            // A saga that only the store knows gets an inbox row, for a build that has the saga (rule R28).
            [(Consumer::Saga(saga), key)]
                if !self.intake.is_behind()
                    && self.registry.sagas.contains_key(&**saga)
                    && self.is_here(&self.address(saga, key.clone())) =>
            {
                let address = self.address(saga, key.clone());
                let now = self.moment.wall;
                let marked = event.id.is_none();
                let mut item = Item::event(event.message, event.value, event.id, now);
                item.deduplicated = marked;
                item.ticket = Some(ticket);
                item.claim = Some(event.claim);
                item.trace = event.trace;
                self.accept(&address, item);
            }
            _ => self.record(event, ticket),
        }
    }

    /// The address of an instance. A known saga gets its present, borrowed name.
    pub(in crate::engine) fn address(&self, saga: &str, key: impl Into<InstanceName>) -> Address {
        let known = self.registry.sagas.get_key_value(saga).map(|(name, _)| *name);
        match known.or_else(|| self.registry.formerly.get(saga).copied()) {
            Some(name) => Address::new(name, key),
            None => Address::new(saga.to_owned(), key),
        }
    }

    /// Queues an item at an instance, unless too many events wait there (rule R29).
    pub(in crate::engine) fn accept(&mut self, address: &Address, item: Item) {
        let most = self.limits.waiting;
        let slot = self.slot(address);
        let waiting = slot.waiting();
        if let Some(ticket) = item.ticket.filter(|_| waiting >= most) {
            let answer = vec![(address.clone(), Err(Rejection::Full { waiting }))];
            self.out.push(Out::Answer(ticket, Answer::Published(answer)));
            return;
        }
        slot.queue.push_back(item);
        self.older_rows_first(address);
        self.schedule(address);
    }

    /// Records an event for all its consumers in one commit (rule R24).
    fn record(&mut self, event: Accepted, ticket: Ticket) {
        if !event.claim.take() {
            return self.out.push(Out::Answer(ticket, Answer::Withdrawn));
        }
        if event.consumers.is_empty() {
            // All of them are retired. The publisher is told.
            return self.out.push(Out::Answer(ticket, Answer::Published(Vec::new())));
        }
        let now = self.moment.wall;
        let mut step = Step::default();
        let mut consumers = Vec::new();
        let content = event.message.content_hash();
        let id = event
            .id
            .clone()
            .unwrap_or_else(|| MessageId::from(crate::message::Id::from_u128((self.random)())));
        for (consumer, key) in event.consumers {
            let to = self.address(consumer.name(), key);
            let is_here = self.is_here(&to);
            if event.id.is_some() && is_here {
                step.dedup.push(DedupRecord { to: to.clone(), id: id.clone(), content, at: now });
            }
            consumers.push(to.clone());
            match consumer {
                Consumer::Saga(_) => step.mail.push(Mail {
                    id: event.id.clone(),
                    // The owner of another shard checks the id (rule R23).
                    deduplicated: is_here,
                    epoch: self.mail_epoch(&to),
                    trace: event.trace,
                    ..Mail::event(to, event.message.clone(), now)
                }),
                Consumer::Subscriber(_) => {
                    let (message, named) = (event.message.clone(), event.id.is_some());
                    let delivery = Delivery::new(to, message, id.clone(), now, self.lease.epoch);
                    let delivery = Delivery { named, trace: event.trace, ..delivery };
                    self.deliver(delivery, !named, None, &mut step);
                }
            }
        }
        let purpose = Purpose::Recorded { ticket: Some(ticket), consumers, _claim: Some(event.claim) };
        self.queue_step(purpose, step);
    }

    pub(in crate::engine) fn verb(
        &mut self,
        address: Address,
        verb: VerbRecord,
        ticket: Ticket,
        claim: Claim,
    ) {
        if self.stopping {
            self.out.push(Out::Answer(ticket, Answer::Stopped));
            return;
        }
        let address = self.address(&address.saga, address.key);
        let now = self.moment.wall;
        let mut item = Item::own(Input::Verb(verb), now);
        item.ticket = Some(ticket);
        item.claim = Some(claim);
        self.slot(&address).queue.push_back(item);
        self.schedule(&address);
    }

    /// Answers when the condition of the waiter holds, possibly at once.
    pub(in crate::engine) fn wait(&mut self, address: Address, waiter: Waiter, ticket: Ticket) {
        let address = self.address(&address.saga, address.key);
        self.slot(&address).waiters.push((waiter, ticket));
        self.schedule(&address);
        self.answer_waiters(&address);
    }

    /// Removes a caller that no longer waits.
    pub(in crate::engine) fn unwait(&mut self, address: &Address, id: u64) {
        let mut gone = Vec::new();
        let mut forget = |slot: &mut Slot| {
            gone.extend(slot.waiters.extract_if(.., |(waiter, _)| waiter.id == id).map(|(_, ticket)| ticket));
        };
        if address.key.is_alias() {
            // A caller that waited by the alias may now wait at the instance. The alias may no longer be in memory.
            self.slots.values_mut().for_each(|slot| forget(slot));
        } else if let Some(slot) = self.slots.get_mut(address) {
            forget(slot);
        }
        self.out.extend(gone.into_iter().map(|ticket| Out::Answer(ticket, Answer::Stopped)));
        self.weigh(address);
    }

    /// Answers each caller with a fulfilled condition.
    pub(in crate::engine) fn answer_waiters(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        if slot.in_flight.is_some() || slot.waiters.is_empty() {
            return;
        }
        let (rest, seq) = match &slot.presence {
            Presence::Unknown | Presence::Loading => return,
            Presence::Missing => (slot.queue.is_empty(), None),
            Presence::Alias(key) => {
                let (key, waiters) = (key.clone(), std::mem::take(&mut slot.waiters));
                let holder = self.address(&address.saga, key);
                return waiters.into_iter().for_each(|(waiter, ticket)| {
                    self.wait(holder.clone(), waiter, ticket);
                });
            }
            Presence::Quarantined(_) => (true, Some(u64::MAX)),
            Presence::Present(instance) => {
                (instance.status().is_over() || instance.is_parked(), Some(instance.record.seq))
            }
        };
        let is_over = |waiter: &Waiter| match waiter.until {
            Until::Rest => rest,
            Until::Step(seen) => seq.is_some_and(|seq| seq > seen),
        };
        let found = |place: &Presence| match place {
            Presence::Quarantined(why) => Some(Loaded::Unreadable(why.clone())),
            Presence::Present(instance) => instance.snapshot().map(|found| Loaded::Snapshot(Box::new(found))),
            _ => None,
        };
        let (presence, out) = (&slot.presence, &mut self.out);
        for (_, ticket) in slot.waiters.extract_if(.., |(waiter, _)| is_over(waiter)) {
            out.push(Out::Answer(ticket, Answer::Found(found(presence))));
        }
    }

    /// Builds the dead letter of `item`. `None` if the item has no inbox form.
    pub(in crate::engine) fn letter(
        &self,
        address: &Address,
        item: &Item,
        reason: DeadLetterReason,
        detail: String,
    ) -> Option<DeadLetter> {
        let mail = item.mail(address, 0)?;
        let Mail { to, kind, message, id, hops, trace, .. } = mail;
        Some(DeadLetter {
            id,
            hops,
            trace,
            detail,
            ..DeadLetter::new(to, kind, message, reason, self.moment.wall)
        })
    }
}
