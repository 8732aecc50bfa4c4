//! Reads of a [`MemoryStore`]: pages, snapshots, and the views for people.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use async_trait::async_trait;

use super::super::{
    Address, AuditFilter, AuditFrom, AuditRow, ConsumerRow, DeadId, DeadLetter, DeadLetterRow, DedupRecord,
    DeliveryId, DeliveryRow, DueTimer, HistoryRow, InboxId, Inspect, InstanceChange, InstanceCount,
    InstanceFilter, InstanceOrder, InstancePage, InstanceView, Loaded, Mail, Meeting, NameOf, OpenTask,
    Pause, Position, RetiredName, RowId, Snapshot, Status, StoreError, StoreSizes, StoredName, TaskId,
    TimerKey, Trace,
};
use super::MemoryStore;
use super::model::{Kept, Model, behind};
use crate::definition::StoredDefinition;
use crate::message::{Alias, Message, MessageId, Timestamp};
use crate::step::Parked;

impl Model {
    pub(super) fn find(&self, address: &Address) -> Option<(RowId, &Kept)> {
        let row = *self.rows.get(address)?;
        Some((row, self.instances.get(&row)?))
    }

    pub(super) fn load(&self, address: &Address) -> Option<Loaded> {
        if let Some(row) = self.aliases.get(address) {
            return Some(Loaded::Alias(self.instances[row].change.key()));
        }
        let (row, kept) = self.find(address)?;
        Some(if self.damaged.contains(address) {
            Loaded::Unreadable(format!("{address}: damaged by the test"))
        } else {
            Loaded::Snapshot(Box::new(self.snapshot(row, kept)))
        })
    }

    pub(super) fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
        belongs: impl Fn(&Address) -> bool,
    ) -> Vec<OpenTask> {
        self.instances
            .iter()
            .filter(|(_, kept)| belongs(&kept.change.address))
            .flat_map(|(row, kept)| kept.tasks.values().map(move |task| (*row, kept, task)))
            .filter(|(row, _, task)| after.is_none_or(|after| (*row, task.id) > after))
            .take(limit)
            .map(|(row, kept, task)| OpenTask {
                row,
                address: kept.change.address.clone(),
                task: task.clone(),
            })
            .collect()
    }

    pub(super) fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
        belongs: impl Fn(&Address) -> bool,
    ) -> Vec<(RowId, Address)> {
        self.instances
            .range((after.map_or(Unbounded, Excluded), Unbounded))
            .filter(|(_, kept)| kept.change.status == Status::Compensating)
            .filter(|(_, kept)| belongs(&kept.change.address))
            .take(limit)
            .map(|(row, kept)| (*row, kept.change.address.clone()))
            .collect()
    }

    pub(super) fn timers(
        &self,
        until: Timestamp,
        after: Option<&TimerKey>,
        limit: usize,
        belongs: impl Fn(&Address) -> bool,
    ) -> Vec<DueTimer> {
        let mut due: Vec<(TimerKey, DueTimer)> = self
            .instances
            .iter()
            .filter(|(_, kept)| belongs(&kept.change.address))
            .flat_map(|(row, kept)| kept.timers.values().map(move |timer| (*row, kept, timer)))
            .filter(|(_, _, timer)| timer.due <= until)
            .map(|(row, kept, timer)| {
                let key = TimerKey { due: timer.due, row, name: timer.name.to_string() };
                (key, DueTimer { row, address: kept.change.address.clone(), timer: timer.clone() })
            })
            .filter(|(key, _)| after.is_none_or(|after| key > after))
            .collect();
        due.sort_by(|(a, _), (b, _)| a.cmp(b));
        due.into_iter().take(limit).map(|(_, timer)| timer).collect()
    }
}

impl Model {
    fn trace(&self, id: &MessageId, event: &Message, to: &Address) -> Trace {
        let holder = self.aliases.get(to).map(|row| &self.instances[row].change.address);
        let here = |address: &Address| address == to || Some(address) == holder;
        let same = |own: Option<&MessageId>, message: &Message| {
            own == Some(id) && (&message.name, &message.payload) == (&event.name, &event.payload)
        };
        let waits = |mail: &Mail| here(&mail.to) && same(mail.id.as_ref(), &mail.message);
        let dead = |letter: &&DeadLetter| here(&letter.to) && same(letter.id.as_ref(), &letter.message);
        let mut deliveries = self.deliveries.values();
        Trace {
            dedup_record: self.dedup.get(&(to.clone(), id.clone())).map(|dedup_record| dedup_record.content),
            waiting: self.inbox.values().chain(&self.arrivals).any(waits),
            delivering: deliveries.any(|found| found.named && found.to == *to && found.id == *id),
            dead: self.dead.values().rev().find(dead).map(|letter| letter.reason.clone()),
        }
    }

    fn snapshot(&self, row: RowId, kept: &Kept) -> Snapshot {
        let aliases = self.aliases.iter().filter(|(_, holder)| **holder == row);
        Snapshot {
            row,
            instance: kept.change.clone(),
            tasks: kept.tasks.values().cloned().collect(),
            timers: kept.timers.values().cloned().collect(),
            obligations: kept.obligations.values().cloned().collect(),
            aliases: aliases.filter_map(|(alias, _)| alias.key.as_alias()).collect(),
        }
    }
}

