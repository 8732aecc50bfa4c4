//! The child: a parcel is shipped, or declined and then taken back, or nobody knows and a person finds out.

use serde::{Deserialize, Serialize};

use super::{Declined, Kind, ParcelOrdered, Ship, Shipped, TakeBack};
use crate::Saga;
use crate::definition::{
    Clause, CommandType, Definition, End, EventType, Missing, Move, PayloadType, Row, State, Trigger, Undo,
    UndoOf, Verdict,
};
use crate::machine::{Cause, Child, Context, EventOf, Outbox, Undone, Wait, encode_command};
use crate::message::{ActionResult, Message, Payload, PayloadError};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Parcel {
    id: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum ParcelState {
    Shipping,
    Delivered,
    Lost,
}

const ORDERED: usize = 0;
const SHIPPED: usize = 1;
const DECLINED: usize = 2;

impl EventOf<ParcelState> for ParcelOrdered {
    const INDEX: usize = ORDERED;
}
impl EventOf<ParcelState> for Shipped {
    const INDEX: usize = SHIPPED;
}
impl EventOf<ParcelState> for Declined {
    const INDEX: usize = DECLINED;
}

const SHIP: usize = 0;
const TAKE_BACK: usize = 1;

static DEFINITION: Definition = Definition {
    name: super::PARCEL,
    was: &[],
    data: PayloadType::of::<Parcel>("Parcel"),
    upcasts: &[],
    version: 1,
    doc: "",
    states: &[
        State {
            rows: &[1, 2, 3, 4],
            unhandled: Some(Verdict::Reject),
            ..state("Shipping", "shipping", None)
        },
        state("Delivered", "delivered", Some(End::Completed)),
        state("Lost", "lost", Some(End::Failed)),
    ],
    rows: &[
        Row {
            triggers: &[Trigger::Event(ORDERED)],
            clauses: &[
                Clause::Run { method: "order" },
                Clause::Send { command: SHIP, method: "ship", each: false, undo: Some(0) },
            ],
            to: Move::To(&[0]),
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Event(SHIPPED)], to: Move::To(&[1]), ..Row::NEW },
        Row { triggers: &[Trigger::Failed(SHIP)], to: Move::To(&[2]), ..Row::NEW },
        Row { triggers: &[Trigger::Event(DECLINED)], compensate: true, to: Move::To(&[2]), ..Row::NEW },
        Row { triggers: &[Trigger::Unknown(SHIP)], to: Move::Park, ..Row::NEW },
    ],
    initially: &[0],
    events: &[
        EventType::of::<ParcelOrdered>("ParcelOrdered"),
        EventType::of::<Shipped>("Shipped"),
        EventType::of::<Declined>("Declined"),
    ],
    commands: &[CommandType::of::<Ship>("Ship"), CommandType::of::<TakeBack>("TakeBack")],
    children: &[],
    timers: &[],
    deadline: None,
    undos: &[Undo { command: TAKE_BACK, of: UndoOf::Command(SHIP), method: "take_back" }],
    on_abort: None,
    ended_instance: Verdict::Ignore,
    missing_instance: Missing::Reject,
};

pub(super) const fn state(variant: &'static str, name: &'static str, end: Option<End>) -> State {
    State {
        variant,
        name,
        was: &[],
        doc: "",
        payload: None,
        upcasts: &[],
        end,
        rows: &[],
        unhandled: None,
        timers: &[],
        compensations: &[],
        on_enter: &[],
        on_leave: &[],
    }
}

impl Child for ParcelState {
    type Start = ParcelOrdered;
}

impl Saga for ParcelState {
    type Data = Parcel;
    const NAME: &'static str = super::PARCEL;
    const VERSION: u32 = 1;

    fn definition() -> &'static Definition {
        &DEFINITION
    }

    fn __index(&self) -> usize {
        *self as usize
    }

    fn __encode(&self) -> Result<Option<Payload>, PayloadError> {
        Ok(None)
    }

    fn __decode(index: usize, _: Option<&Payload>, _: u32) -> Result<Self, PayloadError> {
        Ok([Self::Shipping, Self::Delivered, Self::Lost][index])
    }

    fn __guard(_: usize, _: Option<(&Parcel, &Self)>, _: Cause<'_>, _: &Context) -> bool {
        true
    }

    fn __begin(_: usize, cause: Cause<'_>, _: &mut Context) -> ActionResult<(Parcel, Self)> {
        let event = cause.get::<ParcelOrdered>();
        if event.kind == Kind::Empty {
            return Err("there is nothing in it".into());
        }
        Ok((Parcel { id: event.parcel.clone(), kind: event.kind }, Self::Shipping))
    }

    fn __run(
        row: usize,
        _: &mut Parcel,
        _: &mut Self,
        _: Cause<'_>,
        _: &mut Context,
    ) -> ActionResult<Option<Self>> {
        Ok(match row {
            1 => Some(Self::Delivered),
            2 | 3 => Some(Self::Lost),
            _ => None,
        })
    }

    fn __build(
        row: usize,
        data: &Parcel,
        _: Option<&Self>,
        _: Option<&Self>,
        _: Cause<'_>,
        _: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()> {
        if row == 0 {
            out.send(Some(0), &Ship { parcel: data.id.clone() })?;
        }
        Ok(())
    }

    fn __enter(_: &mut Parcel, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __leave(_: &mut Parcel, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __due(_: usize, _: &Parcel, _: &Self, _: &mut Context) -> ActionResult<Wait> {
        Err("no timer of this table asks a method".into())
    }

    fn __undo(_: usize, data: &Parcel, _: Undone<'_, Self>, _: &mut Context) -> ActionResult<Message> {
        Ok(encode_command(&TakeBack { parcel: data.id.clone() })?)
    }
}
