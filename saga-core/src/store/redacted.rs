//! Reads without redacted values.
//!
//! Owns: which part of each read is a payload, and of which type. Does not own: the places to hide (`Redaction`).

use std::fmt;
use std::ops::Deref;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Address, AuditFilter, AuditRow, Changes, ConsumerRow, DeadId, DeadLetterRow, DedupRecord, DeliveryId,
    DeliveryRow, HistoryKind, HistoryRow, InboxId, Inspect, InstanceCount, InstanceFilter, InstancePage,
    InstanceView, Labels, Mail, MailKind, Meeting, ObligationOf, Pause, RetiredName, Snapshot, StoreError,
    StoreSizes, StoredName, TaskKind, Trace,
};
use crate::definition::{Redaction, StoredDefinition, hidden};
use crate::message::{Message, MessageId, Payload};

/// The reads of a store, in which each redacted value is `***`.
///
/// The definitions are read once. A value is therefore created for one page or one command. The chain of the audit can be
/// followed only with the store itself, because the links cover the values.
pub struct Redacted<S> {
    store: S,
    definitions: Vec<StoredDefinition>,
    redaction: Redaction,
}

impl<S> fmt::Debug for Redacted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacted").field("redaction", &self.redaction).finish_non_exhaustive()
    }
}

impl<S: Deref<Target = dyn Inspect>> Redacted<S> {
    /// Reads the definitions of the store.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn new(store: S) -> Result<Self, StoreError> {
        let definitions = store.definitions().await?;
        Ok(Self { redaction: Redaction::of(&definitions), store, definitions })
    }
}

impl<S> Redacted<S> {
    /// Returns the places that are hidden.
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }
}

impl Redaction {
    /// Hides the redacted values of an instance. The records of the machine hold values of any type, and are removed.
    pub fn snapshot(&self, snapshot: &mut Snapshot) {
        let record = &mut snapshot.instance;
        let saga = record.address.saga.clone();
        record.data = self.data(&saga, &record.data);
        record.payload = record.payload.as_ref().map(|payload| self.state(&saga, &record.state, payload));
        record.labels = self.labels(&saga, &record.labels);
        (record.turn, record.joined) = (None, None);
        record.keep_parent();
        record.parked = record.parked.as_ref().map(without_report);
        for task in &mut snapshot.tasks {
            task.command.payload = match task.kind {
                // The starting event stands in a record of the machine.
                TaskKind::Child => task.only_key().unwrap_or_else(hidden),
                _ => self.payload(&task.command.name, &task.command.payload),
            };
            task.progress.saved = task.progress.saved.as_ref().map(|_| hidden());
        }
        for owed in &mut snapshot.obligations {
            owed.report = None;
            match &mut owed.of {
                ObligationOf::Command { command, .. } => *command = self.message(command),
                ObligationOf::State { state, payload, .. } => {
                    *payload = payload.as_ref().map(|payload| self.state(&saga, state, payload));
                }
            }
        }
    }

    fn labels(&self, saga: &str, labels: &Labels) -> Labels {
        let mut shown = Labels::new();
        for (name, value) in labels.iter().filter(|(name, _)| !self.hides_label(saga, name)) {
            shown.set(name.clone(), value.clone());
        }
        shown
    }

    fn line(&self, saga: &str, row: &mut HistoryRow) {
        let entry = &mut row.entry;
        let changes = Changes::of(entry);
        entry.payload = entry.payload.take().map(|payload| match entry.kind {
            // The choice of a verb: a timer and a time.
            HistoryKind::Verb => payload,
            HistoryKind::Changed => changes.map_or_else(hidden, |changes| {
                let masked = self.changes(saga, (&entry.from, &entry.to), changes);
                serde_json::to_string(&masked).map_or_else(|_| hidden(), Payload::from)
            }),
            _ => self.payload(&entry.name, &payload),
        });
    }

    fn changes(&self, saga: &str, (from, to): (&str, &str), mut changes: Changes) -> Changes {
        if let Some(change) = &mut changes.data {
            if self.hides_data(saga) {
                change.hide_names();
            }
            change
                .was
                .iter_mut()
                .chain(&mut change.now)
                .for_each(|payload| *payload = self.data(saga, payload));
        }
        if let Some(change) = &mut changes.state {
            // The names may be those of either state.
            if [from, to].iter().any(|state| !state.is_empty() && self.hides_state(saga, state)) {
                change.hide_names();
            }
            for (state, payload) in [(from, &mut change.was), (to, &mut change.now)] {
                *payload = payload.as_ref().map(|payload| self.state(saga, state, payload));
            }
        }
        changes
    }

    fn entry(&self, row: &mut AuditRow) {
        let entry = &mut row.entry;
        entry.payload = entry.payload.take().map(|payload| match &*entry.verb {
            "fire" | "postpone" => payload,
            "resolve" | "send" => self.payload(&entry.object, &payload),
            verb => match of_letter(&entry.object) {
                Some(name) if verb == "discard" => self.payload(name, &payload),
                Some(name) if verb == "edit" => self.edit(name, &payload),
                // The entry does not name the type of the payload.
                _ => hidden(),
            },
        });
    }

