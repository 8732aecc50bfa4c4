//! What must have come of batches and parcels: everybody has ended and was counted once, by the right parent.

use crate::store::HistoryKind;
use std::collections::{BTreeMap, BTreeSet};

use super::super::super::family::{self, Batch, batch, is_batch, parcel, parent};
use super::super::family::root;
use super::super::{Driver, Seen, now};
use crate::machine::AllFinished;
use crate::store::{Address, HistoryRow, Inspect, InstanceChange, Snapshot, Status, TaskKind};

/// How the children of one saga have ended, or have not.
#[derive(Debug, Default)]
struct Counts {
    ended: AllFinished,
    open: usize,
    withdrawn: usize,
}

impl Counts {
    fn total(&self) -> usize {
        self.ended.total() as usize + self.open + self.withdrawn
    }
}

impl Driver {
    pub(super) fn family_settled(&self) -> bool {
        (0..self.family.roots).all(|number| self.family.members.contains_key(&batch(&root(number))))
            && self.family.members.values().all(|member| member.status.is_over() && member.tasks == 0)
    }

    /// No child is forgotten, and none is counted twice: at every step of the parent.
    pub(in super::super) fn check_counts(&self, address: &Address, found: &Snapshot) {
        let data: Batch = found.instance.data.decode().expect("data");
        let history = now(self.store.history(address, 100_000)).expect("read");
        for (saga, started) in [(family::PARCEL, data.parcels.len()), (family::BATCH, data.within.len())] {
            let counts = counts(saga, &data, found, &history);
            let story = || self.family_story(address);
            assert_eq!(counts.total(), started, "{saga} of {address}: {counts:?}\n{}", story());
        }
    }

    pub(super) fn family_verdict(&self, seen: &mut Seen) {
        for address in self.family.members.keys() {
            let found = self.member(address).expect("it is there");
            let Snapshot { instance, tasks, timers, obligations, .. } = &found;
            let left = !(tasks.is_empty() && timers.is_empty() && obligations.is_empty());
            assert!(!left, "{address} left something");
            assert!(Stored::of(&found).parent.is_none(), "{address} would tell its parent once more");
            let history = now(self.store.history(address, 100_000)).expect("read");
            let steps: BTreeSet<u64> = history.iter().map(|line| line.seq).collect();
            assert_eq!(
                steps.len() as u64,
                instance.seq,
                "the history of {address} has gaps\n{}",
                self.family_story(address)
            );
            let begun = history.iter().filter(|line| line.entry.kind == HistoryKind::Started).count();
            assert_eq!(begun, 1, "{address} was started {begun} times");
            if is_batch(address) {
                self.batch_verdict(address, &found, &history, seen);
            } else {
                let shipped = self.world.depot.shipped.contains(address.key.text());
                let state = &instance.state;
                assert_eq!(shipped, instance.status == Status::Completed, "{address} is {state}");
            }
            let parent = parent(address.key.text()).map(|(of, _)| batch(of));
            let known = parent.as_ref().is_none_or(|parent| self.family.members.contains_key(parent));
            assert!(known, "nobody has started {address}");
        }
    }

