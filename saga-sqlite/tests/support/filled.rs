//! Instances with everything that an instance can have. The file `earlier/schema_4.sql` was written with these steps.

use saga_core::message::{Alias, Payload};
use saga_core::store::conformance::{
    Driver, address, create, mail, next, obligation, payload, task, time, timer,
};
use saga_core::store::{
    Address, AliasChange, ObligationChange, Status, Step, TaskChange, TaskProgress, TaskStage, TimerChange,
};

/// The addresses of all instances.
pub(crate) fn addresses() -> Vec<Address> {
    let keys = ["full", "ended", "parked", "large", "many", "empty"].map(address);
    keys.into_iter().chain([Address::new("another \"saga\"\n", address("full").key)]).collect()
}

/// Adds the instances.
pub(crate) async fn fill(driver: &mut Driver) {
    for address in addresses() {
        let mut first = create(&address);
        let key = address.key.text().to_owned();
        items(&mut first, &key);
        let change = first.instance.as_mut().unwrap();
        if key == "large" {
            change.data = payload(&"x".repeat(10_000));
        }
        let row = driver.created(first.clone()).await;
        if key == "empty" {
            continue;
        }
        let mut second = next(row, first.instance.as_ref().unwrap());
        second.tasks = vec![TaskChange::Finish(task(1, 0).id), TaskChange::Add(task(2, 0))];
        let change = second.instance.as_mut().unwrap();
        change.payload = Some(Payload::from("null"));
        match &*key {
            "large" => change.data = payload(&"y".repeat(10_000)),
            "ended" => {
                change.status = Status::Failed;
                second.tasks = vec![];
            }
            "parked" => {
                change.status = Status::Compensating;
                change.parked = Some(payload("parked"));
                change.turn = Some(payload("turn"));
                change.joined = None;
                change.family = None;
            }
            _ => {}
        }
        second.mail = vec![mail(&address, &format!("mail to {key}"))];
        driver.committed(second).await;
    }
}

fn items(step: &mut Step, key: &str) {
    if key == "ended" || key == "empty" {
        return;
    }
    let count = if key == "many" { 100 } else { 3 };
    step.tasks = (0..count).map(|ord| TaskChange::Add(task(1, ord))).collect();
    step.tasks.push(TaskChange::Progress(
        task(1, 1).id,
        TaskProgress {
            stage: TaskStage::Held,
            attempts: 3,
            left_out: 1,
            recoveries: 2,
            spent_ms: 44,
            due: time(-7),
            superseded: true,
            error: Some("no \"answer\"\n".to_owned()),
            saved: Some(payload("saved")),
            ..TaskProgress::queued(time(1_000), 1)
        },
    ));
    let mut owed = obligation(1, 2);
    owed.report = Some(payload("report"));
    owed.task = Some(task(1, 1).id);
    step.obligations =
        [obligation(1, 0), obligation(1, 1), owed].into_iter().map(ObligationChange::Put).collect();
    step.timers = ["time \"out\"\n", "deadline"]
        .into_iter()
        .zip([-5, 9_000])
        .map(|(name, due)| TimerChange::Set(timer(name, due)))
        .collect();
    step.aliases = vec![AliasChange::Claim(Alias::new(format!("alias of {key}")).unwrap())];
}
