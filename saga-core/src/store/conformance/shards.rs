//! Laws of a store with several shards. A subject of these laws opens an empty store with [`SHARDS`] shards.

use std::sync::Arc;

use super::Subject;
use super::fixtures::{
    Driver, address, change, create, dedup_record, delivery, mail, next, ok, task, time, timer,
};
use crate::message::{Alias, Key, MessageId};
use crate::store::{
    Address, AliasChange, Batch, DeadLetter, DeadLetterReason, Delivery, DeliveryChange, InboxId,
    InstanceFilter, MailKind, ShardId, Status, Step, StepOutcome, Store, StoreError, TaskChange, TimerChange,
};

/// The number of shards of a subject.
pub const SHARDS: u16 = 4;

/// Opens the subject and takes the lease of one shard.
async fn owner(subject: &impl Subject, number: u16) -> Driver {
    Driver::lease(shard(&*subject.open(), number)).await
}

fn shard(store: &dyn Store, number: u16) -> Arc<dyn Store> {
    let id = ShardId::new(number, SHARDS).expect("laws use good shards");
    store.shard(id).expect("the store has this shard")
}

/// Returns an address of the saga `order` in this shard. Each `n` gives another one.
fn place(number: u16, n: usize) -> Address {
    let all = (0..).map(|n| address(&format!("key-{n}"))).filter(|at| at_home(at, number));
    all.into_iter().nth(n).expect("there is a key for each shard")
}

/// Returns an address of this consumer in this shard.
fn place_of(consumer: &'static str, number: u16) -> Address {
    let mut all =
        (0..).filter_map(|n| Key::new(format!("key-{n}")).ok()).map(|key| Address::new(consumer, key));
    all.find(|at| at_home(at, number)).expect("there is a key for each shard")
}

fn at_home(address: &Address, number: u16) -> bool {
    ShardId::of_address(address, SHARDS).number() == number
}

/// Returns an alias of the saga `order` that belongs to this shard.
fn alias_of(number: u16) -> Alias {
    let mut all = (0..).filter_map(|n| Alias::new(format!("alias-{n}")).ok());
    all.find(|alias| at_home(&Address::new("order", alias.clone()), number))
        .expect("there is an alias for each shard")
}

/// Reads the whole inbox of the driver's shard.
async fn inbox(driver: &Driver) -> Vec<(InboxId, String)> {
    let rows = ok(driver.store.inbox(InboxId::default(), 1_000).await);
    rows.into_iter().map(|(id, mail)| (id, mail.message.name.into_owned())).collect()
}

fn names(rows: &[(InboxId, String)]) -> Vec<&str> {
    rows.iter().map(|(_, name)| &**name).collect()
}

/// Each shard has a lease of its own, and the whole store has none.
pub async fn each_shard_has_a_lease_of_its_own<S: Subject>(subject: &S) {
    let store = subject.open();
    assert_eq!(store.shards(), SHARDS);
    assert!(matches!(store.lease("all").await, Err(StoreError::Owned { .. })), "no lease of the whole store");
    let mut epochs = Vec::new();
    for id in ShardId::all(SHARDS) {
        let driver = owner(subject, id.number()).await;
        assert_eq!(driver.lease.shard, id);
        epochs.push(driver.lease.epoch);
        // The lease lasts longer than the handle of the test.
        std::mem::forget(driver);
    }
    epochs.dedup();
    assert_eq!(epochs.len(), usize::from(SHARDS));
    let unknown = [ShardId::WHOLE, ShardId::new(0, SHARDS + 1).expect("a shard")];
    assert!(unknown.into_iter().all(|id| store.shard(id).is_none()));
    assert!(shard(&*store, 0).shard(ShardId::new(0, SHARDS).expect("a shard")).is_none(), "of a shard");
}

