//! The instances, each with its history, and their comparison.
//!
//! Owns: the place at which an interrupted copy of an instance goes on. Does not own: the steps of a copy
//! (`replay`).

use super::guard::Epochs;
use super::writer::{Writer, portion};
use super::{Relocated, RelocationError};
use crate::store::replay::Replay;
use crate::store::{
    Address, HistoryKind, HistoryRow, InstanceFilter, InstanceOrder, Loaded, PageFrom, RowId, Snapshot, Step,
    Store,
};

/// The instances that are copied at a time. Their steps share commits.
const PORTION: usize = 50;
/// The most lines of history of an instance.
const LINES: usize = 1_000_000;

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
        let (sources, targets) = (load(from, &addresses).await?, load(to.store, &addresses).await?);
        let mut open = Vec::new();
        for (snapshot, target) in sources.into_iter().zip(targets) {
            // Only the lease holder removes instances, and that is this move.
            let Some(mut snapshot) = snapshot else { return Err(RelocationError::differs("an instance")) };
            done.instances += 1;
            let seq = written(&snapshot, target.as_ref())?;
            if seq == snapshot.instance.seq {
                continue;
            }
            for task in &mut snapshot.tasks {
                task.progress.epoch = epochs.of(task.progress.epoch);
            }
            let history = history(from, &snapshot.instance.address).await?;
            let row = target.map(|target| target.row);
            open.push((row, Replay::behind(seq, snapshot, history)));
        }
        // The next step of each instance, until all steps of all instances are there.
        loop {
            open.retain(|(_, replay)| !replay.is_done());
            if open.is_empty() {
                break;
            }
            let steps: Vec<_> = open.iter_mut().map(|(row, replay)| (replay.step(*row), row)).collect();
            let mut steps = steps.into_iter().peekable();
            while let Some(portion) = portion(&mut steps, bytes) {
                let (steps, rows): (Vec<_>, Vec<_>) = portion.into_iter().unzip();
                for (row, committed) in rows.into_iter().zip(to.write_all(steps).await?) {
                    *row = row.or(committed.row);
                }
            }
        }
        progress(done);
    }
    Ok(())
}

/// The bytes of the data of a step.
fn bytes((step, _): &(Step, &mut Option<RowId>)) -> usize {
    step.instance.as_ref().map_or(0, |change| change.data.len())
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

/// Returns the last step of an instance that the target has. 0 without the instance.
fn written(source: &Snapshot, target: Option<&Snapshot>) -> Result<u64, RelocationError> {
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
