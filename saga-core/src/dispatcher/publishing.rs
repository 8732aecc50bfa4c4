//! The checks before an event is sent to the engine, and the answers to its publisher.

use super::calling::NotAnswered;
use super::error::PublishError;
use super::receipt::{ConsumerReceipt, Receipt};
use crate::engine::{Accepted, Answer, Claim, Consumer, ConsumerAnswer, Registry, Rejection};
use crate::message::{Correlated, InstanceName, Message, MessageId, PayloadLimits};
use crate::store::Address;

/// Checks everything that can be checked before anything is stored.
pub(super) fn checked<E: Correlated>(
    registry: &Registry,
    limits: PayloadLimits,
    event: E,
    id: Option<MessageId>,
) -> Result<Accepted, PublishError> {
    let consumers = consumers(registry, &event)?;
    let not = |source| PublishError::Payload { event: E::NAME, source };
    // The consumers see the event in the same form as after a restart.
    let (message, event) = Message::read_event(&event, limits.bytes).map_err(not)?;
    message.payload.check(limits).map_err(not)?;
    let trace = registry.tracer().and_then(|tracer| tracer.current());
    Ok(Accepted { message, value: Some(Box::new(event)), consumers, id, claim: Claim::default(), trace })
}

/// Returns the consumers of a published `event`, each with its form of the event.
pub(super) fn asked_about<E: Correlated>(
    registry: &Registry,
    event: &E,
) -> Result<(Vec<Address>, Message), PublishError> {
    let address = |(consumer, key): (Consumer, InstanceName)| Address::new(consumer.name().to_string(), key);
    let consumers = consumers(registry, event)?.into_iter().map(address).collect();
    // The limits at the time of publishing do not matter here.
    let message = Message::published(event, PayloadLimits::CEILING)
        .map_err(|source| PublishError::Payload { event: E::NAME, source })?;
    Ok((consumers, message))
}

fn consumers<E: Correlated>(
    registry: &Registry,
    event: &E,
) -> Result<Vec<(Consumer, InstanceName)>, PublishError> {
    let consumers = registry.consumers.get(E::NAME).map_or(&[] as &[_], Vec::as_slice);
    let later = registry.later_consumers(E::NAME);
    if consumers.is_empty() && later.is_empty() {
        return Err(PublishError::NoConsumer { event: E::NAME });
    }
    let key = |consumer: &Consumer| {
        let saga = match consumer {
            Consumer::Saga(saga) => saga,
            Consumer::Subscriber(_) => "",
        };
        Correlated::correlation(event, saga).map_err(|source| PublishError::Key {
            event: E::NAME,
            consumer: consumer.name().to_string(),
            source,
        })
    };
    consumers.iter().chain(&later).map(|consumer| Ok((consumer.clone(), key(consumer)?))).collect()
}

/// Converts the answer of the engine for the publisher.
pub(super) fn answered(
    event: &'static str,
    id: Option<MessageId>,
    answer: Result<Answer, NotAnswered>,
) -> Result<Receipt, PublishError> {
    match answer {
        // Every consumer of the event is retired.
        Ok(Answer::Published(answers)) if answers.is_empty() => Err(PublishError::NoConsumer { event }),
        Ok(Answer::Published(answers)) => receipt(id, answers),
        Ok(Answer::Stopped) | Err(NotAnswered::Stopped) => Err(PublishError::Stopped),
        Ok(other) => Err(PublishError::Unknown { id, why: format!("the engine answered {other:?}") }),
        Err(NotAnswered::NotDone(why)) => Err(PublishError::NotStored { why }),
        Err(NotAnswered::Unknown(why)) => Err(PublishError::Unknown { id, why }),
    }
}

fn receipt(id: Option<MessageId>, answers: Vec<(Address, ConsumerAnswer)>) -> Result<Receipt, PublishError> {
    let mut consumers = Vec::with_capacity(answers.len());
    for (address, answer) in answers {
        let disposition = match answer {
            Ok(disposition) => disposition,
            Err(Rejection::Full { waiting }) => {
                return Err(PublishError::InstanceFull { instance: address.to_string(), waiting });
            }
            Err(Rejection::Refused(why)) => return Err(PublishError::Refused(why)),
            Err(Rejection::IdConflict) => {
                let id = id.unwrap_or_else(MessageId::unique);
                return Err(PublishError::IdConflict { id });
            }
        };
        consumers.push(ConsumerReceipt { consumer: address.saga.to_string(), key: address.key, disposition });
    }
    Ok(Receipt { id, consumers })
}
