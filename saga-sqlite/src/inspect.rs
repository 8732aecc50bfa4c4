//! Reads for people, on the connections of the readers.

use async_trait::async_trait;
use rusqlite::Connection;
use saga_core::definition::StoredDefinition;
use saga_core::message::{Message, MessageId};
use saga_core::store::{
    Address, AuditFilter, AuditRow, ConsumerRow, DeadId, DeadLetterRow, DedupRecord, DeliveryId, DeliveryRow,
    HistoryRow, InboxId, Inspect, InstanceCount, InstanceFilter, InstancePage, Loaded, Mail, Pause,
    RetiredName, Snapshot, StoreError, StoreSizes, StoredName, Trace,
};

use crate::SqliteStore;
use crate::list;
use crate::names;
use crate::read::{self, page};
use crate::reader::SqliteReader;
use crate::table::{
    alias, audit, consumer, count, dead, dedup, definition, delivery, history, inbox, instance, pause,
    retired,
};

#[async_trait]
impl Inspect for SqliteReader {
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError> {
        let (address, saga) = (address.clone(), address.saga.clone());
        match self.readers.inspect(move |db| read::load(db, &address)).await? {
            None => Ok(None),
            Some(Loaded::Alias(key)) => self.instance(&Address::new(saga, key)).await,
            Some(Loaded::Snapshot(snapshot)) => Ok(Some(*snapshot)),
            Some(Loaded::Unreadable(detail)) => {
                Err(StoreError::Corrupt { store: self.readers.name().to_owned(), detail })
            }
        }
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError> {
        let filter = filter.clone();
        self.readers.inspect(move |db| list::page(db, &filter)).await
    }

    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        self.readers.inspect(count::show).await
    }

    async fn names(&self) -> Result<Vec<StoredName>, StoreError> {
        names::names(&self.readers).await
    }

    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError> {
        // An unreadable retired name is an error. Without the name, an outdated build would start (rule R34).
        let read = |db: &Connection| db.prepare_cached(retired::ALL)?.query_map([], retired::read)?.collect();
        let mut names: Vec<RetiredName> = self.readers.inspect(read).await?;
        names.sort();
        Ok(names)
    }

    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        let address = address.clone();
        self.readers.inspect(move |db| lines(db, &address, limit)).await
    }

    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        self.readers.inspect(move |db| page(db, dead::PAGE, (after.0,), limit, dead::read)).await
    }

    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError> {
        self.readers.inspect(|db| page(db, consumer::ALL, [], usize::MAX, consumer::read)).await
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        self.readers.inspect(|db| page(db, definition::ALL, [], usize::MAX, definition::read)).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.readers.inspect(|db| page(db, pause::ALL, [], usize::MAX, pause::read)).await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let filter = filter.clone();
        self.readers.inspect(move |db| audit::rows(db, &filter)).await
    }

    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows =
            self.readers.inspect(move |db| page(db, delivery::PAGE, (after.0,), limit, delivery::read));
        Ok(rows.await?.into_iter().map(|(id, delivery)| DeliveryRow { id, delivery }).collect())
    }

    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError> {
        let after = after.cloned();
        self.readers.inspect(move |db| dedup::records(db, after.as_ref(), limit)).await
    }

    async fn sizes(&self) -> Result<StoreSizes, StoreError> {
        let mut sizes = self.readers.inspect(sizes).await?;
        let bytes = |path: &std::path::Path| std::fs::metadata(path).ok().map(|file| file.len());
        sizes.file_bytes = bytes(self.path());
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        sizes.log_bytes = bytes(log.as_ref());
        Ok(sizes)
    }

    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        let address = address.clone();
        self.readers
            .inspect(move |db| {
                page(db, inbox::WAITING, (&address.saga, address.key.stored()), limit, inbox::read)
            })
            .await
    }

    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError> {
        let (id, event, consumers) = (id.clone(), event.clone(), consumers.to_vec());
        self.readers.inspect(move |db| consumers.iter().map(|to| trace(db, &id, &event, to)).collect()).await
    }
}

/// Reads through [`SqliteStore::reader`].
#[async_trait]
impl Inspect for SqliteStore {
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError> {
        self.reader().instance(address).await
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError> {
        self.reader().instances(filter).await
    }

    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        self.reader().counts().await
    }

    async fn names(&self) -> Result<Vec<StoredName>, StoreError> {
        self.reader().names().await
    }

    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError> {
        self.reader().retired().await
    }

    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.reader().history(address, limit).await
    }

    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        self.reader().dead_letters(after, limit).await
    }

    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError> {
        self.reader().consumers().await
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        self.reader().definitions().await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.reader().pauses().await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        self.reader().audit(filter).await
    }

    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        self.reader().open_deliveries(after, limit).await
    }

    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError> {
        self.reader().dedup_records(after, limit).await
    }

    async fn sizes(&self) -> Result<StoreSizes, StoreError> {
        self.reader().sizes().await
    }

    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        self.reader().waiting(address, limit).await
    }

    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError> {
        self.reader().traces(id, event, consumers).await
    }
}

fn sizes(db: &Connection) -> rusqlite::Result<StoreSizes> {
    let count = |sql| db.prepare_cached(sql)?.query_row((StoreSizes::MOST,), |row| row.get(0));
    let mut sizes = StoreSizes::default();
    (sizes.inbox, sizes.dead_letters) = (count(inbox::COUNT)?, count(dead::COUNT_UP_TO)?);
    Ok(sizes)
}

fn trace(db: &Connection, id: &MessageId, event: &Message, to: &Address) -> rusqlite::Result<Trace> {
    let mut trace = Trace {
        dedup_record: dedup::content(db, to, id)?,
        waiting: inbox::holds(db, to, id, event)?,
        delivering: delivery::is_under_way(db, to, id)?,
        dead: dead::reason(db, to, id, event)?,
    };
    if to.key.is_alias()
        && let Some(holder) = alias::owner(db, to)?
    {
        trace.waiting |= inbox::holds(db, &holder, id, event)?;
        if trace.dead.is_none() {
            trace.dead = dead::reason(db, &holder, id, event)?;
        }
    }
    Ok(trace)
}

/// Reads the chain of history lines from the newest line.
fn lines(db: &Connection, address: &Address, limit: usize) -> rusqlite::Result<Vec<HistoryRow>> {
    let Some((row, mut next)) = instance::last(db, address)? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    while let Some(id) = next
        && lines.len() < limit
    {
        let Some((line, prev)) = history::line(db, row, id)? else { break };
        lines.push(line);
        // Only smaller ids follow. A damaged chain therefore cannot form a cycle.
        next = prev.filter(|prev| *prev < id);
    }
    lines.reverse();
    Ok(lines)
}
