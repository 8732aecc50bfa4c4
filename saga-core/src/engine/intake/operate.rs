//! Operators' verbs on dead letters, sagas and handlers: the check, the step, and the effect of the step in memory.
//!
//! Owns: the verbs of [`StoreVerb`]. Does not own: the verbs on an instance, which join the queue of the instance.

use std::sync::Arc;

use crate::engine::Shard;
use crate::engine::advance::{Purpose, TAKEN_BEFORE};
use crate::engine::intake::Claim;
use crate::engine::io::{Answer, Out, Ticket};
use crate::engine::store_verb;
use crate::engine::store_verb::StoreVerb;
use crate::machine::{DeclinedReason, Operator};
use crate::message::{Message, MessageId, Name, Payload};
use crate::store::{
    Address, AuditEntry, DeadLetter, DeadLetterReason, DeadLetterRow, DedupRecord, Delivery, InboxId, Mail,
    MailKind, Pause, PauseChange, PauseOf, Step, StepOutcome,
};

/// A verb on its way, with everything that its answer needs.
#[derive(Debug)]
pub(in crate::engine) struct Operated {
    verb: StoreVerb,
    operator: Operator,
    request: Option<MessageId>,
    /// The waiting caller. `None` for a verb from the inbox.
    ticket: Option<Ticket>,
    /// The inbox row of a verb from another process.
    inbox: Option<InboxId>,
    /// The share in the limit on items from the store.
    _room: Option<Arc<()>>,
}

impl Shard {
    /// A caller requests a verb.
    pub(in crate::engine) fn operate(
        &mut self,
        verb: StoreVerb,
        operator: Operator,
        ticket: Ticket,
        claim: &Claim,
    ) {
        if !claim.take() {
            return self.out.push(Out::Answer(ticket, Answer::Withdrawn));
        }
        if self.stopping {
            return self.out.push(Out::Answer(ticket, Answer::Stopped));
        }
        self.consider(Operated {
            verb,
            operator,
            request: None,
            ticket: Some(ticket),
            inbox: None,
            _room: None,
        });
    }

    /// Takes up a verb of another process.
    pub(super) fn operate_by_mail(&mut self, id: InboxId, mail: Mail) {
        match store_verb::read(&mail) {
            Ok((verb, operator)) => {
                let (inbox, room) = (Some(id), Some(self.intake.room()));
                self.consider(Operated {
                    verb,
                    operator,
                    request: mail.id,
                    ticket: None,
                    inbox,
                    _room: room,
                });
            }
            Err(error) => {
                tracing::error!(error, "a verb in the inbox cannot be read; the row stays in the inbox");
            }
        }
    }

    fn consider(&mut self, operated: Operated) {
        let step = match &operated.verb {
            StoreVerb::Redrive { letter, .. } | StoreVerb::Discard { letter } => {
                let letter = *letter;
                let number = self.keep_verb(operated);
                return self.out.push(Out::FetchLetter(letter, number));
            }
            StoreVerb::Pause(PauseOf::Consumer(name)) => match self.check_retired(name) {
                Ok(()) => {
                    let saga = name.clone();
                    let number = self.keep_verb(operated);
                    return self.out.push(Out::CountLive(saga, number));
                }
                Err(why) => Err(why),
            },
            StoreVerb::Send { to, event, id } => self.send_step(to, event, id.as_ref()),
            StoreVerb::Pause(of) => {
                let of = of.clone();
                self.pause_step(&of, &operated.operator)
            }
            StoreVerb::Resume(of) if self.is_being_retired(of) => {
                Err(DeclinedReason::Refused { why: format!("{of} is being retired; resume it after that") })
            }
            StoreVerb::Resume(of) => {
                let of = of.clone();
                self.resume_step(&of)
            }
        };
        self.decide(operated, step);
    }

    /// Returns whether the store still counts for the retirement of this consumer.
    fn is_being_retired(&self, of: &PauseOf) -> bool {
        matches!(of, PauseOf::Consumer(_))
            && self.operated.values().any(|kept| matches!(&kept.verb, StoreVerb::Pause(other) if other == of))
    }

    /// Keeps a verb until the store has answered a read. Returns the number of the read.
    fn keep_verb(&mut self, operated: Operated) -> u64 {
        let number = self.operated.last_key_value().map_or(0, |(last, _)| last + 1);
        self.operated.insert(number, operated);
        number
    }

