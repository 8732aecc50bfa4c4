//! Retired consumers (rule R28): no event is recorded for them, and their waiting events become dead letters.
//!
//! This build does not have a retired consumer. Its inbox rows and deliveries are therefore in the store alone, and the
//! engine reads them once: after the verb, or after a start.
//!
//! Owns: the way of these rows into dead letters. Does not own: the check of the verb (`intake/operate.rs`).

use super::{Pauses, Shard};
use crate::engine::advance::Purpose;
use crate::store::{
    DeadLetter, DeadLetterReason, Delivery, DeliveryId, InboxId, Mail, MailKind, PauseChange, PauseOf, Step,
};

const WHY: &str = "the consumer is retired; resume the consumer and deliver the event again";

impl Pauses {
    /// Returns whether the consumer with this stored name is retired.
    pub(in crate::engine) fn is_retired(&self, consumer: &str) -> bool {
        !self.consumers.is_empty() && self.consumers.contains(consumer)
    }
}

impl Shard {
    /// The retirement of a consumer is durable. Its rows in the store are read from the beginning.
    pub(super) fn bury_waiting(&mut self, consumer: &str) {
        self.read_deliveries_again();
        self.look_through_inbox_for(consumer);
    }

    /// Ends the retirement of consumers that this build has.
    pub(in crate::engine) fn resume_returned(&mut self) {
        let returned = std::mem::take(&mut self.pauses.returned);
        if returned.is_empty() {
            return;
        }
        for of in &returned {
            tracing::warn!(
                consumer = of.name(),
                "this build has a retired consumer; it receives events again"
            );
        }
        let pauses = returned.into_iter().map(PauseChange::Resume).collect();
        self.queue_step(Purpose::Housekeeping, Step { pauses, ..Step::default() });
    }

    /// Turns an inbox row of a retired saga into a dead letter. Rows between parent and child stay.
    pub(in crate::engine) fn bury_mail(&mut self, id: InboxId, mail: Mail) {
        if mail.kind != MailKind::Event {
            return;
        }
        let Mail { to, kind, message, id: message_id, hops, trace, .. } = mail;
        let letter = DeadLetter::new(to, kind, message, DeadLetterReason::Retired, self.moment.wall);
        let letter = DeadLetter { id: message_id, hops, trace, detail: WHY.to_owned(), ..letter };
        self.tally.dead_letters += 1;
        let step = Step { consumed: vec![id], dead: vec![letter], ..Step::default() };
        self.queue_step(Purpose::Buried { _room: self.intake.room() }, step);
    }

    /// Turns a delivery of a retired subscriber into a dead letter.
    pub(in crate::engine) fn bury_delivery(&mut self, id: DeliveryId, delivery: Delivery) {
        self.deliveries.open.insert(id, delivery);
        self.give_up_delivery(id, DeadLetterReason::Retired, WHY.to_owned());
    }

    /// The stored names of consumers that this build does not have, without the retired ones.
    pub(in crate::engine) fn absent_consumers(&self) -> impl Iterator<Item = &str> {
        let all = self.registry.consumers.values().flatten();
        all.map(|consumer| &**consumer.name())
            .filter(|name| !self.registry.has_consumer(name) && !self.pauses.is_retired(name))
    }

    /// Returns a saga of this build with an event that it publishes and that only this consumer takes.
    pub(in crate::engine) fn publishes_only_for(
        &self,
        consumer: &str,
    ) -> Option<(&'static str, &'static str)> {
        let taken = |event: &str| {
            let consumers = self.registry.consumers.get(event).map_or(&[] as &[_], Vec::as_slice);
            consumers.iter().any(|of| **of.name() != *consumer && !self.pauses.will_be_retired(of.name()))
        };
        self.registry.published().find(|(_, event)| !taken(event))
    }
}

impl Pauses {
    /// Returns whether the consumer is retired when all verbs under way are durable.
    fn will_be_retired(&self, consumer: &str) -> bool {
        self.will_be_paused(&PauseOf::Consumer(consumer.to_owned()))
    }
}
