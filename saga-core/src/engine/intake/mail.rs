//! Durable rows of the inbox: each row goes to its instance, or becomes a delivery to its subscriber.

use crate::engine::Shard;
use crate::engine::advance::Purpose;
use crate::engine::slot::Item;
use crate::engine::store_verb::CONSUMER;
use crate::message::MessageId;
use crate::store::{DedupRecord, Delivery, Mail};
use crate::store::{DeliveryChange, InboxId, MailKind, Step};

impl Shard {
    /// Takes up a durable row of the inbox.
    pub(in crate::engine) fn take_mail(&mut self, id: InboxId, mail: Mail) {
        if mail.kind == MailKind::Delivery {
            self.admit_delivery(id, mail);
            return;
        }
        if mail.kind == MailKind::Notice {
            return self.take_notice(id, &mail.to);
        }
        if mail.to.saga == CONSUMER {
            return self.operate_by_mail(id, mail);
        }
        let address = self.address(&mail.to.saga, mail.to.key.clone());
        if !self.registry.sagas.contains_key(&*address.saga) {
            // The row stays for a build that has the saga (rule R28).
            self.will_bury(&address.saga);
            return;
        }
        if self.is_held(&address.saga, &mail) && !self.slots.contains_key(&address) {
            // The row stays until the saga is resumed (rule R37). An instance in memory counts it.
            return;
        }
        match Item::from_mail(id, mail) {
            Ok(item) => {
                let item = Item { _room: Some(self.intake.room()), ..item };
                self.slot(&address).queue.push_back(item);
                self.older_rows_first(&address);
                self.schedule(&address);
            }
            Err(error) => {
                tracing::error!(instance = %address, error, "an inbox row cannot be read; the row stays in the inbox");
            }
        }
    }

    /// Turns an inbox row for a subscriber into a delivery. Only the lease holder writes deliveries (rule R23).
    fn admit_delivery(&mut self, id: InboxId, mail: Mail) {
        let (now, epoch) = (self.moment.wall, self.lease.epoch);
        let mut step = Step { consumed: vec![id], ..Step::default() };
        if let (Some(message_id), false) = (&mail.id, mail.deduplicated) {
            step.dedup.push(DedupRecord::new(mail.to.clone(), message_id.clone(), &mail.message, now));
        }
        let named = mail.id.is_some();
        let message_id = mail.id.unwrap_or_else(MessageId::unique);
        let delivery = Delivery::new(mail.to, mail.message, message_id, now, epoch);
        let delivery = Delivery { named, hops: mail.hops, trace: mail.trace, ..delivery };
        step.deliveries.push(DeliveryChange::Add(delivery));
        self.queue_step(Purpose::Recorded { ticket: None, consumers: Vec::new(), _claim: None }, step);
    }
}