    /// The verb of a read. `None` while the dispatcher stops.
    fn verb_of_read(&mut self, number: u64) -> Option<Operated> {
        let Some(operated) = self.operated.remove(&number) else {
            self.broken("a read for a verb belongs to a verb", None);
            return None;
        };
        if self.stopping {
            // The row of a verb from the inbox stays for the next start.
            self.out.extend(operated.ticket.map(|ticket| Out::Answer(ticket, Answer::Stopped)));
            return None;
        }
        Some(operated)
    }

    /// The answer to [`Out::CountLive`].
    pub(in crate::engine) fn counted_live(&mut self, verb: u64, instances: u64) {
        let Some(operated) = self.verb_of_read(verb) else { return };
        let StoreVerb::Pause(of) = &operated.verb else {
            return self.broken("only the retirement of a consumer counts instances", None);
        };
        let of = of.clone();
        let step = match instances {
            0 => self.pause_step(&of, &operated.operator),
            _ => Err(DeclinedReason::HasInstances { saga: of.name().to_owned(), instances }),
        };
        self.decide(operated, step);
    }

    /// The answer to [`Out::FetchLetter`].
    pub(in crate::engine) fn fetched_letter(&mut self, verb: u64, found: Option<DeadLetterRow>) {
        let Some(operated) = self.verb_of_read(verb) else { return };
        let step = match (&operated.verb, found) {
            (StoreVerb::Redrive { letter, .. } | StoreVerb::Discard { letter }, None) => {
                Err(DeclinedReason::Refused { why: Step::no_letter(*letter) })
            }
            (StoreVerb::Redrive { payload, .. }, Some(row)) => self.redrive_step(row, payload.clone()),
            (_, Some(row)) => Ok((Step { redriven: vec![row.id], ..Step::default() }, row.letter)),
            _ => return self.broken("only a verb on a dead letter reads one", None),
        };
        match step {
            Ok((step, letter)) => self.decide_about(operated, step, &letter),
            Err(why) => self.decide(operated, Err(why)),
        }
    }

    /// Adds the address of the letter, and the payload that the verb removes.
    fn decide_about(&mut self, operated: Operated, step: Step, letter: &DeadLetter) {
        let mut entry = operated.verb.entry(&operated.operator, operated.request.clone(), self.moment.wall);
        entry.object = format!("{}, {}", entry.object, letter.message.name);
        entry.to = Some(letter.to.clone());
        let was = &letter.message.payload;
        entry.payload = match (&operated.verb, entry.payload) {
            (StoreVerb::Redrive { .. }, Some(now)) => Some(both(was, &now)),
            // The payload goes on with the message.
            (StoreVerb::Redrive { .. }, None) => None,
            _ => Some(was.clone()),
        };
        self.write(operated, Ok(step), entry);
    }

    fn decide(&mut self, operated: Operated, step: Result<Step, DeclinedReason>) {
        let entry = operated.verb.entry(&operated.operator, operated.request.clone(), self.moment.wall);
        self.write(operated, step, entry);
    }

    /// Queues the step of a decision. A declined verb has a step as well, which writes only the audit.
    fn write(&mut self, operated: Operated, step: Result<Step, DeclinedReason>, entry: AuditEntry) {
        let (mut step, declined) = match step {
            Ok(step) => (step, None),
            Err(why) => (Step::default(), Some(why)),
        };
        step.consumed.extend(operated.inbox);
        let kept = entry.clone();
        step.audit.push(match &declined {
            Some(why) => entry.declined(why),
            None => entry,
        });
        self.queue_step(
            Purpose::Operated { operated: Box::new(operated), entry: Box::new(kept), declined },
            step,
        );
    }