    /// The payloads of a dead letter before and after an edit.
    fn edit(&self, name: &str, payload: &Payload) -> Payload {
        #[derive(Deserialize, Serialize)]
        struct Edit {
            was: Box<RawValue>,
            now: Box<RawValue>,
        }
        let Ok(edit) = serde_json::from_str::<Edit>(payload.as_str()) else { return hidden() };
        let masked = |json: &RawValue| {
            let masked = self.payload(name, &Payload::from(json.get()));
            RawValue::from_string(masked.as_str().to_owned()).ok()
        };
        let Some((was, now)) = masked(&edit.was).zip(masked(&edit.now)) else { return hidden() };
        serde_json::to_string(&Edit { was, now }).map_or_else(|_| hidden(), Payload::from)
    }

    fn mail(&self, mail: &mut Mail) {
        mail.message.payload = self.of_mail(&mail.kind, &mail.message);
    }

    fn of_mail(&self, kind: &MailKind, message: &Message) -> Payload {
        match kind {
            MailKind::Event | MailKind::Delivery => self.payload(&message.name, &message.payload),
            // Only the machine knows the content.
            _ => hidden(),
        }
    }
}

/// Returns the record of a park without the outcome over which the instance is parked.
fn without_report(record: &Payload) -> Payload {
    let Ok(mut fields) = record.decode::<serde_json::Map<String, serde_json::Value>>() else {
        return hidden();
    };
    fields.remove("report");
    serde_json::to_string(&fields).map_or_else(|_| hidden(), Payload::from)
}

/// Returns the name of the message in the object of a decision about a dead letter, such as `dead letter 4, order.placed`.
fn of_letter(object: &str) -> Option<&str> {
    object.strip_prefix("dead letter ")?.split_once(", ").map(|(_, name)| name)
}

#[async_trait]
impl<S: Deref<Target = dyn Inspect> + Send + Sync + 'static> Inspect for Redacted<S> {
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError> {
        let mut found = self.store.instance(address).await?;
        found.iter_mut().for_each(|snapshot| self.redaction.snapshot(snapshot));
        Ok(found)
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError> {
        let mut page = self.store.instances(filter).await?;
        for view in &mut page.instances {
            view.labels = self.redaction.labels(&view.address.saga, &view.labels);
        }
        // A search for a hidden label would tell its value.
        let shown = |view: &InstanceView| filter.labels.iter().all(|condition| condition.holds(&view.labels));
        page.instances.retain(shown);
        Ok(page)
    }

    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        self.store.counts().await
    }

    async fn names(&self) -> Result<Vec<StoredName>, StoreError> {
        self.store.names().await
    }

    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError> {
        self.store.retired().await
    }

    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        let mut lines = self.store.history(address, limit).await?;
        lines.iter_mut().for_each(|line| self.redaction.line(&address.saga, line));
        Ok(lines)
    }

    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        let mut rows = self.store.dead_letters(after, limit).await?;
        for DeadLetterRow { letter, .. } in &mut rows {
            letter.message.payload = self.redaction.of_mail(&letter.kind, &letter.message);
        }
        Ok(rows)
    }

    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError> {
        self.store.consumers().await
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        Ok(self.definitions.clone())
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.store.pauses().await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let mut rows = self.store.audit(filter).await?;
        rows.iter_mut().for_each(|row| self.redaction.entry(row));
        Ok(rows)
    }

    async fn meeting(&self) -> Result<Option<Meeting>, StoreError> {
        self.store.meeting().await
    }

    async fn sizes(&self) -> Result<StoreSizes, StoreError> {
        self.store.sizes().await
    }

    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        let mut rows = self.store.open_deliveries(after, limit).await?;
        for DeliveryRow { delivery, .. } in &mut rows {
            delivery.event = self.redaction.message(&delivery.event);
            delivery.progress.saved = delivery.progress.saved.as_ref().map(|_| hidden());
        }
        Ok(rows)
    }

    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError> {
        self.store.dedup_records(after, limit).await
    }

    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        let mut rows = self.store.waiting(address, limit).await?;
        rows.iter_mut().for_each(|(_, mail)| self.redaction.mail(mail));
        Ok(rows)
    }

    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError> {
        self.store.traces(id, event, consumers).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Change;

    #[test]
    fn no_name_of_a_field_leaves_a_value_that_is_hidden_as_a_whole() {
        let names = || Some(Change { names: vec!["4111-1111".to_owned()], more: 2, ..Change::default() });
        let changes = Changes { data: names(), state: names(), out: Vec::new() };
        // No definition knows the saga.
        let shown = Redaction::default().changes("order", ("paying", "paid"), changes);
        let hidden = Some(Change { names: vec![String::new()], ..Change::default() });
        assert_eq!(shown, Changes { data: hidden.clone(), state: hidden, out: Vec::new() });
    }
}
