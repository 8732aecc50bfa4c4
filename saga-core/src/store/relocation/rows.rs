//! The lists of a store that belong to no instance, each in its order.
//!
//! Owns: the comparison of the part that the target has, and the copy of the rest. Does not own: the instances.

use super::guard::Epochs;
use super::writer::Writer;
use super::{Relocated, RelocationError};
use crate::store::{
    AuditEntry, AuditFilter, AuditFrom, AuditId, AuditLink, AuditRow, DeadId, DeadLetter, Delivery,
    DeliveryChange, DeliveryId, InboxId, Mail, Step, Store, StoreError, StoreSizes,
};

/// The rows of one commit.
const PORTION: usize = 100;

/// The bytes of payloads after which a commit ends.
const BYTES: usize = 4 << 20;

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
    unbroken(from).await?;
    let page = async |side: Side<'_>, after: i64| {
        let rows = audit_page(side.store(), after).await?;
        Ok::<_, StoreError>(rows.into_iter().map(|row| (row.id.0, row.entry)).collect())
    };
    let step = |audit| Step { audit, ..Step::default() };
    let weight = |entry: &AuditEntry| entry.payload.as_ref().map_or(0, |payload| payload.len());
    done.audit = copy("the audit", from, to, page, weight, step).await?;
    Ok(())
}

async fn audit_page(store: &dyn Store, after: i64) -> Result<Vec<AuditRow>, StoreError> {
    let mut filter = AuditFilter::default();
    (filter.from, filter.limit) = (AuditFrom::After(AuditId(after)), PORTION);
    store.audit(&filter).await
}

/// Follows the chain of the audit. A copy would give a forged row a valid link.
async fn unbroken(store: &dyn Store) -> Result<(), RelocationError> {
    let (mut after, mut link) = (0, AuditLink::FIRST);
    loop {
        let rows = audit_page(store, after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id.0;
        for row in &rows {
            if !row.follows(&link) {
                return Err(RelocationError::BrokenAudit { row: row.id.0 });
            }
            link = row.link;
        }
    }
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
    done.dead_letters =
        copy("a dead letter", from, to, page, |letter| letter.message.payload.len(), step).await?;
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
                Side::From(_) => epochs.is_suspect(epoch),
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
    done.deliveries =
        copy("a delivery", from, to, page, |(delivery, _)| delivery.event.payload.len(), step).await?;
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
    done.inbox = copy("an inbox row", from, to, page, |mail| mail.message.payload.len(), step).await?;
    Ok(())
}

/// Checks the number of copied rows against the number before the copy. A page leaves out a row that cannot be read.
pub(super) fn is_whole(done: &Relocated, stored: &StoreSizes) -> Result<(), RelocationError> {
    let has = |copied: u64, stored: u64| copied.min(StoreSizes::MOST) >= stored;
    if has(done.inbox, stored.inbox) && has(done.dead_letters, stored.dead_letters) {
        Ok(())
    } else {
        Err(RelocationError::Damaged)
    }
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
    weight: impl Fn(&T) -> usize,
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
        let mut rest = rows.peekable();
        while rest.peek().is_some() {
            let (mut portion, mut bytes) = (Vec::new(), 0);
            while bytes < BYTES
                && let Some(row) = rest.next()
            {
                bytes += weight(&row);
                portion.push(row);
            }
            to.write(what, step(portion)).await?;
            // The new rows are the last ones of the target.
            there_at = i64::MAX;
        }
    }
}