/// A newer lease of one shard fences the older one of this shard alone.
pub async fn a_lease_fences_no_other_shard<S: Subject>(subject: &S) {
    let (mut first, mut other) = (owner(subject, 0).await, owner(subject, 1).await);
    first.created(create(&place(0, 0))).await;
    other.created(create(&place(1, 0))).await;
    let mut newer = Driver::lease(Arc::clone(&first.store)).await;
    let late = first.try_commit(vec![create(&place(0, 1))]).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
    newer.created(create(&place(0, 2))).await;
    other.created(create(&place(1, 1))).await;
}

/// An unclean end of one shard makes no other shard unclean.
pub async fn an_unclean_end_is_of_one_shard<S: Subject>(subject: &S) {
    let (crashed, released) = (owner(subject, 0).await, owner(subject, 1).await);
    ok(released.store.release(&released.lease).await);
    let next = Driver::lease(crashed.store).await;
    assert_eq!(next.lease.unclean, crashed.lease.epoch);
    assert_eq!(Driver::lease(released.store).await.lease.unclean, 0);
}

/// A step with rows of another shard is refused, and harms no neighbour.
pub async fn a_step_of_another_shard_is_refused<S: Subject>(subject: &S) {
    let mut driver = owner(subject, 0).await;
    let mut to_mailer = delivery("key");
    to_mailer.to.key = place_of("mailer", 3).key;
    let steps = vec![
        create(&place(0, 0)),
        create(&place(1, 0)),
        Step { dedup: vec![dedup_record(&place(2, 0), "id", 1, 1)], ..Step::default() },
        Step { deliveries: vec![DeliveryChange::Add(to_mailer)], ..Step::default() },
        create(&place(0, 1)),
    ];
    let outcomes = driver.commit(steps).await;
    let refused: Vec<bool> =
        outcomes.iter().map(|outcome| matches!(outcome, StepOutcome::Refused(_))).collect();
    assert_eq!(refused, [false, true, true, true, false], "{outcomes:?}");
    assert!(matches!(outcomes[4], StepOutcome::Committed(_)), "{outcomes:?}");
    assert!(format!("{:?}", outcomes[1]).contains("shard 0 of 4"), "{outcomes:?}");
}

/// Mail of a step goes to the shard of its address, with the step, and each sender's mail keeps its order.
pub async fn mail_of_a_step_reaches_its_shard<S: Subject>(subject: &S) {
    let (mut sender, receiver) = (owner(subject, 0).await, owner(subject, 1).await);
    let step = |n: usize| Step {
        mail: vec![
            mail(&place(1, n), &format!("first-{n}")),
            mail(&place(0, n), &format!("own-{n}")),
            mail(&place(1, n), &format!("second-{n}")),
        ],
        ..Step::default()
    };
    let committed = sender.committed(step(0)).await;
    assert_eq!((committed.mail[0], committed.mail[2]), (InboxId(0), InboxId(0)));
    assert_ne!(committed.mail[1], InboxId(0));
    assert!(ok(receiver.store.pulse().await), "the owner learns of the mail");
    sender.commit(vec![step(1), step(2)]).await;
    let rows = inbox(&receiver).await;
    assert_eq!(names(&rows), ["first-0", "second-0", "first-1", "second-1", "first-2", "second-2"]);
    assert!(rows.is_sorted(), "{rows:?}");
    assert_eq!(names(&inbox(&sender).await), ["own-0", "own-1", "own-2"]);
    // A page behind the last row holds only what came later.
    let last = rows[5].0;
    sender.committed(step(3)).await;
    let later = ok(receiver.store.inbox(last, 1_000).await);
    assert_eq!(later.len(), 2);
    assert!(later.iter().all(|(id, _)| *id > last));
    assert_eq!(later[0].1, mail(&place(1, 3), "first-3"));
}

/// Mail of a refused step reaches nobody.
pub async fn mail_of_a_refused_step_reaches_no_shard<S: Subject>(subject: &S) {
    let (mut sender, receiver) = (owner(subject, 0).await, owner(subject, 1).await);
    let step =
        Step { consumed: vec![InboxId(77)], mail: vec![mail(&place(1, 0), "never")], ..Step::default() };
    assert_eq!(sender.one(step).await, StepOutcome::Duplicate);
    sender.committed(Step { mail: vec![mail(&place(1, 0), "there")], ..Step::default() }).await;
    assert_eq!(names(&inbox(&receiver).await), ["there"]);
}

