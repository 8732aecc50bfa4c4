//! Receipts of published events: as the store has them now, or after the dispatcher has processed the inbox.
//!
//! Owns: reading a receipt from the store. Does not own: waiting for the inbox, which belongs to the engine.

use super::Dispatcher;
use super::calling::{NotAnswered, Patience};
use super::error::{InstanceError, ReceiptError};
use super::publishing;
use super::receipt::{ConsumerReceipt, Receipt};
use crate::engine::{Answer, Disposition, In, TakeUp};
use crate::message::{Correlated, Message, MessageId, chain};
use crate::store::DeadLetterReason;
use crate::store::{Address, Trace};

impl Dispatcher {
    /// Returns the receipt known now for `event`, published under the message id `id`. The publisher can be
    /// [`publish_as`](Self::publish_as), a handler, or a transaction of the store. Returns `None` when no record
    /// exists. The event was then never published, or its deduplication records are past the
    /// [window](super::DispatcherBuilder::dedup_window).
    ///
    /// The event determines its consumers and their keys, so the store needs no index of message ids. An event with
    /// other content under this id gives [`Disposition::Conflict`].
    ///
    /// After [`PublishError::Unknown`], the receipt shows whether the event was accepted, as soon as the store answers.
    /// The store keeps no deduplication records for events that a saga publishes by its table.
    ///
    /// [`PublishError::Unknown`]: super::PublishError::Unknown
    ///
    /// # Errors
    /// [`ReceiptError`]. The error is returned within the [limit of a call](super::DispatcherBuilder::call_limit).
    ///
    /// # Cancellation
    /// Dropping the future has no effect.
    pub async fn receipt<E: Correlated>(
        &self,
        id: &MessageId,
        event: &E,
    ) -> Result<Option<Receipt>, ReceiptError> {
        let (consumers, message) = publishing::asked_about(&self.registry, event)?;
        self.read_receipt(id, &message, consumers).await
    }

    /// Returns a receipt like [`receipt`](Self::receipt), after the dispatcher has processed all earlier published
    /// events. Events from a transaction of the store are included. A caller that waits for this receipt reads its own
    /// writes.
    ///
    /// [`Disposition::Queued`] then has one of three meanings. A saga cannot apply the event now, because its instance
    /// is parked, compensates, defers the event, or does not exist yet. A subscriber still works on the event. This
    /// build does not have the consumer.
    ///
    /// While the call waits, it counts as one of the [events in
    /// flight](super::DispatcherBuilder::max_in_flight_publishes).
    ///
    /// # Errors
    /// [`ReceiptError`]. The error is returned within the [limit of a call](super::DispatcherBuilder::call_limit).
    ///
    /// # Cancellation
    /// Dropping the future only ends the wait.
    pub async fn taken_up<E: Correlated>(
        &self,
        id: &MessageId,
        event: &E,
    ) -> Result<Option<Receipt>, ReceiptError> {
        let (consumers, message) = publishing::asked_about(&self.registry, event)?;
        let (asked, named) = (consumers.clone(), id.clone());
        let asked = async {
            if let Some(mailbox) = self.one_engine_of(&consumers) {
                let asked = self.call(&mailbox, Patience::default(), true, move |ticket, claim| {
                    In::TakeUp(TakeUp { consumers: asked, id: named, ticket, _claim: claim })
                });
                let answer = asked.await;
                if !self.has_gone_away(&answer) {
                    return answer;
                }
            }
            self.taken_up_away(&consumers, id).await;
            Ok(Answer::TakenUp)
        };
        let read = async {
            match asked.await {
                Ok(Answer::TakenUp) => self.read_receipt(id, &message, consumers.clone()).await,
                Ok(_) | Err(NotAnswered::Stopped) => Err(ReceiptError::Stopped),
                Err(NotAnswered::NotDone(why) | NotAnswered::Unknown(why)) => {
                    Err(ReceiptError::NotAnswered { why })
                }
            }
        };
        // The request and the read each have a limit, and share one limit here.
        tokio::select! {
            biased;
            answer = read => answer,
            () = self.limit(None) => {
                let why = self.because(format!("no answer within {:?}", self.limits.call));
                Err(ReceiptError::NotAnswered { why })
            }
        }
    }

