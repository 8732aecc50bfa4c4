//! The outside world of the simulation: it keeps what happened under each idempotency key, and loses answers.

use std::collections::{BTreeMap, BTreeSet};

use super::Random;
use super::family::{Declined, Depot, Shipped};
use super::order::{
    CreateShippingLabel, LabelCreated, LabelRefused, MakePayment, PaymentCompleted, PaymentDeclined,
    RefundPayment, VoidLabel, VoidPayment,
};
use crate::engine::{Accepted, Attempt, AttemptEnd, Claim, Consumer};
use crate::message::{Event, InstanceName, Message, MessageId, Name, Payload};

/// The price of every order.
const CENTS: u64 = 4_200;

/// What the world has done for one order.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Cents taken and not given back.
    pub(super) kept: u64,
    /// How often money was given back.
    pub(super) paybacks: u32,
    pub(super) labels: u32,
    pub(super) charge_keys: BTreeSet<String>,
    pub(super) label_keys: BTreeSet<String>,
    /// Every call that had an effect, or repeated one.
    pub(super) calls: Vec<String>,
    /// The payment has been called off: it must never be taken any more.
    called_off: bool,
    unlabelled: bool,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) accounts: BTreeMap<String, Account>,
    /// The final answer of each key: done or not.
    answers: BTreeMap<String, bool>,
    /// Orders whose completion was delivered.
    pub(super) told: BTreeSet<String>,
    /// Orders of which the bell was told that they were seen, and by which event.
    pub(super) rung: BTreeSet<(String, String)>,
    /// What batches and parcels have done.
    pub(super) depot: Depot,
    /// From here on everything answers at the first attempt.
    pub(super) calm: bool,
    /// Labels may be asked for once each.
    label_once: bool,
    asked: BTreeSet<String>,
    askers: BTreeSet<String>,
}

impl World {
    pub(super) fn new(label_once: bool) -> Self {
        Self { label_once, ..Self::default() }
    }

    /// One attempt takes its course: what the engine will hear of it.
    pub(super) fn attempt(&mut self, attempt: &Attempt, random: &mut Random) -> AttemptEnd {
        let name: &str = &attempt.message.name;
        if Depot::runs(name) {
            self.depot.called(attempt);
        }
        if self.label_once && name == "label.create" {
            self.askers.insert(attempt.of.key.to_string());
            assert!(
                self.asked.insert(attempt.key.to_string()),
                "a label of {} was asked for twice",
                attempt.of
            );
        }
        if !self.calm && random.one_in(4) {
            // No effect, and nobody knows.
            return AttemptEnd::Indeterminate("the line is dead".to_owned());
        }
        if name == "tracked" {
            self.rung.insert((attempt.of.key.to_string(), attempt.key.to_string()));
            return self.perhaps_lost(AttemptEnd::Replied(None), random);
        }
        if name == "order.completed" {
            self.told.insert(attempt.of.key.to_string());
            return self.perhaps_lost(AttemptEnd::Replied(None), random);
        }
        if !self.calm && random.one_in(20) && !self.answers.contains_key(&attempt.key.to_string()) {
            // Surely no effect, of this attempt; the handler says so.
            return AttemptEnd::Refused("try another bank".to_owned());
        }
        let done = self.effect(attempt, random);
        let reply = match (name, done) {
            ("payment.make", true) => Some(message(&PaymentCompleted { payment: 99 })),
            ("payment.make", false) => Some(message(&PaymentDeclined {})),
            ("label.create", true) => Some(message(&LabelCreated {})),
            ("label.create", false) => Some(message(&LabelRefused {})),
            ("parcel.ship", true) => Some(message(&Shipped {})),
            ("parcel.ship", false) => Some(message(&Declined {})),
            _ => None,
        };
        self.perhaps_lost(AttemptEnd::Replied(reply), random)
    }

    fn perhaps_lost(&self, end: AttemptEnd, random: &mut Random) -> AttemptEnd {
        if !self.calm && random.one_in(5) {
            AttemptEnd::Indeterminate("the answer was lost".to_owned())
        } else {
            end
        }
    }

    fn effect(&mut self, attempt: &Attempt, random: &mut Random) -> bool {
        let name: &str = &attempt.message.name;
        if Depot::runs(name) {
            let effect = || self.depot.effect(attempt, random);
            return *self.answers.entry(attempt.key.to_string()).or_insert_with(effect);
        }
        let order = match name {
            "payment.make" => decode::<MakePayment>(attempt).order,
            "payment.void" => decode::<VoidPayment>(attempt).order,
            "label.create" => decode::<CreateShippingLabel>(attempt).order,
            "label.void" => decode::<VoidLabel>(attempt).order,
            "payment.refund" => {
                decode::<RefundPayment>(attempt);
                attempt.of.key.to_string()
            }
            other => panic!("nobody handles `{other}`"),
        };
        assert_eq!(order, attempt.of.key.text(), "a command of another order");
        let account = self.accounts.entry(order).or_default();
        match name {
            "payment.make" => drop(account.charge_keys.insert(attempt.key.to_string())),
            "label.create" => drop(account.label_keys.insert(attempt.key.to_string())),
            _ => {}
        }
        if let Some(done) = self.answers.get(&attempt.key.to_string()) {
            return *done;
        }
        let done = match name {
            "payment.make" => !account.called_off && !random.one_in(6),
            "label.create" => !account.unlabelled && !random.one_in(6),
            _ => true,
        };
        match name {
            "payment.make" if done => account.kept += CENTS,
            "label.create" if done => account.labels += 1,
            "payment.void" | "payment.refund" => {
                account.paybacks += u32::from(account.kept > 0);
                account.kept = 0;
                account.called_off = true;
            }
            "label.void" => {
                account.labels = 0;
                account.unlabelled = true;
            }
            _ => {}
        }
        account.calls.push(format!("{name} {} attempt {}: {done}", attempt.key, attempt.number));
        self.answers.insert(attempt.key.to_string(), done);
        done
    }

    /// Whether anybody ever asked for the label of an order.
    pub(super) fn was_asked(&self, order: &str) -> bool {
        !self.label_once || self.askers.contains(order)
    }

    /// What a person finds out about the label of an order, whose key is not used any more from here on.
    pub(super) fn has_label(&self, order: &str) -> bool {
        self.accounts.get(order).is_some_and(|account| account.labels > 0)
    }
}

pub(super) fn message<E: Event>(event: &E) -> Message {
    let payload = Payload::encode(event).expect("it can be written as JSON");
    Message { name: Name::Borrowed(E::NAME), version: E::VERSION, payload }
}

/// An event as the dispatcher hands it over.
pub(super) fn accepted<E: Event>(
    event: E,
    consumers: Vec<(Consumer, InstanceName)>,
    id: Option<&str>,
) -> Accepted {
    Accepted {
        trace: None,
        message: message(&event),
        value: Some(Box::new(event)),
        consumers,
        id: id.map(|id| MessageId::new(id).expect("a good id")),
        claim: Claim::default(),
    }
}

fn decode<C: crate::message::Command>(attempt: &Attempt) -> C {
    attempt.message.payload.decode().expect("a command as it was sent")
}
