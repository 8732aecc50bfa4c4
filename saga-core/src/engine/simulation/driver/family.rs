//! What happens to batches and their parcels, and what must hold of them after every commit (rule R21).

use crate::store::HistoryKind;
use std::collections::{BTreeMap, BTreeSet};

use super::super::family::{
    self, BatchPlaced, Cancelled, Enlarged, Hurried, LIMIT, ON_HOLD, Paused, Plan, Recalled, Resumed,
    Shipped, batch, is_batch, is_member, kinds, parent,
};
use super::super::world::message;
use super::{Driver, Seen, now, record};
use crate::machine::{Operator, OperatorVerb};
use crate::machine::{ParkReason, Resolution, Verb, read_parked};
use crate::message::Correlated;
use crate::store::{
    Address, Batch, Inspect, InstanceChange, MailKind, Snapshot, Status, Store, Task, TaskKind, TaskStage,
};

/// Everybody there is, as the store holds it.
#[derive(Default)]
pub(super) struct Family {
    /// Batches that nobody starts but people.
    pub(super) roots: usize,
    pub(super) members: BTreeMap<Address, Member>,
    /// Children that are to be aborted, and by whom.
    aborting: BTreeSet<(Address, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) status: Status,
    parked: bool,
    seq: u64,
    pub(super) tasks: usize,
}

impl Family {
    /// The children of a batch that have not ended.
    fn running<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a Address> {
        let running = move |(address, member): &(&Address, &Member)| {
            !member.status.is_over() && parent(address.key.text()).is_some_and(|(batch, _)| batch == of)
        };
        self.members.iter().filter(running).map(|(address, _)| address)
    }

    /// Counts the parents that a crash catches with children.
    pub(super) fn cut(&self, seen: &mut Seen) {
        for (address, member) in &self.members {
            if self.running(address.key.text()).next().is_some() {
                match member.status {
                    Status::Compensating => seen.family.cut_unwinding += 1,
                    _ => seen.family.cut += 1,
                }
            }
        }
    }
}

// What people do.

impl Driver {
    /// Somebody wants something of a batch, also of one within another.
    pub(super) fn somebody_steers(&mut self) {
        if self.family.roots == 0 {
            return;
        }
        let batches: Vec<&Address> = self.family.members.keys().filter(|address| is_batch(address)).collect();
        let root = root(self.random.below(self.family.roots));
        let key = match batches.len() {
            0 => root.clone(),
            count => batches[self.random.below(count)].key.to_string(),
        };
        match self.random.below(24) {
            0..10 => self.place_batch(&root),
            10 | 11 => self.think_better(&root),
            12 => self.tell(&key, Cancelled { batch: key.clone() }),
            13 => self.tell(&key, Hurried { batch: key.clone() }),
            14 | 15 => self.tell(&key, Paused { batch: key.clone() }),
            16 | 17 => self.tell(&key, Resumed { batch: key.clone() }),
            18 => {
                let plan = Plan::any(&mut self.random);
                self.tell(&key, Recalled { batch: key.clone(), plan });
            }
            19 | 20 => {
                let parcels = kinds(&mut self.random, 4);
                self.tell(&key, Enlarged { batch: key.clone(), parcels });
            }
            21 => self.abort_any(),
            _ => {}
        }
    }

    pub(super) fn place_batch(&mut self, key: &str) {
        let (plan, hears) = (Plan::any(&mut self.random), self.random.one_in(2));
        self.tell(key, BatchPlaced { batch: key.to_owned(), plan, hears });
    }

    /// Another process places a batch and calls it back in one transaction, so that both are read from the inbox.
    fn think_better(&mut self, key: &str) {
        let plan = Plan::any(&mut self.random);
        let recalled = message(&Recalled { batch: key.to_owned(), plan: plan.clone() });
        let placed = message(&BatchPlaced { batch: key.to_owned(), plan, hears: false });
        // Those before it may fill the page on which it is read.
        let before = (0..self.random.below(3)).map(|_| recalled.clone());
        let all: Vec<_> = before.chain([placed, recalled.clone()]).collect();
        let mail = |message| self.mail(batch(key), MailKind::Event, message, None);
        let mails = all.into_iter().map(mail).collect();
        self.deliver(mails);
    }

