//! The parent: a batch books a truck, has its parcels shipped, a few at a time, awaits them and then the batch within
//! it. Some batches hear of each parcel, others only of all.

#![allow(clippy::duplicated_attributes)] // Several rows on the enum share words.

use saga_macros::Saga;
use serde::{Deserialize, Serialize};

use super::{
    BatchPlaced, BookTruck, CancelTruck, Cancelled, Enlarged, Hurried, Kind, ParcelOrdered, ParcelState,
    Paused, Plan, Recalled, Resumed,
};
use crate::machine::{AllFinished, ChildEnd, Context, Finished};
use crate::message::ActionResult;

/// The stored name of the state that only an event from outside ends.
pub(in super::super) const ON_HOLD: &str = "on-hold";

#[derive(Clone, Copy, Debug, PartialEq, Saga)]
#[saga(
    name = "batch",
    version = 1,
    data(Batch),
    actions(BatchActions),
    on_abort(CalledOff),
    crate(saga_core)
)]
#[initially(when(
    BatchPlaced,
    run(place),
    send(BookTruck, undo(CancelTruck)),
    start(ParcelState, with(placed_parcels), each, limit = 2),
    start(BatchState, with(placed_within), each),
    start(ParcelState, with(placed_sample), each, detached),
    transition_to(Packing)
))]
#[during_any(
    when(Cancelled, compensate, transition_to(CalledOff)),
    when(any(failed(BookTruck), unknown(BookTruck)), compensate, transition_to(CalledOff))
)]
#[unhandled(ignore)]
pub(in super::super) enum BatchState {
    #[during(
        when(finished(ParcelState), guard(is_spoiled), compensate, transition_to(CalledOff)),
        when(finished(ParcelState), guard(is_last), transition_to(Packed)),
        when(finished(ParcelState), guard(hears_each), run(hear), stay),
        when(finished(BatchState), run(hear_within), stay),
        when(all_finished(ParcelState), run(sum_parcels), transition_to(Gathering)),
        when(any(parked(ParcelState), parked(BatchState)), run(worry), stay),
        when(Enlarged, run(enlarge), start(ParcelState, with(more_parcels), each, limit = 2), stay),
        when(Hurried, transition_to(Packed)),
        when(Paused, transition_to(OnHold)),
        when(
            Recalled,
            compensate,
            run(begin_anew),
            send(BookTruck, undo(CancelTruck)),
            start(ParcelState, with(recalled_parcels), each, limit = 2),
            start(BatchState, with(recalled_within), each),
            start(ParcelState, with(recalled_sample), each, detached),
            reenter
        )
    )]
    Packing,
    #[during(
        when(Resumed, transition_to(Packing)),
        when(
            Recalled,
            compensate,
            run(begin_anew),
            send(BookTruck, undo(CancelTruck)),
            start(ParcelState, with(recalled_parcels), each, limit = 2),
            start(BatchState, with(recalled_within), each),
            start(ParcelState, with(recalled_sample), each, detached),
            transition_to(Packing)
        )
    )]
    OnHold,
    #[during(
        when(all_finished(BatchState), run(sum_within), transition_to(Packed)),
        when(any(parked(ParcelState), parked(BatchState)), run(worry), stay)
    )]
    Gathering,
    #[terminal]
    Packed,
    #[terminal(failure)]
    CalledOff,
}

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

    /// The last parcels.
    fn last_parcels(&self, count: usize) -> Vec<ParcelOrdered> {
        let ordered = |(parcel, kind): &(String, Kind)| ParcelOrdered { parcel: parcel.clone(), kind: *kind };
        self.parcels[self.parcels.len() - count..].iter().map(ordered).collect()
    }

    fn batch_within(&self, plan: &Plan) -> Vec<BatchPlaced> {
        let within = plan.within.as_ref().zip(self.within.last()).map(|(parcels, batch)| {
            let plan = Plan { parcels: parcels.clone(), within: None, sample: false };
            BatchPlaced { batch: batch.clone(), plan, hears: self.hears }
        });
        within.into_iter().collect()
    }

    fn sample(&self, plan: &Plan) -> Vec<ParcelOrdered> {
        let sample = self.samples.last().filter(|_| plan.sample);
        sample.map(|parcel| ParcelOrdered { parcel: parcel.clone(), kind: Kind::Plain }).into_iter().collect()
    }
}

