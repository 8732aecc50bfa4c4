//! The lists of a store that belong to no instance, each in its order.
//!
//! Owns: the comparison of the part that the target has, and the copy of the rest. Does not own: the instances.

use super::guard::Epochs;
use super::writer::Writer;
use super::{Relocated, RelocationError};
use crate::store::{
    AuditFilter, AuditFrom, AuditId, DeadId, DeadLetter, Delivery, DeliveryChange, DeliveryId, InboxId, Mail,
    Step, Store, StoreError, StoreSizes,
};

/// The rows of one commit.
const PORTION: usize = 100;

/// One of the two stores.
#[derive(Clone, Copy)]
enum Side<'a> {
    From(&'a dyn Store),
    To(&'a dyn Store),
}

impl<'a> Side<'a> {
    fn store(self) -> &'a dyn Store {
        let (Self::From(store) | Self::To(store)) = self;
        store
    }
}

/// Copies the audit. The same entries give the same chain.
pub(super) async fn audit(
    from: &dyn Store,
    to: &mut Writer<'_>,
    done: &mut Relocated,
) -> Result<(), RelocationError> {
    let page = async |side: Side<'_>, after: i64| {
        let mut filter = AuditFilter::default();
        (filter.from, filter.limit) = (AuditFrom::After(AuditId(after)), PORTION);
        let rows = side.store().audit(&filter).await?;
        Ok::<_, StoreError>(rows.into_iter().map(|row| (row.id.0, row.entry)).collect())
    };
    let step = |audit| Step { audit, ..Step::default() };
    done.audit = copy("the audit", from, to, page, step).await?;
    Ok(())
}

/// Copies the dead letters.
pub(super) async fn dead_letters(
    from: &dyn Store,
    to: &mut Writer<'_>,
    done: &mut Relocated,
) -> Result<(), RelocationError> {
    let page = async |side: Side<'_>, after: i64| {
        let rows = side.store().dead_letters(DeadId(after), PORTION).await?;
        Ok::<_, StoreError>(rows.into_iter().map(|row| (row.id.0, row.letter)).collect())
    };
    let step = |dead: Vec<DeadLetter>| Step { dead, ..Step::default() };
    done.dead_letters = copy("a dead letter", from, to, page, step).await?;
    Ok(())
}

/// Copies the open deliveries.
pub(super) async fn deliveries(
    from: &dyn Store,
    to: &mut Writer<'_>,
    epochs: Epochs,
    done: &mut Relocated,
) -> Result<(), RelocationError> {
    // A delivery with the doubt whether it was running, which is all that its epoch says.
    let page = async |side: Side<'_>, after: i64| {
        let rows = side.store().deliveries(DeliveryId(after), PORTION).await?;
        let carried = |(id, mut delivery): (DeliveryId, Delivery)| {
            let epoch = std::mem::take(&mut delivery.progress.epoch);
            let doubt = match side {
                Side::From(_) => epochs.of(epoch) == 0,
                Side::To(_) => epoch == 0,
            };
            (id.0, (delivery, doubt))
        };
        Ok::<_, StoreError>(rows.into_iter().map(carried).collect())
    };
    let step = |rows: Vec<(Delivery, bool)>| {
        let add = |(mut delivery, doubt): (Delivery, bool)| {
            delivery.progress.epoch = if doubt { 0 } else { epochs.target };
            DeliveryChange::Add(delivery)
        };
        Step { deliveries: rows.into_iter().map(add).collect(), ..Step::default() }
    };
    done.deliveries = copy("a delivery", from, to, page, step).await?;
    Ok(())
}

/// Copies the inbox. The rows are for the next scan, because the dispatcher that wrote them remembers nothing here.
pub(super) async fn inbox(
    from: &dyn Store,
    to: &mut Writer<'_>,
    done: &mut Relocated,
) -> Result<(), RelocationError> {
    let page = async |side: Side<'_>, after: i64| {
        let rows = side.store().inbox(InboxId(after), PORTION).await?;
        let carried = |(id, mail): (InboxId, Mail)| (id.0, Mail { epoch: 0, ..mail });
        Ok::<_, StoreError>(rows.into_iter().map(carried).collect())
    };
    let step = |mail: Vec<Mail>| Step { mail, ..Step::default() };
    done.inbox = copy("an inbox row", from, to, page, step).await?;
    // A page leaves out a row that cannot be read.
    let stored = from.sizes().await?;
    let is_whole = |copied: u64, stored: u64| copied.min(StoreSizes::MOST) == stored;
    if !is_whole(done.inbox, stored.inbox) || !is_whole(done.dead_letters, stored.dead_letters) {
        return Err(RelocationError::Damaged);
    }
    Ok(())
}

/// Copies the deduplication records. Their order is that of their names, so that both stores are read side by side.
pub(super) async fn dedup(
    from: &dyn Store,
    to: &mut Writer<'_>,
    done: &mut Relocated,
) -> Result<(), RelocationError> {
    let mut after = None;
    loop {
        let portion = from.dedup_records(after.as_ref(), PORTION).await?;
        let there = to.store.dedup_records(after.as_ref(), PORTION).await?;
        let Some(last) = portion.last() else {
            return if there.is_empty() {
                Ok(())
            } else {
                Err(RelocationError::differs("a deduplication record"))
            };
        };
        let missing: Vec<_> = portion.iter().filter(|record| !there.contains(record)).cloned().collect();
        let unknown = there
            .iter()
            .any(|record| (&record.to, &record.id) <= (&last.to, &last.id) && !portion.contains(record));
        if unknown {
            return Err(RelocationError::differs("a deduplication record"));
        }
        done.dedup += portion.len() as u64;
        after = Some((last.to.clone(), last.id.clone()));
        if !missing.is_empty() {
            to.write("deduplication records", Step { dedup: missing, ..Step::default() }).await?;
        }
    }
}

/// Copies a list. The target must hold a prefix of it. Returns the number of rows.
async fn copy<T: PartialEq>(
    what: &str,
    from: &dyn Store,
    to: &mut Writer<'_>,
    page: impl AsyncFn(Side<'_>, i64) -> Result<Vec<(i64, T)>, StoreError>,
    step: impl Fn(Vec<T>) -> Step,
) -> Result<u64, RelocationError> {
    let (mut at, mut there_at, mut count) = (0, 0, 0);
    loop {
        let portion = page(Side::From(from), at).await?;
        let mut there = page(Side::To(to.store), there_at).await?;
        let Some((last, _)) = portion.last() else {
            return if there.is_empty() { Ok(count) } else { Err(RelocationError::differs(what)) };
        };
        at = *last;
        count += portion.len() as u64;
        let known = there.len().min(portion.len());
        there.truncate(known);
        there_at = there.last().map_or(there_at, |(id, _)| *id);
        let mut rows = portion.into_iter().map(|(_, row)| row);
        if !rows.by_ref().take(known).eq(there.into_iter().map(|(_, row)| row)) {
            return Err(RelocationError::differs(what));
        }
        let rest: Vec<T> = rows.collect();
        if !rest.is_empty() {
            to.write(what, step(rest)).await?;
            // The new rows are the last ones of the target.
            there_at = i64::MAX;
        }
    }
}
