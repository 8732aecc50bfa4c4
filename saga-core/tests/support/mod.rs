//! The order saga, expanded by hand: what the derive writes, small enough to read. Engine tests use it so that
//! `saga-core` can be tested without the derive.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each test file uses its own part of it.

use saga_core::__private_0_1_0 as private;
use saga_core::Saga;
use saga_core::definition::{
    Clause, CommandType, Definition, Due, End, EventType, Missing, Move, PayloadType, Row, State, Timer,
    Trigger, Undo, UndoOf, Verdict, Waive,
};
use saga_core::machine::{Cause, Context, EventOf, Outbox, Undone, Wait};
use saga_core::message::{
    ActionResult, Command, Correlated, Event, Message, NoReply, Payload, PayloadError, ReplyTo,
};
use serde::{Deserialize, Serialize};

macro_rules! event {
    ($name:ident, $wire:literal, keyed) => {
        impl Event for $name {
            const NAME: &'static str = $wire;
            const KEYED: bool = true;
        }
        impl Correlated for $name {
            fn key(&self, _: &str) -> String {
                self.order.clone()
            }
        }
    };
    ($name:ident, $wire:literal) => {
        impl Event for $name {
            const NAME: &'static str = $wire;
            const KEYED: bool = false;
        }
    };
}