impl BatchActions for Batch {
    fn place(event: &BatchPlaced, _: &mut Context) -> ActionResult<Self> {
        let mut data = Self {
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
        Ok(data)
    }

    fn book_truck(&self, _: &mut Context) -> BookTruck {
        BookTruck { batch: self.id.clone(), round: self.round.to_string() }
    }

    fn cancel_truck(&self, command: &BookTruck, _: &mut Context) -> CancelTruck {
        CancelTruck { batch: command.batch.clone(), round: command.round.clone() }
    }

    fn placed_parcels(&self, event: &BatchPlaced, _: &mut Context) -> Vec<ParcelOrdered> {
        self.last_parcels(event.plan.parcels.len())
    }

    fn placed_within(&self, event: &BatchPlaced, _: &mut Context) -> Vec<BatchPlaced> {
        self.batch_within(&event.plan)
    }

    fn placed_sample(&self, event: &BatchPlaced, _: &mut Context) -> Vec<ParcelOrdered> {
        self.sample(&event.plan)
    }

    fn is_spoiled(&self, child: &Finished<ParcelState>, _: &Context) -> bool {
        child.data.kind == Kind::Precious && child.end != ChildEnd::Completed
    }

    fn is_last(&self, child: &Finished<ParcelState>, _: &Context) -> bool {
        child.data.kind == Kind::Last
    }

    fn hears_each(&self, _: &Finished<ParcelState>, _: &Context) -> bool {
        self.hears
    }

    fn hear(&mut self, child: &Finished<ParcelState>, _: &mut Context) -> ActionResult<()> {
        self.heard.push((child.key.to_string(), child.end));
        if child.data.kind == Kind::Cursed {
            return Err("it is cursed".into());
        }
        Ok(())
    }

    fn hear_within(&mut self, child: &Finished<BatchState>, _: &mut Context) -> ActionResult<()> {
        self.heard.push((child.key.to_string(), child.end));
        Ok(())
    }

    fn sum_parcels(&mut self, all: &AllFinished, _: &mut Context) -> ActionResult<()> {
        self.sums.push((super::PARCEL.to_owned(), *all));
        Ok(())
    }

    fn sum_within(&mut self, all: &AllFinished, _: &mut Context) -> ActionResult<()> {
        self.sums.push((super::BATCH.to_owned(), *all));
        Ok(())
    }

    fn worry(&mut self, _: &mut Context) -> ActionResult<()> {
        self.worries += 1;
        Ok(())
    }

    fn enlarge(&mut self, event: &Enlarged, _: &mut Context) -> ActionResult<()> {
        self.add(&event.parcels);
        Ok(())
    }

    fn more_parcels(&self, event: &Enlarged, _: &mut Context) -> Vec<ParcelOrdered> {
        self.last_parcels(event.parcels.len())
    }

    fn begin_anew(&mut self, event: &Recalled, _: &mut Context) -> ActionResult<()> {
        self.begin(&event.plan);
        Ok(())
    }

    fn recalled_parcels(&self, event: &Recalled, _: &mut Context) -> Vec<ParcelOrdered> {
        self.last_parcels(event.plan.parcels.len())
    }

    fn recalled_within(&self, event: &Recalled, _: &mut Context) -> Vec<BatchPlaced> {
        self.batch_within(&event.plan)
    }

    fn recalled_sample(&self, event: &Recalled, _: &mut Context) -> Vec<ParcelOrdered> {
        self.sample(&event.plan)
    }
}
