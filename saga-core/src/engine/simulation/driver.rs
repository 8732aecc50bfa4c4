//! One seed: a store, an engine on it, everything that is under way between them, and what is expected in the end.

mod family;
mod pauses;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::family::{BatchState, Depot, ParcelState};
use super::order::{
    CreateShippingLabel, LabelCreated, MENDED, MakePayment, OrderCompleted, OrderState, RefundPayment,
    VoidLabel, VoidPayment, cancel, note, nudge, placed,
};
use super::second_saga::{Labelled, ThanksState, Tracked, label_of};
use super::world::{World, accepted, message};
use super::{Random, Seen};
use crate::definition::EventType;
use crate::engine::{
    Answer, Attempt, AttemptEnd, Claim, Consumer, Disposition, In, Limits, Moment, Out, Policy, Registry,
    Shard, TakeUp, Ticket,
};
use crate::machine::{Resolution, Typed, Verb, VerbRecord, read_parked};
use crate::message::{Alias, Correlated, Key, Message, MessageId, Payload, Timestamp};
use crate::store::{Address, Batch, Fault, Lease, Mail, MailKind, MemoryStore, ShardId, StepOutcome, Store};

/// Nothing waits longer: the payment, and what a clock may be corrected by without anybody noticing.
const LONGEST: Duration = Duration::from_secs(16 * 60);

/// Something that is on its way.
enum Pending {
    /// A read that the store has not seen yet.
    Read(Out),
    /// A batch that the store has not seen yet.
    Commit(Arc<Batch>),
    Committed(Vec<StepOutcome>),
    /// An attempt that has not had its effect yet.
    Attempt(Attempt),
    /// An input that has not reached the engine yet.
    Arrives(In),
}

pub(super) struct Driver {
    random: Random,
    orders: usize,
    store: MemoryStore,
    registry: Arc<Registry>,
    limits: Limits,
    /// One for each shard of the store.
    units: Vec<Unit>,
    now: Moment,
    /// Each with the number of its unit.
    pending: Vec<(usize, Pending)>,
    tickets: BTreeMap<Ticket, String>,
    /// The unit that answers a ticket.
    asked: BTreeMap<Ticket, usize>,
    last_ticket: Ticket,
    nudges: BTreeMap<String, Nudges>,
    /// Notes and tracks by saga, order and id, and whether somebody was told that it is taken, or waits.
    notes: BTreeMap<(Address, String), bool>,
    /// Tracks that the bell takes too.
    rings: BTreeSet<(String, String)>,
    saves: Saves,
    /// The number of the last attempt of each command or delivery.
    numbers: BTreeMap<String, u32>,
    /// Who waits to hear that a verb is done: of which instance, and which.
    verbs: BTreeMap<Ticket, (Address, &'static str)>,
    /// How often each verb was answered to be done, by instance.
    done: BTreeMap<(Address, &'static str), usize>,
    family: family::Family,
    pauses: pauses::Pauses,
    /// An attempt was cut off, so that it may have begun although the world has not seen it.
    cut_off: bool,
    world: World,
}

/// An engine with its lease of one shard.
struct Unit {
    store: Arc<dyn Store>,
    lease: Lease,
    shard: Shard,
    /// The store has refused a step since the start.
    refused: bool,
    /// The number of the last batch that the store has seen.
    tried: u64,
}

/// What attempts have saved.
#[derive(Default)]
struct Saves {
    last: u64,
    /// Who waits to hear that something is saved: the unit and its attempt, whose attempt, and what.
    asked: BTreeMap<Ticket, ((usize, u64), String, u64)>,
    /// The last that was answered to be saved, of each command or delivery.
    kept: BTreeMap<String, u64>,
    /// Attempts whose end has reached the engine.
    over: BTreeSet<(usize, u64)>,
    late: u64,
}

/// Nudges of one order, each under an id of its own.
#[derive(Default)]
struct Nudges {
    sent: BTreeSet<String>,
    applied: BTreeSet<String>,
}

/// What a store in memory answers at once.
pub(super) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store never waits"),
    }
}

