//! A moment that seeds meet too rarely, made by hand.

use std::sync::Arc;

use super::Random;
use super::driver::{now, registry, shard};
use super::family::{BatchPlaced, Kind, Plan, Recalled, batch};
use super::world::message;
use crate::engine::{In, Limits, Moment, Shard};
use crate::message::{Message, Timestamp};
use crate::store::{Batch, InboxId, Mail, MailKind, MemoryStore, Store};

fn mail(message: Message) -> Mail {
    Mail {
        to: batch("batch-0"),
        kind: MailKind::Event,
        message,
        id: None,
        marked: false,
        task: None,
        hops: 0,
        epoch: 0,
        cause: None,
        at: Timestamp::EPOCH,
    }
}

fn next(shard: &mut Shard) -> Arc<Batch> {
    shard.next_batch().expect("there is something to commit")
}

/// Whether all mail of this kind is left to the scan of the inbox; there is some.
fn is_left_to_scan(batch: &Batch, kind: MailKind) -> bool {
    let mail = batch.steps.iter().flat_map(|step| &step.mail).filter(|mail| mail.kind == kind);
    let epochs: Vec<u64> = mail.map(|mail| mail.epoch).collect();
    !epochs.is_empty() && epochs.iter().all(|epoch| *epoch == 0)
}

#[test]
fn the_abort_of_a_child_does_not_overtake_its_start() {
    let mut random = Random(0);
    let registry = Arc::new(registry(&mut random, false));
    let store = MemoryStore::new();
    let lease = now(store.lease("simulation")).expect("a lease");
    let mut shard = shard(&registry, &Limits::default(), &lease, &mut random);
    let moment = Moment::default();
    shard.start(moment);

    let plan = Plan { parcels: vec![Kind::Plain], within: None, sample: false };
    let placed = BatchPlaced { batch: "batch-0".to_owned(), plan: plan.clone(), hears: false };
    let recalled = Recalled { batch: "batch-0".to_owned(), plan };
    let mails = vec![mail(message(&placed)), mail(message(&recalled))];
    now(store.deliver(mails)).expect("delivered");
    let mut rows = now(store.inbox(InboxId::default(), 2)).expect("read");
    let second = rows.split_off(1);
    shard.handle(In::Inbox { rows, more: true }, moment);

    // The second page was read before the start of the child is there, and comes when it is.
    let starts = next(&mut shard);
    assert!(is_left_to_scan(&starts, MailKind::Start), "{starts:?}");
    let outcomes = now(store.commit(&lease, starts)).expect("committed");
    shard.handle(In::Committed(outcomes), moment);
    shard.handle(In::Inbox { rows: second, more: false }, moment);
    let aborts = next(&mut shard);
    assert!(is_left_to_scan(&aborts, MailKind::Verb), "{aborts:?}");
}
