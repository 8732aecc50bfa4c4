//! The child: a parcel is shipped, or declined and then taken back, or nobody knows and a person finds out.

use saga_macros::Saga;
use serde::{Deserialize, Serialize};

use super::{Declined, Kind, ParcelOrdered, Ship, Shipped, TakeBack};
use crate::machine::Context;
use crate::message::ActionResult;

#[derive(Clone, Copy, Debug, PartialEq, Saga)]
#[saga(name = "parcel", version = 1, data(Parcel), actions(ParcelActions), crate(saga_core))]
#[initially(when(ParcelOrdered, run(order), send(Ship, undo(TakeBack)), transition_to(Shipping)))]
#[unhandled(reject)]
pub(in super::super) enum ParcelState {
    #[during(
        when(Shipped, transition_to(Delivered)),
        when(failed(Ship), transition_to(Lost)),
        when(Declined, compensate, transition_to(Lost)),
        when(unknown(Ship), park)
    )]
    Shipping,
    #[terminal]
    Delivered,
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Parcel {
    id: String,
    pub(super) kind: Kind,
}

impl ParcelActions for Parcel {
    fn order(event: &ParcelOrdered, _: &mut Context) -> ActionResult<Self> {
        if event.kind == Kind::Empty {
            return Err("there is nothing in it".into());
        }
        Ok(Self { id: event.parcel.clone(), kind: event.kind })
    }

    fn ship(&self, _: &ParcelOrdered, _: &mut Context) -> Ship {
        Ship { parcel: self.id.clone() }
    }

    fn take_back(&self, _: &Ship, _: &mut Context) -> TakeBack {
        TakeBack { parcel: self.id.clone() }
    }
}