/// Some seeds call the carrier at most once per label.
pub(super) fn registry(random: &mut Random, label_once: bool) -> Registry {
    let policy = || {
        Policy::default()
            .quick_attempts(2)
            .backoff(Duration::from_secs(1), Duration::from_secs(4))
            .max_total_time(Duration::from_secs(20))
            .timeout(Duration::from_secs(10))
    };
    let mut registry = Registry::default();
    registry.saga(Arc::new(Typed::<OrderState>::new()));
    registry.saga(Arc::new(Typed::<ThanksState>::new()));
    registry.saga(Arc::new(Typed::<BatchState>::new()));
    registry.saga(Arc::new(Typed::<ParcelState>::new()));
    let at_a_time = 1 + random.below(4);
    for command in [
        CommandName::of::<MakePayment>(),
        CommandName::of::<VoidPayment>(),
        CommandName::of::<CreateShippingLabel>(),
        CommandName::of::<VoidLabel>(),
        CommandName::of::<RefundPayment>(),
    ] {
        let once = label_once && command.0 == <CreateShippingLabel as crate::message::Command>::NAME;
        registry.handler(command.0, &[], once, policy().concurrency(at_a_time));
    }
    for command in Depot::COMMANDS {
        registry.handler(command, &[], false, policy().concurrency(at_a_time));
    }
    registry.subscriber("mail", EventType::of::<OrderCompleted>("OrderCompleted"), policy());
    registry.subscriber("bell", EventType::of::<Tracked>("Tracked"), policy());
    registry.finish(&[], &[]).expect("everything is registered");
    registry
}