/// Anybody delivers mail for any shard, also while the shard has no owner.
pub async fn mail_without_a_lease_reaches_each_shard<S: Subject>(subject: &S) {
    let store = subject.open();
    let all: Vec<_> = (0..SHARDS).map(|n| mail(&place(n, 0), &format!("for-{n}"))).collect();
    ok(store.deliver(all).await);
    for n in 0..SHARDS {
        assert_eq!(names(&inbox(&owner(subject, n).await).await), [format!("for-{n}")]);
    }
}

/// Mail that an owner has read is there for the next owner until a step uses it up, once.
pub async fn mail_is_used_up_once_across_owners<S: Subject>(subject: &S) {
    let store = subject.open();
    let waiting = |driver: &Driver| {
        let store = Arc::clone(&driver.store);
        async move { ok(store.inbox(InboxId::default(), 10).await) }
    };
    ok(store.deliver(vec![mail(&place(2, 0), "one"), mail(&place(2, 0), "two")]).await);
    let mut first = owner(subject, 2).await;
    let read = waiting(&first).await;
    first.committed(Step { consumed: vec![read[0].0], ..Step::default() }).await;
    ok(store.deliver(vec![mail(&place(2, 1), "three")]).await);
    let mut second = Driver::lease(first.store).await;
    let left = waiting(&second).await;
    assert_eq!(left.iter().map(|(_, mail)| &*mail.message.name).collect::<Vec<_>>(), ["two", "three"]);
    assert_eq!(left[0], read[1]);
    assert_eq!(
        second.one(Step { consumed: vec![read[0].0], ..Step::default() }).await,
        StepOutcome::Duplicate
    );
}

/// The reads for an engine return the rows of its shard.
pub async fn an_engine_reads_the_rows_of_its_shard<S: Subject>(subject: &S) {
    let mut drivers = Vec::new();
    for n in 0..SHARDS {
        drivers.push(owner(subject, n).await);
    }
    for (n, driver) in (0..SHARDS).zip(&mut drivers) {
        let first = create(&place(n, 0));
        let row = driver.created(first.clone()).await;
        let mut second = next(row, &change(&first));
        second.instance.as_mut().expect("a change").status = Status::Compensating;
        second.tasks.push(TaskChange::Add(task(2, 0)));
        second.timers.push(TimerChange::Set(timer("t", 10)));
        let to = place_of("mailer", n);
        second.deliveries.push(DeliveryChange::Add(Delivery { to, ..delivery("key") }));
        driver.committed(second).await;
    }
    for (n, driver) in (0..SHARDS).zip(&drivers) {
        let (store, here) = (&driver.store, vec![place(n, 0)]);
        let tasks = ok(store.open_tasks(None, 10).await);
        assert_eq!(tasks.into_iter().map(|task| task.address).collect::<Vec<_>>(), here);
        let compensating = ok(store.compensating(None, 10).await);
        assert_eq!(compensating.into_iter().map(|(_, address)| address).collect::<Vec<_>>(), here);
        let timers = ok(store.timers(time(1_000), None, 10).await);
        assert_eq!(timers.into_iter().map(|timer| timer.address).collect::<Vec<_>>(), here);
        let deliveries = ok(store.deliveries(Default::default(), 10).await);
        let [(_, found)] = &deliveries[..] else { panic!("{deliveries:?}") };
        assert!(driver.lease.shard.owns(&found.to), "{found:?}");
        // A small page is full of rows of the shard.
        assert_eq!(ok(store.open_tasks(None, 1).await).len(), 1);
    }
    let all = ok(subject.open().instances(&InstanceFilter::default()).await);
    assert_eq!(all.instances.len(), usize::from(SHARDS), "people see all shards");
}

