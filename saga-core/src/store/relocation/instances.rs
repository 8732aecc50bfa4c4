//! The instances, each with its history, and their comparison.
//!
//! Owns: the place at which an interrupted copy of an instance goes on. Does not own: the steps of a copy, which are those of
//! an import (`export`).

use std::collections::VecDeque;

use super::guard::Epochs;
use super::writer::Writer;
use super::{Relocated, RelocationError};
use crate::store::{
    Address, HistoryKind, HistoryRow, InstanceExport, InstanceFilter, InstanceOrder, Loaded, PageFrom, RowId,
    Snapshot, Store,
};

/// The instances that are copied at a time. Their steps share commits.
const PORTION: usize = 50;
/// The most lines of history of an instance.
const LINES: usize = 1_000_000;
/// The bytes of data after which a commit ends.
const BYTES: usize = 4 << 20;

/// Copies the instances, in the order of their creation.
pub(super) async fn copy(
    from: &dyn Store,
    to: &mut Writer<'_>,
    epochs: Epochs,
    done: &mut Relocated,
    progress: &mut (dyn FnMut(&Relocated) + Send),
) -> Result<(), RelocationError> {
    let mut pages = Pages::new(from);
    while let Some(addresses) = pages.next().await? {
        let (sources, theirs) = (load(from, &addresses).await?, load(to.store, &addresses).await?);
        let mut open = VecDeque::new();
        for (snapshot, target) in sources.into_iter().zip(theirs) {
            // Only the lease holder removes instances, and that is this move.
            let Some(mut snapshot) = snapshot else { return Err(RelocationError::differs("an instance")) };
            done.instances += 1;
            let seq = theirs_seq(&snapshot, target.as_ref())?;
            if seq == snapshot.instance.seq {
                continue;
            }
            for task in &mut snapshot.tasks {
                task.progress.epoch = epochs.of(task.progress.epoch);
            }
            let history = history(from, &snapshot.instance.address).await?;
            open.push_back(Copying::new(snapshot, history, seq, target.map(|target| target.row)));
        }
        // The next step of each instance, until all steps of all instances are there.
        loop {
            open.retain(|copying| copying.next <= copying.export.snapshot.instance.seq);
            if open.is_empty() {
                break;
            }
            let mut open = open.iter_mut().peekable();
            while open.peek().is_some() {
                let (mut steps, mut written, mut bytes) = (Vec::new(), Vec::new(), 0);
                while bytes < BYTES
                    && let Some(copying) = open.next()
                {
                    let step = copying.step();
                    bytes += step.instance.as_ref().map_or(0, |change| change.data.len());
                    steps.push(step);
                    written.push(copying);
                }
                for (copying, committed) in written.into_iter().zip(to.write_all(steps).await?) {
                    copying.row = copying.row.or(committed.row);
                }
            }
        }
        progress(done);
    }
    Ok(())
}

/// Compares all instances with their histories, and the counts. Returns the number of the lines of history.
pub(super) async fn compare(
    from: &dyn Store,
    to: &dyn Store,
    epochs: Epochs,
) -> Result<u64, RelocationError> {
    let mut lines = 0;
    let mut pages = Pages::new(from);
    while let Some(addresses) = pages.next().await? {
        let (sources, targets) = (load(from, &addresses).await?, load(to, &addresses).await?);
        for (source, target) in sources.into_iter().zip(targets) {
            let (Some(source), Some(target)) = (source, target) else {
                return Err(RelocationError::differs("an instance"));
            };
            let address = source.instance.address.clone();
            let history = (history(from, &address).await?, history(to, &address).await?);
            lines += history.0.len() as u64;
            let source = comparable(source, |epoch| epochs.is_suspect(epoch));
            if source != comparable(target, |epoch| epoch == 0) || history.0 != history.1 {
                return Err(RelocationError::differs(address.to_string()));
            }
        }
    }
    if from.counts().await? != to.counts().await? {
        return Err(RelocationError::differs("the number of instances"));
    }
    Ok(lines)
}

/// The pages of all instances.
struct Pages<'a> {
    store: &'a dyn Store,
    filter: Option<InstanceFilter>,
}

