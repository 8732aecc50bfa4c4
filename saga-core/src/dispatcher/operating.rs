//! Verbs of operators: decisions about instances, dead letters, sagas and handlers.
//!
//! Owns: the calls of a program. Does not own: the effect of a verb (the machine), or verbs of other processes
//! (`machine/operator.rs`).

use super::Dispatcher;
use super::calling::{NotAnswered, Patience};
use super::error::InstanceError;
use crate::engine::{Answer, Claim, In, StoreVerb, Ticket};
use crate::machine::{Operator, OperatorVerb, Resolved, Saga};
use crate::message::{Key, Payload, Timestamp};
use crate::store::{Address, DeadId, DeadLetterRow, PauseOf};

impl Dispatcher {
    /// Turns an instance that has not ended. The instance undoes its obligations. It then ends in the state of
    /// `on_abort(..)` or as aborted (rule [R15](crate::rules#r15)). The history records the operator and the reason.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance has ended or does not exist.
    pub async fn abort<S: Saga>(
        &self,
        key: impl AsRef<str>,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Abort, operator).await
    }

    /// Makes a parked instance repeat the failed work: the event, or the command with the same key (rule
    /// [R16](crate::rules#r16)).
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance is not parked, or is parked over an at-most-once command.
    pub async fn retry<S: Saga>(
        &self,
        key: impl AsRef<str>,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Retry, operator).await
    }

    /// Makes a parked instance continue without the failed work. A failed event becomes a dead letter. The outcome of a
    /// failed command has no effect. A failed undo is given up.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance is not parked, or waits for its arrival.
    pub async fn skip<S: Saga>(&self, key: impl AsRef<str>, operator: Operator) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Skip, operator).await
    }

    /// Supplies the outcome of the command over which an instance is parked.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance is not parked over a command. The same error is returned when the
    /// outcome does not belong to that command.
    pub async fn resolve<S: Saga>(
        &self,
        key: impl AsRef<str>,
        outcome: Resolved,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Resolve(outcome), operator).await
    }

    /// Makes a set timer due now. `timer` is its stored name, as [`SetTimer`](super::SetTimer) says. A periodic timer counts
    /// its next periods from now.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance has no such timer, or does not exist.
    pub async fn fire<S: Saga>(
        &self,
        key: impl AsRef<str>,
        timer: impl Into<String>,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Fire { timer: timer.into() }, operator).await
    }

    /// Gives a set timer another due time. A time in the past makes it due now.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance has no such timer, or does not exist.
    pub async fn postpone<S: Saga>(
        &self,
        key: impl AsRef<str>,
        timer: impl Into<String>,
        until: Timestamp,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Postpone { timer: timer.into(), until }, operator).await
    }

    /// Removes an ended instance with its history, before its retention is over (rule [R27](crate::rules#r27)). The audit and
    /// the deduplication records stay.
    ///
    /// On `Ok` the removal is durable as a mark of the instance. The row follows within about a second. After a crash it
    /// follows with the first step, and at the latest an hour after the start. Until then, the instance takes events as an ended one.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance has not ended, is parked, has open commands or children, or has events that
    /// wait for it.
    pub async fn purge<S: Saga>(
        &self,
        key: impl AsRef<str>,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.decide(at::<S>(key)?, OperatorVerb::Purge, operator).await
    }

    /// Applies a verb to the instance at an address, for callers that do not know its type. The address has a key, not an
    /// alias.
    ///
    /// The verb is a step of its own. On `Ok` this step is durable. The history records the operator and the reason.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] says why the verb is not possible. Nothing has changed then.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the verb if the engine has not begun it. A verb for another process that shares the store
    /// is not withdrawn.
    pub async fn decide(
        &self,
        address: Address,
        verb: OperatorVerb,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        let verb = verb.record(operator);
        let since = self.clock.now().mono;
        let (to, own) = (address.clone(), verb.clone());
        let here =
            self.verb_here(&address, move |ticket, claim| In::Verb { address: to, verb: own, ticket, claim });
        match here.await {
            Some(done) => done,
            None => self.decide_away(address, verb, since).await,
        }
    }

    /// Returns dead letters in order, starting with the first one or with the first one after `after`. Returns at most
    /// 200.
    ///
    /// # Errors
    /// [`InstanceError::Store`] when the store cannot be read.
    pub async fn dead_letters(&self, after: Option<DeadId>) -> Result<Vec<DeadLetterRow>, InstanceError> {
        self.within(self.store.dead_letters(after.unwrap_or_default(), 200)).await
    }

    /// Delivers a dead letter again. One commit removes the dead letter and queues its delivery.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the dead letter does not exist, or is an outcome, a declined verb, or an event
    /// without a key. These cannot be delivered again.
    pub async fn redrive(&self, letter: DeadId, operator: Operator) -> Result<(), InstanceError> {
        self.operate(StoreVerb::Redrive { letter, payload: None }, operator).await
    }

    /// Delivers a dead letter again, with another payload. The payload has the version of the dead letter, and the consumer
    /// must be able to read it.
    ///
    /// # Errors
    /// As for [`redrive`](Self::redrive), and when the consumer cannot read the payload.
    pub async fn redrive_edited(
        &self,
        letter: DeadId,
        payload: Payload,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.operate(StoreVerb::Redrive { letter, payload: Some(payload) }, operator).await
    }

    /// Removes a dead letter. The audit keeps its payload.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the dead letter does not exist.
    pub async fn discard(&self, letter: DeadId, operator: Operator) -> Result<(), InstanceError> {
        self.operate(StoreVerb::Discard { letter }, operator).await
    }

    /// Pauses a saga or a handler until [`resume`](Self::resume), also after a restart (rule [R37](crate::rules#r37)).
    ///
    /// A paused saga takes no events, fires no timers and starts no attempts. A paused handler starts no attempts. Running
    /// attempts end, and their outcomes are applied. New events are accepted and wait in the store.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when this build does not have the saga or handler, or when it is paused already.
    pub async fn pause(&self, of: PauseOf, operator: Operator) -> Result<(), InstanceError> {
        self.operate(StoreVerb::Pause(of), operator).await
    }

    /// Returns whether this build has the consumer: a saga by its present or an earlier stored name, or a subscriber. Only another
    /// one can be [retired](Self::retire).
    pub fn has_consumer(&self, name: &str) -> bool {
        self.registry.has_consumer(name)
    }

    /// Retires a consumer that no release has any more (rule [R28](crate::rules#r28)): a saga by its stored name, or a
    /// subscriber. No further event is recorded for it. Its waiting events and deliveries become dead letters, in the
    /// background and also after a restart. [`resume`](Self::resume) and the start of a release with the consumer end this.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when this build has the consumer, when the store has no such consumer, when a saga of this
    /// build publishes an event only for this consumer, or when instances of the saga have not ended.
    pub async fn retire(&self, consumer: impl Into<String>, operator: Operator) -> Result<(), InstanceError> {
        self.pause(PauseOf::Consumer(consumer.into()), operator).await
    }

    /// Ends the pause of a saga or a handler. Everything that waits is taken up, in its order.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is not paused.
    pub async fn resume(&self, of: PauseOf, operator: Operator) -> Result<(), InstanceError> {
        self.operate(StoreVerb::Resume(of), operator).await
    }

    /// Applies a verb on a dead letter, a saga or a handler.
    ///
    /// The verb is a step of its own. On `Ok` this step is durable. The audit records the operator and the reason, also for
    /// a declined verb (rule [R38](crate::rules#r38)). The [`at_step`](Operator::at_step) of the operator does not count.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] says why the verb is not possible. Nothing has changed then.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the verb if the engine has not begun it. A verb for another process that shares the store
    /// is not withdrawn.
    pub async fn operate(&self, verb: StoreVerb, operator: Operator) -> Result<(), InstanceError> {
        let since = self.clock.now().mono;
        // One engine applies all these verbs, so two of them on the same object have an order.
        let (own, by) = (verb.clone(), operator.clone());
        let ask = move |ticket, claim| In::Operate { verb: own, operator: by, ticket, claim };
        match self.verb_here(&StoreVerb::place(), ask).await {
            Some(done) => done,
            None => self.operate_away(verb, operator, since).await,
        }
    }

    /// Asks the engine of this process for a verb. `None` if the engine that has the address is in another process.
    async fn verb_here(
        &self,
        address: &Address,
        ask: impl FnOnce(Ticket, Claim) -> In + Send + 'static,
    ) -> Option<Result<(), InstanceError>> {
        let mailbox = self.line.of(address)?;
        let answer = self.call(&mailbox, Patience::default(), false, ask).await;
        (!self.has_gone_away(&answer)).then(|| verb_done(answer))
    }
}

fn verb_done(answer: Result<Answer, NotAnswered>) -> Result<(), InstanceError> {
    match answer {
        Ok(Answer::Verb(Ok(()))) => Ok(()),
        Ok(Answer::Verb(Err(why))) => Err(InstanceError::Declined(why)),
        Ok(_) => Err(InstanceError::Stopped),
        Err(not) => Err(not.into()),
    }
}

fn at<S: Saga>(key: impl AsRef<str>) -> Result<Address, InstanceError> {
    Ok(Address::new(S::NAME, Key::new(key)?))
}
