//! steno: a graph of four actions, two of them with an undo, and its own `InMemorySecStore`, which stores nothing.
//!
//! Not durable: a store that survives a crash is the work of the user, and steno ships none.

#![forbid(unsafe_code)]

use std::sync::{Arc, LazyLock};

use peers_common::{Answer, Args, Measured, Order, activities, check, order};
use steno::{
    Action, ActionContext, ActionError, ActionFunc, ActionRegistry, DagBuilder, InMemorySecStore, Node,
    SagaDag, SagaId, SagaName, SagaType, SecClient, UndoResult, new_action_noop_undo,
};

#[derive(Debug)]
struct OrderSaga;

impl SagaType for OrderSaga {
    type ExecContextType = ();
}

type Context = ActionContext<OrderSaga>;
type Outcome<T> = Result<T, ActionError>;
type OneAction = LazyLock<Arc<dyn Action<OrderSaga>>>;

static PLACE: OneAction = LazyLock::new(|| new_action_noop_undo("place", place));
static PAY: OneAction = LazyLock::new(|| ActionFunc::new_action("pay", pay, refund));
static SHIP: OneAction = LazyLock::new(|| ActionFunc::new_action("ship", ship, call_back));
static TELL: OneAction = LazyLock::new(|| new_action_noop_undo("tell", tell));

async fn place(context: Context) -> Outcome<Order> {
    context.saga_params()
}

async fn pay(context: Context) -> Outcome<u64> {
    Ok(activities::pay(context.lookup::<Order>("order")?.cents))
}

async fn refund(_: Context) -> UndoResult {
    Ok(())
}

async fn ship(context: Context) -> Outcome<String> {
    Ok(activities::ship(&context.lookup::<Order>("order")?.id))
}

async fn call_back(_: Context) -> UndoResult {
    Ok(())
}

async fn tell(context: Context) -> Outcome<Order> {
    activities::tell();
    let mut order = context.lookup::<Order>("order")?;
    order.payment = Some(context.lookup("payment")?);
    order.label = Some(context.lookup("label")?);
    Ok(order)
}

fn graph(order: &Order) -> Arc<SagaDag> {
    let mut builder = DagBuilder::new(SagaName::new("order"));
    builder.append(Node::action("order", "Place", PLACE.as_ref()));
    builder.append(Node::action("payment", "Pay", PAY.as_ref()));
    builder.append(Node::action("label", "Ship", SHIP.as_ref()));
    builder.append(Node::action("done", "Tell", TELL.as_ref()));
    let dag = builder.build().expect("a chain is a graph");
    Arc::new(SagaDag::new(dag, serde_json::to_value(order).expect("an order is JSON")))
}

async fn run(sec: &SecClient, registry: Arc<ActionRegistry<OrderSaga>>, n: u64) {
    let id = SagaId::new_v4();
    let end =
        sec.saga_create(id, Arc::new(()), graph(&order(n)), registry).await.expect("the saga is created");
    sec.saga_start(id).await.expect("the saga starts");
    let Ok(result) = end.await.kind else { panic!("order {n} failed") };
    check(&result.saga_output().expect("the output is an order"));
}

async fn side(args: Args) -> Answer<Measured> {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let sec = Arc::new(steno::sec(log, Arc::new(InMemorySecStore::new())));
    let mut registry = ActionRegistry::new();
    for action in [&PLACE, &PAY, &SHIP, &TELL] {
        registry.register(Arc::clone(action));
    }
    let registry = Arc::new(registry);
    peers_common::drive(&args, move |n| {
        let (sec, registry) = (Arc::clone(&sec), Arc::clone(&registry));
        async move { run(&sec, registry, n).await }
    })
    .await
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
