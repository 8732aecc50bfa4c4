//! The count of the names in a [`MemoryStore`](super::MemoryStore) (rule R34).

use std::collections::BTreeMap;

use super::model::Model;
use crate::store::{ObligationOf, Status, Stored, StoredName};

impl Model {
    pub(super) fn names(&self) -> Vec<StoredName> {
        let mut counts: BTreeMap<(String, Stored, String, u32), u64> = BTreeMap::new();
        let mut count = |consumer: &str, what, name: &str, version| {
            *counts.entry((consumer.to_owned(), what, name.to_owned(), version)).or_default() += 1;
        };
        for kept in self.instances.values() {
            let saga = &kept.change.address.saga;
            if matches!(kept.change.status, Status::Running | Status::Compensating) {
                count(saga, Stored::State, &kept.change.state, kept.change.version);
            }
            for task in kept.tasks.values() {
                if let Some(what) = Stored::of_task(task.kind.as_str()) {
                    count(saga, what, &task.command.name, task.command.version);
                }
            }
            for owed in kept.obligations.values() {
                count(saga, Stored::Undo, &owed.undo, 0);
                match &owed.of {
                    ObligationOf::Command { command, .. } => {
                        count(saga, Stored::UndoneCommand, &command.name, command.version);
                    }
                    ObligationOf::State { state, version, .. } => {
                        count(saga, Stored::UndoneState, state, *version);
                    }
                }
            }
            for timer in kept.timers.values() {
                count(saga, Stored::Timer, &timer.name, 0);
            }
        }
        for mail in self.inbox.values() {
            if let Some(what) = Stored::of_mail(mail.kind.as_str()) {
                count(&mail.to.saga, what, &mail.message.name, mail.message.version);
            }
        }
        for delivery in self.deliveries.values() {
            count(&delivery.to.saga, Stored::Event, &delivery.event.name, delivery.event.version);
        }
        for letter in self.dead.values() {
            if let Some(what) = Stored::of_letter(letter.kind.as_str()) {
                count(&letter.to.saga, what, &letter.message.name, letter.message.version);
            }
        }
        let name =
            |((consumer, what, name, version), count)| StoredName { consumer, what, name, version, count };
        counts.into_iter().map(name).collect()
    }
}
