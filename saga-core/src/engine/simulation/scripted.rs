//! Moments that seeds meet too rarely, made by hand.

use std::sync::Arc;

use super::Random;
use super::driver::{now, read, registry, shard};
use super::family::{BatchPlaced, Kind, Plan, Recalled, batch};
use super::order::{Nudged, cancel, nudge, placed};
use super::world::{accepted, message};
use crate::engine::{Attempt, AttemptEnd, Consumer, In, Limits, Moment, Out, Shard};
use crate::message::{Correlated, Key, Message, Timestamp};
use crate::store::{Address, Batch, Fault, InboxId, Inspect, Lease, Mail, MailKind, MemoryStore, Store};

/// An engine whose store answers at once and whose attempts never end by themselves.
struct Engine {
    store: MemoryStore,
    lease: Lease,
    shard: Shard,
    attempts: Vec<Attempt>,
}

impl Engine {
    fn new() -> Self {
        let mut random = Random(0);
        let registry = Arc::new(registry(&mut random, false));
        let store = MemoryStore::new();
        let lease = now(store.lease("simulation")).expect("a lease");
        let mut shard = shard(&registry, &Limits::default(), &lease, &mut random);
        shard.start(Moment::default());
        Self { store, lease, shard, attempts: Vec::new() }
    }

    fn handle(&mut self, input: In) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.shard.handle(input, Moment::default());
            assert_eq!(self.shard.broken_invariant(), None);
            for out in self.shard.take_out() {
                match out {
                    Out::Run(attempt) => self.attempts.push(*attempt),
                    Out::Answer(..) | Out::Cancel(_) => {}
                    out => inputs.push(read(&self.store, 100, out)),
                }
            }
            if let Some(batch) = self.shard.next_batch() {
                inputs.push(In::Committed(now(self.store.commit(&self.lease, batch)).expect("committed")));
            }
        }
    }

    fn end(&mut self, attempt: u64, how: AttemptEnd) {
        self.attempts.retain(|running| running.id != attempt);
        self.handle(In::Ended { attempt, how });
    }

    fn publish<E: Correlated>(&mut self, event: E, id: &str) {
        self.handle(Self::published(event, id));
    }

    fn published<E: Correlated>(event: E, id: &str) -> In {
        let key = Key::new(event.key("order")).expect("a good key");
        let consumers = vec![(Consumer::Saga("order".into()), key.into())];
        In::Publish { event: accepted(event, consumers, Some(id)), ticket: 0 }
    }
}

