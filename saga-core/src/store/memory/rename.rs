//! Giving everything that is kept for a saga to its present name.

use std::collections::BTreeMap;

use super::model::Model;
use crate::store::{Address, MailKind, StoreError, TakerRow};

impl Model {
    pub(super) fn rename(&mut self, was: &str, name: &str) -> Result<usize, StoreError> {
        if !self.held {
            return Err(StoreError::Fenced { epoch: 0 });
        }
        let present = |address: &Address| Address::new(name.to_owned(), address.key.clone());
        let addresses = || self.rows.keys().chain(self.aliases.keys()).filter(|address| address.saga == was);
        let taken = |address: &&Address| {
            let address = present(address);
            self.rows.contains_key(&address) || self.aliases.contains_key(&address)
        };
        if let Some(clash) = addresses().find(taken) {
            return Err(StoreError::Clash {
                store: "the memory store".to_owned(),
                was: was.to_owned(),
                name: name.to_owned(),
                key: clash.key.clone(),
            });
        }
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
        for mail in self.inbox.values_mut().filter(|mail| mail.kind != MailKind::Delivery) {
            mail.to = renamed(mail.to.clone());
        }
        for letter in self.dead.values_mut().filter(|letter| letter.kind != MailKind::Delivery) {
            letter.to = renamed(letter.to.clone());
        }
        let marks = std::mem::take(&mut self.marks).into_values();
        self.marks = marks
            .map(|mut mark| {
                mark.to = renamed(mark.to);
                ((mark.to.clone(), mark.id.clone()), mark)
            })
            .collect::<BTreeMap<_, _>>();
        let takers = std::mem::take(&mut self.takers).into_iter();
        self.takers = takers
            .map(|row| {
                if row.taker == was && !row.subscriber {
                    TakerRow { taker: name.to_owned(), ..row }
                } else {
                    row
                }
            })
            .collect();
        Ok(instances)
    }
}
