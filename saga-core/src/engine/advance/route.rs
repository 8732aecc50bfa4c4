//! The routing of a step: inbox rows for sagas, deliveries for subscribers, messages between parent and child.

use std::sync::Arc;

use crate::engine::Shard;
use crate::engine::registry::Consumer;
use crate::engine::slot::Item;
use crate::machine::{Outgoing, Published};
use crate::message::{MessageId, Name, TraceContext};
use crate::store::{Address, DeadLetter, DeadLetterReason, Delivery, Mail, MailKind, Step};

impl Shard {
    /// Routes the published events of a step: inbox rows for sagas, deliveries for subscribers.
    pub(in crate::engine) fn route(
        &mut self,
        from: &Address,
        cause: &Item,
        published: Vec<Published>,
        step: &mut Step,
    ) {
        let Some(record) = &step.instance else { return };
        let (incarnation, seq, trace) = (record.incarnation, record.seq, record.trace);
        let now = self.moment.wall;
        let registry = Arc::clone(&self.registry);
        for (ordinal, event) in published.into_iter().enumerate() {
            let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
            let id = MessageId::from(incarnation.derive(seq, ordinal, &event.message.name));
            let hops = cause.hops + 1;
            let consumers = registry.consumers.get(&*event.message.name).map_or(&[] as &[_], Vec::as_slice);
            let later = registry.later_consumers(&event.message.name);
            for consumer in
                consumers.iter().chain(&later).filter(|consumer| !self.pauses.is_retired(consumer.name()))
            {
                let saga = match consumer {
                    Consumer::Saga(saga) => saga,
                    Consumer::Subscriber(_) => "",
                };
                let (key, reason, detail) = match event.event.correlation(saga) {
                    Ok(key) if hops <= self.limits.hops => {
                        let to = self.address(consumer.name(), key);
                        self.send(to, consumer, &event, &id, (hops, trace), from, step);
                        continue;
                    }
                    Ok(key) => (
                        key,
                        DeadLetterReason::TooManyHops,
                        format!(
                            "the event has passed through {hops} sagas; the limit is {}",
                            self.limits.hops
                        ),
                    ),
                    // An event with a bad key is kept under the key of its publisher, where an operator can find it.
                    Err(error) => {
                        let detail = format!("`{}` of {from}: {error}", event.message.name);
                        (from.key.clone(), DeadLetterReason::BadKey, detail)
                    }
                };
                self.tally.dead_letters += 1;
                let kind = match consumer {
                    Consumer::Saga(_) => MailKind::Event,
                    Consumer::Subscriber(_) => MailKind::Delivery,
                };
                let (to, message) = (self.address(consumer.name(), key), event.message.clone());
                let letter = DeadLetter::new(to, kind, message, reason, now);
                step.dead.push(DeadLetter { id: Some(id.clone()), hops, trace, detail, ..letter });
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
        (hops, trace): (u32, Option<TraceContext>),
        from: &Address,
        step: &mut Step,
    ) {
        let now = self.moment.wall;
        let cause = Some(Name::Owned(from.to_string()));
        match consumer {
            Consumer::Saga(_) => step.mail.push(Mail {
                id: Some(id.clone()),
                deduplicated: true,
                hops,
                epoch: self.mail_epoch(&to),
                cause,
                trace,
                ..Mail::event(to, event.message.clone(), now)
            }),
            Consumer::Subscriber(_) => {
                let delivery = Delivery::new(to, event.message.clone(), id.clone(), now, self.lease.epoch);
                self.deliver(Delivery { hops, trace, ..delivery }, true, cause, step);
            }
        }
    }

    /// Builds the inbox row of a message between parent and child.
    pub(in crate::engine) fn relative(
        &self,
        out: Outgoing,
        from: &Address,
        (hops, trace): (u32, Option<TraceContext>),
    ) -> Mail {
        let to = self.address(&out.to.saga, out.to.key);
        Mail {
            id: out.id,
            deduplicated: true,
            task: out.task,
            hops: hops + 1,
            epoch: self.mail_epoch(&to),
            cause: Some(Name::Owned(from.to_string())),
            trace,
            ..Mail::new(to, out.kind, out.message, self.moment.wall)
        }
    }
}
