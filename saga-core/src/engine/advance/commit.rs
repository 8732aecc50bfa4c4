//! Effects of a commit: callers are answered, attempts start, timers are armed, waiters wake. None of this happens
//! before the commit.

use crate::engine::advance::Purpose;
use crate::engine::io::{Answer, Out};
use crate::engine::slot::Item;
use crate::engine::{ConsumerAnswer, Disposition, Rejection, Shard};
use crate::machine::DeclinedReason;
use crate::machine::Input;
use crate::message::{Message, MessageId};
use crate::store::{
    Address, Committed, DeadLetter, DeadLetterReason, DeliveryChange, MailKind, Step, StepOutcome,
};

pub(in crate::engine) const TAKEN_BEFORE: &str =
    "the consumer has already taken an event with this message id and other content";

impl Shard {
    /// Handles the outcomes of the batch in progress, in order.
    pub(in crate::engine) fn committed(&mut self, outcomes: Vec<StepOutcome>) {
        let Some((purposes, steps)) = self.under_way.pop_front() else {
            return self.broken("each commit answers a batch in progress", None);
        };
        self.tally.batches += 1;
        let handled = purposes.len() as u64;
        for ((purpose, step), outcome) in purposes.into_iter().zip(&steps.steps).zip(outcomes) {
            if let StepOutcome::Committed(committed) = &outcome {
                self.tally.steps += u64::from(step.instance.is_some());
                self.intake.own_rows_durable(&committed.mail);
                self.attend_to_letters(&step.dead);
            }
            match purpose {
                Purpose::Instance(address) => self.instance_committed(&address, step, outcome),
                Purpose::Recorded { ticket, consumers, .. } => {
                    let answer = match &outcome {
                        StepOutcome::Duplicate => Ok(Disposition::Duplicate),
                        StepOutcome::IdConflict => Err(Rejection::IdConflict),
                        StepOutcome::Refused(why) => Err(Rejection::Refused(why.clone())),
                        // A step that touches no instance claims no alias.
                        StepOutcome::Committed(_)
                        | StepOutcome::Repeated
                        | StepOutcome::Conflict
                        | StepOutcome::AliasTaken { .. } => Ok(Disposition::Queued),
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
                Purpose::TaskStart(address, task, lane) => {
                    self.progress_written(&address, &outcome);
                    self.start_recorded(&address, task, lane, matches!(outcome, StepOutcome::Committed(_)));
                }
                Purpose::Progress(address) => self.progress_written(&address, &outcome),
                Purpose::TaskDelay(address, task) => {
                    self.progress_written(&address, &outcome);
                    if matches!(outcome, StepOutcome::Committed(_)) {
                        self.delayed(&address, task);
                    }
                }
                Purpose::DeliveryDelay(delivery) => match outcome {
                    StepOutcome::Refused(why) => {
                        tracing::error!(
                            why,
                            "the store refused to write the progress of a delivery; the delivery waits for the next start"
                        );
                        self.unrecorded_attempts = true;
                    }
                    _ => self.enlist_delivery(delivery),
                },
                Purpose::Saved { ticket, address } => {
                    if let Some(address) = address {
                        self.progress_written(&address, &outcome);
                    }
                    let saved = matches!(outcome, StepOutcome::Committed(_));
                    self.out.push(Out::Answer(ticket, Answer::Saved(saved)));
                }
                Purpose::DeliveryStart(delivery) => {
                    self.delivery_start_recorded(delivery, matches!(outcome, StepOutcome::Committed(_)));
                }
                Purpose::Buried => self.buried(step, outcome),
                Purpose::Housekeeping => {
                    if let StepOutcome::Refused(why) = outcome {
                        tracing::error!(why, "the store refused to remove processed rows");
                        self.unrecorded_attempts |= !step.deliveries.is_empty();
                    }
                }
                Purpose::DeliveryEnd(delivery) => {
                    if let StepOutcome::Refused(why) = outcome {
                        tracing::error!(
                            why,
                            "the store refused to remove a finished delivery; the event is delivered again after the next start"
                        );
                        self.unrecorded_attempts = true;
                    }
                    self.delivered(delivery);
                }
                Purpose::Operated { operated, entry, declined } => {
                    self.verb_is_durable(*operated, *entry, declined, step, outcome);
                }
                Purpose::Declined { ticket, why } => {
                    if let StepOutcome::Refused(why) = outcome {
                        tracing::error!(why, "the store refused the audit of a declined verb");
                    }
                    self.out.push(Out::Answer(ticket, Answer::Verb(Err(why))));
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
            self.queue_step(Purpose::Housekeeping, Step { consumed, dead, ..Step::default() });
        }
    }

    fn conflicting(&self, step: &Step) -> Vec<DeadLetter> {
        let at = self.moment.wall;
        let letter = |to: &Address, kind, message: &Message, id: Option<MessageId>, (hops, trace)| {
            let letter = DeadLetter::new(to.clone(), kind, message.clone(), DeadLetterReason::IdConflict, at);
            DeadLetter { id, hops, trace, detail: TAKEN_BEFORE.to_owned(), ..letter }
        };
        let mail =
            step.mail.iter().map(|m| letter(&m.to, m.kind, &m.message, m.id.clone(), (m.hops, m.trace)));
        let deliveries = step.deliveries.iter().filter_map(|change| match change {
            DeliveryChange::Add(d) => {
                Some(letter(&d.to, MailKind::Delivery, &d.event, Some(d.id.clone()), (d.hops, d.trace)))
            }
            _ => None,
        });
        mail.chain(deliveries).collect()
    }

    /// The store has answered a step that writes task progress.
    fn progress_written(&mut self, address: &Address, outcome: &StepOutcome) {
        if let StepOutcome::Refused(why) = outcome {
            tracing::error!(instance = %address, why, "the store refused to write the progress of a task");
            self.unrecorded_attempts = true;
            // The write never ends, so the instance stays in memory. Only memory knows its attempts.
            return;
        }
        match self.slots.get_mut(address) {
            Some(slot) => slot.runs.end_progress_write(),
            None => self.broken("an instance stays in memory while its progress is written", Some(address)),
        }
    }

    /// Takes up the mail and deliveries that a durable step added. The first `own` rows of the mail stay in the inbox.
    pub(in crate::engine) fn forward(&mut self, step: &Step, outcome: &StepOutcome, own: usize) {
        let StepOutcome::Committed(Committed { mail, deliveries, .. }) = outcome else { return };
        for (row, &id) in step.mail.iter().zip(mail).skip(own) {
            if !self.is_here(&row.to) {
                // The store wakes the owner of the other shard.
            } else if row.epoch == 0 {
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

    pub(in crate::engine) fn answer(
        &mut self,
        address: &Address,
        item: Option<Item>,
        answer: &ConsumerAnswer,
    ) {
        let Some(item) = item else { return };
        let Some(ticket) = item.ticket else { return };
        let answer = match item.what {
            Input::Verb(_) => Answer::Verb(match answer {
                Err(Rejection::Refused(why)) => Err(DeclinedReason::Refused { why: why.clone() }),
                _ => Ok(()),
            }),
            _ => Answer::Published(vec![(address.clone(), answer.clone())]),
        };
        self.out.push(Out::Answer(ticket, answer));
    }
}
