//! The table of the batch.

use super::batch::BatchState;
use super::parcel::state;
use super::{
    BatchPlaced, BookTruck, CancelTruck, Cancelled, Enlarged, Hurried, LIMIT, ParcelState, Paused, Recalled,
    Resumed,
};
use crate::definition::{
    ChildType, Clause, CommandType, Definition, End, EventType, Missing, Move, PayloadType, Row, State,
    Trigger, Undo, UndoOf, Verdict,
};
use crate::machine::EventOf;

/// The stored name of the state that only an event from outside ends.
pub(in super::super) const ON_HOLD: &str = "on-hold";

macro_rules! events_of {
    ($($name:ident = $index:literal)*) => {
        $(impl EventOf<BatchState> for $name { const INDEX: usize = $index; })*
        const EVENTS: &[EventType] = &[$(EventType::of::<$name>(stringify!($name))),*];
    };
}
events_of! { BatchPlaced = 0 Enlarged = 1 Hurried = 2 Paused = 3 Resumed = 4 Recalled = 5 Cancelled = 6 }

const fn event<E: EventOf<BatchState>>() -> Trigger {
    Trigger::Event(E::INDEX)
}

pub(super) const PARCEL: usize = 0;
pub(super) const WITHIN: usize = 1;

pub(super) const BOOK: usize = 0;
pub(super) const CANCEL: usize = 1;

pub(super) const PLACE: usize = 0;
pub(super) const ENLARGE: usize = 1;
pub(super) const SPOILED: usize = 2;
pub(super) const HEARD: usize = 3;
pub(super) const HEARD_WITHIN: usize = 4;
pub(super) const ALL_PARCELS: usize = 5;
pub(super) const ALL_WITHIN: usize = 6;
pub(super) const WORRY: usize = 7;
pub(super) const HURRY: usize = 8;
pub(super) const PAUSE: usize = 9;
pub(super) const RECALL: usize = 10;
pub(super) const RESUME: usize = 11;
pub(super) const RECALL_HELD: usize = 12;
pub(super) const CALL_OFF: usize = 13;
pub(super) const NO_TRUCK: usize = 14;
pub(super) const LAST: usize = 15;

const START_PARCELS: Clause = Clause::Start {
    child: PARCEL,
    method: "parcels",
    each: true,
    limit: Some(LIMIT as u32),
    detached: false,
};
const START_ALL: &[Clause] = &[
    Clause::Run { method: "begin" },
    Clause::Send { command: BOOK, method: "book_truck", each: false, undo: Some(0) },
    START_PARCELS,
    Clause::Start { child: WITHIN, method: "within", each: true, limit: None, detached: false },
    Clause::Start { child: PARCEL, method: "sample", each: true, limit: None, detached: true },
];
const RUN: &[Clause] = &[Clause::Run { method: "run" }];

pub(super) static DEFINITION: Definition = Definition {
    name: super::BATCH,
    was: &[],
    data: PayloadType::of::<super::Batch>("Batch"),
    upcasts: &[],
    version: 1,
    doc: "",
    states: &[
        State {
            rows: &[
                SPOILED,
                LAST,
                HEARD,
                HEARD_WITHIN,
                ALL_PARCELS,
                WORRY,
                ENLARGE,
                HURRY,
                PAUSE,
                RECALL,
                CALL_OFF,
                NO_TRUCK,
            ],
            unhandled: Some(Verdict::Ignore),
            ..state("Packing", "packing", None)
        },
        State {
            rows: &[RESUME, RECALL_HELD, CALL_OFF, NO_TRUCK],
            unhandled: Some(Verdict::Ignore),
            ..state("OnHold", ON_HOLD, None)
        },
        State {
            rows: &[ALL_WITHIN, WORRY, CALL_OFF, NO_TRUCK],
            unhandled: Some(Verdict::Ignore),
            ..state("Gathering", "gathering", None)
        },
        state("Packed", "packed", Some(End::Completed)),
        state("CalledOff", "called-off", Some(End::Failed)),
    ],
    rows: &[
        Row { triggers: &[event::<BatchPlaced>()], clauses: START_ALL, to: Move::To(&[0]), ..Row::NEW },
        Row {
            triggers: &[event::<Enlarged>()],
            clauses: &[Clause::Run { method: "add" }, START_PARCELS],
            ..Row::NEW
        },
        Row {
            triggers: &[Trigger::Finished(PARCEL)],
            guard: Some("spoiled"),
            compensate: true,
            to: Move::To(&[4]),
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Finished(PARCEL)], guard: Some("hears"), clauses: RUN, ..Row::NEW },
        Row { triggers: &[Trigger::Finished(WITHIN)], clauses: RUN, ..Row::NEW },
        Row { triggers: &[Trigger::AllFinished(PARCEL)], clauses: RUN, to: Move::To(&[2]), ..Row::NEW },
        Row { triggers: &[Trigger::AllFinished(WITHIN)], clauses: RUN, to: Move::To(&[3]), ..Row::NEW },
        Row { triggers: &[Trigger::Parked(PARCEL), Trigger::Parked(WITHIN)], clauses: RUN, ..Row::NEW },
        Row { triggers: &[event::<Hurried>()], to: Move::To(&[3]), ..Row::NEW },
        Row { triggers: &[event::<Paused>()], to: Move::To(&[1]), ..Row::NEW },
        Row {
            triggers: &[event::<Recalled>()],
            compensate: true,
            clauses: START_ALL,
            to: Move::Reenter,
            ..Row::NEW
        },
        Row { triggers: &[event::<Resumed>()], to: Move::To(&[0]), ..Row::NEW },
        Row {
            triggers: &[event::<Recalled>()],
            compensate: true,
            clauses: START_ALL,
            to: Move::To(&[0]),
            ..Row::NEW
        },
        Row { triggers: &[event::<Cancelled>()], compensate: true, to: Move::To(&[4]), ..Row::NEW },
        Row {
            triggers: &[Trigger::Failed(BOOK), Trigger::Unknown(BOOK)],
            compensate: true,
            to: Move::To(&[4]),
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Finished(PARCEL)], guard: Some("last"), to: Move::To(&[3]), ..Row::NEW },
    ],
    initially: &[PLACE],
    events: EVENTS,
    commands: &[CommandType::of::<BookTruck>("BookTruck"), CommandType::of::<CancelTruck>("CancelTruck")],
    children: &[ChildType::of::<ParcelState>("ParcelState"), ChildType::of::<BatchState>("BatchState")],
    timers: &[],
    deadline: None,
    undos: &[Undo { command: CANCEL, of: UndoOf::Command(BOOK), method: "cancel_truck" }],
    on_abort: Some(4),
    ended_instance: Verdict::Ignore,
    missing_instance: Missing::Reject,
};
