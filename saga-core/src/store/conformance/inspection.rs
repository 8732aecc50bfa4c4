//! Laws of reads for people, and of maintenance.

use super::Subject;
use super::fixtures::{
    Driver, address, change, create, mail, next, obligation, ok, payload, task, time, timer,
};
use crate::machine::ParkReason;
use crate::message::Key;
use crate::store::HistoryKind;
use crate::store::{
    Address, ConsumerRow, InstanceFilter, Loaded, ObligationChange, Purged, Status, Step, TaskChange, TaskId,
    TimerChange,
};

/// The history has exactly the lines of the committed steps, oldest first.
pub async fn history_is_kept_in_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (a, b) = (address("a"), address("b"));
    let (first_a, first_b) = (create(&a), create(&b));
    let row_a = driver.created(first_a.clone()).await;
    let row_b = driver.created(first_b.clone()).await;
    let (mut last_a, mut last_b) = (first_a, first_b);
    let mut lines = vec![(1, last_a.history[0].clone())];
    for n in 0..4 {
        let mut step = next(row_a, &change(&last_a));
        if n == 1 {
            step.history.clear();
        }
        if n == 2 {
            let mut more = step.history[0].clone();
            more.kind = HistoryKind::Parked;
            more.payload = None;
            more.cause = None;
            more.note = Some("look".into());
            step.history.push(more);
        }
        lines.extend(step.history.iter().map(|entry| (change(&step).seq, entry.clone())));
        let other = next(row_b, &change(&last_b));
        driver.commit(vec![step.clone(), other.clone()]).await;
        (last_a, last_b) = (step, other);
    }
    let found = ok(driver.store.history(&a, 100).await);
    assert_eq!(found.into_iter().map(|row| (row.seq, row.entry)).collect::<Vec<_>>(), lines);
    assert_eq!(ok(driver.store.history(&b, 100).await).len(), 5);
    assert!(ok(driver.store.history(&address("none"), 100).await).is_empty());
}

/// A limit keeps the newest lines.
pub async fn history_is_cut_at_its_old_end<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let mut step = create(&address);
    let row = driver.created(step.clone()).await;
    for _ in 0..5 {
        step = next(row, &change(&step));
        driver.committed(step.clone()).await;
    }
    let found = ok(driver.store.history(&address, 3).await);
    assert_eq!(found.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 5, 6]);
}

async fn population(driver: &mut Driver) {
    let statuses =
        [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
    for saga in ["order", "invoice"] {
        for n in 0..10 {
            let mut step = create(&Address::new(saga, Key::new(format!("k{n}")).expect("a good key")));
            if let Some(change) = &mut step.instance {
                change.status = statuses[n % 5];
                change.parked = (n < 2).then(|| payload("why"));
            }
            driver.created(step).await;
        }
    }
}

/// Every combination of filters returns all matching instances.
pub async fn lists_filter_and_page<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    population(&mut driver).await;
    let all = [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
    let mut filters = Vec::new();
    for saga in [None, Some("order"), Some("invoice"), Some("none")] {
        for status in [None].into_iter().chain(all.map(Some)) {
            filters.extend([None, Some(true), Some(false)].map(|parked| (saga, status, parked)));
        }
    }
    for (saga, status, parked) in filters {
        // Of ten instances of each saga, two have each status, and the first two are parked.
        let one = |n: usize| {
            status.is_none_or(|status| status == all[n % 5]) && parked.is_none_or(|parked| parked == (n < 2))
        };
        let sagas = ["order", "invoice"].iter().filter(|name| saga.is_none_or(|saga| saga == **name)).count();
        let n = sagas * (0..10).filter(|n| one(*n)).count();
        let mut filter = InstanceFilter {
            saga: saga.map(str::to_owned),
            status,
            parked,
            limit: 3,
            ..InstanceFilter::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = ok(driver.store.instances(&filter).await);
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            filter.after = Some(last.position);
            seen.extend(page);
        }
        assert!(seen.is_sorted_by_key(|view| view.position));
        assert_eq!(seen.len(), n, "{filter:?}");
        for view in seen {
            assert!(saga.is_none_or(|saga| view.address.saga == saga));
            assert!(status.is_none_or(|status| view.status == status));
            assert!(parked.is_none_or(|parked| view.parked.is_some() == parked));
            // The payload is not a record of the machine. The list still shows the line.
            assert!(view.parked.is_none_or(|parked| parked.reason == ParkReason::Unreadable));
        }
    }
}

/// Each instance counts once, and moves with its steps.
pub async fn counts_are_by_saga_state_status_and_park<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    assert!(ok(driver.store.counts().await).is_empty());
    population(&mut driver).await;
    let counts = ok(driver.store.counts().await);
    assert!(counts.is_sorted() && counts.iter().all(|count| count.instances > 0));
    let of = |saga: &str, status, parked| {
        let found = counts
            .iter()
            .filter(|count| (&*count.saga, count.status, count.parked) == (saga, Some(status), parked));
        found.map(|count| count.instances).sum::<u64>()
    };
    for saga in ["order", "invoice"] {
        assert_eq!(counts.iter().filter(|count| count.saga == saga && count.parked).count(), 2);
        assert_eq!(of(saga, Status::Running, false), 1);
        assert_eq!(of(saga, Status::Compensating, false), 1);
        assert_eq!(of(saga, Status::Aborted, false), 2);
    }
    assert_eq!(counts.iter().map(|count| count.instances).sum::<u64>(), 20);
}

