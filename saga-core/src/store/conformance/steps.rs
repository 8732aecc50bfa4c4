//! Laws of steps and batches.

use super::Subject;
use super::fixtures::{
    Driver, address, change, create, dedup_record, delivery, mail, next, obligation, ok, payload, task, time,
    timer,
};
use crate::message::{Id, Incarnation, Key, LabelValue, Payload};
use crate::store::{
    Address, DeliveryChange, DeliveryId, InboxId, LabelChange, Loaded, ObligationChange, RowId, Status, Step,
    StepOutcome, TaskChange, TimerChange,
};

/// Every field is read back unchanged.
pub async fn a_created_instance_is_loaded_as_it_was_written<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let mut first = create(&address);
    first.tasks = vec![TaskChange::Add(task(1, 0)), TaskChange::Add(task(1, 1))];
    first.timers = vec![TimerChange::Set(timer("b", 20)), TimerChange::Set(timer("a", 30))];
    first.obligations =
        vec![ObligationChange::Put(obligation(1, 0)), ObligationChange::Put(obligation(1, 1))];
    let row = driver.created(first.clone()).await;

    let mut second = next(row, &change(&first));
    if let Some(change) = &mut second.instance {
        change.status = Status::Compensating;
        change.state = "compensating".into();
        change.payload = None;
        change.version = 9;
        change.visit = 4;
        change.turn = Some(payload("turn"));
        change.parked = Some(payload("parked"));
    }
    for (step, changed) in [(first.clone(), change(&first)), (second.clone(), change(&second))] {
        if step.row.is_some() {
            driver.committed(step).await;
        }
        let found = driver.snapshot(&address).await;
        assert_eq!((found.row, found.instance), (row, changed));
        assert_eq!(found.tasks, [task(1, 0), task(1, 1)]);
        assert_eq!(found.timers, [timer("a", 30), timer("b", 20)]);
        assert_eq!(found.obligations, [obligation(1, 0), obligation(1, 1)]);
    }
}

/// Each address gets one answer, including missing and repeated addresses.
pub async fn loading_answers_in_the_order_asked<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (a, b, none) = (address("a"), address("b"), address("none"));
    driver.commit(vec![create(&a), create(&b)]).await;
    let asked = [b.clone(), none, a.clone(), b.clone()];
    let found: Vec<Option<Address>> = ok(driver.store.load(&asked).await)
        .into_iter()
        .map(|loaded| match loaded {
            Some(Loaded::Snapshot(snapshot)) => Some(snapshot.instance.address),
            Some(Loaded::Unreadable(why)) => panic!("{why}"),
            Some(Loaded::Alias(_)) | None => None,
        })
        .collect();
    assert_eq!(found, [Some(b.clone()), None, Some(a), Some(b)]);
    assert!(ok(driver.store.load(&[]).await).is_empty());
}

/// The first instance is created. The second step is a conflict, in the same batch or later.
pub async fn a_second_instance_with_the_same_address_conflicts<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let winner = create(&address);
    let mut loser = create(&address);
    if let Some(change) = &mut loser.instance {
        change.incarnation = Incarnation::from_u128(5);
        change.step = Id::from_u128(6);
    }
    let outcomes = driver.commit(vec![winner.clone(), loser.clone()]).await;
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_), StepOutcome::Conflict]), "{outcomes:?}");
    assert_eq!(driver.one(loser).await, StepOutcome::Conflict);
    assert_eq!(driver.snapshot(&address).await.instance, change(&winner));
}

/// A step must have the `seq` after the `seq` of the row.
pub async fn a_step_behind_or_ahead_conflicts_and_changes_nothing<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let first = create(&address);
    let row = driver.created(first.clone()).await;
    let second = next(row, &change(&first));
    driver.committed(second.clone()).await;
    let before = driver.snapshot(&address).await;
    for seq in [1, 2, 4, 100] {
        let mut step = next(row, &change(&second));
        step.tasks.push(TaskChange::Add(task(seq, 0)));
        step.mail.push(mail(&address, "m"));
        if let Some(change) = &mut step.instance {
            change.seq = seq;
        }
        assert_eq!(driver.one(step).await, StepOutcome::Conflict, "step {seq}");
    }
    assert_eq!(driver.snapshot(&address).await, before);
    assert!(ok(driver.store.inbox(InboxId(0), 10).await).is_empty());
    assert_eq!(ok(driver.store.history(&address, 10).await).len(), 2);
}

