//! Items that cannot be applied now: they go to the inbox, or are refused because the instance is quarantined.

use std::collections::VecDeque;

use crate::engine::io::{Answer, Out};
use crate::engine::slot::{Before, InFlight};
use crate::engine::{Disposition, Rejection, Shard};
use crate::machine::DeclinedReason;
use crate::machine::{Input, Instance};
use crate::store::{Address, Mail, Step};

impl Shard {
    /// Writes all items without an inbox row to the inbox. They stay there until the instance is free again.
    pub(in crate::engine) fn spill(&mut self, address: &Address) {
        let epoch = self.lease.epoch;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("a scheduled instance has a slot", Some(address));
        };
        let paused = self.pauses.holds(&address.saga);
        let parked = slot.instance().is_some_and(Instance::is_parked);
        let mut step = Step { row: slot.instance().and_then(|instance| instance.row), ..Step::default() };
        let most = slot.backlog.items_per_step();
        let (mut spilled, mut stay) = (Vec::new(), VecDeque::new());
        let mut queue = slot.queue.take();
        while let Some(item) = queue.pop_front() {
            if !item.take() {
                self.withdrawn(&item);
                continue;
            }
            let Some(slot) = self.slots.get_mut(address) else {
                return self.broken("a scheduled instance has a slot", Some(address));
            };
            // A `Stuck` input has no inbox form, so it stays in memory. A paused saga also keeps what it applies.
            if matches!(item.what, Input::Stuck(..)) || paused && !Self::waits_for_resume(&item) {
                stay.push_back(item);
            } else if item.inbox.is_some() {
                slot.backlog.keep(&item);
            } else if let Some(mail) = item.mail(address, epoch) {
                self.mark_answered(address, &item, &mut step);
                self.mark(address, &item, &mut step);
                step.mail.push(Mail { deduplicated: true, ..mail });
                spilled.push(item);
                if spilled.len() == most {
                    break;
                }
            }
            // The other inputs need no inbox row. A timer has its own row, and `Continue` is found again.
        }
        if let Some(slot) = self.slots.get_mut(address) {
            slot.backlog.items_chosen(!queue.is_empty());
            stay.append(&mut queue);
            slot.queue = stay.into_iter().collect();
            // The items that were there before the last read of the holder may have gone.
            slot.read_for = 0;
        }
        if spilled.is_empty() {
            return;
        }
        let before = Before { parked, compensating: false };
        self.launch_step(address, InFlight::spill(spilled, Ok(Disposition::Queued), before), step);
    }

    /// Refuses all items of a quarantined instance (rule R31). Callers get the reason, and durable items stay in the
    /// inbox.
    pub(in crate::engine) fn turn_away(&mut self, address: &Address, reason: &str) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("a scheduled instance has a slot", Some(address));
        };
        let why = format!("{address} is quarantined: {reason}");
        slot.backlog.keep_uncounted();
        slot.read_for = 0;
        for item in slot.queue.take() {
            self.unrecorded_attempts |= item.is_unwritten_report();
            if !item.take() {
                self.withdrawn(&item);
                continue;
            }
            let Some(ticket) = item.ticket else { continue };
            if let Input::Verb(_) = item.what {
                let (instance, why) = (address.clone(), reason.to_owned());
                self.decline(address, &item, ticket, DeclinedReason::Quarantined { instance, why });
                continue;
            }
            let refused = Err(Rejection::Refused(why.clone()));
            self.out.push(Out::Answer(ticket, Answer::Published(vec![(address.clone(), refused)])));
        }
    }
}