    /// By this process, or by another one.
    fn tell<E: Correlated>(&mut self, key: &str, event: E) {
        if self.world.calm || self.random.one_in(2) {
            return self.publish(event, None);
        }
        let mail = self.mail(batch(key), MailKind::Event, message(&event), None);
        self.deliver(vec![mail]);
    }

    /// A person aborts a batch or a parcel, here or from another process.
    fn abort_any(&mut self) {
        let running = self.family.members.iter().filter(|(_, member)| !member.status.is_over());
        let running: Vec<Address> = running.map(|(address, _)| address.clone()).collect();
        if running.is_empty() {
            return;
        }
        let address = running[self.random.below(running.len())].clone();
        if self.random.one_in(2) {
            return self.verb(address, record(Verb::Abort, None));
        }
        let at = self.now.wall;
        let mail = crate::store::Mail::operator(
            address,
            OperatorVerb::Abort,
            Operator::new("op").because("elsewhere"),
            at,
        );
        self.deliver(vec![mail]);
    }

    /// A person looks at one parked batch or parcel; whether there was one.
    pub(super) fn operate_on_family(&mut self, seen: &mut Seen) -> bool {
        let parked = self.family.members.iter().filter(|(_, member)| member.parked);
        let parked: Vec<Address> = parked.map(|(address, _)| address.clone()).collect();
        if parked.is_empty() {
            return false;
        }
        let address = parked[self.random.below(parked.len())].clone();
        let instance = self.member(&address).expect("it is there").instance;
        let (reason, detail) = read_parked(&instance).expect("it is parked");
        let shipped = self.world.depot.shipped.contains(address.key.text());
        let again = self.random.one_in(4) && !self.world.calm;
        let verb = match reason {
            ParkReason::Row if again => Verb::Retry,
            ParkReason::Row if shipped => Verb::Resolve(Resolution::Replied((&message(&Shipped {})).into())),
            ParkReason::Row => Verb::Resolve(Resolution::Refused),
            ParkReason::UndoRefused | ParkReason::CrashLoop => Verb::Retry,
            ParkReason::ChildNotStarted
            | ParkReason::OutcomeUnhandled
            | ParkReason::ChildrenRunning
            | ParkReason::ActionFailed => {
                seen.family.held += 1;
                if again { Verb::Retry } else { Verb::Skip }
            }
            reason => panic!("{address} is parked: {reason}: {detail}\n{}", self.family_story(&address)),
        };
        // A verb about an earlier park must not decide about a later one.
        self.verb(address, record(verb, Some(instance.seq)));
        true
    }

    /// What people do so that every batch can come to its end; whether there was anything to do.
    pub(super) fn attend(&mut self) -> bool {
        let missing =
            (0..self.family.roots).map(root).find(|key| !self.family.members.contains_key(&batch(key)));
        if let Some(key) = missing {
            self.place_batch(&key);
            return true;
        }
        let batches = self.family.members.iter().filter(|(address, member)| {
            is_batch(address) && !member.parked && member.status == Status::Running
        });
        let mut batches = batches.map(|(address, _)| address.clone());
        let held = batches.find(|it| self.member(it).is_some_and(|found| found.instance.state == ON_HOLD));
        if let Some(held) = &held {
            self.tell(held.key.text(), Resumed { batch: held.key.to_string() });
        }
        held.is_some()
    }
}

// What must hold.

impl Driver {
    pub(super) fn member(&self, address: &Address) -> Option<Snapshot> {
        now(self.store.instance(address)).expect("read")
    }

    /// The store has been given this batch, and may have taken it.
    pub(super) fn look_at_family(&mut self, batch: &Batch, seen: &mut Seen) {
        let changed = batch.steps.iter().filter_map(|step| step.instance.as_ref());
        let changed: BTreeSet<Address> =
            changed.map(|change| change.address.clone()).filter(is_member).collect();
        for address in changed {
            let Some(found) = self.member(&address) else { continue };
            let before = self.family.members.get(&address).cloned();
            if before.as_ref().is_some_and(|before| before.seq == found.instance.seq) {
                continue;
            }
            let InstanceChange { status, seq, parked, .. } = &found.instance;
            let after =
                Member { status: *status, parked: parked.is_some(), seq: *seq, tasks: found.tasks.len() };
            self.family.members.insert(address.clone(), after.clone());
            if let Some((batch, _)) = parent(address.key.text()) {
                seen.family
                    .child(before.as_ref().map(|it| (it.status, it.parked)), (after.status, after.parked));
                self.check_limit(batch, seen);
            }
            if is_batch(&address) {
                self.check_parent(&address, &found, before.map(|before| before.status));
            }
        }
        self.check_aborts(seen);
    }

