//! The lists of a store that belong to no instance, each in its order.
//!
//! Owns: the comparison of the part that the target has, and the copy of the rest. Does not own: the instances.

use super::guard::Epochs;
use super::writer::{self, Writer};
use super::{Relocated, RelocationError};
use crate::store::{
    AuditChains, AuditEntry, AuditFilter, AuditFrom, AuditId, AuditRow, DeadId, DeadLetter, Delivery,
    DeliveryChange, DeliveryId, InboxId, Mail, Step, Store, StoreError, StoreSizes,
};

/// The rows of one commit.
const PORTION: usize = 100;

/// A list with numbered rows.
#[derive(Clone, Copy)]
pub(super) enum List {
    /// The same entries give the same chain.
    Audit,
    DeadLetters,
    Deliveries(Epochs),
    /// The rows are for the next scan, because the dispatcher that wrote them remembers nothing in the target.
    Inbox,
}

/// A row without its number, as both stores must have it.
#[derive(PartialEq)]
enum Row {
    Audit(AuditEntry),
    DeadLetter(DeadLetter),
    /// With the doubt whether it was running, which is all that its epoch says.
    Delivery(Delivery, bool),
    Mail(Mail),
}

/// One of the two stores.
#[derive(Clone, Copy)]
enum Side<'a> {
    From(&'a dyn Store),
    To(&'a dyn Store),
}

impl List {
    /// Copies the list. The target must hold a prefix of it. Returns the number of rows.
    pub(super) async fn copy(self, from: &dyn Store, to: &mut Writer<'_>) -> Result<u64, RelocationError> {
        if matches!(self, Self::Audit) {
            unbroken(from).await?;
        }
        let (mut at, mut there_at, mut count) = (0, 0, 0);
        loop {
            let portion = self.page(Side::From(from), at).await?;
            let mut there = self.page(Side::To(to.store), there_at).await?;
            let Some((last, _)) = portion.last() else {
                return if there.is_empty() { Ok(count) } else { Err(self.differs()) };
            };
            at = *last;
            count += portion.len() as u64;
            let known = there.len().min(portion.len());
            there.truncate(known);
            there_at = there.last().map_or(there_at, |(id, _)| *id);
            let mut rows = portion.into_iter().map(|(_, row)| row);
            if !rows.by_ref().take(known).eq(there.into_iter().map(|(_, row)| row)) {
                return Err(self.differs());
            }
            let mut rest = rows.peekable();
            while let Some(portion) = writer::portion(&mut rest, Row::bytes) {
                to.write(self.name(), self.step(portion)).await?;
                // The new rows are the last ones of the target.
                there_at = i64::MAX;
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Audit => "the audit",
            Self::DeadLetters => "a dead letter",
            Self::Deliveries(_) => "a delivery",
            Self::Inbox => "an inbox row",
        }
    }

    fn differs(self) -> RelocationError {
        RelocationError::differs(self.name())
    }

    async fn page(self, side: Side<'_>, after: i64) -> Result<Vec<(i64, Row)>, StoreError> {
        let (Side::From(store) | Side::To(store)) = side;
        Ok(match self {
            Self::Audit => {
                let rows = audit(store, after).await?;
                rows.into_iter().map(|row| (row.id.0, Row::Audit(row.entry))).collect()
            }
            Self::DeadLetters => {
                let rows = store.dead_letters(DeadId(after), PORTION).await?;
                rows.into_iter().map(|row| (row.id.0, Row::DeadLetter(row.letter))).collect()
            }
            Self::Deliveries(epochs) => {
                let carried = |(id, mut delivery): (DeliveryId, Delivery)| {
                    let epoch = std::mem::take(&mut delivery.progress.epoch);
                    let doubt = match side {
                        Side::From(_) => epochs.is_suspect(epoch),
                        Side::To(_) => epoch == 0,
                    };
                    (id.0, Row::Delivery(delivery, doubt))
                };
                store.deliveries(DeliveryId(after), PORTION).await?.into_iter().map(carried).collect()
            }
            Self::Inbox => {
                let rows = store.inbox(InboxId(after), PORTION).await?;
                rows.into_iter().map(|(id, mail)| (id.0, Row::Mail(Mail { epoch: 0, ..mail }))).collect()
            }
        })
    }

    fn step(self, rows: Vec<Row>) -> Step {
        let mut step = Step::default();
        for row in rows {
            match row {
                Row::Audit(entry) => step.audit.push(entry),
                Row::DeadLetter(letter) => step.dead.push(letter),
                Row::Delivery(mut delivery, doubt) => {
                    if let (Self::Deliveries(epochs), false) = (self, doubt) {
                        delivery.progress.epoch = epochs.target;
                    }
                    step.deliveries.push(DeliveryChange::Add(delivery));
                }
                Row::Mail(mail) => step.mail.push(mail),
            }
        }
        step
    }
}

impl Row {
    fn bytes(&self) -> usize {
        match self {
            Self::Audit(entry) => entry.payload.as_ref().map_or(0, |payload| payload.len()),
            Self::DeadLetter(letter) => letter.message.payload.len(),
            Self::Delivery(delivery, _) => delivery.event.payload.len(),
            Self::Mail(mail) => mail.message.payload.len(),
        }
    }
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
pub(super) async fn dedup(from: &dyn Store, to: &mut Writer<'_>) -> Result<u64, RelocationError> {
    let differs = || RelocationError::differs("a deduplication record");
    let (mut after, mut count) = (None, 0);
    loop {
        let portion = from.dedup_records(after.as_ref(), PORTION).await?;
        let there = to.store.dedup_records(after.as_ref(), PORTION).await?;
        let Some(last) = portion.last() else {
            return if there.is_empty() { Ok(count) } else { Err(differs()) };
        };
        let missing: Vec<_> = portion.iter().filter(|record| !there.contains(record)).cloned().collect();
        let unknown = there
            .iter()
            .any(|record| (&record.to, &record.id) <= (&last.to, &last.id) && !portion.contains(record));
        if unknown {
            return Err(differs());
        }
        count += portion.len() as u64;
        after = Some((last.to.clone(), last.id.clone()));
        if !missing.is_empty() {
            to.write("deduplication records", Step { dedup: missing, ..Step::default() }).await?;
        }
    }
}

async fn audit(store: &dyn Store, after: i64) -> Result<Vec<AuditRow>, StoreError> {
    let mut filter = AuditFilter::default();
    (filter.from, filter.limit) = (AuditFrom::After(AuditId(after)), PORTION);
    store.audit(&filter).await
}

/// Follows the chain of the audit. A copy would give a forged row a valid link.
async fn unbroken(store: &dyn Store) -> Result<(), RelocationError> {
    let (mut after, mut chains) = (0, AuditChains::default());
    loop {
        let rows = audit(store, after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id.0;
        for row in &rows {
            if !chains.follows(row) {
                return Err(RelocationError::BrokenAudit { row: row.id.0 });
            }
        }
    }
}
