//! What must have come of it in the end, and what is told of it when it has not.

mod family;

use crate::store::{DeadLetterReason, HistoryKind};
use std::collections::BTreeSet;

use super::super::order::Order;
use super::super::world::Account;
use super::{Driver, Seen, address, labelled, name, now, thanks};
use crate::engine::{Attempt, Shard};
use crate::store::{DeadId, DeadLetterRow, HistoryRow, Inspect, Snapshot, Status, Store};

impl Driver {
    pub(super) fn snapshot(&self, order: usize) -> Option<Snapshot> {
        now(self.store.instance(&address(&name(order)))).expect("read")
    }

    /// What the engine wrote down and what the world saw of an order, for whoever has to find out.
    pub(super) fn story(&self, order: &str) -> String {
        let history = now(self.store.history(&address(order), 1_000)).expect("read");
        let mut text = String::new();
        for line in history {
            let (seq, e) = (line.seq, line.entry);
            text += &format!("{seq} {} {} {}->{} {:?}\n", e.kind, e.name, e.from, e.to, e.note);
        }
        text + &self.world.accounts.get(order).map_or(String::new(), |account| account.calls.join("\n"))
    }

    pub(super) fn settled(&self) -> bool {
        let over = |order| {
            self.snapshot(order)
                .is_some_and(|found| found.instance.status.is_over() && found.tasks.is_empty())
        };
        (0..self.orders).all(over)
            && self.family_settled()
            && now(self.store.inbox(Default::default(), 1)).expect("read").is_empty()
            && now(self.store.deliveries(Default::default(), 1)).expect("read").is_empty()
    }

    pub(super) fn verdict(&self, seen: &mut Seen) {
        let dead = now(self.store.dead_letters(DeadId::default(), 10_000)).expect("read");
        assert!(self.tickets.is_empty(), "callers were not answered: {:?}", self.tickets);
        for order in 0..self.orders {
            let Snapshot { instance, tasks, timers, obligations, .. } =
                self.snapshot(order).expect("every order was placed");
            let name = name(order);
            assert!(tasks.is_empty() && timers.is_empty() && obligations.is_empty(), "{name} left something");
            let none = Account::default();
            let account = self.world.accounts.get(&name).unwrap_or(&none);
            assert!(account.charge_keys.len() <= 1, "{name} was charged under {:?}", account.charge_keys);
            assert!(account.label_keys.len() <= 1, "{name} was labelled under {:?}", account.label_keys);
            assert!(account.paybacks <= 1, "{name} was paid back {} times", account.paybacks);
            let expected = match instance.status {
                Status::Completed => (4_200, 1),
                _ => (0, 0),
            };
            assert_eq!(
                (account.kept, account.labels),
                expected,
                "{name} is {}\n{}",
                instance.state,
                self.story(&name)
            );
            if instance.status == Status::Completed {
                seen.completed += 1;
                assert!(self.world.told.contains(&name), "nobody was told of {name}");
                let thanked = now(self.store.history(&thanks(&name), 100_000)).expect("read");
                let begun = thanked.iter().filter(|line| line.entry.name == "order.completed").count();
                assert_eq!(begun, 1, "{name} was to be thanked for once");
            } else {
                seen.compensated += u64::from(account.paybacks);
            }
            let history = now(self.store.history(&address(&name), 100_000)).expect("read");
            let steps: BTreeSet<u64> = history.iter().map(|line| line.seq).collect();
            assert_eq!(steps.len() as u64, instance.seq, "the history of {name} has gaps");
            let data: Order = instance.data.decode().expect("data");
            if let Some(nudges) = self.nudges.get(&name) {
                // Those that fail are applied by a build that is mended.
                let sent = nudges.sent.len();
                assert!(data.nudges as usize <= sent, "{name} was nudged more often than that");
                assert!(data.nudges as usize >= nudges.applied.len(), "{name} has lost a nudge");
            }
        }
        for ((to, id), &told) in &self.notes {
            let history = now(self.store.history(to, 100_000)).expect("read");
            let applied = history.iter().filter(|line| line.entry.cause.as_deref() == Some(id)).count();
            let mut missed = 0;
            let label = labelled(to.key.text());
            for row in dead.iter().filter(|row| row.letter.to == *to || row.letter.to == label) {
                let this = row.letter.id.as_ref().is_some_and(|it| it.as_str() == id);
                missed += usize::from(this && row.letter.reason == DeadLetterReason::MissingInstance);
            }
            assert!(applied + missed <= 1, "{id} of {to} was decided {applied} + {missed} times");
            assert!(applied + missed == 1 || !told, "{id} of {to} was lost");
            if id.starts_with("label-") {
                seen.labels += applied as u64;
                seen.unlabelled += missed as u64;
            } else if *to.saga == *"thanks" {
                seen.tracks += applied as u64;
                seen.untracked += missed as u64;
            } else {
                seen.notes += applied as u64;
            }
        }
        for (order, id) in &self.rings {
            let rung = self.world.rung.contains(&(order.clone(), id.clone()));
            let given_up = dead.iter().any(|row| {
                *row.letter.to.saga == *"bell"
                    && row.letter.to.key.text() == order
                    && row.letter.id.as_ref().is_some_and(|it| it.as_str() == id)
            });
            assert!(rung || given_up, "the bell missed {id} of {order}");
        }
        self.verbs_are_whole(&dead, seen);
        let orders: Vec<_> = (0..self.orders).map(|order| address(&name(order))).collect();
        self.audit_is_whole(&orders, seen);
        self.family_verdict(seen);
        seen.saves += self.saves.kept.len() as u64;
        for letter in dead {
            let reason = letter.letter.reason.as_str();
            let late = super::super::family::is_member(&letter.letter.to) && reason == "outcome-after-end";
            let bell = *letter.letter.to.saga == *"bell" && reason == "delivery-failed";
            assert!(
                bell || late
                    || ["unhandled", "rejected", "missing-instance", "skipped", "action-failed"]
                        .contains(&reason),
                "{letter:?}"
            );
        }
    }

