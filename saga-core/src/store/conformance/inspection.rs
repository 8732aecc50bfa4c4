//! Laws of reads for people, and of maintenance.

use super::Subject;
use super::fixtures::{
    Driver, address, change, create, labelled, mail, next, obligation, ok, payload, task, time, timer,
};
use crate::machine::ParkReason;
use crate::message::{Alias, Key, LabelValue};
use crate::store::{
    Address, AliasChange, ConsumerRow, HistoryKind, InstanceChange, InstanceFilter, InstanceOrder,
    InstanceView, LabelCondition, Loaded, NameOf, ObligationChange, PageFrom, Position, Purged, RetiredName,
    RowId, Status, Step, Store, TaskChange, TaskId, TaskKind, TimeRange, TimerChange,
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

/// Returns a store with instances of all kinds: with and without tasks, timers, obligations and an alias. Some have moved
/// on since.
async fn varied(driver: &mut Driver) {
    let statuses =
        [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
    let mut started = Vec::new();
    for n in 0..30_u32 {
        let saga = ["order", "invoice", "refund"][n as usize % 3];
        let key = Key::new(format!("{}-{n}", ["a", "b"][n as usize % 2])).expect("a good key");
        let mut step = create(&Address::new(saga, key));
        let change = step.instance.as_mut().expect("a start");
        change.status = statuses[n as usize % 5];
        change.state = ["paying", "shipping"][n as usize % 2].into();
        change.parked = (n % 7 == 0).then(|| payload("why"));
        (change.created_at, change.changed_at) = (time(n.into()), time(i64::from(n) * 10));
        if n % 4 == 1 {
            let mut one = task(1, 0);
            (one.kind, one.progress.since) = (TaskKind::Undo, time(n.into()));
            one.progress.error = (n % 8 == 1).then(|| "Connection RESET by peer".to_owned());
            step.tasks = vec![TaskChange::Add(one), TaskChange::Add(task(1, 1))];
        }
        if n % 3 == 1 {
            step.obligations = vec![ObligationChange::Put(obligation(1, 0))];
        }
        let timers = ["b", "a", "c"].map(|name| TimerChange::Set(timer(name, (70 - i64::from(n)) / 4)));
        step.timers = timers.into_iter().take(n as usize % 4).collect();
        if n % 5 > 0 {
            step = labelled(step, "customer", Some(LabelValue::text(format!("C-{}", n % 4))));
            step = labelled(step, "total", Some(LabelValue::Integer(n.into())));
        }
        if n == 11 {
            step.aliases = vec![AliasChange::Claim(Alias::new("the one").expect("a good alias"))];
        }
        started.push((driver.created(step.clone()).await, change_of(step)));
    }
    for (row, before) in started.into_iter().step_by(7) {
        let mut step = next(row, &before);
        step.instance.as_mut().expect("a change").status = before.status;
        step = labelled(step, "customer", Some(LabelValue::text("C-2")));
        driver.committed(step).await;
    }
}

fn change_of(step: Step) -> InstanceChange {
    step.instance.expect("a step of an instance")
}

/// The conditions of a filter, each alone and with an order.
fn conditions() -> Vec<InstanceFilter> {
    let filter = |set: &dyn Fn(&mut InstanceFilter)| {
        let mut filter = InstanceFilter::default();
        set(&mut filter);
        filter
    };
    let label = |texts: &[&str]| {
        texts.iter().map(|text| text.parse().expect("a good condition")).collect::<Vec<LabelCondition>>()
    };
    let range = |from, until| TimeRange { from: Some(time(from)), until: Some(time(until)) };
    let mut all = vec![
        filter(&|_| {}),
        filter(&|filter| filter.saga = Some("order".to_owned())),
        filter(&|filter| filter.saga = Some("none".to_owned())),
        filter(&|filter| filter.state = Some("paying".to_owned())),
        filter(&|filter| filter.reason = Some(ParkReason::Unreadable)),
        filter(&|filter| filter.reason = Some(ParkReason::Row)),
        filter(&|filter| filter.key_prefix = Some("a-1".to_owned())),
        filter(&|filter| filter.key_prefix = Some("zzz".to_owned())),
        filter(&|filter| filter.alias = Some("the one".to_owned())),
        filter(&|filter| filter.alias = Some("another".to_owned())),
        filter(&|filter| filter.error = Some("connection reset".to_owned())),
        filter(&|filter| filter.waiting_for = Some(task(1, 0).command.name.to_string())),
        filter(&|filter| filter.waiting_for = Some("nothing".to_owned())),
        filter(&|filter| filter.labels = label(&["customer=C-2"])),
        filter(&|filter| filter.labels = label(&["customer^=C-", "total>=7", "total<=20"])),
        filter(&|filter| filter.labels = label(&["total=9", "customer=C-1"])),
        filter(&|filter| filter.labels = label(&["total=9", "customer=C-2"])),
        filter(&|filter| filter.undo_before = Some(time(12))),
        filter(&|filter| filter.created = range(3, 12)),
        filter(&|filter| filter.changed = range(40, 120)),
        filter(&|filter| filter.due = range(5, 12)),
    ];
    let statuses =
        [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
    for status in [None].into_iter().chain(statuses.map(Some)) {
        for parked in [None, Some(true), Some(false)] {
            for owed in [None, Some(true), Some(false)] {
                all.push(filter(&|filter| {
                    (filter.status, filter.parked, filter.owed) = (status, parked, owed);
                }));
            }
        }
    }
    all
}

/// Reads a list page by page, from one end to the other one.
async fn pages(store: &dyn Store, filter: &InstanceFilter) -> Vec<InstanceView> {
    let mut filter = filter.clone();
    let mut views = Vec::new();
    loop {
        let page = ok(store.instances(&filter).await);
        assert!(page.instances.len() <= 4);
        views.extend(page.instances);
        let Some(more) = page.more else { return views };
        filter.from = Some(PageFrom::After(more));
    }
}

/// Each filter returns all matching instances in each order and direction, and no other ones.
pub async fn lists_filter_sort_and_page<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    varied(&mut driver).await;
    for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key, InstanceOrder::Due] {
        let mut all = InstanceFilter { order, limit: 4, ..InstanceFilter::default() };
        let views = pages(&*driver.store, &all).await;
        assert!(views.is_sorted_by_key(|view| view.position.clone()), "{order:?}");
        let expected = if order == InstanceOrder::Due { 22 } else { 30 };
        assert_eq!(views.len(), expected, "{order:?}");
        match order {
            InstanceOrder::Created => assert!(views.is_sorted_by_key(|view| view.created_at)),
            InstanceOrder::Key => assert!(views.is_sorted_by_key(|view| view.address.clone())),
            InstanceOrder::Due => assert!(views.is_sorted_by_key(|view| view.due)),
            InstanceOrder::Changed => {
                let moved: Vec<_> = views[25..].iter().map(|view| view.seq).collect();
                assert_eq!(moved, [2; 5], "the last steps come last");
            }
        }
        all.descending = true;
        let mut reversed = pages(&*driver.store, &all).await;
        reversed.reverse();
        assert_eq!(reversed, views, "{order:?} from the end");

        for condition in conditions() {
            for descending in [false, true] {
                let filter = InstanceFilter { order, descending, limit: 4, ..condition.clone() };
                let holder = |view: &&InstanceView| match condition.alias.as_deref() {
                    None => true,
                    Some(alias) => alias == "the one" && view.address.key.text() == "b-11",
                };
                let mut expected: Vec<_> =
                    views.iter().filter(|view| condition.matches(view)).filter(holder).cloned().collect();
                if descending {
                    expected.reverse();
                }
                assert_eq!(pages(&*driver.store, &filter).await, expected, "{filter:?}");
            }
        }
    }
}

/// The page before a position ends just before this position. A position of another order begins anew.
pub async fn lists_go_back<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    varied(&mut driver).await;
    for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key, InstanceOrder::Due] {
        for descending in [false, true] {
            let mut filter = InstanceFilter { order, descending, limit: 4, ..InstanceFilter::default() };
            let all = pages(&*driver.store, &filter).await;
            for at in [0, 3, 9, all.len() - 1] {
                filter.from = Some(PageFrom::Before(all[at].position.clone()));
                let page = ok(driver.store.instances(&filter).await);
                assert_eq!(page.instances, all[at.saturating_sub(4)..at], "{filter:?}");
                assert_eq!(page.more.is_some(), at > 4, "{filter:?}");
            }
            let foreign = match order {
                InstanceOrder::Created => Position::Line(7),
                _ => Position::Row(RowId(7)),
            };
            filter.from = Some(PageFrom::After(foreign));
            assert_eq!(ok(driver.store.instances(&filter).await).instances, all[..4], "{filter:?}");
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

/// A definition replaces the one with the same version, and follows the name of its saga.
pub async fn definitions_are_kept_by_saga_and_version<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    let store = &driver.store;
    let definition = |saga: &str, version, doc: &str| {
        let json = serde_json::json!({
            "saga": saga, "version": version, "doc": doc, "data": { "type_name": "Data" },
            "states": [{ "name": "paying", "variant": "Paying", "rows": [0], "a_later_field": 1 }],
            "initially": [], "rows": [{ "triggers": [], "to": { "to": ["paying"] } }],
            "events": [], "commands": [], "ended_instance": "ignore", "missing_instance": "reject",
        });
        serde_json::from_value::<crate::definition::StoredDefinition>(json).expect("the fields have defaults")
    };
    let of = |saga| (definition(saga, 1, "old"), definition(saga, 2, "new"));
    let (first, second) = of("order");
    ok(store.define(&[second.clone(), definition("order", 1, "before")]).await);
    ok(store.define(&[first.clone(), definition("a", 1, "")]).await);
    assert_eq!(ok(store.definitions().await), [definition("a", 1, ""), first, second]);
    let (was, name) = ("order".to_owned(), "purchase".to_owned());
    ok(store.rename(&[RetiredName { what: NameOf::Saga, saga: String::new(), was, name }]).await);
    let (first, second) = of("purchase");
    assert_eq!(ok(store.definitions().await), [definition("a", 1, ""), first, second]);
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
