//! Laws of the rows of an instance: tasks, timers and obligations.

use super::Subject;
use super::fixtures::{Driver, address, change, create, next, obligation, ok, payload, task, time, timer};
use crate::store::{
    Address, ObligationChange, ObligationOf, RowId, Status, Step, StepOutcome, TaskChange, TaskId, TaskStage,
    TimerChange, TimerKey,
};

async fn instance(driver: &mut Driver, key: &str) -> (Address, RowId, Step) {
    let address = address(key);
    let step = create(&address);
    let row = driver.created(step.clone()).await;
    (address, row, step)
}

fn only(row: RowId) -> Step {
    Step { row: Some(row), ..Step::default() }
}

/// A task exists from its queueing step to its finishing step. Finishing the same task twice is not an error.
pub async fn a_task_is_there_until_it_is_finished<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (address, row, first) = instance(&mut driver, "a").await;
    let mut second = next(row, &change(&first));
    second.tasks = vec![TaskChange::Add(task(2, 0)), TaskChange::Add(task(2, 1))];
    driver.committed(second.clone()).await;
    assert_eq!(driver.snapshot(&address).await.tasks.len(), 2);
    let finish = TaskChange::Finish(TaskId { seq: 2, ord: 0 });
    driver.committed(Step { tasks: vec![finish.clone()], ..only(row) }).await;
    assert_eq!(driver.snapshot(&address).await.tasks, [task(2, 1)]);
    driver.committed(Step { tasks: vec![finish], ..next(row, &change(&second)) }).await;
    assert_eq!(driver.snapshot(&address).await.tasks, [task(2, 1)]);
    let open = ok(driver.store.open_tasks(None, 10).await);
    assert_eq!(open.iter().map(|open| (open.row, &open.task)).collect::<Vec<_>>(), [(row, &task(2, 1))]);
}

/// The id of a task is its idempotency key. The same id must not be used twice.
pub async fn a_task_that_is_there_already_is_refused<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (address, row, _) = instance(&mut driver, "a").await;
    let add = Step { tasks: vec![TaskChange::Add(task(1, 0))], ..only(row) };
    driver.committed(add.clone()).await;
    assert!(matches!(driver.one(add).await, StepOutcome::Refused(_)));
    assert_eq!(driver.snapshot(&address).await.tasks.len(), 1);
}

/// Progress needs no step of the instance. Progress of a missing task is not an error.
pub async fn progress_of_a_task_is_kept<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (address, row, _) = instance(&mut driver, "a").await;
    let mut task = task(1, 0);
    driver.committed(Step { tasks: vec![TaskChange::Add(task.clone())], ..only(row) }).await;
    task.progress.stage = TaskStage::Held;
    task.progress.attempts = 7;
    task.progress.left_out = 2;
    task.progress.recoveries = 2;
    task.progress.spent_ms = 12_345;
    task.progress.epoch = 9;
    task.progress.due = time(99);
    task.progress.superseded = true;
    task.progress.saved = Some(payload("saved"));
    task.progress.error = Some("no answer".to_owned());
    let gone = TaskId { seq: 9, ord: 9 };
    let tasks = [task.id, gone].map(|id| TaskChange::Progress(id, task.progress.clone())).to_vec();
    driver.committed(Step { tasks, ..only(row) }).await;
    let found = driver.snapshot(&address).await;
    assert_eq!((found.tasks, found.instance.seq), (vec![task], 1));
}

/// Every open task is returned once, even if returned tasks finish between pages.
pub async fn open_tasks_page_in_order_without_gaps<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    for key in ["a", "b", "c"] {
        let mut step = create(&address(key));
        step.tasks = (0..4).map(|ord| TaskChange::Add(task(1, ord))).collect();
        driver.created(step).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = ok(driver.store.open_tasks(after, 5).await);
        assert!(page.len() <= 5);
        let Some(last) = page.last() else { break };
        after = Some((last.row, last.task.id));
        for open in page {
            seen.push((open.row, open.task.id));
            driver.committed(Step { tasks: vec![TaskChange::Finish(open.task.id)], ..only(open.row) }).await;
        }
    }
    assert_eq!(seen.len(), 12);
    assert!(seen.is_sorted());
}

