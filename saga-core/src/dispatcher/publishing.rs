//! What is checked before an event is handed over, and what its publisher is told.

use super::calling::NotAnswered;
use super::error::PublishError;
use super::receipt::{Disposition, Receipt, TakerReceipt};
use crate::engine::{Accepted, Answer, Claim, Registry, Taker, TakerAnswer};
use crate::message::{Correlated, Key, Message, MessageId, PayloadLimits};
use crate::store::Address;

/// Checks everything that can be checked before anything is stored.
pub(super) fn checked<E: Correlated>(
    registry: &Registry,
    limits: PayloadLimits,
    event: E,
    id: Option<MessageId>,
) -> Result<Accepted, PublishError> {
    let takers = takers(registry, &event)?;
    let not = |source| PublishError::Payload { event: E::NAME, source };
    // The takers see what they would see after a restart.
    let (message, event) = Message::read_event(&event, limits.bytes).map_err(not)?;
    message.payload.check(limits).map_err(not)?;
    Ok(Accepted { message, value: Some(Box::new(event)), takers, id, claim: Claim::default() })
}

/// Who takes `event`, and the form in which they get it, for asking about one that was published.
pub(super) fn asked_about<E: Correlated>(
    registry: &Registry,
    event: &E,
) -> Result<(Vec<Address>, Message), PublishError> {
    let address = |(taker, key): (Taker, Key)| Address::new(taker.name().to_string(), key);
    let takers = takers(registry, event)?.into_iter().map(address).collect();
    // Whatever the limits were under which it was published.
    let message = Message::published(event, PayloadLimits::CEILING)
        .map_err(|source| PublishError::Payload { event: E::NAME, source })?;
    Ok((takers, message))
}

fn takers<E: Correlated>(registry: &Registry, event: &E) -> Result<Vec<(Taker, Key)>, PublishError> {
    let takers = registry.takers.get(E::NAME).ok_or(PublishError::NoTaker { event: E::NAME })?;
    let key = |taker: &Taker| {
        let saga = match taker {
            Taker::Saga(saga) => saga,
            Taker::Subscriber(_) => "",
        };
        Correlated::correlation(event, saga).map_err(|source| PublishError::Key {
            event: E::NAME,
            taker: taker.name().to_string(),
            source,
        })
    };
    takers.iter().map(|taker| Ok((taker.clone(), key(taker)?))).collect()
}

/// What the publisher is told.
pub(super) fn answered(
    id: Option<MessageId>,
    answer: Result<Answer, NotAnswered>,
) -> Result<Receipt, PublishError> {
    match answer {
        Ok(Answer::Published(answers)) => receipt(id, answers),
        Ok(Answer::Stopped) | Err(NotAnswered::Stopped) => Err(PublishError::Stopped),
        Ok(other) => Err(PublishError::Unknown { id, why: format!("the engine answered {other:?}") }),
        Err(NotAnswered::NotDone(why)) => Err(PublishError::NotStored { why }),
        Err(NotAnswered::Unknown(why)) => Err(PublishError::Unknown { id, why }),
    }
}

fn receipt(id: Option<MessageId>, answers: Vec<(Address, TakerAnswer)>) -> Result<Receipt, PublishError> {
    let mut takers = Vec::with_capacity(answers.len());
    for (address, answer) in answers {
        let disposition = match answer {
            TakerAnswer::Applied => Disposition::Applied,
            TakerAnswer::Ignored(why) => Disposition::Ignored { why },
            TakerAnswer::Queued => Disposition::Queued,
            TakerAnswer::Deferred => Disposition::Deferred,
            TakerAnswer::Dead(reason) => Disposition::Dead { reason },
            TakerAnswer::Duplicate => Disposition::Duplicate,
            TakerAnswer::Full { waiting } => {
                return Err(PublishError::InstanceFull { instance: address.to_string(), waiting });
            }
            TakerAnswer::Refused(why) => return Err(PublishError::Refused(why)),
            TakerAnswer::IdConflict => {
                let id = id.unwrap_or_else(MessageId::unique);
                return Err(PublishError::IdConflict { id });
            }
        };
        takers.push(TakerReceipt { taker: address.saga.to_string(), key: address.key, disposition });
    }
    Ok(Receipt { id, takers })
}