/// The counts follow each step in its own commit, with and without a history line, and a purge.
pub async fn counts_follow_each_step<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let found = async |driver: &Driver| {
        let counts = ok(driver.store.counts().await).into_iter();
        counts.map(|count| (count.state, count.status, count.parked, count.instances)).collect::<Vec<_>>()
    };
    let mut first = create(&address("a"));
    first.instance.as_mut().expect("a start").state = "placed".into();
    let row = driver.created(first.clone()).await;
    let mut other = create(&address("b"));
    other.instance.as_mut().expect("a start").state = "placed".into();
    driver.created(other).await;
    assert_eq!(found(&driver).await, [("placed".to_owned(), Some(Status::Running), false, 2)]);

    let mut before = first.instance.expect("a start");
    for lines in [0, 2] {
        let mut step = next(row, &before);
        let change = step.instance.as_mut().expect("a change");
        change.state = format!("moved-{lines}").into();
        change.parked = (lines == 0).then(|| payload("why"));
        before = change.clone();
        step.history = vec![step.history[0].clone(); lines];
        driver.committed(step).await;
        assert_eq!(
            found(&driver).await,
            [
                (format!("moved-{lines}"), Some(Status::Running), lines == 0, 1),
                ("placed".to_owned(), Some(Status::Running), false, 1)
            ]
        );
    }
    let mut step = next(row, &before);
    step.instance.as_mut().expect("a change").status = Status::Completed;
    driver.committed(step).await;
    assert_eq!(ok(driver.store.purge(time(i64::MAX), 10).await).instances, 1);
    assert_eq!(found(&driver).await, [("placed".to_owned(), Some(Status::Running), false, 1)]);

    // The purge has removed the newest lines. The next lease does not confuse them with its own.
    let mut driver = Driver::lease(std::sync::Arc::clone(&driver.store)).await;
    driver.created(create(&address("a"))).await;
    assert_eq!(
        found(&driver).await,
        [
            ("placed".to_owned(), Some(Status::Running), false, 1),
            ("started".to_owned(), Some(Status::Running), false, 1)
        ]
    );
}

/// A consumer unknown to every build keeps its row (rule R28).
pub async fn consumers_are_added_and_never_removed<S: Subject>(subject: &S) {
    let store = subject.open();
    let consumer = |event: &str, consumer: &str, subscriber| ConsumerRow {
        event: event.to_owned(),
        consumer: consumer.to_owned(),
        subscriber,
    };
    let (a, b, c) =
        (consumer("e1", "order", false), consumer("e1", "mailer", true), consumer("e0", "order", false));
    ok(store.register(&[a.clone(), b.clone()]).await);
    ok(store.register(&[c.clone(), a.clone()]).await);
    assert_eq!(ok(store.consumers().await), [c, b, a]);
}