    /// The step of a verb is durable, or the store has refused the step.
    pub(in crate::engine) fn verb_is_durable(
        &mut self,
        operated: Operated,
        entry: AuditEntry,
        declined: Option<DeclinedReason>,
        step: &Step,
        outcome: StepOutcome,
    ) {
        self.forward(step, &outcome, 0);
        let refused = match outcome {
            StepOutcome::Refused(why) => Some(why),
            StepOutcome::Duplicate if !step.dedup.is_empty() => {
                Some("the instance has already taken an event with this message id".to_owned())
            }
            StepOutcome::IdConflict => Some(TAKEN_BEFORE.to_owned()),
            _ => None,
        };
        if let (StoreVerb::Pause(of) | StoreVerb::Resume(of), None) = (&operated.verb, &declined) {
            let of = self.present_pause(of);
            self.pauses.end(&of);
            self.read_pauses_after_verb();
        }
        if let (Some(why), None) = (refused, &declined) {
            // Nothing was written, so the declined verb needs a step of its own.
            return self.write(operated, Err(DeclinedReason::Refused { why }), entry);
        }
        let answer = declined.map_or(Ok(()), Err);
        if answer.is_ok() {
            match &operated.verb {
                StoreVerb::Pause(of) => self.paused(&self.present_pause(of)),
                StoreVerb::Resume(of) => self.resumed(&self.present_pause(of)),
                _ => {}
            }
        } else if let (Err(why), None) = (&answer, operated.ticket) {
            tracing::warn!(verb = operated.verb.as_str(), %why, "an operator's verb was declined");
        }
        self.out.extend(operated.ticket.map(|ticket| Out::Answer(ticket, Answer::Verb(answer))));
    }

    /// The step that delivers a dead letter again and removes it, and the letter.
    fn redrive_step(
        &self,
        row: DeadLetterRow,
        payload: Option<Payload>,
    ) -> Result<(Step, DeadLetter), DeclinedReason> {
        let now = self.moment.wall;
        let DeadLetterRow { id, letter } = row;
        if letter.reason == DeadLetterReason::BadKey {
            return Err(DeclinedReason::NoKey);
        }
        if self.pauses.is_retired(&letter.to.saga) {
            return Err(DeclinedReason::ConsumerRetired { consumer: letter.to.saga.to_string() });
        }
        let of_audit = letter.clone();
        let edited = payload.is_some();
        let message = match payload {
            Some(payload) => Message { payload, ..letter.message },
            None => letter.message,
        };
        let mut step = Step { redriven: vec![id], ..Step::default() };
        match letter.kind {
            MailKind::Event => {
                let to = self.address(&letter.to.saga, letter.to.key);
                if edited {
                    self.check_event(&to, &message)?;
                }
                step.mail.push(Mail {
                    id: letter.id,
                    // A redriven event is not checked against the record of its first delivery (rule R26).
                    deduplicated: true,
                    hops: letter.hops,
                    epoch: self.mail_epoch(&to),
                    cause: Some(Name::Borrowed("redrive")),
                    trace: letter.trace,
                    ..Mail::event(to, message, now)
                });
            }
            MailKind::Delivery => {
                if edited {
                    self.check_delivery(&letter.to, &message)?;
                }
                let id = letter.id.unwrap_or_else(MessageId::unique);
                let delivery = Delivery::new(letter.to, message, id, now, self.lease.epoch);
                // The dead letter does not say whether the publisher chose the id.
                let delivery = Delivery { named: true, hops: letter.hops, trace: letter.trace, ..delivery };
                self.deliver(delivery, true, Some(Name::Borrowed("redrive")), &mut step);
            }
            MailKind::Verb => return Err(DeclinedReason::DeclinedVerb),
            MailKind::Report | MailKind::Start | MailKind::Notice => return Err(DeclinedReason::LateOutcome),
        }
        Ok((step, of_audit))
    }

    fn send_step(
        &self,
        to: &Address,
        event: &Message,
        id: Option<&MessageId>,
    ) -> Result<Step, DeclinedReason> {
        let now = self.moment.wall;
        let to = self.address(&to.saga, to.key.clone());
        self.check_event(&to, event)?;
        let is_here = self.is_here(&to);
        let record = id.filter(|_| is_here).map(|id| DedupRecord::new(to.clone(), id.clone(), event, now));
        let mail = Mail {
            id: id.cloned(),
            deduplicated: is_here,
            epoch: self.mail_epoch(&to),
            cause: Some(Name::Borrowed("send")),
            ..Mail::event(to, event.clone(), now)
        };
        Ok(Step { mail: vec![mail], dedup: record.into_iter().collect(), ..Step::default() })
    }

    /// Checks an event that an operator has written.
    fn check_event(&self, to: &Address, event: &Message) -> Result<(), DeclinedReason> {
        let Some(program) = self.registry.sagas.get(&*to.saga) else {
            let known = self.registry.sagas.keys().map(|name| (*name).to_owned());
            return Err(DeclinedReason::unknown("saga", &to.saga, known));
        };
        let definition = program.definition();
        let Some(index) = definition.event(&event.name) else {
            let known = definition.events.iter().map(|event| event.name.to_owned());
            return Err(DeclinedReason::unknown("event", &event.name, known));
        };
        self.check_body(event, definition.events[index].decode)
    }

