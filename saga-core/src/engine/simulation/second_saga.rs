//! A second saga, started by what the order publishes, so that mail goes from instance to instance. It also waits for
//! instances that do not exist yet (rule R27), and has a label by which it is found, as long as it is not given up
//! (rule R35).

use serde::{Deserialize, Serialize};

use super::order::OrderCompleted;
use crate::Saga;
use crate::definition::{
    Clause, Definition, EventType, Missing, Move, PayloadType, Row, State, Trigger, Undo, Verdict,
};
use crate::machine::{Cause, Context, EventOf, Outbox, Undone, Wait};
use crate::message::{ActionResult, ByAlias, Correlated, Event, Message, Payload, PayloadError};

/// How long a parcel waits for its order, in milliseconds.
const WAIT: u64 = 60_000;

/// A parcel was seen somewhere, perhaps before anybody knew of its order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tracked {
    pub(super) order: String,
}

impl Event for Tracked {
    const NAME: &'static str = "tracked";
    const KEYED: bool = true;
}

impl Correlated for Tracked {
    fn key(&self, _: &str) -> String {
        self.order.clone()
    }
}

/// A parcel with a label was seen by somebody who does not know its order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Labelled {
    pub(super) label: String,
}

impl Event for Labelled {
    const NAME: &'static str = "labelled";
    const KEYED: bool = true;
    const BY_ALIAS: ByAlias = ByAlias::new(true, &[]);
}

impl Correlated for Labelled {
    fn key(&self, _: &str) -> String {
        self.label.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Thanks {
    pub(super) tracked: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ThanksState {
    Open,
}

const COMPLETED: usize = 0;
const TRACKED: usize = 1;
const LABELLED: usize = 2;

impl EventOf<ThanksState> for OrderCompleted {
    const INDEX: usize = COMPLETED;
}
impl EventOf<ThanksState> for Tracked {
    const INDEX: usize = TRACKED;
}
impl EventOf<ThanksState> for Labelled {
    const INDEX: usize = LABELLED;
}

const CLAIM: Clause = Clause::Claim { method: "label", each: true };

static DEFINITION: Definition = Definition {
    name: "thanks",
    was: &[],
    data: PayloadType::of::<Thanks>("Thanks"),
    upcasts: &[],
    version: 1,
    doc: "",
    states: &[State {
        variant: "Open",
        name: "open",
        was: &[],
        doc: "",
        payload: None,
        upcasts: &[],
        end: None,
        rows: &[1, 2],
        unhandled: Some(Verdict::Reject),
        timers: &[],
        compensations: &[],
        on_enter: &[],
        on_leave: &[],
    }],
    rows: &[
        Row {
            triggers: &[Trigger::Event(COMPLETED)],
            clauses: &[Clause::Run { method: "open" }, CLAIM],
            to: Move::To(&[0]),
            ..Row::NEW
        },
        Row {
            triggers: &[Trigger::Event(TRACKED)],
            clauses: &[
                Clause::Run { method: "track" },
                CLAIM,
                Clause::Release { method: "label", each: true },
            ],
            to: Move::Stay,
            ..Row::NEW
        },
        Row { triggers: &[Trigger::Event(LABELLED)], to: Move::Stay, ..Row::NEW },
    ],
    initially: &[0],
    events: &[
        EventType::of::<OrderCompleted>("OrderCompleted"),
        EventType::of::<Tracked>("Tracked"),
        EventType::of::<Labelled>("Labelled"),
    ],
    commands: &[],
    children: &[],
    timers: &[],
    deadline: None,
    undos: &[] as &[Undo],
    on_abort: None,
    ended_instance: Verdict::Ignore,
    missing_instance: Missing::Defer(WAIT),
};

impl Saga for ThanksState {
    type Data = Thanks;
    const NAME: &'static str = "thanks";
    const VERSION: u32 = 1;

    fn definition() -> &'static Definition {
        &DEFINITION
    }

    fn __index(&self) -> usize {
        0
    }

    fn __encode(&self) -> Result<Option<Payload>, PayloadError> {
        Ok(None)
    }

    fn __decode(_: usize, _: Option<&Payload>, _: u32) -> Result<Self, PayloadError> {
        Ok(Self::Open)
    }

    fn __guard(_: usize, _: Option<(&Thanks, &Self)>, _: Cause<'_>, _: &Context) -> bool {
        true
    }

    fn __begin(_: usize, _: Cause<'_>, _: &mut Context) -> ActionResult<(Thanks, Self)> {
        Ok((Thanks { tracked: 0 }, Self::Open))
    }

    fn __run(
        row: usize,
        data: &mut Thanks,
        _: &mut Self,
        _: Cause<'_>,
        _: &mut Context,
    ) -> ActionResult<Option<Self>> {
        data.tracked += u32::from(row == 1);
        Ok(None)
    }

    /// The label is there from the start, and given up and claimed again in turn.
    fn __build(
        row: usize,
        data: &Thanks,
        _: Option<&Self>,
        _: Option<&Self>,
        _: Cause<'_>,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()> {
        match row {
            0 | 1 if data.tracked.is_multiple_of(2) => out.claim(cx.key()),
            1 => out.release(cx.key()),
            _ => Ok(()),
        }
    }

    fn __enter(_: &mut Thanks, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __leave(_: &mut Thanks, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __due(_: usize, _: &Thanks, _: &Self, _: &mut Context) -> ActionResult<Wait> {
        Err("no timer of this table asks a method".into())
    }

    fn __undo(_: usize, _: &Thanks, _: Undone<'_, Self>, _: &mut Context) -> ActionResult<Message> {
        Err("no such undo".into())
    }
}