    async fn read_receipt(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: Vec<Address>,
    ) -> Result<Option<Receipt>, ReceiptError> {
        let traces = match self.within(self.store.traces(id, event, &consumers)).await {
            Ok(traces) => traces,
            Err(InstanceError::Store(error)) => return Err(ReceiptError::Store(error)),
            Err(InstanceError::NotDone { why }) => return Err(ReceiptError::NotAnswered { why }),
            Err(error) => return Err(ReceiptError::NotAnswered { why: chain(&error).to_string() }),
        };
        let content = event.content_hash();
        let became: Vec<Option<Disposition>> =
            traces.into_iter().map(|trace| became(trace, content)).collect();
        if became.iter().all(Option::is_none) {
            return Ok(None);
        }
        // The event was not recorded for a retired consumer (rule R28).
        let pauses = match became.iter().any(Option::is_none) {
            true => self.store.pauses().await?,
            false => Vec::new(),
        };
        let answers = consumers.into_iter().zip(became);
        let retired = |to: &Address| pauses.iter().any(|pause| pause.retires(&to.saga));
        let answers = answers.filter(|(to, became)| became.is_some() || !retired(to));
        let consumers = answers.map(|(to, became)| ConsumerReceipt {
            consumer: to.saga.to_string(),
            key: to.key,
            disposition: became.unwrap_or(Disposition::NotKnown),
        });
        Ok(Some(Receipt { id: Some(id.clone()), consumers: consumers.collect() }))
    }
}

/// Returns the disposition of an event with this content at one consumer, or `None` when no record exists.
fn became(trace: Trace, content: u64) -> Option<Disposition> {
    let Trace { dedup_record, waiting, delivering, dead } = trace;
    let ours = dedup_record.is_none_or(|dedup_record| dedup_record == content);
    match dead {
        // An entry in the inbox is this event itself, also when it later proves to be a duplicate.
        _ if waiting || delivering && ours => Some(Disposition::Queued),
        Some(reason) if reason != DeadLetterReason::IdConflict => Some(Disposition::Dead { reason }),
        _ if dedup_record == Some(content) => Some(Disposition::Taken),
        Some(_) => Some(Disposition::Conflict),
        None => dedup_record.map(|_| Disposition::Conflict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_says_of_each_consumer_what_is_kept_there() {
        let trace = |dedup_record, waiting, delivering, dead: Option<DeadLetterReason>| {
            became(Trace { dedup_record, waiting, delivering, dead }, 1)
        };
        let died = |reason| Some(Disposition::Dead { reason });
        assert_eq!(trace(None, false, false, None), None);
        assert_eq!(trace(None, true, false, None), Some(Disposition::Queued), "nobody has looked at it");
        assert_eq!(trace(Some(1), true, false, None), Some(Disposition::Queued), "or it is set aside");
        assert_eq!(trace(Some(1), false, true, None), Some(Disposition::Queued), "or a subscriber is at it");
        assert_eq!(trace(Some(1), false, false, None), Some(Disposition::Taken));
        assert_eq!(
            trace(Some(1), false, false, Some(DeadLetterReason::Unhandled)),
            died(DeadLetterReason::Unhandled)
        );
        assert_eq!(
            trace(None, false, false, Some(DeadLetterReason::Unhandled)),
            died(DeadLetterReason::Unhandled),
            "past the window"
        );
        assert_eq!(trace(Some(2), false, false, None), Some(Disposition::Conflict));
        assert_eq!(trace(Some(2), false, true, None), Some(Disposition::Conflict), "that is the other one");
        assert_eq!(
            trace(None, false, false, Some(DeadLetterReason::IdConflict)),
            Some(Disposition::Conflict)
        );
    }
}