struct CommandName(&'static str);

impl CommandName {
    fn of<C: crate::message::Command>() -> Self {
        Self(C::NAME)
    }
}

impl Driver {
    pub(super) fn new(seed: u64) -> Self {
        MENDED.set(false);
        let mut random = Random(seed);
        let label_once = random.one_in(2);
        let registry = Arc::new(registry(&mut random, label_once));
        let limits = Limits {
            page: 1 + random.below(5),
            cache_bytes: [0, 2_000, 64 << 20][random.below(3)],
            batch_steps: 1 + random.below(8),
            early_steps: 1 + random.below(3),
            taken_up: 2 + random.below(20),
            timers: 4 + random.below(8),
            recovering: 1 + random.below(3),
            waiting: 4 + random.below(30),
            ..Limits::default()
        };
        // Most seeds have one engine. Several shards share everything but the instances.
        let shards = [1, 1, 1, 2, 3][random.below(5)];
        let store = MemoryStore::with_shards(shards);
        let moment = Moment { wall: Timestamp::from_millis(1_700_000_000_000), mono: Duration::ZERO };
        let units = ShardId::all(shards).map(|id| {
            let store = if shards == 1 { Arc::new(store.clone()) } else { store.shard(id).expect("a shard") };
            let lease = now(store.lease("simulation")).expect("a lease");
            let shard = shard(&registry, &limits, &lease, &mut random);
            Unit { store, lease, shard, refused: false, tried: 0 }
        });
        let units = units.collect();
        let mut driver = Self {
            orders: 1 + random.below(8),
            random,
            store,
            registry,
            limits,
            units,
            now: moment,
            pending: Vec::new(),
            tickets: BTreeMap::new(),
            asked: BTreeMap::new(),
            last_ticket: 0,
            nudges: BTreeMap::new(),
            notes: BTreeMap::new(),
            rings: BTreeSet::new(),
            saves: Saves::default(),
            numbers: BTreeMap::new(),
            verbs: BTreeMap::new(),
            done: BTreeMap::new(),
            family: family::Family::default(),
            pauses: pauses::Pauses::default(),
            cut_off: false,
            world: World::new(label_once),
        };
        driver.family.roots = driver.random.below(3);
        for unit in 0..driver.units.len() {
            driver.units[unit].shard.start(moment);
            driver.collect(unit);
        }
        driver
    }

    pub(super) fn run(mut self, seen: &mut Seen) {
        let events = 50 + self.random.below(400);
        let crashes = 1 + self.random.below(8);
        for _ in 0..events {
            match self.random.below(100) {
                0..70 => self.something_arrives(seen),
                70..83 => self.somebody_publishes(),
                83..88 => self.somebody_steers(),
                88..94 => self.time_passes(seen),
                94 => self.somebody_sets_the_clock(seen),
                95 => self.mail_from_elsewhere(),
                96 => self.see(true),
                97 if self.random.one_in(4) => {
                    let order = name(self.random.below(self.orders));
                    let (timer, minutes) = ("15m".to_owned(), self.random.below(60));
                    let until = self.now.wall.plus(Duration::from_secs(60 * minutes as u64)).as_millis();
                    let verb = match self.random.below(4) {
                        0 => Verb::Fire { timer },
                        1 => Verb::Postpone { timer, until },
                        _ => Verb::Abort,
                    };
                    self.verb(address(&order), record(verb, None));
                }
                97 if self.random.one_in(2) => drop(self.operate_on_family(seen)),
                97 => drop(self.operate(seen)),
                98 if self.random.one_in(2) => {
                    let unit = self.any_unit();
                    self.stop_and_start(unit, seen);
                }
                99 if self.random.one_in(2) => self.somebody_pauses(),
                _ if self.random.one_in(1 + 20 / crashes) => {
                    let unit = self.any_unit();
                    self.crash(unit, seen);
                }
                _ => {}
            }
        }
        self.world.calm = true;
        for unit in 0..self.units.len() {
            if self.units[unit].refused {
                // What is quarantined stays so until the next start (rule R31).
                self.stop_and_start(unit, seen);
            }
        }
        self.come_to_rest(seen);
        self.verdict(seen);
    }

    /// Everything that is under way arrives, operators do their work, time passes, until nothing is left to do.
    fn come_to_rest(&mut self, seen: &mut Seen) {
        for order in 0..self.orders {
            self.place(order);
        }
        for _ in 0..20_000 {
            if !self.pending.is_empty() {
                self.something_arrives(seen);
            } else if self.settled() && self.is_quiet() {
                return;
            } else if self.is_quiet() && self.resume_one() {
                // Everything that waits for it is taken up.
            } else if let Some(order) = (0..self.orders).find(|order| self.snapshot(*order).is_none())
                && self.is_quiet()
            {
                // It was turned away, because too much waited there.
                self.place(order);
            } else if !(self.operate(seen)
                || self.operate_on_family(seen)
                || self.is_quiet() && self.attend())
            {
                match self.next_wake() {
                    // Mail for another shard may wait without a hint.
                    (None, None) if self.units.len() > 1 => self.time_passes(seen),
                    (None, None) => break,
                    (Some(wall), _) => {
                        // However the clock was set: nothing waits longer than the longest wait there is.
                        let wait = wall.since(self.now.wall);
                        assert!(wait <= LONGEST, "something waits for {wait:?}\n{}", self.describe());
                        self.time_passes(seen);
                    }
                    _ => self.time_passes(seen),
                }
            }
        }
        panic!("it does not come to rest:\n{}", self.describe());
    }

    // What happens.

    /// One thing that is under way gets a step further.
    fn something_arrives(&mut self, seen: &mut Seen) {
        if self.pending.is_empty() {
            return;
        }
        let at = self.random.below(self.pending.len());
        let (unit, next) = self.pending.swap_remove(at);
        match next {
            Pending::Read(out) => {
                let input = read(&*self.units[unit].store, self.limits.page, out);
                self.pending.push((unit, Pending::Arrives(input)));
            }
            Pending::Commit(batch) => self.commit(unit, batch, seen),
            Pending::Committed(outcomes) => {
                seen.duplicates +=
                    outcomes.iter().filter(|outcome| matches!(outcome, StepOutcome::Duplicate)).count()
                        as u64;
                if let Some(early) = self.units[unit].shard.next_batch_early() {
                    seen.early += 1;
                    // The store may have it, and even have answered, before the engine sees the outcomes before it.
                    if self.random.one_in(2) {
                        self.commit(unit, early, seen);
                    } else {
                        self.pending.push((unit, Pending::Commit(early)));
                    }
                }
                self.handle(unit, In::Committed(outcomes));
            }
            // One after the other: they reach the engine in the order in which they are sent.
            Pending::Attempt(attempt)
                if !self.world.calm
                    && self.random.one_in(3)
                    && !self.saves.asked.values().any(|(id, ..)| *id == (unit, attempt.id)) =>
            {
                self.save(unit, attempt);
            }
            Pending::Attempt(attempt) => {
                let how = self.world.attempt(&attempt, &mut self.random);
                self.pending.push((unit, Pending::Arrives(In::Ended { attempt: attempt.id, how })));
            }
            Pending::Arrives(input) => {
                if let In::Ended { attempt, .. } = &input {
                    self.saves.over.insert((unit, *attempt));
                }
                self.handle(unit, input);
            }
        }
    }

    /// A running attempt saves something. Its end may overtake that on the way.
    fn save(&mut self, unit: usize, attempt: Attempt) {
        let ticket = self.ticket(unit, "");
        self.saves.last += 1;
        let saved = Payload::encode(&self.saves.last).expect("a number");
        let whose = format!("{} {}", attempt.of, attempt.key);
        self.saves.asked.insert(ticket, ((unit, attempt.id), whose, self.saves.last));
        self.pending.push((unit, Pending::Arrives(In::Save { attempt: attempt.id, saved, ticket })));
        self.pending.push((unit, Pending::Attempt(attempt)));
    }

    fn commit(&mut self, unit: usize, batch: Arc<Batch>, seen: &mut Seen) {
        let fault = match self.random.below(12) {
            _ if self.world.calm => None,
            0 => Some(Fault::AfterCommit),
            1 => Some(Fault::BeforeCommit),
            // What the store may have taken already it does not refuse.
            2 if batch.number > self.units[unit].tried && self.random.one_in(8) => {
                self.units[unit].refused = true;
                seen.refused += 1;
                Some(Fault::RefuseStep)
            }
            _ => None,
        };
        self.units[unit].tried = batch.number;
        if let Some(fault) = fault {
            self.store.fail_next_commits(1, fault);
        }
        let committed = now(self.store.commit(&self.units[unit].lease, Arc::clone(&batch)));
        self.hint(unit, &batch, seen);
        self.look_at_family(&batch, seen);
        match committed {
            Ok(outcomes) => self.pending.push((unit, Pending::Committed(outcomes))),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                seen.repeats += 1;
                self.pending.push((unit, Pending::Commit(batch)));
            }
        }
    }

    fn somebody_publishes(&mut self) {
        let order = self.random.below(self.orders);
        match self.random.below(14) {
            12.. => self.see(false),
            0..4 => self.place(order),
            4 => self.publish(placed(&name(order)), None),
            5 => self.publish(cancel(&name(order)), None),
            10 | 11 => {
                let id = format!("note-{}", self.random.below(4));
                self.notes.entry((address(&name(order)), id.clone())).or_default();
                self.publish(note(&name(order)), Some(&id));
            }
            n => {
                // Also one that was sent before.
                let id = format!("nudge-{}", self.random.below(6));
                let how = if n == 9 && !self.world.calm { "err" } else { "" };
                let nudges = self.nudges.entry(name(order)).or_default();
                let (id, how) = if how.is_empty() { (id, how) } else { (format!("err-{id}"), how) };
                nudges.sent.insert(id.clone());
                self.publish(nudge(&name(order), how), Some(&id));
            }
        }
    }

    /// A parcel is seen, by its order or by its label.
    fn see(&mut self, elsewhere: bool) {
        if self.random.one_in(2) { self.track(elsewhere) } else { self.read_label(elsewhere) }
    }

    /// A label is read, perhaps of a parcel that has none or none any more; by this process or another one.
    fn read_label(&mut self, elsewhere: bool) {
        let order = name(self.random.below(self.orders));
        let id = format!("label-{}", self.random.below(4));
        *self.notes.entry((thanks(&order), id.clone())).or_default() |= elsewhere;
        let event = Labelled { label: label_of(&order) };
        if !elsewhere {
            return self.publish(event, Some(&id));
        }
        let mail = self.mail(labelled(&order), MailKind::Event, message(&event), Some(&id));
        self.deliver(vec![mail]);
    }

    /// A parcel is seen, perhaps before anybody knows of its order; by this process or another one.
    fn track(&mut self, elsewhere: bool) {
        let order = name(self.random.below(self.orders));
        let id = format!("note-{}", self.random.below(4));
        let ring = !elsewhere || self.random.one_in(2);
        let told = self.notes.entry((thanks(&order), id.clone())).or_default();
        *told |= elsewhere;
        if ring && elsewhere {
            self.rings.insert((order.clone(), id.clone()));
        }
        let event = Tracked { order: order.clone() };
        if !elsewhere {
            return self.publish(event, Some(&id));
        }
        let mail = |to, kind| self.mail(to, kind, message(&event), Some(&id));
        let mut mails = vec![mail(thanks(&order), MailKind::Event)];
        if ring {
            let bell = Address::new("bell", Key::new(&*order).expect("a good key"));
            mails.push(mail(bell, MailKind::Delivery));
        }
        self.deliver(mails);
    }

    /// What another process puts into the inbox.
    fn mail(&self, to: Address, kind: MailKind, message: Message, id: Option<&str>) -> Mail {
        let id = id.map(|id| MessageId::new(id).expect("a good id"));
        Mail { id, ..Mail::new(to, kind, message, self.now.wall) }
    }

    fn deliver(&mut self, mails: Vec<Mail>) {
        now(self.store.deliver(mails)).expect("delivered");
        self.pending.extend((0..self.units.len()).map(|unit| (unit, Pending::Arrives(In::Woken))));
    }

    /// Other units hear about the mail of a commit, mostly.
    fn hint(&mut self, from: usize, batch: &Batch, seen: &mut Seen) {
        let mail = batch.steps.iter().flat_map(|step| &step.mail);
        let to: BTreeSet<usize> =
            mail.map(|mail| self.owner(&mail.to)).filter(|unit| *unit != from).collect();
        for unit in to {
            seen.elsewhere += 1;
            if !self.random.one_in(4) {
                self.pending.push((unit, Pending::Arrives(In::Woken)));
            }
        }
    }

    /// The unit that advances this instance.
    fn owner(&self, address: &Address) -> usize {
        ShardId::of_address(address, self.store.shards()).number().into()
    }

    fn any_unit(&mut self) -> usize {
        self.random.below(self.units.len())
    }

    fn is_quiet(&self) -> bool {
        self.units.iter().all(|unit| unit.shard.is_quiet())
    }

    fn next_wake(&self) -> (Option<Timestamp>, Option<Duration>) {
        let wakes = || self.units.iter().map(|unit| unit.shard.next_wake());
        (wakes().filter_map(|(wall, _)| wall).min(), wakes().filter_map(|(_, mono)| mono).min())
    }

    /// Time or the clock has moved. Returns whether attempts were dropped because of it.
    fn tick(&mut self) -> bool {
        let mut dropped = false;
        for unit in 0..self.units.len() {
            dropped |= self.handle(unit, In::Tick);
            if self.units.len() > 1 {
                // The look of each second.
                self.handle(unit, In::Woken);
            }
        }
        dropped
    }

    fn place(&mut self, order: usize) {
        let name = name(order);
        self.publish(placed(&name), Some(&format!("place-{name}")));
    }

    fn publish<E: Correlated>(&mut self, event: E, id: Option<&str>) {
        let consumers = self.registry.consumers[E::NAME].iter();
        let key = |consumer: &Consumer| match consumer {
            Consumer::Saga(saga) => event.correlation(saga),
            Consumer::Subscriber(_) => event.correlation(""),
        };
        let consumers: Vec<_> =
            consumers.map(|consumer| (consumer.clone(), key(consumer).expect("a good key"))).collect();
        let (first, key) = &consumers[0];
        let owner = self.owner(&Address::new(first.name().to_string(), key.clone()));
        // An event that goes to another unit is recorded by this one.
        let unit = if self.random.one_in(4) { self.any_unit() } else { owner };
        let ticket = self.ticket(unit, id.unwrap_or_default());
        let names: Vec<String> = consumers.iter().map(|(consumer, _)| consumer.name().to_string()).collect();
        self.publishes(ticket, &names);
        self.handle(unit, In::Publish { event: accepted(event, consumers, id), ticket });
    }

    /// A caller who waits, for an answer about this message.
    fn ticket(&mut self, unit: usize, message: &str) -> Ticket {
        self.last_ticket += 1;
        self.asked.insert(self.last_ticket, unit);
        self.tickets.insert(self.last_ticket, message.to_owned());
        self.last_ticket
    }

    /// Another process puts an event into the inbox.
    fn mail_from_elsewhere(&mut self) {
        let order = name(self.random.below(self.orders));
        let mail =
            self.mail(address(&order), MailKind::Event, message(&cancel(&order)), Some("from-elsewhere"));
        self.deliver(vec![mail]);
        self.wait_for(address(&order), "from-elsewhere");
    }

    /// Somebody waits until an event is taken up.
    fn wait_for(&mut self, consumer: Address, id: &str) {
        let unit = self.owner(&consumer);
        let ticket = self.ticket(unit, "");
        let id = MessageId::new(id).expect("a good id");
        let of = TakeUp { consumers: vec![consumer], id, ticket, _claim: Claim::default() };
        self.handle(unit, In::TakeUp(of));
    }

    fn time_passes(&mut self, seen: &mut Seen) {
        let by = match self.next_wake() {
            (Some(wall), _) if self.random.one_in(2) => wall.since(self.now.wall),
            (_, Some(mono)) => mono.saturating_sub(self.now.mono),
            (Some(wall), _) => wall.since(self.now.wall),
            (None, None) => Duration::from_millis(10),
        };
        let by = if self.random.one_in(3) { by } else { by.min(Duration::from_secs(2)) };
        self.now.wall = self.now.wall.plus(by);
        self.now.mono += by;
        seen.timeouts += u64::from(self.tick());
    }

    /// The wall clock is corrected, forward or back, by seconds, hours or a year.
    fn somebody_sets_the_clock(&mut self, seen: &mut Seen) {
        let by = Duration::from_secs([30, 90, 3 * 3600, 365 * 24 * 3600][self.random.below(4)]);
        let forward = self.random.one_in(2);
        self.now.wall = if forward { self.now.wall.plus(by) } else { self.now.wall.minus(by) };
        seen.clock_set += 1;
        seen.timeouts += u64::from(self.tick());
    }

    /// A person looks at one parked instance; whether there was one.
    fn operate(&mut self, seen: &mut Seen) -> bool {
        let parked = (0..self.orders).find_map(|order| {
            let instance = self.snapshot(order)?.instance;
            let parked = read_parked(&instance)?;
            Some((name(order), parked, instance.seq))
        });
        let Some((order, parked, seq)) = parked else { return false };
        use crate::machine::ParkReason::{ActionFailed, Row};
        let verb = match parked.0 {
            // The build that is mended meanwhile could apply it.
            ActionFailed if MENDED.get() && self.random.one_in(2) => Verb::Retry,
            ActionFailed => Verb::Skip,
            Row if self.world.has_label(&order) => {
                Verb::Resolve(Resolution::Replied((&message(&LabelCreated {})).into()))
            }
            Row => Verb::Resolve(Resolution::Refused),
            _ => Verb::Retry,
        };
        let at_the_label = matches!(parked.0, Row);
        assert!(
            !at_the_label || self.cut_off || self.world.was_asked(&order),
            "{order} is parked for nothing\n{}",
            self.story(&order)
        );
        seen.parked += 1;
        let verb = record(verb, Some(seq));
        if !self.world.calm && self.random.one_in(3) {
            self.verb_from_elsewhere(address(&order), &verb);
        } else {
            self.verb(address(&order), verb);
        }
        true
    }

    /// An operator in another process leaves a verb in the inbox.
    fn verb_from_elsewhere(&mut self, to: Address, verb: &VerbRecord) {
        let message = Message { name: "verb".into(), version: 1, payload: crate::machine::write(verb) };
        let mail = self.mail(to, MailKind::Verb, message, None);
        self.deliver(vec![mail]);
    }

    fn verb(&mut self, address: Address, verb: VerbRecord) {
        let unit = self.owner(&address);
        let ticket = self.ticket(unit, "");
        self.verbs.insert(ticket, (address.clone(), verb.verb.word()));
        self.handle(unit, In::Verb { address, verb, ticket, claim: Claim::default() });
    }

    /// The process of a unit dies, with everything that is under way.
    fn crash(&mut self, unit: usize, seen: &mut Seen) {
        for pending in self.cut(unit) {
            match pending {
                Pending::Commit(batch) if self.random.one_in(2) => {
                    let landed = now(self.store.commit(&self.units[unit].lease, Arc::clone(&batch)));
                    landed.expect("it lands just before the end");
                    self.hint(unit, &batch, seen);
                    self.look_at_family(&batch, seen);
                }
                Pending::Commit(_) => seen.lost_batches += 1,
                Pending::Attempt(attempt) if self.random.one_in(2) => {
                    self.world.attempt(&attempt, &mut self.random);
                }
                _ => {}
            }
        }
        seen.crashes += 1;
        self.family.cut(seen);
        self.cut_off = true;
        self.start(unit, seen);
    }

    /// Takes everything that is under way of a unit.
    fn cut(&mut self, unit: usize) -> Vec<Pending> {
        let (own, others) = std::mem::take(&mut self.pending).into_iter().partition(|(of, _)| *of == unit);
        self.pending = others;
        let own: Vec<(usize, Pending)> = own;
        own.into_iter().map(|(_, pending)| pending).collect()
    }

    /// An orderly end and a new start, after the running attempts have ended, or without waiting for them.
    fn stop_and_start(&mut self, unit: usize, seen: &mut Seen) {
        if self.random.one_in(2) {
            self.handle(unit, In::Closing(true));
            for _ in 0..self.random.below(100) {
                self.something_arrives(seen);
            }
            if !self.world.calm && self.random.one_in(3) {
                self.handle(unit, In::Closing(false));
                return;
            }
            seen.closed += u64::from(self.units[unit].shard.running() == 0);
        }
        self.handle(unit, In::Stop);
        for _ in 0..10_000 {
            if self.units[unit].shard.is_quiet() {
                break;
            }
            if self.pending.is_empty() {
                panic!("it does not stop:\n{}", self.describe());
            }
            self.something_arrives(seen);
        }
        assert!(self.units[unit].shard.is_quiet(), "it does not stop:\n{}", self.describe());
        if self.units[unit].shard.may_release() {
            now(self.store.release(&self.units[unit].lease)).expect("released");
        } else {
            self.cut_off = true;
        }
        drop(self.cut(unit));
        self.start(unit, seen);
    }

    fn start(&mut self, unit: usize, seen: &mut Seen) {
        seen.late_saves += std::mem::take(&mut self.saves.late);
        let gone: BTreeSet<Ticket> =
            self.asked.extract_if(.., |_, of| *of == unit).map(|(ticket, _)| ticket).collect();
        self.tickets.retain(|ticket, _| !gone.contains(ticket));
        self.saves.asked.retain(|ticket, _| !gone.contains(ticket));
        self.verbs.retain(|ticket, _| !gone.contains(ticket));
        MENDED.set(self.random.one_in(2));
        self.saves.over.retain(|(of, _)| *of != unit);
        let store = Arc::clone(&self.units[unit].store);
        let before = self.units[unit].lease.epoch;
        let lease = now(store.lease("simulation")).expect("a lease");
        seen.unclean += u64::from(lease.unclean == before);
        let pauses = self.start_with_pauses(&gone);
        let shard = shard(&self.registry, &self.limits, &lease, &mut self.random).with_pauses(pauses);
        self.units[unit] = Unit { store, lease, shard, refused: false, tried: 0 };
        self.units[unit].shard.start(self.now);
        self.collect(unit);
    }

    // The engine.

    /// Whether attempts were dropped because of it.
    fn handle(&mut self, unit: usize, input: In) -> bool {
        self.units[unit].shard.handle(input, self.now);
        assert_eq!(self.units[unit].shard.broken_invariant(), None);
        self.collect(unit)
    }

    fn collect(&mut self, unit: usize) -> bool {
        let mut dropped = false;
        for out in self.units[unit].shard.take_out() {
            match out {
                Out::Answer(ticket, answer) => self.answered(ticket, &answer),
                Out::Run(attempt) => {
                    self.check_saved(&attempt);
                    self.check_number(&attempt);
                    self.check_paused(&attempt);
                    assert_eq!(self.owner(&attempt.of), unit, "{} runs in another shard", attempt.of);
                    self.pending.push((unit, Pending::Attempt(*attempt)));
                }
                Out::Cancel(_) => {}
                Out::Drop(id) => {
                    dropped = true;
                    self.drop_attempt(unit, id);
                }
                read => self.pending.push((unit, Pending::Read(read))),
            }
        }
        if let Some(batch) = self.units[unit].shard.next_batch() {
            self.pending.push((unit, Pending::Commit(batch)));
        }
        dropped
    }

    fn drop_attempt(&mut self, unit: usize, id: u64) {
        self.cut_off = true;
        let running = |(of, pending): &(usize, Pending)| {
            *of == unit && matches!(pending, Pending::Attempt(attempt) if attempt.id == id)
        };
        let Some(at) = self.pending.iter().position(running) else { return };
        if let (_, Pending::Attempt(attempt)) = self.pending.swap_remove(at) {
            if self.random.one_in(2) {
                self.world.attempt(&attempt, &mut self.random);
            }
            self.pending.push((unit, Pending::Arrives(In::Ended { attempt: id, how: AttemptEnd::Dropped })));
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(nudge) = self.tickets.remove(&ticket) else { panic!("ticket {ticket} was answered twice") };
        let unit = self.asked.remove(&ticket).expect("each ticket has a unit");
        if let Some((attempt, whose, number)) = self.saves.asked.remove(&ticket) {
            if let Answer::Saved(true) = answer {
                let kept = self.saves.kept.entry(whose).or_default();
                *kept = number.max(*kept);
            } else {
                assert!(
                    self.units[unit].refused || self.saves.over.contains(&attempt),
                    "what {whose} saves is refused"
                );
                self.saves.late += 1;
            }
        }
        self.pause_answered(ticket, answer);
        if let Some(asked) = self.verbs.remove(&ticket)
            && let Answer::Verb(Ok(())) = answer
        {
            *self.done.entry(asked).or_default() += 1;
        }
        let note = nudge.starts_with("note-") || nudge.starts_with("label-");
        if let (true, Answer::Published(consumers)) = (note, answer) {
            for (to, answer) in consumers {
                let taken =
                    matches!(answer, Ok(Disposition::Applied | Disposition::Deferred | Disposition::Queued));
                if taken && *to.saga == *"bell" {
                    self.rings.insert((to.key.to_string(), nudge.clone()));
                } else if taken && nudge.starts_with("label-") {
                    let order = to.key.text().trim_start_matches("label of ");
                    self.notes.insert((thanks(order), nudge.clone()), true);
                } else if taken {
                    self.notes.insert((to.clone(), nudge.clone()), true);
                }
            }
        }
        if let (true, Answer::Published(consumers)) = (nudge.starts_with("nudge-"), answer)
            && let [(to, Ok(Disposition::Applied))] = &consumers[..]
        {
            let nudges = self.nudges.entry(to.key.to_string()).or_default();
            assert!(nudges.applied.insert(nudge.clone()), "{nudge} of {to} was applied twice");
        }
    }
}

/// What the engine is told when the store has answered.
pub(super) fn read(store: &dyn Store, page: usize, out: Out) -> In {
    match out {
        Out::Load(addresses) => {
            let found = now(store.load(&addresses)).expect("read");
            In::Loaded { addresses, found }
        }
        Out::FetchWaiting(address) => {
            let rows = now(store.waiting(&address, 1_000)).expect("read");
            In::Waiting { address, rows }
        }
        Out::FetchInbox(after) => {
            let rows = now(store.inbox(after, page)).expect("read");
            In::Inbox { more: rows.len() >= page, rows }
        }
        Out::LookThroughInbox(after) => {
            let rows = now(store.inbox(after, page)).expect("read");
            In::LookedThroughInbox { more: rows.len() >= page, rows }
        }
        Out::FetchTasks(after) => {
            let rows = now(store.open_tasks(after, page)).expect("read");
            In::Tasks { more: rows.len() >= page, rows }
        }
        Out::FetchCompensating(after) => {
            let rows = now(store.compensating(after, page)).expect("read");
            In::Compensating { more: rows.len() >= page, rows }
        }
        Out::FetchDeliveries(after) => {
            let rows = now(store.deliveries(after, page)).expect("read");
            In::Deliveries { more: rows.len() >= page, rows }
        }
        Out::FetchTimers(after) => {
            let rows = now(store.timers(Timestamp::MAX, after, page)).expect("read");
            In::Timers { more: rows.len() >= page, rows }
        }
        Out::FetchPauses => {
            let stored = now(store.pauses()).expect("read");
            In::Pauses(stored.into_iter().map(|pause| pause.of).collect())
        }
        other => panic!("{other:?} is not a read"),
    }
}

pub(super) fn shard(registry: &Arc<Registry>, limits: &Limits, lease: &Lease, random: &mut Random) -> Shard {
    let mut own = Random(random.next());
    let bits = move || u128::from(own.next()) << 64 | u128::from(own.next());
    Shard::new(Arc::clone(registry), limits.clone(), lease.clone(), Box::new(bits))
}

/// The verb of an operator who has seen the instance at the step `seq`.
fn record(verb: Verb, seq: Option<u64>) -> VerbRecord {
    VerbRecord {
        verb,
        by: "op".to_owned(),
        why: "it must go on".to_owned(),
        seq,
        created: None,
        parent: None,
        request: None,
    }
}

fn name(order: usize) -> String {
    format!("order-{order}")
}

/// Where somebody looks who has only read the label of an order.
fn labelled(order: &str) -> Address {
    Address::new("thanks", Alias::new(label_of(order)).expect("a good alias"))
}

fn thanks(order: &str) -> Address {
    Address::new("thanks", Key::new(order).expect("a good key"))
}

fn address(order: &str) -> Address {
    Address::new("order", Key::new(order).expect("a good key"))
}