    /// Checks an event for a subscriber that an operator has written.
    fn check_delivery(&self, to: &Address, event: &Message) -> Result<(), DeclinedReason> {
        match self.registry.subscribers.get(&*to.saga) {
            Some((_, event_type)) => self.check_body(event, event_type.decode),
            None => {
                let known = self.registry.subscribers.keys().map(ToString::to_string);
                Err(DeclinedReason::unknown("subscriber", &to.saga, known))
            }
        }
    }

    fn check_body<T, E: std::fmt::Display>(
        &self,
        event: &Message,
        decode: fn(&Message) -> Result<T, E>,
    ) -> Result<(), DeclinedReason> {
        let bad = |why: String| DeclinedReason::BadBody { name: event.name.to_string(), why };
        event.payload.check(self.limits.payload).map_err(|error| bad(error.to_string()))?;
        decode(event).map(drop).map_err(|error| bad(error.to_string()))
    }

    fn pause_step(&mut self, of: &PauseOf, operator: &Operator) -> Result<Step, DeclinedReason> {
        self.check_known(of)?;
        let of = self.present_pause(of);
        if self.pauses.will_be_paused(&of) {
            return Err(DeclinedReason::AlreadyPaused { of });
        }
        self.pauses.begin(of.clone(), true);
        let (who, why, at) = (operator.who.clone(), operator.why.clone(), self.moment.wall);
        let pause = PauseChange::Pause(Pause { of, who, why, at });
        let mut step = Step { pauses: vec![pause], ..Step::default() };
        self.tell_of_pauses(&mut step);
        Ok(step)
    }

    /// A pause of a saga or handler that this build does not have can also be ended.
    fn resume_step(&mut self, of: &PauseOf) -> Result<Step, DeclinedReason> {
        let of = self.present_pause(of);
        if !self.pauses.will_be_paused(&of) {
            return Err(DeclinedReason::NotPaused { of });
        }
        let stored = self.pauses.stored(&of);
        self.pauses.begin(of, false);
        let pauses = stored.into_iter().map(PauseChange::Resume).collect();
        let mut step = Step { pauses, ..Step::default() };
        self.tell_of_pauses(&mut step);
        Ok(step)
    }

    /// Checks whether a consumer can be retired (rule R28).
    fn check_retired(&self, name: &str) -> Result<(), DeclinedReason> {
        let of = PauseOf::Consumer(name.to_owned());
        let consumer = name.to_owned();
        if self.pauses.will_be_paused(&of) {
            return Err(DeclinedReason::AlreadyPaused { of });
        }
        if self.registry.has_consumer(name) {
            return Err(DeclinedReason::ConsumerPresent { consumer });
        }
        if !self.absent_consumers().any(|absent| absent == name) {
            let known = self.absent_consumers().map(str::to_owned);
            return Err(DeclinedReason::unknown("consumer without a build", name, known));
        }
        match self.publishes_only_for(name) {
            Some((saga, event)) => {
                let (saga, event) = (saga.to_owned(), event.to_owned());
                Err(DeclinedReason::OnlyConsumer { consumer, saga, event })
            }
            None => Ok(()),
        }
    }

    fn check_known(&self, of: &PauseOf) -> Result<(), DeclinedReason> {
        let registry = &self.registry;
        match of {
            PauseOf::Consumer(name) => self.check_retired(name),
            PauseOf::Saga(name) if registry.sagas.contains_key(&**name) => Ok(()),
            PauseOf::Saga(name) => {
                let known = registry.sagas.keys().map(|name| (*name).to_owned());
                Err(DeclinedReason::unknown("saga", name, known))
            }
            PauseOf::Handler(name) if registry.lanes_named(name).next().is_some() => Ok(()),
            PauseOf::Handler(name) => {
                let known = registry.lanes.iter().map(|lane| lane.name.to_owned());
                Err(DeclinedReason::unknown("handler", name, known))
            }
        }
    }
}

/// The payload before and after an edit.
fn both(was: &Payload, now: &Payload) -> Payload {
    Payload::from(format!("{{\"was\":{},\"now\":{}}}", was.as_str(), now.as_str()))
}