    /// Every verb that was answered to be done is in the history, and an event that was skipped is a dead letter and
    /// nothing else, also when the build that started next could have applied it.
    fn verbs_are_whole(&self, dead: &[DeadLetterRow], seen: &mut Seen) {
        for ((of, verb), &told) in &self.done {
            let history = now(self.store.history(of, 100_000)).expect("read");
            let kept =
                history.iter().filter(|l| l.entry.kind == HistoryKind::Verb && l.entry.name == *verb).count();
            assert!(kept >= told, "{of}: `{verb}` was answered {told} times and is kept {kept} times");
            seen.verbs += told as u64;
            if matches!(*verb, "fire" | "postpone") {
                seen.moved_timers += told as u64;
            }
        }
        for (order, nudges) in &self.nudges {
            let history = now(self.store.history(&address(order), 100_000)).expect("read");
            for id in nudges.sent.iter().filter(|id| id.starts_with("err-")) {
                let lines = |kind| {
                    let of = |line: &&HistoryRow| {
                        line.entry.cause.as_deref() == Some(id) && line.entry.kind == kind
                    };
                    history.iter().filter(of).count()
                };
                let letters = dead.iter().filter(|row| {
                    row.letter.to == address(order)
                        && row.letter.id.as_ref().is_some_and(|it| it.as_str() == id)
                        && row.letter.reason == DeadLetterReason::Skipped
                });
                let (applied, skipped, letters) =
                    (lines(HistoryKind::Applied), lines(HistoryKind::Skipped), letters.count());
                assert_eq!(skipped, letters, "{id} of {order}: skipped, and kept as a dead letter");
                // A repetition that came by the inbox has no record while its instance is parked over it. It is skipped again.
                let once = if self.units.len() > 1 { skipped.min(1) } else { skipped };
                assert!(applied + once <= 1, "{id} of {order}: applied {applied}, skipped {skipped} times");
                seen.skipped += skipped as u64;
                seen.mended += applied as u64;
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let inbox = now(self.store.inbox(Default::default(), 10)).expect("read");
        let deliveries = now(self.store.deliveries(Default::default(), 10)).expect("read");
        let units: Vec<&Shard> = self.units.iter().map(|unit| &unit.shard).collect();
        let mut text = format!("{:?}\ntickets {:?}\n", units, self.tickets);
        let dead = now(self.store.dead_letters(DeadId::default(), 1_000)).expect("read");
        let dead: Vec<_> = dead.iter().map(|r| (&r.letter.to, &r.letter.id, &r.letter.reason)).collect();
        text += &format!("inbox {inbox:?}\ndeliveries {deliveries:?}\ndead {dead:?}\n");
        for order in 0..self.orders {
            if let Some(snapshot) = self.snapshot(order) {
                let Snapshot { instance, tasks, timers, .. } = snapshot;
                text += &format!(
                    "{} {:?} {:?} {tasks:?} {timers:?}\n",
                    name(order),
                    instance.state,
                    instance.parked
                );
                if !instance.status.is_over() {
                    text += &self.story(&name(order));
                }
            }
        }
        for number in 0..self.family.roots {
            text += &self.family_story(&super::super::family::batch(&super::family::root(number)));
        }
        text
    }

    /// What was answered to be saved is there for the next attempt, or what was saved after it.
    pub(super) fn check_saved(&self, attempt: &Attempt) {
        let found: u64 = attempt.saved.as_ref().map_or(0, |saved| saved.decode().expect("a number"));
        let kept = self.saves.kept.get(&format!("{} {}", attempt.of, attempt.key)).copied().unwrap_or(0);
        assert!(found >= kept, "{} has lost what it saved: {found}, not {kept}", attempt.of);
    }

    /// No attempt has the number of an earlier one, whatever happened in between.
    pub(super) fn check_number(&mut self, attempt: &Attempt) {
        let last = self.numbers.entry(format!("{} {}", attempt.of, attempt.key)).or_default();
        assert!(
            attempt.number > *last,
            "attempt {} of {} follows attempt {last}",
            attempt.number,
            attempt.of
        );
        *last = attempt.number;
    }
}