/// An alias is claimed by one instance of a saga, whatever their shards.
pub async fn an_alias_is_claimed_by_one_instance_of_all_shards<S: Subject>(subject: &S) {
    let (mut first, mut second) = (owner(subject, 0).await, owner(subject, 1).await);
    let alias = alias_of(2);
    let claims = |at: &Address| Step { aliases: vec![AliasChange::Claim(alias.clone())], ..create(at) };
    let row = first.created(claims(&place(0, 0))).await;
    let taken = second.one(claims(&place(1, 0))).await;
    let by = Key::new(place(0, 0).key.text()).expect("a key");
    assert_eq!(taken, StepOutcome::AliasTaken { alias: alias.clone(), by });
    let mut release = next(row, &change(&create(&place(0, 0))));
    release.aliases.push(AliasChange::Release(alias.clone()));
    first.committed(release).await;
    second.committed(claims(&place(1, 0))).await;
}

/// A dead letter is delivered again or discarded once, whoever does it.
pub async fn a_dead_letter_goes_once_in_all_shards<S: Subject>(subject: &S) {
    let (mut first, mut second) = (owner(subject, 0).await, owner(subject, 1).await);
    let sent = mail(&place(1, 0), "lost");
    let letter = DeadLetter::new(
        sent.to.clone(),
        MailKind::Event,
        sent.message.clone(),
        DeadLetterReason::MissingInstance,
        time(3),
    );
    first.committed(Step { dead: vec![letter], ..Step::default() }).await;
    let letters = ok(first.store.dead_letters(Default::default(), 10).await);
    let again = Step { redriven: vec![letters[0].id], mail: vec![sent], ..Step::default() };
    first.committed(again.clone()).await;
    assert!(matches!(second.one(again).await, StepOutcome::Refused(_)));
    assert_eq!(names(&inbox(&second).await), ["lost"]);
}

/// A purge removes the instances of its shard alone. Deduplication records that have expired have no shard.
pub async fn a_purge_is_of_one_shard<S: Subject>(subject: &S) {
    let (mut first, mut second) = (owner(subject, 0).await, owner(subject, 1).await);
    for (driver, n) in [(&mut first, 0), (&mut second, 1)] {
        let mut ended = create(&place(n, 0));
        ended.instance.as_mut().expect("a change").status = Status::Completed;
        driver.created(ended).await;
    }
    let purged = ok(first.store.purge(time(5_000), 100).await);
    assert_eq!(purged.instances, 1);
    let store = subject.open();
    assert!(ok(store.instance(&place(0, 0)).await).is_none());
    assert!(ok(store.instance(&place(1, 0)).await).is_some());
}

/// A batch that is sent again is answered as it was, and its mail for another shard is there once.
pub async fn a_batch_sent_again_sends_its_mail_once<S: Subject>(subject: &S) {
    let (mut sender, receiver) = (owner(subject, 3).await, owner(subject, 1).await);
    let steps = || vec![Step { mail: vec![mail(&place(1, 0), "once")], ..create(&place(3, 0)) }];
    let outcomes = sender.commit(steps()).await;
    let again = sender.store.commit(&sender.lease, Arc::new(Batch { number: 1, steps: steps() })).await;
    assert_eq!(ok(again), outcomes);
    assert_eq!(names(&inbox(&receiver).await), ["once"]);
}

/// The trace of an event finds mail that its shard has not taken up.
pub async fn mail_for_another_shard_is_shown_to_people<S: Subject>(subject: &S) {
    let store = subject.open();
    let waits = mail(&place(1, 0), "waits");
    ok(store.deliver(vec![waits.clone()]).await);
    let id = MessageId::new("id of waits").expect("a good id");
    let traces = ok(store.traces(&id, &waits.message, &[place(1, 0)]).await);
    assert!(traces[0].waiting, "{traces:?}");
    assert_eq!(ok(store.waiting(&place(1, 0), 10).await).len(), 1);
}
