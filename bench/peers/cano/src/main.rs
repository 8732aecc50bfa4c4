//! cano: a workflow per order, checkpoints in one redb file.
//!
//! Variant `plain` has tasks without an undo: a checkpoint holds the name of the state. Variant `undo` has two
//! compensatable tasks, whose output is the order: about 300 bytes in a checkpoint of their own.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use cano::RedbCheckpointStore;
use cano::prelude::*;
use peers_common::{Answer, Args, Measured, Order, activities, check, order};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Place,
    Pay,
    Ship,
    Tell,
    Done,
}

/// The order of one run. cano keeps it in memory only.
struct Data(Arc<Mutex<Order>>);

impl Resource for Data {}

impl Data {
    fn change(resources: &Resources, change: impl FnOnce(&mut Order)) -> Result<Order, CanoError> {
        let data = resources.get::<Data, _>("order")?;
        let mut order = data.0.lock().map_err(|_| CanoError::task_execution("poisoned"))?;
        change(&mut order);
        Ok(order.clone())
    }
}

fn pay(order: &mut Order) {
    order.payment = Some(activities::pay(order.cents));
}

fn ship(order: &mut Order) {
    order.label = Some(activities::ship(&order.id));
}

struct Place;
struct Pay;
struct Ship;
struct Tell;
struct UndoablePay;
struct UndoableShip;

#[task(state = Step)]
impl Place {
    async fn run_bare(&self) -> Result<TaskResult<Step>, CanoError> {
        Ok(TaskResult::Single(Step::Pay))
    }
}

#[task(state = Step)]
impl Pay {
    async fn run(&self, resources: &Resources) -> Result<TaskResult<Step>, CanoError> {
        Data::change(resources, pay)?;
        Ok(TaskResult::Single(Step::Ship))
    }
}

#[task(state = Step)]
impl Ship {
    async fn run(&self, resources: &Resources) -> Result<TaskResult<Step>, CanoError> {
        Data::change(resources, ship)?;
        Ok(TaskResult::Single(Step::Tell))
    }
}

#[task(state = Step)]
impl Tell {
    async fn run_bare(&self) -> Result<TaskResult<Step>, CanoError> {
        activities::tell();
        Ok(TaskResult::Single(Step::Done))
    }
}

#[saga::task(state = Step)]
impl UndoablePay {
    type Output = Order;
    async fn run(&self, resources: &Resources) -> Result<(TaskResult<Step>, Order), CanoError> {
        Ok((TaskResult::Single(Step::Ship), Data::change(resources, pay)?))
    }
    async fn compensate(&self, _: &Resources, _: Order) -> Result<(), CanoError> {
        Ok(())
    }
}

#[saga::task(state = Step)]
impl UndoableShip {
    type Output = Order;
    async fn run(&self, resources: &Resources) -> Result<(TaskResult<Step>, Order), CanoError> {
        Ok((TaskResult::Single(Step::Tell), Data::change(resources, ship)?))
    }
    async fn compensate(&self, _: &Resources, _: Order) -> Result<(), CanoError> {
        Ok(())
    }
}

async fn run(store: Arc<RedbCheckpointStore>, undo: bool, n: u64) -> Result<(), CanoError> {
    let order = order(n);
    let id = order.id.clone();
    let data = Arc::new(Mutex::new(order));
    let resources = Resources::new().insert("order", Data(Arc::clone(&data)));
    let workflow = Workflow::new(resources)
        .register(Step::Place, Place)
        .register(Step::Tell, Tell)
        .add_exit_state(Step::Done)
        .with_checkpoint_store(store)
        .with_workflow_id(id);
    let workflow = if undo {
        workflow
            .register_with_compensation(Step::Pay, UndoablePay)
            .register_with_compensation(Step::Ship, UndoableShip)
    } else {
        workflow.register(Step::Pay, Pay).register(Step::Ship, Ship)
    };
    workflow.orchestrate(Step::Place, CancellationToken::disabled()).await?;
    check(&data.lock().expect("no run panicked"));
    Ok(())
}

async fn side(args: Args) -> Answer<Measured> {
    let undo = match args.variant.as_str() {
        "plain" => false,
        "undo" => true,
        other => return Err(format!("no variant {other:?}").into()),
    };
    let folder = tempfile::tempdir()?;
    let store = Arc::new(RedbCheckpointStore::new(folder.path().join("cano.redb"))?);
    peers_common::drive(&args, move |n| {
        let store = Arc::clone(&store);
        async move { run(store, undo, n).await.expect("the order ends") }
    })
    .await
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
