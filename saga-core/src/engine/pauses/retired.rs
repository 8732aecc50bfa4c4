//! Retired consumers (rule R28): no event is recorded for them, and their waiting events become dead letters.
//!
//! ```text
//!  retired, or a row that came later ──▶ a page of the inbox and of the deliveries ──▶ one step for each row ──▶ the next page
//! ```
//!
//! This build does not have a retired consumer, so its rows are in the store alone. Only the rows of one page are under way
//! at a time, so that they delay nobody. They stay for the next start when the dispatcher stops.
//!
//! Owns: the way of these rows into dead letters. Does not own: the check of the verb (`intake/operate.rs`).

use super::{Pauses, Shard};
use crate::engine::advance::{Purpose, TAKEN_BEFORE};
use crate::engine::io::Out;
use crate::store::{
    DeadLetter, DeadLetterReason, DedupRecord, Delivery, DeliveryChange, DeliveryId, InboxId, Mail, MailKind,
    PauseOf, Step, StepOutcome,
};

const WHY: &str = "the consumer is retired; resume the consumer and deliver the event again";

/// The walk through the rows of retired consumers.
#[derive(Debug, Default)]
pub(in crate::engine) struct Burials {
    /// There may be rows behind the place of the walk.
    wanted: bool,
    /// The number of the walk for which a page is being read.
    reading: Option<u64>,
    /// How often the walk was begun.
    begun: u64,
    /// Steps without an outcome.
    under_way: usize,
    inbox: InboxId,
    deliveries: DeliveryId,
}

impl Pauses {
    /// Returns whether the consumer with this stored name is retired.
    pub(in crate::engine) fn is_retired(&self, consumer: &str) -> bool {
        !self.consumers.is_empty() && self.consumers.contains(consumer)
    }

    /// Returns whether the consumer is retired when all verbs under way are durable.
    fn will_be_retired(&self, consumer: &str) -> bool {
        self.will_be_paused(&PauseOf::Consumer(consumer.to_owned()))
    }
}

impl Shard {
    /// A consumer is retired. The rows in the store are read from the beginning.
    pub(super) fn bury_from_the_start(&mut self) {
        let burials = &mut self.pauses.burials;
        (burials.wanted, burials.begun) = (true, burials.begun + 1);
        (burials.inbox, burials.deliveries) = (InboxId::default(), DeliveryId::default());
    }

    /// A row of a retired consumer has come. `false` if its consumer is not retired.
    pub(in crate::engine) fn will_bury(&mut self, consumer: &str) -> bool {
        let retired = self.pauses.is_retired(consumer);
        self.pauses.burials.wanted |= retired;
        retired
    }

    /// Reads the next rows, when the last ones are dead letters.
    pub(in crate::engine) fn bury_on(&mut self) {
        let burials = &mut self.pauses.burials;
        if !burials.wanted || burials.reading.is_some() || burials.under_way > 0 || self.stopping {
            return;
        }
        (burials.wanted, burials.reading) = (false, Some(burials.begun));
        self.out.push(Out::FetchRetired(burials.inbox, burials.deliveries));
    }

    /// The answer to [`Out::FetchRetired`]. `more`: there may be further rows.
    pub(in crate::engine) fn fetched_retired(
        &mut self,
        mail: Vec<(InboxId, Mail)>,
        deliveries: Vec<(DeliveryId, Delivery)>,
        more: bool,
    ) {
        let burials = &mut self.pauses.burials;
        // After another beginning, these rows are read again.
        if burials.reading.take() != Some(burials.begun) || self.stopping {
            return;
        }
        burials.wanted |= more;
        burials.inbox = mail.last().map_or(burials.inbox, |(id, _)| *id);
        burials.deliveries = deliveries.last().map_or(burials.deliveries, |(id, _)| *id);
        for (id, mail) in mail {
            // A row for a subscriber becomes a delivery first.
            if mail.kind != MailKind::Delivery && self.pauses.is_retired(&mail.to.saga) {
                self.bury_mail(id, mail);
            }
        }
        for (id, delivery) in deliveries {
            if self.pauses.is_retired(&delivery.to.saga) {
                self.bury_delivery(id, delivery);
            }
        }
    }

