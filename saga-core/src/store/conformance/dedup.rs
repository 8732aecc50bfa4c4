//! Laws of deduplication records (rule R26).

use super::Subject;
use super::fixtures::{Driver, address, create, dedup_record, delivery, mail, ok, time};
use crate::message::{Alias, Key, Message, MessageId};
use crate::store::DeadLetterReason;
use crate::store::{
    Address, AliasChange, DeadLetter, DedupRecord, Delivery, DeliveryChange, InboxId, Mail, MailKind, Purged,
    Step, StepOutcome, Trace,
};

fn only(dedup_record: &DedupRecord) -> Step {
    Step { dedup: vec![dedup_record.clone()], ..Step::default() }
}

/// A duplicate is found in a later batch, in the same batch, and in the same step.
pub async fn a_mark_makes_the_next_one_a_duplicate<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mark_1 = dedup_record(&address("a"), "1", 7, 1);
    let mark_2 = dedup_record(&address("a"), "2", 7, 1);
    let outcomes = driver.commit(vec![only(&mark_1), only(&mark_1)]).await;
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_), StepOutcome::Duplicate]), "{outcomes:?}");
    assert_eq!(driver.one(only(&mark_1)).await, StepOutcome::Duplicate);
    let twice = Step { dedup: vec![mark_2.clone(), mark_2.clone()], ..Step::default() };
    assert_eq!(driver.one(twice).await, StepOutcome::Duplicate);
    driver.committed(only(&mark_2)).await;
}

/// A publisher has used one message id for two different contents.
pub async fn the_same_id_with_other_content_is_a_conflict<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    driver.committed(only(&dedup_record(&address("a"), "1", u64::MAX, 1))).await;
    assert_eq!(driver.one(only(&dedup_record(&address("a"), "1", 0, 1))).await, StepOutcome::IdConflict);
    assert_eq!(
        driver.one(only(&dedup_record(&address("a"), "1", u64::MAX, 2))).await,
        StepOutcome::Duplicate
    );
}

/// One event may have several consumers.
pub async fn marks_are_per_consumer_and_key<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let other = Address::new("invoice", Key::new("a").expect("a good key"));
    for to in [address("a"), address("b"), other] {
        driver.committed(only(&dedup_record(&to, "1", 7, 1))).await;
        driver.committed(only(&dedup_record(&to, "2", 7, 1))).await;
    }
}

/// Neither other deduplication records nor any other part of the step is written.
pub async fn a_duplicate_leaves_nothing_behind<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    driver.committed(only(&dedup_record(&to, "taken", 1, 1))).await;
    let mut step = create(&to);
    step.mail = vec![mail(&to, "m")];
    step.dedup = vec![dedup_record(&to, "free", 1, 1), dedup_record(&to, "taken", 1, 1)];
    assert_eq!(driver.one(step).await, StepOutcome::Duplicate);
    assert_eq!(ok(driver.store.load(std::slice::from_ref(&to)).await), [None]);
    assert!(ok(driver.store.inbox(InboxId(0), 1).await).is_empty());
    driver.committed(only(&dedup_record(&to, "free", 2, 1))).await;
}

/// The instance is checked before the deduplication records.
pub async fn a_repeated_step_is_not_a_duplicate_of_itself<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut step = create(&address("a"));
    step.dedup = vec![dedup_record(&address("a"), "1", 7, 1)];
    driver.committed(step.clone()).await;
    assert_eq!(driver.one(step).await, StepOutcome::Repeated);
}

/// Records are removed by their `at`, at most `limit` in one call.
pub async fn old_marks_are_purged_and_young_ones_kept<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let dedup_records: Vec<DedupRecord> =
        (0..5).map(|n| dedup_record(&address("a"), &n.to_string(), 7, n)).collect();
    driver.committed(Step { dedup: dedup_records.clone(), ..Step::default() }).await;
    let gone = |dedup| Purged { instances: 0, dedup };
    assert_eq!(ok(driver.store.purge(time(3), 2).await), gone(2));
    assert_eq!(ok(driver.store.purge(time(3), 2).await), gone(1));
    assert_eq!(ok(driver.store.purge(time(3), 2).await), gone(0));
    for dedup_record in &dedup_records[..3] {
        driver.committed(only(dedup_record)).await;
    }
    for dedup_record in &dedup_records[3..] {
        assert_eq!(driver.one(only(dedup_record)).await, StepOutcome::Duplicate);
    }
}