fn mail(message: Message) -> Mail {
    Mail::event(batch("batch-0"), message, Timestamp::EPOCH)
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
    let Engine { store, lease, mut shard, .. } = Engine::new();
    let moment = Moment::default();

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

/// The payment of `order-0` has been tried once, and waits for a place to be tried again.
fn tried_once() -> (Engine, Address) {
    let mut engine = Engine::new();
    // More than run at a time.
    for number in 0..6 {
        engine.publish(placed(&format!("order-{number}")), "placed");
    }
    let first = engine.attempts.iter().find(|attempt| attempt.of.key.text() == "order-0");
    let (attempt, of) = first.map(|attempt| (attempt.id, attempt.of.clone())).expect("it runs");
    engine.end(attempt, AttemptEnd::Indeterminate("the line is dead".to_owned()));
    assert!(engine.attempts.iter().all(|attempt| attempt.of != of), "it waits for a place");
    (engine, of)
}

#[test]
fn an_event_that_is_not_taken_after_all_forgets_no_attempt() {
    let (mut engine, of) = tried_once();
    engine.publish(nudge("order-0", ""), "same");
    engine.publish(cancel("order-0"), "same");
    assert_eq!(kinds(&engine, &of).last().map(String::as_str), Some("applied"), "it has another's id");
    engine.publish(cancel("order-0"), "other");
    let kinds = kinds(&engine, &of);
    assert!(kinds.contains(&"unknown".to_owned()), "{kinds:?}");
    assert!(kinds.contains(&"undoing".to_owned()), "{kinds:?}");
}

#[test]
fn an_instance_that_is_quarantined_forgets_no_attempt() {
    for event in [true, false] {
        let (mut engine, _) = tried_once();
        engine.store.fail_next_commits(1, Fault::RefuseStep);
        if event {
            engine.publish(cancel("order-0"), "refused");
        } else {
            engine.publish(nudge("order-0", ""), "refused");
        }
        engine.handle(In::Stop);
        while let Some(attempt) = engine.attempts.first() {
            let attempt = attempt.id;
            engine.end(attempt, AttemptEnd::Dropped);
        }
        assert!(engine.shard.is_quiet());
        assert!(!engine.shard.may_release(), "the next start would take it for one that never began");
    }
}

fn kinds(engine: &Engine, of: &Address) -> Vec<String> {
    let history = now(engine.store.history(of, 100)).expect("read");
    history.into_iter().map(|line| line.entry.kind.to_string()).collect()
}

#[test]
fn after_a_broken_invariant_nothing_more_is_handled_or_committed() {
    let mut engine = Engine::new();
    engine.handle(In::Tick);
    engine.shard.handle(Engine::published(placed("1"), "placed"), Moment::default());
    assert!(!engine.shard.is_committed(), "a step waits");
    engine.shard.broken("two and two make four", None);
    engine.shard.take_out();
    assert!(engine.shard.next_batch().is_none(), "the step stays");
    engine.shard.handle(In::Tick, Moment::default());
    assert!(engine.shard.take_out().is_empty() && engine.shard.next_batch().is_none());
    let why = engine.shard.broken_invariant().expect("it is named");
    assert!(why.contains("two and two make four"), "{why}");
    assert!(!engine.shard.may_release(), "the next start treats open tasks as begun");
}

#[test]
fn waiting_events_keep_their_order_when_one_of_them_is_a_duplicate() {
    let mut engine = Engine::new();
    engine.publish(placed("order-0"), "placed");
    engine.publish(nudge("order-0", ""), "before");
    engine.publish(nudge("order-0", "err"), "parks");
    // The first one is written alone, and the others in one step. The store finds the duplicate in this step.
    for (how, id) in [("one", "1"), ("two", "2"), ("", "before"), ("three", "3"), ("four", "4")] {
        engine.shard.handle(Engine::published(nudge("order-0", how), id), Moment::default());
    }
    engine.handle(In::Tick);
    let of = Address::new("order", Key::new("order-0").expect("a good key"));
    let rows = now(engine.store.waiting(&of, 100)).expect("read");
    let how = |mail: &Mail| mail.message.payload.decode::<Nudged>().expect("a nudge").how;
    let waiting: Vec<String> = rows.iter().map(|(_, mail)| how(mail)).collect();
    assert_eq!(waiting, ["err", "one", "two", "three", "four"]);
}

#[test]
fn the_instances_of_one_pass_are_read_together() {
    let mut engine = Engine::new();
    engine.handle(In::Tick);
    let event = |number| Engine::published(nudge(&format!("order-{number}"), ""), &format!("nudge-{number}"));
    // Twice each: an instance that is being read is not read again.
    for number in (0..100).chain(0..100) {
        engine.shard.handle(event(number), Moment::default());
    }
    let reads: Vec<Vec<Address>> = engine.shard.take_out().into_iter().filter_map(loads).collect();
    let sizes: Vec<usize> = reads.iter().map(Vec::len).collect();
    assert_eq!(sizes, [64, 36], "a read has a limit");
    for addresses in reads {
        let found = now(engine.store.load(&addresses)).expect("read");
        engine.handle(In::Loaded { addresses, found });
    }
    assert!(engine.shard.is_quiet() && engine.shard.take_out().is_empty(), "each has its answer");
}

#[test]
fn a_store_that_leaves_out_an_instance_breaks_an_invariant() {
    let mut engine = Engine::new();
    engine.handle(In::Tick);
    engine.shard.handle(Engine::published(nudge("order-0", ""), "nudge"), Moment::default());
    let addresses = engine.shard.take_out().into_iter().find_map(loads).expect("it is read first");
    engine.shard.handle(In::Loaded { addresses, found: Vec::new() }, Moment::default());
    let why = engine.shard.broken_invariant().expect("an answer is missing");
    assert!(why.contains("a store answers each address of a load"), "{why}");
}

fn loads(out: Out) -> Option<Vec<Address>> {
    match out {
        Out::Load(addresses) => Some(addresses),
        _ => None,
    }
}

#[test]
fn many_timers_due_at_once_fire_in_portions() {
    let mut engine = Engine::new();
    let portion = Limits::default().batch_steps;
    let orders = 3 * portion;
    for number in 0..orders {
        engine.publish(placed(&format!("order-{number}")), "placed");
    }
    let hours = std::time::Duration::from_secs(48 * 3_600);
    let later = Moment { wall: Timestamp::EPOCH.plus(hours), mono: hours };
    let (mut input, mut fired, mut portions) = (In::Tick, 0, 0);
    loop {
        engine.shard.handle(input, later);
        assert_eq!(engine.shard.broken_invariant(), None);
        engine.shard.take_out();
        let Some(batch) = engine.shard.next_batch() else { break };
        fired += batch.steps.iter().filter(|step| !step.timers.is_empty()).count();
        portions += 1;
        // An event that comes now waits behind one portion, and not behind all timers.
        assert!(batch.steps.len() <= portion, "{} steps", batch.steps.len());
        assert!(engine.shard.next_batch_early().is_none(), "no more than a portion is ready");
        input = In::Committed(now(engine.store.commit(&engine.lease, batch)).expect("committed"));
    }
    assert!(fired >= orders && portions >= 3, "{fired} timers in {portions} portions");
}
