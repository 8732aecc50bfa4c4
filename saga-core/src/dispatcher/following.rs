//! What became of an event that was published: as the store has it now, or once the dispatcher has taken it up.
//!
//! Owns: reading a receipt off what the store keeps. Does not own: waiting until the inbox has been taken up, which is the
//! engine's.

use super::Dispatcher;
use super::calling::{NotAnswered, Patience};
use super::error::{InstanceError, ReceiptError};
use super::publishing;
use super::receipt::{ConsumerReceipt, Disposition, Receipt};
use crate::engine::{Answer, In, TakeUp};
use crate::message::{Correlated, Message, MessageId, chain};
use crate::store::{Address, DeadLetter, Trace};

impl Dispatcher {
    /// What is known now about `event` as it was published under the message id `id`: by
    /// [`publish_as`](Self::publish_as), by a handler, or in a transaction of the store. `None` when nothing is known: it was
    /// never published, or its deduplication records are past the [window](super::DispatcherBuilder::dedup_window).
    ///
    /// The event tells who takes it and under which keys, so that no index of message ids is kept. It is told from another
    /// one that was published under the id: that is [`Disposition::Conflict`]. After [`PublishError::Unknown`] the receipt
    /// says whether the event was accepted, as soon as the store answers. Of what a saga publishes by its table no
    /// deduplication records are kept.
    ///
    /// [`PublishError::Unknown`]: super::PublishError::Unknown
    ///
    /// # Errors
    /// [`ReceiptError`]. It comes within the [limit of a call](super::DispatcherBuilder::call_limit).
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

    /// As [`receipt`](Self::receipt), once the dispatcher has taken up everything that was published before the call, also by
    /// a transaction of the store: whoever waits for it reads their own writes.
    ///
    /// [`Disposition::Queued`] then means that a saga cannot take the event now, because its instance is parked, compensates,
    /// defers it or does not exist yet; that a subscriber is still at it; or that this build does not have the consumer. It counts
    /// among the [events on their way](super::DispatcherBuilder::max_in_flight_publishes) while it waits.
    ///
    /// # Errors
    /// [`ReceiptError`]. It comes within the [limit of a call](super::DispatcherBuilder::call_limit).
    ///
    /// # Cancellation
    /// Dropping the future only stops waiting.
    pub async fn taken_up<E: Correlated>(
        &self,
        id: &MessageId,
        event: &E,
    ) -> Result<Option<Receipt>, ReceiptError> {
        let (consumers, message) = publishing::asked_about(&self.registry, event)?;
        let (whose, named) = (consumers.clone(), id.clone());
        let asked = self.call(Patience::default(), true, move |ticket, claim| {
            In::TakeUp(TakeUp { consumers: whose, id: named, ticket, _claim: claim })
        });
        let read = async move {
            match asked.await {
                Ok(Answer::TakenUp) => self.read_receipt(id, &message, consumers).await,
                Ok(_) | Err(NotAnswered::Stopped) => Err(ReceiptError::Stopped),
                Err(NotAnswered::NotDone(why) | NotAnswered::Unknown(why)) => {
                    Err(ReceiptError::NotAnswered { why })
                }
            }
        };
        // Asking and reading have a limit each, and share one here.
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
        let consumers = consumers.into_iter().zip(became).map(|(to, became)| ConsumerReceipt {
            consumer: to.saga.to_string(),
            key: to.key,
            disposition: became.unwrap_or(Disposition::NotKnown),
        });
        Ok(Some(Receipt { id: Some(id.clone()), consumers: consumers.collect() }))
    }
}

/// What became of an event with this content at one consumer; `None` when nothing is known.
fn became(trace: Trace, content: u64) -> Option<Disposition> {
    let Trace { dedup_record, waiting, delivering, dead } = trace;
    let ours = dedup_record.is_none_or(|dedup_record| dedup_record == content);
    match dead {
        // What lies in the inbox is this very event, also one that would turn out to be a duplicate.
        _ if waiting || delivering && ours => Some(Disposition::Queued),
        Some(reason) if reason != DeadLetter::ID_CONFLICT => {
            Some(Disposition::Dead { reason: reason.into_owned() })
        }
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
        let trace = |dedup_record, waiting, delivering, dead: Option<&'static str>| {
            became(Trace { dedup_record, waiting, delivering, dead: dead.map(Into::into) }, 1)
        };
        let died = |reason: &str| Some(Disposition::Dead { reason: reason.to_owned() });
        assert_eq!(trace(None, false, false, None), None);
        assert_eq!(trace(None, true, false, None), Some(Disposition::Queued), "nobody has looked at it");
        assert_eq!(trace(Some(1), true, false, None), Some(Disposition::Queued), "or it is set aside");
        assert_eq!(trace(Some(1), false, true, None), Some(Disposition::Queued), "or a subscriber is at it");
        assert_eq!(trace(Some(1), false, false, None), Some(Disposition::Taken));
        assert_eq!(trace(Some(1), false, false, Some("unhandled")), died("unhandled"));
        assert_eq!(trace(None, false, false, Some("unhandled")), died("unhandled"), "past the window");
        assert_eq!(trace(Some(2), false, false, None), Some(Disposition::Conflict));
        assert_eq!(trace(Some(2), false, true, None), Some(Disposition::Conflict), "that is the other one");
        assert_eq!(trace(None, false, false, Some("id-conflict")), Some(Disposition::Conflict));
    }
}