    /// Turns an inbox row of a retired saga into a dead letter. Rows between parent and child stay.
    fn bury_mail(&mut self, id: InboxId, mail: Mail) {
        let now = self.moment.wall;
        let (reason, detail) = match mail.kind {
            MailKind::Event => (DeadLetterReason::Retired, WHY),
            MailKind::Verb => (DeadLetterReason::Declined, "the saga is retired, and has no instances"),
            MailKind::Delivery | MailKind::Report | MailKind::Start | MailKind::Notice => return,
        };
        // A row of another process is new only if its id is.
        let dedup = mail.id.as_ref().filter(|_| !mail.deduplicated && mail.kind == MailKind::Event);
        let dedup = dedup.map(|id| DedupRecord::new(mail.to.clone(), id.clone(), &mail.message, now));
        let Mail { to, kind, message, id: message_id, hops, trace, .. } = mail;
        let letter = DeadLetter::new(to, kind, message, reason, now);
        let letter = DeadLetter { id: message_id, hops, trace, detail: detail.to_owned(), ..letter };
        let dedup = dedup.into_iter().collect();
        self.bury_row(Step { consumed: vec![id], dead: vec![letter], dedup, ..Step::default() });
    }

    /// Turns a delivery of a retired subscriber into a dead letter.
    fn bury_delivery(&mut self, id: DeliveryId, delivery: Delivery) {
        let Delivery { to, event, id: message_id, hops, trace, .. } = delivery;
        let letter =
            DeadLetter::new(to, MailKind::Delivery, event, DeadLetterReason::Retired, self.moment.wall);
        let letter = DeadLetter { id: Some(message_id), hops, trace, detail: WHY.to_owned(), ..letter };
        let deliveries = vec![DeliveryChange::Finish(id)];
        self.bury_row(Step { deliveries, dead: vec![letter], ..Step::default() });
    }

    fn bury_row(&mut self, step: Step) {
        self.pauses.burials.under_way += 1;
        self.queue_step(Purpose::Buried, step);
    }

    /// The step of a row has its outcome.
    pub(in crate::engine) fn buried(&mut self, step: &Step, outcome: StepOutcome) {
        self.pauses.burials.under_way -= 1;
        match outcome {
            StepOutcome::Committed(_) => self.tally.dead_letters += step.dead.len() as u64,
            // The same event waited twice, or its row was used up meanwhile.
            StepOutcome::Duplicate => {
                let consumed = step.consumed.clone();
                self.queue_step(Purpose::Housekeeping, Step { consumed, ..Step::default() });
            }
            StepOutcome::IdConflict => {
                let (consumed, reason) = (step.consumed.clone(), DeadLetterReason::IdConflict);
                let conflict = |letter: &DeadLetter| {
                    let (reason, detail) = (reason.clone(), TAKEN_BEFORE.to_owned());
                    DeadLetter { reason, detail, ..letter.clone() }
                };
                let dead: Vec<_> = step.dead.iter().map(conflict).collect();
                self.tally.dead_letters += dead.len() as u64;
                self.queue_step(Purpose::Housekeeping, Step { consumed, dead, ..Step::default() });
            }
            StepOutcome::Refused(why) => {
                tracing::error!(
                    why,
                    "the store refused the dead letter of a retired consumer; the row waits for the next start"
                );
            }
            StepOutcome::Repeated | StepOutcome::Conflict | StepOutcome::AliasTaken { .. } => {}
        }
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
        let only = |event: &str| {
            let mut consumers = self.registry.consumers.get(event).into_iter().flatten().peekable();
            consumers.peek().is_some()
                && consumers.all(|of| **of.name() == *consumer || self.pauses.will_be_retired(of.name()))
                && self.registry.takes(consumer, event)
        };
        self.registry.published().find(|(_, event)| only(event))
    }
}