impl Model {
    /// Returns the line of an instance. `None` if the instance is not in a list of this order.
    fn view(&self, row: RowId, kept: &Kept, order: InstanceOrder) -> Option<InstanceView> {
        let InstanceChange { address, status, state, seq, created_at, changed_at, .. } = &kept.change;
        let due = kept.timers.values().map(|timer| timer.due).min();
        let position = match order {
            InstanceOrder::Created => Position::Row(row),
            InstanceOrder::Changed => Position::Line(kept.last?),
            InstanceOrder::Key => Position::Address(address.clone()),
            InstanceOrder::Due => Position::Due(due?, row),
        };
        let parked = kept.change.parked.as_ref();
        let mut view = InstanceView {
            address: address.clone(),
            status: *status,
            state: state.clone(),
            parked: parked.map(|parked| Parked::from_stored(parked, *changed_at)),
            seq: *seq,
            created_at: *created_at,
            changed_at: *changed_at,
            due,
            labels: kept.change.labels.clone(),
            waiting_for: Vec::new(),
            errors: Vec::new(),
            owed: kept.obligations.len(),
            undo_since: None,
            position,
        };
        view.set_tasks(kept.tasks.values());
        Some(view)
    }

    fn page(&self, filter: &InstanceFilter) -> InstancePage {
        let holds = |row: RowId, kept: &Kept| match &filter.alias {
            None => true,
            Some(alias) => Alias::new(alias).is_ok_and(|alias| {
                let alias = Address::new(kept.change.address.saga.clone(), alias);
                self.aliases.get(&alias) == Some(&row)
            }),
        };
        let rows = self.instances.iter().filter(|(row, kept)| holds(**row, kept));
        let views = rows.filter_map(|(row, kept)| self.view(*row, kept, filter.order)).collect();
        InstancePage::of_all(filter, views)
    }
}

#[async_trait]
impl Inspect for MemoryStore {
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError> {
        let found = self.model().load(address);
        match found {
            None => Ok(None),
            Some(Loaded::Alias(key)) => self.instance(&Address::new(address.saga.clone(), key)).await,
            Some(Loaded::Snapshot(snapshot)) => Ok(Some(*snapshot)),
            Some(Loaded::Unreadable(detail)) => {
                Err(StoreError::Corrupt { store: "the memory store".to_owned(), detail })
            }
        }
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError> {
        Ok(self.model().page(filter))
    }

    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        let mut counts = BTreeMap::new();
        for kept in self.model().instances.values() {
            let InstanceChange { address, state, status, parked, .. } = &kept.change;
            let of = (address.saga.to_string(), state.to_string(), *status, parked.is_some());
            *counts.entry(of).or_default() += 1;
        }
        let count = |((saga, state, status, parked), instances)| InstanceCount {
            saga,
            state,
            status: Some(status),
            parked,
            instances,
        };
        Ok(counts.into_iter().map(count).collect())
    }

    async fn names(&self) -> Result<Vec<StoredName>, StoreError> {
        Ok(self.model().names())
    }

    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError> {
        let name = |((what, saga, was), name): (&(NameOf, String, String), &String)| RetiredName {
            what: *what,
            saga: saga.clone(),
            was: was.clone(),
            name: name.clone(),
        };
        Ok(self.model().retired.iter().map(name).collect())
    }

    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        let model = self.model();
        let history = model.find(address).map_or(&[][..], |(_, kept)| &kept.history);
        Ok(history[history.len().saturating_sub(limit)..].to_vec())
    }

    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        let letters = behind(&self.model().dead, after, limit, |_| true);
        Ok(letters.into_iter().map(|(id, letter)| DeadLetterRow { id, letter }).collect())
    }

    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError> {
        Ok(self.model().consumers.iter().cloned().collect())
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        Ok(self.model().definitions.values().cloned().collect())
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.model().pauses.values().cloned().collect())
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let model = self.model();
        let rows = model.audit.iter().filter(|row| filter.matches(row));
        let take = |rows: &mut dyn Iterator<Item = &AuditRow>| rows.take(filter.limit).cloned().collect();
        Ok(match filter.from {
            AuditFrom::After(id) => take(&mut rows.filter(|row| row.id > id)),
            AuditFrom::Before(id) => take(&mut rows.rev().filter(|row| row.id < id)),
        })
    }

    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = behind(&self.model().deliveries, after, limit, |_| true);
        Ok(rows.into_iter().map(|(id, delivery)| DeliveryRow { id, delivery }).collect())
    }

    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError> {
        let model = self.model();
        let after = after.map_or(Unbounded, |after| Excluded(after.clone()));
        Ok(model.dedup.range((after, Unbounded)).take(limit).map(|(_, record)| record.clone()).collect())
    }

    async fn meeting(&self) -> Result<Option<Meeting>, StoreError> {
        Ok(Some(self.model().meeting()))
    }

    async fn sizes(&self) -> Result<StoreSizes, StoreError> {
        let model = self.model();
        let count = |rows: usize| (rows as u64).min(StoreSizes::MOST);
        let (inbox, dead_letters) = (count(model.inbox.len()), count(model.dead.len()));
        Ok(StoreSizes { inbox, dead_letters, ..StoreSizes::default() })
    }

    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        let model = self.model();
        if self.shard.is_none() {
            let all = model.whole_inbox(InboxId::default(), usize::MAX).into_iter();
            return Ok(all.filter(|(_, mail)| mail.to == *address).take(limit).collect());
        }
        let waiting = model.inbox.iter().filter(|(_, mail)| mail.to == *address).take(limit);
        Ok(waiting.map(|(id, mail)| (*id, mail.clone())).collect())
    }

    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError> {
        let model = self.model();
        Ok(consumers.iter().map(|to| model.trace(id, event, to)).collect())
    }
}
