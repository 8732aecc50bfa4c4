//! The parent: a batch books a truck, has its parcels shipped, a few at a time, awaits them and then the batch within
//! it. Some batches hear of each parcel, others only of all.

use serde::{Deserialize, Serialize};

use super::table::{
    ALL_PARCELS, ALL_WITHIN, CALL_OFF, DEFINITION, ENLARGE, HEARD, HEARD_WITHIN, HURRY, LAST, NO_TRUCK,
    PARCEL, PAUSE, PLACE, RECALL, RECALL_HELD, RESUME, SPOILED, WITHIN, WORRY,
};
use super::{
    BatchPlaced, BookTruck, CancelTruck, Enlarged, Kind, LIMIT, ParcelOrdered, ParcelState, Plan, Recalled,
};
use crate::Saga;
use crate::definition::Definition;
use crate::machine::{
    AllFinished, Cause, Child, ChildEnd, Context, Finished, Outbox, Undone, Wait, encode_command,
};
use crate::message::{ActionResult, Message, Payload, PayloadError};

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
    fn start_parcels(&self, count: usize, out: &mut Outbox) -> ActionResult<()> {
        out.starts(PARCEL);
        for (parcel, kind) in &self.parcels[self.parcels.len() - count..] {
            let event = ParcelOrdered { parcel: parcel.clone(), kind: *kind };
            out.start::<ParcelState>(PARCEL, Some(LIMIT as u32), false, &event)?;
        }
        Ok(())
    }

    fn start_all(&self, plan: &Plan, out: &mut Outbox) -> ActionResult<()> {
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

impl Child for BatchState {
    type Start = BatchPlaced;
}

impl Saga for BatchState {
    type Data = Batch;
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

    fn __begin(_: usize, cause: Cause<'_>, _: &mut Context) -> ActionResult<(Batch, Self)> {
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
    ) -> ActionResult<Option<Self>> {
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
    ) -> ActionResult<()> {
        match row {
            PLACE => data.start_all(&cause.get::<BatchPlaced>().plan, out),
            RECALL | RECALL_HELD => data.start_all(&cause.get::<Recalled>().plan, out),
            ENLARGE => data.start_parcels(cause.get::<Enlarged>().parcels.len(), out),
            _ => Ok(()),
        }
    }

    fn __enter(_: &mut Batch, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __leave(_: &mut Batch, _: &mut Self, _: &mut Context, _: &mut Outbox) -> ActionResult<()> {
        Ok(())
    }

    fn __due(_: usize, _: &Batch, _: &Self, _: &mut Context) -> ActionResult<Wait> {
        Err("no timer of this table asks a method".into())
    }

    fn __undo(_: usize, _: &Batch, of: Undone<'_, Self>, _: &mut Context) -> ActionResult<Message> {
        let Undone::Command(command) = of else { return Err("no such undo".into()) };
        let BookTruck { batch, round } = command.command()?;
        Ok(encode_command(&CancelTruck { batch, round })?)
    }
}
