//! The next item in the queue of an instance: taking it and deciding it, one step at a time (promise 5).

use crate::engine::Shard;
use crate::engine::slot::{Item, ParkedInput, Presence};
use crate::machine::Input;
use crate::message::Key;
use crate::store::{Address, Status};

/// The next action for an instance.
enum Next {
    /// There is nothing to do.
    Rest,
    /// Read the instance first.
    Load,
    /// Find the input over which the instance is parked. A verb is about to skip this input.
    Look,
    /// Decide the item at this place in the queue.
    Take(usize),
    /// Write the items that cannot be applied now to the inbox.
    Spill,
    /// Start an instance with the item at the head. The instance may already exist.
    Start,
    /// Handle the item at the head without an instance.
    NoInstance,
    /// Hand the item at the head on to the instance with this key.
    HandOn(Key),
    /// Refuse all items, because the instance is quarantined.
    TurnAway(String),
}

impl Shard {
    /// Performs the next actions of an instance until it must wait.
    pub(in crate::engine) fn schedule(&mut self, address: &Address) {
        loop {
            match self.next(address) {
                Next::Rest => return,
                Next::Load => return self.load(address),
                Next::Look => return self.fetch_waiting(address),
                Next::Spill => return self.spill(address),
                Next::Take(at) => {
                    if !self.take(address, at) {
                        return;
                    }
                }
                Next::Start => {
                    if !self.start_instance(address) {
                        return;
                    }
                }
                Next::NoInstance => {
                    if !self.no_instance(address) {
                        return;
                    }
                }
                Next::HandOn(to) => {
                    if !self.hand_on(address, to) {
                        return;
                    }
                }
                Next::TurnAway(why) => return self.turn_away(address, &why),
            }
        }
    }

    fn next(&self, address: &Address) -> Next {
        let Some(slot) = self.slots.get(address) else { return Next::Rest };
        if slot.in_flight.is_some() || slot.backlog.is_reading() {
            return Next::Rest;
        }
        let Some(head) = slot.queue.front() else {
            let asked = !slot.waiters.is_empty() && matches!(slot.presence, Presence::Unknown);
            return if asked { Next::Load } else { Next::Rest };
        };
        if self.pauses.holds(&address.saga)
            && !matches!(slot.presence, Presence::Loading | Presence::Quarantined(_))
            && slot.queue.iter().any(Self::waits_for_resume)
        {
            return Next::Spill;
        }
        let instance = match &slot.presence {
            Presence::Loading => return Next::Rest,
            Presence::Unknown if self.may_start(address, head) => return Next::Start,
            Presence::Unknown => return Next::Load,
            Presence::Missing | Presence::Alias(_) if self.is_outdated(address) => return Next::Load,
            Presence::Missing if self.may_start(address, head) => return Next::Start,
            Presence::Missing => return Next::NoInstance,
            Presence::Alias(key) => return Next::HandOn(key.clone()),
            Presence::Quarantined(why) => return Next::TurnAway(why.clone()),
            Presence::Present(instance) => instance,
        };
        if let Some(verb) = slot.queue.first_verb() {
            let must_look = matches!(slot.parked_input, ParkedInput::Unread)
                && slot.queue.get(verb).is_some_and(Item::skips);
            return if must_look && instance.parked_head().is_some() { Next::Look } else { Next::Take(verb) };
        }
        if instance.is_parked() {
            let keeps = |item: &Item| matches!(item.what, Input::Stuck(..));
            return if slot.queue.iter().all(keeps) { Next::Rest } else { Next::Spill };
        }
        if instance.status() == Status::Compensating {
            // Events wait until the arrival (rule R11).
            return match slot.queue.first_other() {
                Some(at) => Next::Take(at),
                // This includes durable items. In memory they would occupy the room for reading the inbox. The outcome
                // that ends the wait may be an unread row.
                None => Next::Spill,
            };
        }
        Next::Take(0)
    }

    fn may_start(&self, address: &Address, item: &Item) -> bool {
        let Input::Event(event) = &item.what else { return false };
        if address.key.is_alias() {
            return false;
        }
        let Some(program) = self.registry.sagas.get(&*address.saga) else { return false };
        let definition = program.definition();
        definition.event(&event.message.name).is_some_and(|event| definition.starts(event))
    }
}