/// A reused row number does not match an earlier incarnation.
pub async fn a_step_of_another_incarnation_conflicts<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let first = create(&address("a"));
    let row = driver.created(first.clone()).await;
    let mut step = next(row, &change(&first));
    if let Some(change) = &mut step.instance {
        change.incarnation = Incarnation::from_u128(1);
    }
    assert_eq!(driver.one(step).await, StepOutcome::Conflict);
}

/// A missing row is a conflict for a step with or without a change of the instance.
pub async fn a_step_of_a_row_that_is_not_there_conflicts<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let gone = RowId(4_711);
    assert_eq!(driver.one(next(gone, &change(&create(&address("a"))))).await, StepOutcome::Conflict);
    let tasks = vec![TaskChange::Add(task(1, 0))];
    assert_eq!(driver.one(Step { row: Some(gone), tasks, ..Step::default() }).await, StepOutcome::Conflict);
    assert!(ok(driver.store.open_tasks(None, 10).await).is_empty());
}

/// A repeated step is recognised by instance, `seq` and step id, in any batch (rule R32).
pub async fn the_same_step_twice_is_repeated<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let mut first = create(&address);
    first.mail.push(mail(&address, "m"));
    let row = driver.created(first.clone()).await;
    assert_eq!(driver.one(first.clone()).await, StepOutcome::Repeated);
    let mut second = next(row, &change(&first));
    second.tasks.push(TaskChange::Add(task(2, 0)));
    driver.committed(second.clone()).await;
    assert_eq!(driver.one(second).await, StepOutcome::Repeated);
    assert_eq!(driver.one(first).await, StepOutcome::Conflict);
    assert_eq!(ok(driver.store.inbox(InboxId(0), 10).await).len(), 1);
    assert_eq!(ok(driver.store.history(&address, 10).await).len(), 2);
}

/// A lost answer needs no special treatment by the caller.
pub async fn a_batch_sent_again_is_answered_as_it_was<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let steps = vec![
        create(&address),
        Step { mail: vec![mail(&address, "m")], ..Step::default() },
        Step { deliveries: vec![DeliveryChange::Add(delivery("d"))], ..Step::default() },
        create(&address),
    ];
    let outcomes = driver.commit(steps.clone()).await;
    for _ in 0..2 {
        assert_eq!(ok(driver.again(steps.clone()).await), outcomes);
    }
    assert_eq!(ok(driver.store.inbox(InboxId(0), 10).await).len(), 1);
    assert_eq!(ok(driver.store.deliveries(DeliveryId(0), 10).await).len(), 1);
}

/// Only the last batch can be sent again.
pub async fn a_batch_number_that_goes_back_is_refused<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    ok(driver.numbered(5, vec![create(&address("a"))]).await);
    let outcomes = ok(driver.numbered(4, vec![create(&address("b"))]).await);
    assert!(matches!(outcomes[..], [StepOutcome::Refused(_)]), "{outcomes:?}");
    assert_eq!(ok(driver.store.load(&[address("b")]).await), [None]);
}

/// Each step is isolated from the other steps of its batch.
pub async fn a_bad_step_harms_no_neighbour<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (a, b) = (address("a"), address("b"));
    let mut twice = create(&address("twice"));
    twice.tasks = vec![TaskChange::Add(task(1, 0)), TaskChange::Add(task(1, 0))];
    let outcomes = driver.commit(vec![create(&a), twice, create(&a), create(&b)]).await;
    assert!(
        matches!(
            outcomes[..],
            [
                StepOutcome::Committed(_),
                StepOutcome::Refused(_),
                StepOutcome::Repeated,
                StepOutcome::Committed(_)
            ]
        ),
        "{outcomes:?}"
    );
    assert_eq!(driver.snapshot(&a).await.instance.seq, 1);
    assert_eq!(driver.snapshot(&b).await.instance.seq, 1);
}

