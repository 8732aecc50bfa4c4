//! The parent: a batch books a truck, has its parcels shipped, a few at a time, awaits them and then the batch within
//! it. Some batches hear of each parcel, others only of all.

use serde::{Deserialize, Serialize};

use super::parcel::state;
use super::{
    BatchPlaced, BookTruck, CancelTruck, Cancelled, Enlarged, Hurried, Kind, LIMIT, ParcelOrdered,
    ParcelState, Paused, Plan, Recalled, Resumed,
};
use crate::Saga;
use crate::definition::{
    ChildType, Clause, CommandType, Definition, End, EventType, Missing, Move, PayloadType, Row, State,
    Trigger, Undo, UndoOf, Verdict,
};
use crate::machine::{
    AllFinished, Cause, Child, ChildEnd, Context, EventOf, Finished, Outbox, Undone, Wait, encode_command,
};
use crate::message::{Message, Payload, PayloadError, Result};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Batch {
    pub(in super::super) id: String,
    hears: bool,
    /// How often it has begun.
    round: u32,
    /// The keys of its parcels, also of those that had no turn, in the order of their starts.
    pub(in super::super) parcels: Vec<(String, Kind)>,
    /// The keys of the batches within it.
    pub(in super::super) within: Vec<String>,
    /// The keys of the parcels it hears nothing of.
    pub(in super::super) samples: Vec<String>,
    /// What it has heard of each.
    pub(in super::super) heard: Vec<(String, ChildEnd)>,
    /// What it has heard of all, by saga.
    pub(in super::super) sums: Vec<(String, AllFinished)>,
    /// How often it has heard that a child is parked.
    pub(in super::super) worries: u64,
}

impl Batch {
    fn begin(&mut self, plan: &Plan) {
        self.round += 1;
        self.add(&plan.parcels);
        let (id, round) = (&self.id, self.round);
        self.within.extend(plan.within.iter().map(|_| format!("{id}.b{round}")));
        self.samples.extend(plan.sample.then(|| format!("{id}.d{round}")));
    }

    fn add(&mut self, kinds: &[Kind]) {
        for &kind in kinds {
            let round = format!("{}.p{}-", self.id, self.round);
            let own = format!("{round}{}", self.parcels.len());
            let twin = self.parcels.last().filter(|(key, _)| kind == Kind::Twin && key.starts_with(&round));
            self.parcels.push((twin.map_or(own, |(key, _)| key.clone()), kind));
        }
    }

    /// Starts the last parcels.
    fn start_parcels(&self, count: usize, out: &mut Outbox) -> Result<()> {
        out.starts(PARCEL);
        for (parcel, kind) in &self.parcels[self.parcels.len() - count..] {
            let event = ParcelOrdered { parcel: parcel.clone(), kind: *kind };
            out.start::<ParcelState>(PARCEL, Some(LIMIT as u32), false, &event)?;
        }
        Ok(())
    }