macro_rules! command {
    ($name:ident, $wire:literal, [$($reply:ident),*]) => {
        impl Command for $name {
            const NAME: &'static str = $wire;
            const REPLIES: &'static [&'static str] = &[$(<$reply as Event>::NAME),*];
        }
        $(impl ReplyTo<$name> for $reply {})*
    };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order: String,
    pub cents: u64,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CancelRequested {
    pub order: String,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nudged {
    pub order: String,
    /// An action that is given `panic` panics, and one that is given `err` fails.
    pub how: String,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentCompleted {
    pub payment: u64,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentDeclined {}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCreated {}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelRefused {}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCompleted {
    pub order: String,
}
/// An event without a consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stray {
    pub order: String,
}
event!(Stray, "stray", keyed);
event!(OrderPlaced, "order.placed", keyed);
event!(CancelRequested, "order.cancel", keyed);
/// Deferred until the order is paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    pub order: String,
}
event!(Noted, "order.joined", keyed);
thread_local! {
    /// Whether the build that runs has mended the action that fails over a nudge `err`.
    pub static MENDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

event!(Nudged, "order.nudged", keyed);
event!(OrderCompleted, "order.completed", keyed);
event!(PaymentCompleted, "payment.completed");
event!(PaymentDeclined, "payment.declined");
event!(LabelCreated, "label.created");
event!(LabelRefused, "label.refused");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MakePayment {
    pub order: String,
    pub cents: u64,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoidPayment {
    pub order: String,
    pub report: String,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateShippingLabel {
    pub order: String,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoidLabel {
    pub order: String,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefundPayment {
    pub payment: u64,
}
command!(MakePayment, "payment.make", [PaymentCompleted, PaymentDeclined]);
command!(VoidPayment, "payment.void", []);
command!(CreateShippingLabel, "label.create", [LabelCreated, LabelRefused]);
command!(VoidLabel, "label.void", []);
command!(RefundPayment, "payment.refund", []);
impl NoReply for VoidPayment {}
impl NoReply for VoidLabel {}
impl NoReply for RefundPayment {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub cents: u64,
    pub nudges: u32,
    #[serde(default)]
    pub notes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    pub payment: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OrderState {
    AwaitingPayment,
    AwaitingShipment(Paid),
    Completed,
    PaymentFailed,
    Cancelled,
}

pub enum OrderEvent {}

const PLACED: usize = 0;
const CANCEL: usize = 1;
const NUDGED: usize = 2;
const COMPLETED: usize = 3;
const DECLINED: usize = 4;
const CREATED: usize = 5;
const REFUSED: usize = 6;
const NOTED: usize = 7;

const MAKE: usize = 0;
const VOID: usize = 1;
const LABEL: usize = 2;
const UNLABEL: usize = 3;
const REFUND: usize = 4;

/// The table of the order saga, with more rows: `when(Nudged, run(nudge), stay)` in every state, and
/// `Noted` deferred until the order is paid.
static DEFINITION: Definition = Definition {
    name: "order",
    was: &[],
    data: PayloadType::of::<Order>("Order"),
    upcasts: &[],
    version: 1,
    doc: "",
    states: &[
        State {
            variant: "AwaitingPayment",
            name: "awaiting-payment",
            was: &[],
            doc: "",
            payload: None,
            upcasts: &[],
            end: None,
            rows: &[1, 2, 3, 4, 8, 9, 10],
            unhandled: Some(Verdict::Reject),
            timers: &[0],
            compensations: &[],
            on_enter: &[],
            on_leave: &[],
        },
        State {
            variant: "AwaitingShipment",
            name: "awaiting-shipment",
            was: &[],
            doc: "",
            payload: Some(PayloadType::of::<Paid>("Paid")),
            upcasts: &[],
            end: None,
            rows: &[5, 6, 7, 8, 9, 11],
            unhandled: Some(Verdict::Reject),
            timers: &[],
            compensations: &[2],
            on_enter: &[],
            on_leave: &[],
        },
        end("Completed", "completed", End::Completed),
        end("PaymentFailed", "payment-failed", End::Failed),
        end("Cancelled", "cancelled", End::Failed),
    ],
    rows: &[
        Row {
            triggers: &[Trigger::Event(PLACED)],
            clauses: &[
                Clause::Run { method: "place" },
                Clause::Send { command: MAKE, method: "make_payment", each: false, undo: Some(0) },
            ],
            to: Move::To(&[0]),
            ..Row::NEW
        },
        Row {
            triggers: &[Trigger::Event(COMPLETED)],
            not_owed: &[VOID],
            clauses: &[
                Clause::Run { method: "keep_receipt" },
                Clause::Send { command: LABEL, method: "create_shipping_label", each: false, undo: Some(1) },
            ],
            to: Move::To(&[1]),
            ..Row::NEW
        },
        Row {
            triggers: &[Trigger::Event(DECLINED), Trigger::Failed(MAKE)],
            not_owed: &[VOID],
            to: Move::To(&[3]),
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Unknown(MAKE)], compensate: true, to: Move::To(&[3]), ..Row::NEW },
        Row { triggers: &[Trigger::Timer(0)], compensate: true, to: Move::To(&[4]), ..Row::NEW },
        Row {
            triggers: &[Trigger::Event(CREATED)],
            clauses: &[Clause::Publish {
                event: EventType::of::<OrderCompleted>("OrderCompleted"),
                method: "order_completed",
                each: false,
            }],
            to: Move::To(&[2]),
            ..Row::NEW
        },
        Row {
            triggers: &[Trigger::Event(REFUSED), Trigger::Failed(LABEL)],
            compensate: true,
            to: Move::To(&[4]),
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Unknown(LABEL)], to: Move::Park, ..Row::NEW },
        Row { triggers: &[Trigger::Event(CANCEL)], compensate: true, to: Move::To(&[4]), ..Row::NEW },
        Row {
            triggers: &[Trigger::Event(NUDGED)],
            clauses: &[Clause::Run { method: "nudge" }],
            to: Move::Stay,
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Event(NOTED)], verdict: Some(Verdict::Defer), ..Row::NEW },
        Row {
            triggers: &[Trigger::Event(NOTED)],
            clauses: &[Clause::Run { method: "note" }],
            to: Move::Stay,
            ..Row::NEW
        },
    ],
    initially: &[0],
    events: &[
        EventType::of::<OrderPlaced>("OrderPlaced"),
        EventType::of::<CancelRequested>("CancelRequested"),
        EventType::of::<Nudged>("Nudged"),
        EventType::of::<PaymentCompleted>("PaymentCompleted"),
        EventType::of::<PaymentDeclined>("PaymentDeclined"),
        EventType::of::<LabelCreated>("LabelCreated"),
        EventType::of::<LabelRefused>("LabelRefused"),
        EventType::of::<Noted>("Noted"),
    ],
    commands: &[
        CommandType::of::<MakePayment>("MakePayment"),
        CommandType::of::<VoidPayment>("VoidPayment"),
        CommandType::of::<CreateShippingLabel>("CreateShippingLabel"),
        CommandType::of::<VoidLabel>("VoidLabel"),
        CommandType::of::<RefundPayment>("RefundPayment"),
    ],
    children: &[],
    timers: &[Timer { name: "15m", was: &[], due: Due::After(15 * 60 * 1000) }],
    deadline: None,
    undos: &[
        Undo { command: VOID, of: UndoOf::Command(MAKE), method: "void_payment" },
        Undo { command: UNLABEL, of: UndoOf::Command(LABEL), method: "void_label" },
        Undo { command: REFUND, of: UndoOf::State(1), method: "refund_payment" },
    ],
    on_abort: None,
    ended_instance: Verdict::Ignore,
    missing_instance: Missing::Reject,
};

const fn end(variant: &'static str, name: &'static str, end: End) -> State {
    State {
        variant,
        name,
        was: &[],
        doc: "",
        payload: None,
        upcasts: &[],
        end: Some(end),
        rows: &[],
        unhandled: None,
        timers: &[],
        compensations: &[],
        on_enter: &[],
        on_leave: &[],
    }
}

const _: Waive = Waive::Nothing;

impl EventOf<OrderState> for OrderPlaced {
    const INDEX: usize = PLACED;
}
impl EventOf<OrderState> for CancelRequested {
    const INDEX: usize = CANCEL;
}
impl EventOf<OrderState> for Noted {
    const INDEX: usize = NOTED;
}
impl EventOf<OrderState> for Nudged {
    const INDEX: usize = NUDGED;
}
impl EventOf<OrderState> for PaymentCompleted {
    const INDEX: usize = COMPLETED;
}
impl EventOf<OrderState> for PaymentDeclined {
    const INDEX: usize = DECLINED;
}
impl EventOf<OrderState> for LabelCreated {
    const INDEX: usize = CREATED;
}
impl EventOf<OrderState> for LabelRefused {
    const INDEX: usize = REFUSED;
}

impl Saga for OrderState {
    type Data = Order;
    const NAME: &'static str = "order";
    const VERSION: u32 = 1;

    fn definition() -> &'static Definition {
        &DEFINITION
    }

    fn __index(&self) -> usize {
        match self {
            Self::AwaitingPayment => 0,
            Self::AwaitingShipment(_) => 1,
            Self::Completed => 2,
            Self::PaymentFailed => 3,
            Self::Cancelled => 4,
        }
    }

    fn __encode(&self) -> Result<Option<Payload>, PayloadError> {
        match self {
            Self::AwaitingShipment(paid) => Payload::encode(paid).map(Some),
            _ => Ok(None),
        }
    }

    fn __decode(index: usize, payload: Option<&Payload>, _: u32) -> Result<Self, PayloadError> {
        let missing = || PayloadError::Decode("the state's payload is missing".to_owned());
        Ok(match index {
            0 => Self::AwaitingPayment,
            1 => Self::AwaitingShipment(payload.ok_or_else(missing)?.decode()?),
            2 => Self::Completed,
            3 => Self::PaymentFailed,
            _ => Self::Cancelled,
        })
    }

    fn __guard(_: usize, _: Option<(&Order, &Self)>, _: Cause<'_>, _: &Context) -> bool {
        true
    }

    fn __begin(_: usize, cause: Cause<'_>, _: &mut Context) -> ActionResult<(Order, Self)> {
        let event = cause.get::<OrderPlaced>();
        if event.cents == 0 {
            return Err("an order needs a price".into());
        }
        Ok((
            Order { id: event.order.clone(), cents: event.cents, nudges: 0, notes: 0 },
            Self::AwaitingPayment,
        ))
    }

    fn __run(
        row: usize,
        data: &mut Order,
        _: &mut Self,
        cause: Cause<'_>,
        _: &mut Context,
    ) -> ActionResult<Option<Self>> {
        Ok(match row {
            1 => Some(Self::AwaitingShipment(Paid { payment: cause.get::<PaymentCompleted>().payment })),
            2 | 3 => Some(Self::PaymentFailed),
            4 | 6 | 8 => Some(Self::Cancelled),
            5 => Some(Self::Completed),
            9 => {
                data.nudges += 1;
                match &*cause.get::<Nudged>().how {
                    "panic" => panic!("nudged too hard"),
                    "err" if MENDED.get() => None,
                    "err" => return Err("nudged the wrong way".into()),
                    _ => None,
                }
            }
            11 => {
                data.notes += 1;
                None
            }
            _ => None,
        })
    }

    fn __build(
        row: usize,
        data: &Order,
        _: Option<&Self>,
        _: Option<&Self>,
        _: Cause<'_>,
        _: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()> {
        match row {
            0 => out.send(Some(0), &MakePayment { order: data.id.clone(), cents: data.cents })?,
            1 => out.send(Some(1), &CreateShippingLabel { order: data.id.clone() })?,
            5 => out.publish(OrderCompleted { order: data.id.clone() })?,
            _ => {}
        }
        Ok(())
    }

    fn __enter(_: &mut Order, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __leave(_: &mut Order, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __due(_: usize, _: &Order, _: &Self, _: &mut Context) -> ActionResult<Wait> {
        Err("no timer of this table asks a method".into())
    }

    fn __undo(undo: usize, data: &Order, of: Undone<'_, Self>, cx: &mut Context) -> ActionResult<Message> {
        Ok(match (undo, of) {
            (0, Undone::Command(command)) => {
                let command: MakePayment = private::command(command)?;
                let report = match cx.report::<MakePayment>() {
                    None => "none".to_owned(),
                    Some(report) => {
                        format!("{report:?}").chars().take_while(char::is_ascii_alphabetic).collect()
                    }
                };
                private::encode_command(&VoidPayment { order: command.order, report })?
            }
            (1, Undone::Command(_)) => private::encode_command(&VoidLabel { order: data.id.clone() })?,
            (2, Undone::State(Self::AwaitingShipment(paid))) => {
                private::encode_command(&RefundPayment { payment: paid.payment })?
            }
            _ => return Err("no such undo".into()),
        })
    }
}

pub fn placed(order: &str) -> OrderPlaced {
    OrderPlaced { order: order.to_owned(), cents: 4_200 }
}

pub fn cancel(order: &str) -> CancelRequested {
    CancelRequested { order: order.to_owned() }
}

pub fn note(order: &str) -> Noted {
    Noted { order: order.to_owned() }
}

pub fn nudge(order: &str, how: &str) -> Nudged {
    Nudged { order: order.to_owned(), how: how.to_owned() }
}
