//! The renaming of sagas in a [`MemoryStore`](super::MemoryStore): all rows of a saga get its present name.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Model;
use crate::store::{Address, ConsumerRow, MailKind, NameOf, Pause, PauseOf, RetiredName, StoreError};

impl Model {
    pub(super) fn rename(&mut self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError> {
        if !self.tenures.iter().all(|tenure| tenure.held) {
            return Err(StoreError::Fenced { epoch: 0 });
        }
        self.judge_names(names)?;
        let mut moved = Vec::with_capacity(names.len());
        for retired in names {
            moved.push(match retired.what {
                NameOf::Saga => self.rename_saga(&retired.was, &retired.name),
                NameOf::State | NameOf::Event | NameOf::Command => 0,
            });
            self.retire(retired);
        }
        Ok(moved)
    }

    /// Refuses names that would give two instances or two aliases the same address.
    fn judge_names(&self, names: &[RetiredName]) -> Result<(), StoreError> {
        let mut taken: BTreeSet<Address> = self.rows.keys().chain(self.aliases.keys()).cloned().collect();
        for RetiredName { was, name, .. } in names.iter().filter(|retired| retired.what == NameOf::Saga) {
            let (moved, mut rest): (BTreeSet<Address>, BTreeSet<Address>) =
                taken.into_iter().partition(|address| address.saga == *was);
            for Address { key, .. } in moved {
                if !rest.insert(Address::new(name.clone(), key.clone())) {
                    return Err(StoreError::Clash {
                        store: "the memory store".to_owned(),
                        was: was.clone(),
                        name: name.clone(),
                        key,
                    });
                }
            }
            taken = rest;
        }
        Ok(())
    }

    fn rename_saga(&mut self, was: &str, name: &str) -> usize {
        let present = |address: &Address| Address::new(name.to_owned(), address.key.clone());
        let renamed = |address: Address| if address.saga == was { present(&address) } else { address };
        self.rows = std::mem::take(&mut self.rows).into_iter().map(|(at, row)| (renamed(at), row)).collect();
        self.aliases =
            std::mem::take(&mut self.aliases).into_iter().map(|(at, row)| (renamed(at), row)).collect();
        self.damaged = std::mem::take(&mut self.damaged).into_iter().map(renamed).collect();
        let mut instances = 0;
        for kept in self.instances.values_mut().filter(|kept| kept.change.address.saga == was) {
            kept.change.address = present(&kept.change.address);
            instances += 1;
        }
        for of in [PauseOf::Saga, PauseOf::Consumer] {
            if let Some(pause) = self.pauses.remove(&of(was.to_owned())) {
                let of = of(name.to_owned());
                self.pauses.entry(of.clone()).or_insert(Pause { of, ..pause });
            }
        }
        let (moved, mut rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.definitions).into_iter().partition(|((saga, _), _)| saga == was);
        rest.extend(moved.into_iter().map(|((_, version), mut definition)| {
            name.clone_into(&mut definition.saga);
            ((name.to_owned(), version), definition)
        }));
        self.definitions = rest;
        // Deliveries have subscribers as consumers. Subscribers keep their names.
        for mail in
            self.inbox.values_mut().chain(&mut self.arrivals).filter(|mail| mail.kind != MailKind::Delivery)
        {
            mail.to = renamed(mail.to.clone());
        }
        for letter in self.dead.values_mut().filter(|letter| letter.kind != MailKind::Delivery) {
            letter.to = renamed(letter.to.clone());
        }
        let dedup_records = std::mem::take(&mut self.dedup).into_values();
        self.dedup = dedup_records
            .map(|mut dedup_record| {
                dedup_record.to = renamed(dedup_record.to);
                ((dedup_record.to.clone(), dedup_record.id.clone()), dedup_record)
            })
            .collect::<BTreeMap<_, _>>();
        let consumers = std::mem::take(&mut self.consumers).into_iter();
        self.consumers = consumers
            .map(|row| {
                if row.consumer == was && !row.subscriber {
                    ConsumerRow { consumer: name.to_owned(), ..row }
                } else {
                    row
                }
            })
            .collect();
        let retired = std::mem::take(&mut self.retired).into_iter();
        let (own, mut rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            retired.partition(|((what, saga, _), _)| *what != NameOf::Saga && saga == was);
        rest.extend(own.into_iter().map(|((what, _, was), to)| ((what, name.to_owned(), was), to)));
        self.retired = rest;
        instances
    }

    fn retire(&mut self, retired: &RetiredName) {
        let RetiredName { what, saga, was, name } = retired;
        let same = |(of, whose, _): &(NameOf, String, String)| of == what && whose == saga;
        for (_, present) in self.retired.iter_mut().filter(|(at, present)| same(at) && **present == *was) {
            present.clone_from(name);
        }
        self.retired.insert((*what, saga.clone(), was.clone()), name.clone());
        self.retired.remove(&(*what, saga.clone(), name.clone()));
    }
}