/// No table shows any part of a step that was not committed.
pub async fn a_step_is_all_or_nothing<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let taken = dedup_record(&address, "taken", 1, 1);
    driver.committed(Step { dedup: vec![taken.clone()], ..Step::default() }).await;
    let waiting = ok(driver.store.deliver(vec![mail(&address, "m")]).await);
    let mut step = create(&address);
    step.tasks = vec![TaskChange::Add(task(1, 0))];
    step.timers = vec![TimerChange::Set(timer("t", 1))];
    step.obligations = vec![ObligationChange::Put(obligation(1, 0))];
    step.consumed = waiting.clone();
    step.mail = vec![mail(&address, "n")];
    step.deliveries = vec![DeliveryChange::Add(delivery("d"))];
    step.dedup = vec![dedup_record(&address, "free", 1, 1), taken];
    assert_eq!(driver.one(step.clone()).await, StepOutcome::Duplicate);
    assert_eq!(ok(driver.store.load(std::slice::from_ref(&address)).await), [None]);
    assert!(ok(driver.store.open_tasks(None, 10).await).is_empty());
    assert!(ok(driver.store.timers(time(100), None, 10).await).is_empty());
    assert!(ok(driver.store.deliveries(DeliveryId(0), 10).await).is_empty());
    assert_eq!(ok(driver.store.inbox(InboxId(0), 10).await).len(), 1);
    step.dedup.pop();
    driver.committed(step).await;
    let inbox = ok(driver.store.inbox(InboxId(0), 10).await);
    assert_eq!(inbox.iter().map(|(_, mail)| &*mail.message.name).collect::<Vec<_>>(), ["n"]);
}

/// A later step sees the earlier steps of the same batch.
pub async fn steps_of_a_batch_apply_in_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let first = create(&address);
    let row = driver.created(first.clone()).await;
    let mut steps = Vec::new();
    let mut last = change(&first);
    for _ in 0..10 {
        let step = next(row, &last);
        last = change(&step);
        steps.push(step);
    }
    let outcomes = driver.commit(steps).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, StepOutcome::Committed(_))), "{outcomes:?}");
    assert_eq!(driver.snapshot(&address).await.instance, last);
}

/// A contradictory step is a bug of the engine. The outcome differs from an error of the store.
pub async fn a_step_that_contradicts_itself_is_refused<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut late = create(&address("late"));
    if let Some(change) = &mut late.instance {
        change.seq = 2;
    }
    let history = Step { history: create(&address("h")).history, ..Step::default() };
    let task = Step { tasks: vec![TaskChange::Add(task(1, 0))], ..Step::default() };
    let change = LabelChange { name: "customer".into(), from: None, to: Some(LabelValue::text("C-7")) };
    let label = Step { labels: vec![change], ..Step::default() };
    for step in [late, history, task, label] {
        let outcome = driver.one(step).await;
        assert!(matches!(outcome, StepOutcome::Refused(_)), "{outcome:?}");
    }
}

/// Later steps cannot change the address and the creation time.
pub async fn address_and_creation_are_fixed<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let first = create(&address);
    let row = driver.created(first.clone()).await;
    let second = next(row, &change(&first));
    driver.committed(second.clone()).await;
    let found = driver.snapshot(&address).await.instance;
    assert_eq!((found.address, found.created_at), (address, time(1_000)));
}

/// Keys are compared as bytes. Times can be any number, and texts can be any text.
pub async fn awkward_values_survive<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let long = "ü".repeat(128);
    for (n, key) in
        ["A", "a", " a", "a ", "'; DROP TABLE x; --", "名前 🚂", "%_", &long].into_iter().enumerate()
    {
        let address = Address::new("Zürich 'saga'", Key::new(key).expect("laws use good keys"));
        let mut step = create(&address);
        if let Some(change) = &mut step.instance {
            change.incarnation = Incarnation::from_u128(if n == 0 { 0 } else { u128::MAX });
            change.step = Id::from_u128(if n == 0 { u128::MAX } else { 0 });
            change.created_at = time(i64::MIN);
            change.changed_at = time(i64::MAX);
            change.version = u32::MAX;
            change.visit = u32::MAX;
            change.state = "".into();
            change.data = Payload::from("{\"text\":\"\\u0000 \u{7f} '\\\" \u{10ffff}\"}");
        }
        step.timers = vec![TimerChange::Set(timer("max", i64::MAX)), TimerChange::Set(timer("", i64::MIN))];
        driver.committed(step.clone()).await;
        let found = driver.snapshot(&address).await;
        assert_eq!(found.instance, change(&step));
        assert_eq!(found.timers, [timer("", i64::MIN), timer("max", i64::MAX)]);
    }
    assert_eq!(ok(driver.store.timers(time(i64::MAX), None, 100).await).len(), 16);
}

/// The payload has the largest size that the ceiling allows.
pub async fn a_large_payload_survives<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let mut step = create(&address);
    let large = payload(&"x".repeat((16 << 20) - 2));
    if let Some(change) = &mut step.instance {
        change.data = large.clone();
    }
    driver.committed(step).await;
    assert!(driver.snapshot(&address).await.instance.data == large);
}
