//! A second saga, started by what the order publishes, so that mail goes from instance to instance. It also waits for
//! instances that do not exist yet (rule R27), and has a label by which it is found, as long as it is not given up
//! (rule R35).

use saga_macros::{Event, Saga};
use serde::{Deserialize, Serialize};

use super::order::OrderCompleted;
use crate::machine::Context;
use crate::message::ActionResult;

#[derive(Clone, Debug, PartialEq, Saga)]
#[saga(name = "thanks", version = 1, data(Thanks), actions(ThanksActions), crate(saga_core))]
#[initially(when(OrderCompleted, run(open), claim(claimed, each), transition_to(Open)))]
#[unhandled(reject)]
#[missing_instance(defer(minutes = 1))]
pub(super) enum ThanksState {
    #[during(
        when(Tracked, run(track), claim(claimed, each), release(given_up, each), stay),
        when(Labelled, guard(is_lost), transition_to(Lost)),
        when(Labelled, stay)
    )]
    Open,
    /// No parcel gets lost. The table needs an end.
    #[terminal]
    Lost,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Thanks {
    pub(super) tracked: u32,
}

impl ThanksActions for Thanks {
    fn open(_: &OrderCompleted, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { tracked: 0 })
    }

    fn track(&mut self, _: &Tracked, _: &mut Context) -> ActionResult<()> {
        self.tracked += 1;
        Ok(())
    }

    /// The label is there from the start, and given up and claimed again in turn.
    fn claimed(&self, cx: &mut Context) -> Vec<String> {
        self.tracked.is_multiple_of(2).then(|| label_of(cx.key())).into_iter().collect()
    }

    fn given_up(&self, _: &Tracked, cx: &mut Context) -> Vec<String> {
        (!self.tracked.is_multiple_of(2)).then(|| label_of(cx.key())).into_iter().collect()
    }

    fn is_lost(&self, _: &Labelled, _: &Context) -> bool {
        false
    }
}

/// The label of an order. It belongs to another shard than the order in many seeds.
pub(super) fn label_of(order: &str) -> String {
    format!("label of {order}")
}

/// A parcel was seen somewhere, perhaps before anybody knew of its order.
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
#[event(name = "tracked", key(order), crate(saga_core))]
pub(super) struct Tracked {
    pub(super) order: String,
}

/// A parcel with a label was seen by somebody who does not know its order.
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
#[event(name = "labelled", alias(label), crate(saga_core))]
pub(super) struct Labelled {
    pub(super) label: String,
}