/// Records page in the order of consumer, key and message id.
pub async fn marks_page_in_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let alias = Address::new("order", Alias::new("b").expect("laws use good aliases"));
    let places = [address("b"), address("a"), Address::new("zebra", Key::new("0").expect("a key")), alias];
    let mut all: Vec<DedupRecord> =
        places.iter().flat_map(|to| ["2", "1"].map(|id| dedup_record(to, id, u64::MAX - 7, -3))).collect();
    driver.committed(Step { dedup: all.clone(), ..Step::default() }).await;
    all.sort_by_key(|record| (record.to.clone(), record.id.clone()));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = ok(driver.store.dedup_records(after.as_ref(), 3).await);
        let Some(last) = page.last() else { break };
        after = Some((last.to.clone(), last.id.clone()));
        found.extend(page);
    }
    assert_eq!(found, all);
}

/// Returns the event `m` and its id, as in [`mail`].
fn event() -> (MessageId, Message) {
    let mail = mail(&address("a"), "m");
    (mail.id.expect("mail of the laws has an id"), mail.message)
}

/// Returns the traces of the event `m` at each of `consumers`.
async fn traces(driver: &Driver, consumers: &[Address]) -> Vec<Trace> {
    let (id, event) = event();
    ok(driver.store.traces(&id, &event, consumers).await)
}

/// A trace shows the inbox row, the deduplication record, the delivery and the dead letter. Traces are found by message
/// id, consumer and key. Another event under the same id is not confused with this event.
pub async fn what_is_kept_of_an_event_is_found_by_its_id<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (id, event) = event();
    let (a, b) = (address("a"), address("b"));
    let both = [b.clone(), a.clone()];
    let none = Trace::default;
    assert_eq!(traces(&driver, &both).await, [none(), none()]);

    let other = Mail { message: mail(&b, "other").message, ..mail(&b, "m") };
    let waiting = ok(driver.store.deliver(vec![mail(&a, "m"), mail(&a, "n"), other]).await);
    assert_eq!(traces(&driver, &both).await, [none(), Trace { waiting: true, ..none() }]);

    let dedup_records = vec![dedup_record(&a, id.as_str(), 7, 1), dedup_record(&b, "another", 8, 1)];
    driver.committed(Step { consumed: waiting, dedup: dedup_records, ..Step::default() }).await;
    let taken = Trace { dedup_record: Some(7), ..none() };
    assert_eq!(traces(&driver, &both).await, [none(), taken.clone()]);

    let letter = |reason: &'static str, name: &str| DeadLetter {
        to: a.clone(),
        kind: MailKind::Event,
        message: mail(&a, name).message,
        id: Some(id.clone()),
        hops: 0,
        trace: None,
        reason: DeadLetterReason::from_word(reason),
        detail: String::new(),
        times: 1,
        at: time(8),
    };
    let dead = vec![letter("older", "m"), letter("newest", "m"), letter("unhandled", "other")];
    driver.committed(Step { dead, ..Step::default() }).await;
    assert_eq!(
        traces(&driver, &both).await,
        [none(), Trace { dead: Some(DeadLetterReason::from_word("newest")), ..taken }]
    );

    let add = |key: &str, named| {
        DeliveryChange::Add(Delivery { id: id.clone(), event: event.clone(), named, ..delivery(key) })
    };
    let deliveries = vec![add("a", true), add("b", false)];
    let ids = driver.committed(Step { deliveries, ..Step::default() }).await.deliveries;
    let to = [delivery("a").to, delivery("b").to];
    let under_way = Trace { delivering: true, ..none() };
    let found = traces(&driver, &to).await;
    assert_eq!(found, [under_way, none()], "the publisher of the second has chosen no id");
    driver.committed(Step { deliveries: vec![DeliveryChange::Finish(ids[0])], ..Step::default() }).await;
    assert_eq!(traces(&driver, &to).await, [none(), none()]);
}

/// The deduplication record belongs to the alias. Inbox rows and dead letters belong to the instance.
pub async fn what_is_kept_of_an_event_by_an_alias_is_found_at_the_instance_too<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (id, _) = event();
    let to = address("a");
    let claimed = Alias::new("x").expect("a good alias");
    let alias = Address::new("order", &claimed);
    let mut step = create(&to);
    step.aliases = vec![AliasChange::Claim(claimed)];
    step.dedup = vec![dedup_record(&alias, id.as_str(), 7, 1)];
    step.mail = vec![mail(&to, "m")];
    driver.created(step).await;
    let found = traces(&driver, std::slice::from_ref(&alias)).await;
    assert_eq!(found, [Trace { dedup_record: Some(7), waiting: true, ..Trace::default() }]);
    let found = traces(&driver, std::slice::from_ref(&to)).await;
    assert_eq!(
        found,
        [Trace { waiting: true, ..Trace::default() }],
        "the deduplication record belongs to the alias"
    );
}