    fn batch_verdict(&self, address: &Address, found: &Snapshot, history: &[HistoryRow], seen: &mut Seen) {
        let data: Batch = found.instance.data.decode().expect("data");
        let status = |child: &Address| self.member(child).map(|found| found.instance.status);
        let parcels: Vec<Address> = data.parcels.iter().map(|(key, _)| parcel(key)).collect();
        let within: Vec<Address> = data.within.iter().map(|key| batch(key)).collect();
        for (saga, children) in [(family::PARCEL, &parcels), (family::BATCH, &within)] {
            let there: BTreeSet<&Address> = children.iter().filter(|child| status(child).is_some()).collect();
            let ended = |end| there.iter().filter(|child| status(child) == Some(end)).count();
            let refused = lines(history, "child-not-started", saga);
            let counts = counts(saga, &data, found, history);
            let expected =
                (ended(Status::Completed), ended(Status::Failed) + refused, ended(Status::Aborted));
            let AllFinished { completed, failed, aborted } = counts.ended;
            let told = (completed as usize, failed as usize, aborted as usize);
            assert_eq!(told, expected, "{address} has miscounted\n{}", self.family_story(address));
            let started = there.len() + refused + counts.withdrawn;
            assert_eq!(started, children.len(), "{address} has lost a child\n{}", self.family_story(address));
            seen.family.withdrawn += counts.withdrawn as u64;
            seen.family.not_started += refused as u64;
        }
        let children: BTreeSet<&Address> = parcels.iter().chain(&within).collect();
        let parked: usize = children
            .iter()
            .map(|child| lines(&now(self.store.history(child, 100_000)).expect("read"), "parked", ""))
            .sum();
        let recorded =
            lines(history, "child-parked", family::PARCEL) + lines(history, "child-parked", family::BATCH);
        let told = data.worries as usize + recorded;
        assert_eq!(told, parked, "{address} has missed a notice\n{}", self.family_story(address));
        let mut heard = BTreeSet::new();
        for (key, end) in &data.heard {
            assert!(heard.insert(key), "{address} has heard of {key} twice");
            let child = parcels.iter().chain(&within).find(|child| child.key.text() == key);
            let status = child.and_then(status).map(Status::as_str);
            let end = format!("{end:?}").to_lowercase();
            assert_eq!(status, Some(&*end), "{address} was told something else of {key}");
        }
        for key in &data.samples {
            let sample = parcel(key);
            let Some(found) = self.member(&sample) else { panic!("nobody has started {sample}") };
            assert!(found.instance.family.is_none(), "{sample} is detached");
            let lines = now(self.store.history(&sample, 100_000)).expect("read");
            let own = |line: &HistoryRow| line.entry.cause.as_deref() == Some(&*address.to_string());
            assert!(!lines.iter().any(own), "{address} has done something to {sample}");
        }
        let booked =
            self.world.depot.trucks.range((data.id.clone(), 0)..=(data.id.clone(), u32::MAX)).count();
        let most = usize::from(found.instance.status == Status::Completed);
        assert!(booked <= most, "{address} has booked {booked} trucks\n{}", self.family_story(address));

        seen.family.heard += data.heard.len() as u64;
        seen.family.sums += data.sums.len() as u64;
        seen.family.worries += data.worries;
        seen.family.within += within.len() as u64;
        seen.family.detached += data.samples.len() as u64;
        seen.family.begun_anew += lines(history, "compensated", "batch.recalled") as u64;
        seen.family.skipped += (lines(history, "child-ended", family::PARCEL)) as u64;
    }

    /// What the engine wrote down and what the world saw of a batch and everybody within it.
    pub(in super::super) fn family_story(&self, address: &Address) -> String {
        let root = address.key.text().split('.').next().unwrap_or_default();
        let related = self.family.members.keys().filter(|it| it.key.text().starts_with(root));
        let mut text = String::new();
        for address in related {
            let Some(Snapshot { instance, tasks, .. }) = self.member(address) else { continue };
            let InstanceChange { status, state, parked, family, data, .. } = instance;
            let open: Vec<String> =
                tasks.iter().map(|task| format!("{} {:?}", task.command.name, task.id)).collect();
            text += &format!("{address} {status:?} in {state}, {parked:?} {family:?} {data:?} {open:?}\n");
            for line in now(self.store.history(address, 1_000)).expect("read") {
                let (seq, e) = (line.seq, line.entry);
                text += &format!(
                    "  {seq} {} {} {}->{} {:?} {:?}\n",
                    e.kind, e.name, e.from, e.to, e.cause, e.note
                );
            }
        }
        text + &self.world.depot.story(root)
    }
}

fn lines(history: &[HistoryRow], kind: &str, name: &str) -> usize {
    history.iter().filter(|line| line.entry.kind.as_str() == kind && line.entry.name == name).count()
}

fn counts(saga: &str, data: &Batch, found: &Snapshot, history: &[HistoryRow]) -> Counts {
    let mut counts = Counts::default();
    let sums = data.sums.iter().filter(|(of, _)| of == saga).map(|(_, sum)| *sum);
    for sum in sums.chain(Stored::of(found).children.get(saga).copied()) {
        counts.ended.completed += sum.completed;
        counts.ended.failed += sum.failed;
        counts.ended.aborted += sum.aborted;
    }
    let open = found.tasks.iter().filter(|task| task.kind == TaskKind::Child && task.command.name == saga);
    counts.open = open.count();
    counts.withdrawn = lines(history, "withdrawn", saga);
    counts
}

/// What is stored of an instance's family.
#[derive(Default, serde::Deserialize)]
struct Stored {
    parent: Option<serde::de::IgnoredAny>,
    /// How its children have ended since `all_finished` was last fired.
    #[serde(default)]
    children: BTreeMap<String, AllFinished>,
}

impl Stored {
    fn of(found: &Snapshot) -> Self {
        let family = found.instance.family.as_ref();
        family.map_or_else(Self::default, |family| family.decode().expect("a family"))
    }
}