/// The rows belong to one instance, oldest first.
pub async fn waiting_mail_is_found_by_address<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    let (a, b) = (address("a"), address("b"));
    ok(driver.store.deliver(vec![mail(&a, "1"), mail(&b, "2"), mail(&a, "3"), mail(&a, "4")]).await);
    let names = |rows: Vec<(_, crate::store::Mail)>| {
        rows.into_iter().map(|(_, mail)| mail.message.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(ok(driver.store.waiting(&a, 2).await)), ["1", "3"]);
    assert_eq!(names(ok(driver.store.waiting(&b, 9).await)), ["2"]);
}

/// Running instances are never removed. A removed instance loses all its rows, and its key can be used again.
pub async fn only_ended_instances_without_tasks_are_purged<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let kinds = [
        ("running", Status::Running, false, 0),
        ("compensating", Status::Compensating, false, 0),
        ("busy", Status::Completed, true, 0),
        ("young", Status::Completed, false, 1_000_000),
        ("completed", Status::Completed, false, 0),
        ("failed", Status::Failed, false, 0),
        ("aborted", Status::Aborted, false, 0),
    ];
    for (key, status, busy, later) in kinds {
        let mut step = create(&address(key));
        step.timers = vec![TimerChange::Set(timer("t", 1))];
        step.obligations = vec![ObligationChange::Put(obligation(1, 0))];
        if busy {
            step.tasks = vec![TaskChange::Add(task(1, 0))];
        }
        if let Some(change) = &mut step.instance {
            change.status = status;
            change.changed_at = time(1_000 + later);
        }
        driver.created(step).await;
    }
    assert_eq!(ok(driver.store.purge(time(500_000), 100).await), Purged { instances: 3, dedup: 0 });
    for (key, ..) in kinds {
        let there = ok(driver.store.load(&[address(key)]).await).remove(0).is_some();
        assert_eq!(there, !["completed", "failed", "aborted"].contains(&key), "{key}");
    }
    assert_eq!(ok(driver.store.timers(time(1), None, 100).await).len(), 4);
    let again = create(&address("failed"));
    driver.created(again).await;
    let found = driver.snapshot(&address("failed")).await;
    assert_eq!((found.timers.len(), found.obligations.len(), found.tasks.len()), (0, 0, 0));
    assert_eq!(ok(driver.store.history(&address("failed"), 10).await).len(), 1);
}

/// One call removes at most `limit` instances. Repeated calls remove the rest.
pub async fn a_purge_is_bounded<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    for n in 0..5 {
        let mut step = create(&address(&format!("k{n}")));
        if let Some(change) = &mut step.instance {
            change.status = Status::Completed;
        }
        driver.created(step).await;
    }
    for n in [2, 2, 1, 0] {
        assert_eq!(ok(driver.store.purge(time(2_000), 2).await).instances, n);
    }
}

/// The error names the damaged instance. A store without a way to damage a row passes.
pub async fn an_unreadable_instance_harms_no_other<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (a, bad, c) = (address("a"), address("bad"), address("c"));
    for address in [&a, &bad, &c] {
        let mut step = create(address);
        step.tasks = vec![TaskChange::Add(task(1, 0))];
        driver.created(step).await;
    }
    if !subject.damage(&bad) {
        return;
    }
    let found = ok(driver.store.load(&[a.clone(), bad.clone(), c.clone()]).await);
    assert!(matches!(&found[0], Some(Loaded::Snapshot(_))));
    assert!(matches!(&found[1], Some(Loaded::Unreadable(why)) if why.contains("bad")), "{:?}", found[1]);
    assert!(matches!(&found[2], Some(Loaded::Snapshot(_))));
    let row = driver.snapshot(&c).await.row;
    let finish = TaskChange::Finish(TaskId { seq: 1, ord: 0 });
    driver.committed(Step { row: Some(row), tasks: vec![finish], ..Step::default() }).await;
}