/// An instance has at most one timer with each name.
pub async fn timers_are_set_replaced_and_cleared_by_name<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (address, row, _) = instance(&mut driver, "a").await;
    let set = |name, due| TimerChange::Set(timer(name, due));
    let clear = |name: &'static str| TimerChange::Clear(name.into());
    driver.committed(Step { timers: vec![set("x", 10), set("y", 20), set("x", 30)], ..only(row) }).await;
    assert_eq!(driver.snapshot(&address).await.timers, [timer("x", 30), timer("y", 20)]);
    let due = ok(driver.store.timers(time(25), None, 10).await);
    assert_eq!(due.iter().map(|due| &*due.timer.name).collect::<Vec<_>>(), ["y"]);
    driver.committed(Step { timers: vec![clear("y"), clear("none"), set("x", 5)], ..only(row) }).await;
    assert_eq!(driver.snapshot(&address).await.timers, [timer("x", 5)]);
    let due = ok(driver.store.timers(time(5), None, 10).await);
    assert_eq!(due.iter().map(|due| (due.row, &due.address)).collect::<Vec<_>>(), [(row, &address)]);
    assert!(ok(driver.store.timers(time(4), None, 10).await).is_empty());
}

/// The order is due time, instance, name.
pub async fn due_timers_page_in_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    for key in ["a", "b", "c"] {
        let (_, row, _) = instance(&mut driver, key).await;
        let timers = [("z", 10), ("a", 10), ("m", 5), ("late", 11)]
            .map(|(name, due)| TimerChange::Set(timer(name, due)));
        driver.committed(Step { timers: timers.to_vec(), ..only(row) }).await;
    }
    let mut seen: Vec<TimerKey> = Vec::new();
    loop {
        let page = ok(driver.store.timers(time(10), seen.last().cloned(), 2).await);
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|due| TimerKey {
            due: due.timer.due,
            row: due.row,
            name: due.timer.name.to_string(),
        }));
    }
    assert_eq!(seen.len(), 9);
    assert!(seen.is_sorted());
}

/// Fired timers are cleared before the next page is read.
pub async fn due_timers_page_without_gaps_while_others_are_cleared<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (_, row, _) = instance(&mut driver, "a").await;
    let names: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
    let timers = names.iter().map(|name| TimerChange::Set(timer(name, 1))).collect();
    driver.committed(Step { timers, ..only(row) }).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = ok(driver.store.timers(time(1), after, 3).await);
        let Some(last) = page.last() else { break };
        after = Some(TimerKey { due: last.timer.due, row: last.row, name: last.timer.name.to_string() });
        let timers = page.iter().map(|due| TimerChange::Clear(due.timer.name.clone())).collect();
        driver.committed(Step { timers, ..only(row) }).await;
        seen.extend(page.into_iter().map(|due| due.timer.name.to_string()));
    }
    assert_eq!(seen, names);
}

/// Obligations are ordered by their ids.
pub async fn obligations_are_put_replaced_and_dropped<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (address, row, _) = instance(&mut driver, "a").await;
    let put = |owed: &_| ObligationChange::Put(Clone::clone(owed));
    let owed = [obligation(1, 0), obligation(1, 1), obligation(2, 0), obligation(10, 0)];
    let obligations = owed.iter().rev().map(put).collect();
    driver.committed(Step { obligations, ..only(row) }).await;
    assert_eq!(driver.snapshot(&address).await.obligations, owed);

    let mut paying = owed[1].clone();
    paying.of =
        ObligationOf::State { state: "paid".into(), visit: 2, version: 7, payload: Some(payload("left")) };
    paying.report = Some(payload("report"));
    paying.task = Some(TaskId { seq: 3, ord: 1 });
    let gone = ObligationChange::Drop(TaskId { seq: 99, ord: 0 });
    let obligations = vec![put(&paying), ObligationChange::Drop(owed[2].id), gone];
    driver.committed(Step { obligations, ..only(row) }).await;
    assert_eq!(driver.snapshot(&address).await.obligations, [owed[0].clone(), paying, owed[3].clone()]);
}

/// The pages contain exactly the compensating instances.
pub async fn compensating_instances_page_in_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut rows = Vec::new();
    for n in 0..7 {
        let (_, row, first) = instance(&mut driver, &format!("k{n}")).await;
        if n % 2 == 0 {
            let mut step = next(row, &change(&first));
            if let Some(change) = &mut step.instance {
                change.status = Status::Compensating;
            }
            driver.committed(step).await;
            rows.push((row, address(&format!("k{n}"))));
        }
    }
    let mut seen = Vec::new();
    loop {
        let page = ok(driver.store.compensating(seen.last().map(|(row, _)| *row), 3).await);
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, rows);
}