    fn check_limit(&self, of: &str, seen: &mut Seen) {
        let parcels = self.family.running(of).filter(|address| !is_batch(address)).count();
        assert!(
            parcels <= LIMIT,
            "{parcels} parcels of {of} are under way\n{}",
            self.family_story(&batch(of))
        );
        seen.family.full += u64::from(parcels == LIMIT);
    }

    fn check_parent(&mut self, address: &Address, found: &Snapshot, before: Option<Status>) {
        let started: Vec<&Task> = found
            .tasks
            .iter()
            .filter(|task| task.kind == TaskKind::Child && task.progress.stage == TaskStage::Started)
            .collect();
        let parcels = started.iter().filter(|task| *task.command.name == *family::PARCEL).count();
        assert!(parcels <= LIMIT, "{address} has started {parcels} parcels\n{}", self.family_story(address));
        self.check_counts(address, found);

        let undoes = found.tasks.iter().any(|task| task.kind == TaskKind::Undo);
        if undoes || found.instance.status.is_over() {
            let what = if undoes { "undoes" } else { "has ended" };
            let key = address.key.text();
            let running: Vec<&Address> = self.family.running(key).collect();
            assert!(
                running.is_empty(),
                "{address} {what} before {running:?}\n{}",
                self.family_story(address)
            );
            let mail = now(self.store.inbox(Default::default(), 10_000)).expect("read");
            let mut starts = mail.iter().filter(|(_, mail)| mail.kind == MailKind::Start);
            let start = starts.find(|(_, mail)| parent(mail.to.key.text()).is_some_and(|(of, _)| of == key));
            assert!(start.is_none(), "{address} {what} before {start:?}\n{}", self.family_story(address));
        }
        if found.instance.status == Status::Compensating && before != Some(Status::Compensating) {
            for task in started {
                self.expect_abort(address, task);
            }
        }
    }

    /// The same commit that turns the parent aborts the child.
    fn expect_abort(&mut self, by: &Address, task: &Task) {
        #[derive(serde::Deserialize)]
        struct Child {
            key: String,
        }
        let Child { key } = task.command.payload.decode().expect("a child");
        let child = if *task.command.name == *family::BATCH { batch(&key) } else { family::parcel(&key) };
        let waits = self.waits_to_be_aborted(&child, &by.to_string());
        assert!(waits, "{by} has turned without a word to {child}\n{}", self.family_story(by));
        self.family.aborting.insert((child, by.to_string()));
    }

    fn waits_to_be_aborted(&self, child: &Address, by: &str) -> bool {
        let waiting = now(Inspect::waiting(&self.store, child, 1_000)).expect("read");
        waiting.iter().any(|(_, mail)| {
            mail.kind == MailKind::Verb && mail.cause.as_ref().is_some_and(|cause| cause == by)
        })
    }

    /// An abort that is used up has turned the child, or found that it has ended or never began.
    fn check_aborts(&mut self, seen: &mut Seen) {
        let mut aborting = std::mem::take(&mut self.family.aborting);
        aborting.retain(|(child, by)| {
            if self.waits_to_be_aborted(child, by) {
                return true;
            }
            let verb = |row: &crate::store::HistoryRow| {
                row.entry.kind == HistoryKind::Verb
                    && row.entry.cause.as_ref().is_some_and(|cause| cause == by)
            };
            let told = now(self.store.history(child, 100_000)).expect("read").iter().any(verb);
            let over = self.member(child).map(|found| found.instance.status.is_over());
            let waiting = now(Inspect::waiting(&self.store, child, 1_000)).expect("read");
            let begins = waiting.iter().any(|(_, mail)| mail.kind == MailKind::Start);
            let settled = told || over.unwrap_or(!begins);
            assert!(settled, "{by} has aborted {child}, which goes on\n{}", self.family_story(child));
            seen.family.aborted_by_parent += u64::from(told);
            seen.family.abort_came_late += u64::from(!told);
            false
        });
        self.family.aborting = aborting;
    }
}

/// The key of a batch that nobody starts but people.
pub(super) fn root(number: usize) -> String {
    format!("batch-{number}")
}