    fn start_all(&self, plan: &Plan, out: &mut Outbox) -> Result<()> {
        out.send(Some(0), &BookTruck { batch: self.id.clone(), round: self.round.to_string() })?;
        self.start_parcels(plan.parcels.len(), out)?;
        out.starts(WITHIN);
        if let (Some(parcels), Some(batch)) = (&plan.within, self.within.last()) {
            let plan = Plan { parcels: parcels.clone(), within: None, sample: false };
            let event = BatchPlaced { batch: batch.clone(), plan, hears: self.hears };
            out.start::<BatchState>(WITHIN, None, false, &event)?;
        }
        if let (true, Some(parcel)) = (plan.sample, self.samples.last()) {
            let event = ParcelOrdered { parcel: parcel.clone(), kind: Kind::Plain };
            out.start::<ParcelState>(PARCEL, None, true, &event)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum BatchState {
    Packing,
    OnHold,
    Gathering,
    Packed,
    CalledOff,
}

/// The stored name of the state that only an event from outside ends.
pub(in super::super) const ON_HOLD: &str = "on-hold";

pub(in super::super) enum BatchEvent {}

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

const PARCEL: usize = 0;
const WITHIN: usize = 1;

const BOOK: usize = 0;
const CANCEL: usize = 1;

const PLACE: usize = 0;
const ENLARGE: usize = 1;
const SPOILED: usize = 2;
const HEARD: usize = 3;
const HEARD_WITHIN: usize = 4;
const ALL_PARCELS: usize = 5;
const ALL_WITHIN: usize = 6;
const WORRY: usize = 7;
const HURRY: usize = 8;
const PAUSE: usize = 9;
const RECALL: usize = 10;
const RESUME: usize = 11;
const RECALL_HELD: usize = 12;
const CALL_OFF: usize = 13;
const NO_TRUCK: usize = 14;
const LAST: usize = 15;

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

static DEFINITION: Definition = Definition {
    name: super::BATCH,
    was: &[],
    data: PayloadType::of::<Batch>("Batch"),
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

impl Child for BatchState {
    type Start = BatchPlaced;
}

impl Saga for BatchState {
    type Data = Batch;
    type Event = BatchEvent;
    const NAME: &'static str = super::BATCH;
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
        Ok([Self::Packing, Self::OnHold, Self::Gathering, Self::Packed, Self::CalledOff][index])
    }

    fn __guard(row: usize, on: Option<(&Batch, &Self)>, cause: Cause<'_>, _: &Context) -> bool {
        match row {
            SPOILED => {
                let child = cause.get::<Finished<ParcelState>>();
                child.data.kind == Kind::Precious && child.end != ChildEnd::Completed
            }
            LAST => cause.get::<Finished<ParcelState>>().data.kind == Kind::Last,
            _ => on.is_some_and(|(data, _)| data.hears),
        }
    }

    fn __begin(_: usize, cause: Cause<'_>, _: &mut Context) -> Result<(Batch, Self)> {
        let event = cause.get::<BatchPlaced>();
        let mut data = Batch {
            id: event.batch.clone(),
            hears: event.hears,
            round: 0,
            parcels: Vec::new(),
            within: Vec::new(),
            samples: Vec::new(),
            heard: Vec::new(),
            sums: Vec::new(),
            worries: 0,
        };
        data.begin(&event.plan);
        Ok((data, Self::Packing))
    }

    fn __run(
        row: usize,
        data: &mut Batch,
        _: &mut Self,
        cause: Cause<'_>,
        _: &mut Context,
    ) -> Result<Option<Self>> {
        match row {
            ENLARGE => data.add(&cause.get::<Enlarged>().parcels),
            HEARD => {
                let child = cause.get::<Finished<ParcelState>>();
                data.heard.push((child.key.to_string(), child.end));
                if child.data.kind == Kind::Cursed {
                    return Err("it is cursed".into());
                }
            }
            HEARD_WITHIN => {
                let child = cause.get::<Finished<Self>>();
                data.heard.push((child.key.to_string(), child.end));
            }
            ALL_PARCELS => data.sums.push((super::PARCEL.to_owned(), *cause.get())),
            ALL_WITHIN => data.sums.push((super::BATCH.to_owned(), *cause.get())),
            WORRY => data.worries += 1,
            RECALL | RECALL_HELD => data.begin(&cause.get::<Recalled>().plan),
            _ => {}
        }
        Ok(match row {
            RESUME | RECALL_HELD => Some(Self::Packing),
            PAUSE => Some(Self::OnHold),
            ALL_PARCELS => Some(Self::Gathering),
            ALL_WITHIN | HURRY | LAST => Some(Self::Packed),
            SPOILED | CALL_OFF | NO_TRUCK => Some(Self::CalledOff),
            _ => None,
        })
    }

    fn __build(
        row: usize,
        data: &Batch,
        _: Option<&Self>,
        _: Option<&Self>,
        cause: Cause<'_>,
        _: &mut Context,
        out: &mut Outbox,
    ) -> Result<()> {
        match row {
            PLACE => data.start_all(&cause.get::<BatchPlaced>().plan, out),
            RECALL | RECALL_HELD => data.start_all(&cause.get::<Recalled>().plan, out),
            ENLARGE => data.start_parcels(cause.get::<Enlarged>().parcels.len(), out),
            _ => Ok(()),
        }
    }

    fn __enter(_: &mut Batch, _: &mut Self, _: &mut Context, _: &mut Outbox) -> Result<()> {
        Ok(())
    }

    fn __leave(_: &mut Batch, _: &mut Self, _: &mut Context, _: &mut Outbox) -> Result<()> {
        Ok(())
    }

    fn __due(_: usize, _: &Batch, _: &Self, _: &mut Context) -> Result<Wait> {
        Err("no timer of this table asks a method".into())
    }

    fn __undo(_: usize, _: &Batch, of: Undone<'_, Self>, _: &mut Context) -> Result<Message> {
        let Undone::Command(command) = of else { return Err("no such undo".into()) };
        let BookTruck { batch, round } = command.command()?;
        Ok(encode_command(&CancelTruck { batch, round })?)
    }
}
