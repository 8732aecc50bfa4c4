//! The outside world of batches and parcels. Nothing may be heard of a child once its batch has cancelled the truck.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Random;
use super::{BookTruck, CancelTruck, Ship, TakeBack, parent};
use crate::engine::Attempt;
use crate::message::Command;

#[derive(Debug, Default)]
pub(in super::super) struct Depot {
    /// The parcels that were shipped and not taken back.
    pub(in super::super) shipped: BTreeSet<String>,
    taken_back: BTreeSet<String>,
    /// The trucks that are booked, by batch and round.
    pub(in super::super) trucks: BTreeSet<(String, u32)>,
    /// The round of the last truck that each batch has cancelled.
    cancelled: BTreeMap<String, u32>,
    /// The key under which each parcel was to be shipped.
    keys: BTreeMap<String, String>,
    calls: Vec<String>,
}

impl Depot {
    pub(in super::super) const COMMANDS: [&'static str; 4] =
        [Ship::NAME, TakeBack::NAME, BookTruck::NAME, CancelTruck::NAME];

    pub(in super::super) fn runs(command: &str) -> bool {
        Self::COMMANDS.contains(&command)
    }

    /// Somebody calls, whatever will come of it.
    pub(in super::super) fn called(&mut self, attempt: &Attempt) {
        let (of, name) = (attempt.of.key.text(), &attempt.message.name);
        self.calls.push(format!("{of}: {name} attempt {}", attempt.number));
        // One that has ended well does not wait for its truck.
        let mut next = parent(of).filter(|_| **name != *BookTruck::NAME);
        while let Some((batch, round)) = next {
            let last = self.cancelled.get(batch).copied().unwrap_or_default();
            assert!(last < round, "`{name}` of {of} comes after the undo of {batch}\n{}", self.story(of));
            next = parent(batch);
        }
        if **name == *BookTruck::NAME {
            let command: BookTruck = attempt.message.payload.decode().expect("a command as it was sent");
            let last = self.cancelled.get(of).copied().unwrap_or_default();
            assert!(
                last < round(&command.round),
                "the truck of {of} is booked after all\n{}",
                self.story(of)
            );
        }
        if **name == *Ship::NAME {
            let key = self.keys.entry(of.to_owned()).or_insert_with(|| attempt.key.to_string());
            assert_eq!(*key, attempt.key.to_string(), "{of} is shipped under two keys");
        }
    }

    /// What a call under a new key does; whether it is done.
    pub(in super::super) fn effect(&mut self, attempt: &Attempt, random: &mut Random) -> bool {
        let of = attempt.of.key.to_string();
        match &*attempt.message.name {
            Ship::NAME => {
                let done = !self.taken_back.contains(&of) && !random.one_in(6);
                if done {
                    self.shipped.insert(of);
                }
                done
            }
            TakeBack::NAME => {
                self.shipped.remove(&of);
                self.taken_back.insert(of)
            }
            BookTruck::NAME => {
                let command: BookTruck = attempt.message.payload.decode().expect("a command as it was sent");
                self.trucks.insert((of, round(&command.round)))
            }
            _ => {
                let command: CancelTruck =
                    attempt.message.payload.decode().expect("a command as it was sent");
                let round = round(&command.round);
                self.cancelled.insert(of.clone(), round);
                self.trucks.remove(&(of, round));
                true
            }
        }
    }

    /// The calls for a batch and everything within it, for whoever has to find out.
    pub(in super::super) fn story(&self, of: &str) -> String {
        let root = of.split('.').next().unwrap_or(of);
        let calls = self.calls.iter().filter(|call| call.starts_with(root));
        calls.cloned().collect::<Vec<_>>().join("\n")
    }
}

fn round(text: &str) -> u32 {
    text.parse().expect("a round")
}