impl<'a> Pages<'a> {
    fn new(store: &'a dyn Store) -> Self {
        let filter =
            InstanceFilter { order: InstanceOrder::Created, limit: PORTION, ..InstanceFilter::default() };
        Self { store, filter: Some(filter) }
    }

    async fn next(&mut self) -> Result<Option<Vec<Address>>, RelocationError> {
        let Some(filter) = &mut self.filter else { return Ok(None) };
        let page = self.store.instances(filter).await?;
        match page.more {
            Some(more) => filter.from = Some(PageFrom::After(more)),
            None => self.filter = None,
        }
        Ok(Some(page.instances.into_iter().map(|view| view.address).collect()))
    }
}

/// One instance that is being copied.
struct Copying {
    export: InstanceExport,
    row: Option<RowId>,
    /// The step to write next.
    next: u64,
    /// The lines of history that are not written.
    history: VecDeque<HistoryRow>,
}

impl Copying {
    /// Goes on behind the step `seq` of the target.
    fn new(snapshot: Snapshot, history: Vec<HistoryRow>, seq: u64, row: Option<RowId>) -> Self {
        let history = history.into_iter().filter(|line| line.seq > seq).collect();
        let export = InstanceExport { snapshot, history: Vec::new(), definitions: Vec::new() };
        Self { export, row, next: seq + 1, history }
    }

    fn step(&mut self) -> crate::store::Step {
        let (seq, is_last) = (self.next, self.next == self.export.snapshot.instance.seq);
        self.next += 1;
        let mut step = self.export.step(self.row, seq);
        if let Some(change) = step.instance.as_mut().filter(|_| !is_last) {
            // Only the last step needs what the instance has now.
            (change.data, change.payload) = ("null".into(), None);
            (change.turn, change.parked, change.joined, change.family) = (None, None, None, None);
        }
        while self.history.front().is_some_and(|line| line.seq <= seq || is_last)
            && let Some(line) = self.history.pop_front()
        {
            step.history.push(line.entry);
        }
        step
    }
}

/// Returns the last step of an instance that the target has. 0 without the instance.
fn theirs_seq(source: &Snapshot, target: Option<&Snapshot>) -> Result<u64, RelocationError> {
    let Some(target) = target else { return Ok(0) };
    let (source, target) = (&source.instance, &target.instance);
    if target.incarnation == source.incarnation && target.seq <= source.seq {
        Ok(target.seq)
    } else {
        Err(RelocationError::differs(source.address.to_string()))
    }
}

async fn load(store: &dyn Store, addresses: &[Address]) -> Result<Vec<Option<Snapshot>>, RelocationError> {
    let found = store.load(addresses).await?;
    let snapshot = |(found, address): (Option<Loaded>, &Address)| match found {
        Some(Loaded::Snapshot(snapshot)) => Ok(Some(*snapshot)),
        Some(Loaded::Unreadable(why)) => Err(RelocationError::Unreadable { address: address.clone(), why }),
        // The address is a key.
        Some(Loaded::Alias(_)) | None => Ok(None),
    };
    found.into_iter().zip(addresses).map(snapshot).collect()
}

/// Returns the history. A damaged line may have any step, so that it counts as one of the step before.
async fn history(store: &dyn Store, address: &Address) -> Result<Vec<HistoryRow>, RelocationError> {
    let mut lines = store.history(address, LINES).await?;
    if lines.len() == LINES {
        return Err(RelocationError::TooLong { address: address.clone(), most: LINES });
    }
    let mut before = 1;
    for line in &mut lines {
        if line.entry.kind == HistoryKind::Unreadable {
            line.seq = before;
        }
        before = line.seq;
    }
    Ok(lines)
}

/// Leaves out what differs between two stores: the number of the row, and the epochs, of which only the doubt counts.
fn comparable(mut snapshot: Snapshot, is_suspect: impl Fn(u64) -> bool) -> Snapshot {
    snapshot.row = RowId(0);
    for task in &mut snapshot.tasks {
        task.progress.epoch = u64::from(is_suspect(task.progress.epoch));
    }
    snapshot
}
