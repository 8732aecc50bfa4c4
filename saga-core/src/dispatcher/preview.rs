//! Dry runs: what a verb or an event would do to an instance.
//!
//! Owns: the reading of the copy. Does not own: the steps on the copy (`machine/preview.rs`).

use std::sync::Arc;

use super::Dispatcher;
use super::error::InstanceError;
use crate::machine::{DeclinedReason, EventIn, Input, Operator, OperatorVerb, Preview};
use crate::message::Message;
use crate::store::Address;

/// The most waiting messages of a preview.
const WAITING: usize = 1_000;

/// An input that somebody thinks about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Proposed {
    /// An operator's verb.
    Verb(OperatorVerb),
    /// An event.
    Event(Message),
}

impl Dispatcher {
    /// Returns what an input would do to the stored instance now, with all steps that would follow by themselves. Each undo
    /// counts as answered at once, and each open command as begun. Nothing is written, and no handler is called.
    ///
    /// The actions and guards of the table run on a copy of the instance, on the thread of the caller. The instance can have
    /// made another step when the input really comes. [`Operator::at_step`] then declines the verb.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when the instance does not exist. [`InstanceError::NotDone`] when this dispatcher does not
    /// run the saga, or when a waiting message cannot be read. [`InstanceError::Store`] when the store cannot be read.
    ///
    /// # Cancellation
    /// Dropping the future has no effect.
    pub async fn preview(&self, address: &Address, proposed: Proposed) -> Result<Preview, InstanceError> {
        let Some(program) = self.registry.sagas.get(&*address.saga).map(Arc::clone) else {
            let why = format!("this dispatcher does not run the saga `{}`", address.saga);
            return Err(InstanceError::NotDone { why });
        };
        let Some(snapshot) = self.within(self.store.instance(address)).await? else {
            return Err(InstanceError::Declined(DeclinedReason::NoInstance { instance: address.clone() }));
        };
        let waiting = self.within(self.store.waiting(&snapshot.instance.address, WAITING)).await?;
        let waiting = waiting.into_iter().map(|(_, mail)| Input::of_mail(mail)).collect::<Result<_, _>>();
        let waiting = waiting.map_err(|why| InstanceError::NotDone { why })?;
        let input = match proposed {
            Proposed::Verb(verb) => Input::Verb(verb.record(Operator::new("preview"))),
            Proposed::Event(message) => {
                Input::Event(EventIn { message, value: None, id: None, parent: None })
            }
        };
        let now = self.clock.now().wall;
        Ok(crate::machine::preview(program, snapshot, waiting, &input, now, self.payload))
    }
}
