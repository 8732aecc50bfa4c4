//! Random scripts of steps on the reference store and on another one: every answer and everything that is kept must be the
//! same, except for the numbers a store hands out.

use saga_core::store::DeadLetterReason;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use saga_core::message::{Id, Payload};
use saga_core::store::conformance::{
    Driver, address, create, dedup_record, delivery, mail, next, obligation, payload, task, time, timer,
};
use saga_core::store::{
    Address, DeadId, DeadLetter, DeliveryChange, DeliveryId, InboxId, InstanceChange, InstanceFilter,
    InstanceOrder, InstanceView, Loaded, MailKind, MemoryStore, ObligationChange, PageFrom, Position, RowId,
    Status, Step, StepOutcome, Store, TaskChange, TimerChange,
};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// An operation of a script.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Commit(Vec<Plan>),
    Resend,
    Deliver(u8),
    Purge(i64),
    Lease,
    Release,
    Reopen,
}

/// A step, with what a store numbers named by its place.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    key: usize,
    target: Target,
    status: u8,
    parked: bool,
    history: u8,
    tasks: Vec<(u8, u64, u32)>,
    timers: Vec<(bool, u8, i64)>,
    obligations: Vec<(bool, u64, u32)>,
    consumed: Vec<usize>,
    mail: Vec<u8>,
    deliveries: Vec<(u8, usize)>,
    dedup: Vec<(u8, u64, i64)>,
    dead: Option<Dead>,
    redriven: Vec<usize>,
}

/// What becomes of an event that is not taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dead {
    /// A dead letter of its own.
    Unhandled,
    /// Its id was used before; so was that of others.
    Conflict,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Creates the instance; the number tells one attempt from another.
    Create(u8),
    /// Goes on from its last step, or from so many before or after it.
    Next(i8),
    /// Sends its last step again.
    Again,
    /// Touches what belongs to it.
    Touch,
    /// Touches no instance.
    Free,
}

fn plan() -> impl Strategy<Value = Plan> {
    let target = prop_oneof![
        2 => (0..3_u8).prop_map(Target::Create),
        5 => Just(Target::Next(0)),
        1 => (-2..3_i8).prop_map(Target::Next),
        1 => Just(Target::Again),
        2 => Just(Target::Touch),
        1 => Just(Target::Free),
    ];
    let dead = prop_oneof![
        8 => Just(None::<Dead>),
        1 => Just(Some(Dead::Unhandled)),
        1 => Just(Some(Dead::Conflict)),
    ];
    let few = 0..3_usize;
    let instance = (0..KEYS.len(), target, 0..5_u8, prop::bool::weighted(0.2), 0..3_u8);
    let owned_rows = (
        prop::collection::vec((0..3_u8, 1..3_u64, 0..3_u32), few.clone()),
        prop::collection::vec((any::<bool>(), 0..3_u8, 0..50_i64), few.clone()),
        prop::collection::vec((any::<bool>(), 1..3_u64, 0..3_u32), few.clone()),
    );
    let rest = (
        prop::collection::vec(0..20_usize, few.clone()),
        prop::collection::vec(0..9_u8, few.clone()),
        prop::collection::vec((0..3_u8, 0..9_usize), few.clone()),
        prop::collection::vec((0..9_u8, 0..2_u64, 0..50_i64), 0..2),
        dead,
        prop::collection::vec(0..5_usize, 0..2),
    );
    (instance, owned_rows, rest).prop_map(|(instance, owned_rows, rest)| {
        let (key, target, status, parked, history) = instance;
        let (tasks, timers, obligations) = owned_rows;
        let (consumed, mail, deliveries, dedup_records, dead, redriven) = rest;
        Plan {
            key,
            target,
            status,
            parked,
            history,
            tasks,
            timers,
            obligations,
            consumed,
            mail,
            deliveries,
            dedup: dedup_records,
            dead,
            redriven,
        }
    })
}

/// A random operation.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => prop::collection::vec(plan(), 1..5).prop_map(Op::Commit),
        1 => Just(Op::Resend),
        2 => (0..9_u8).prop_map(Op::Deliver),
        1 => (0..2_000_i64).prop_map(Op::Purge),
        1 => Just(Op::Lease),
        1 => Just(Op::Release),
        1 => Just(Op::Reopen),
    ]
}

/// One store with what it has numbered.
pub(crate) struct Run {
    open: Box<dyn Fn() -> Arc<dyn Store>>,
    driver: Driver,
    last: Option<Vec<Step>>,
    rows: BTreeMap<usize, (RowId, InstanceChange)>,
    inbox: Vec<InboxId>,
    deliveries: Vec<DeliveryId>,
    dead: Vec<DeadId>,
}

impl Run {
    pub(crate) async fn start(open: Box<dyn Fn() -> Arc<dyn Store>>) -> Self {
        let driver = Driver::lease(open()).await;
        let (rows, last) = (BTreeMap::new(), None);
        Self { open, driver, last, rows, inbox: Vec::new(), deliveries: Vec::new(), dead: Vec::new() }
    }

    /// Does it, and answers what must be the same everywhere.
    pub(crate) async fn run(&mut self, op: &Op) -> String {
        let store = self.driver.store.clone();
        match op {
            Op::Commit(plans) => {
                let steps: Vec<Step> = plans.iter().map(|plan| self.step(plan)).collect();
                let outcomes = self.driver.try_commit(steps.clone()).await.unwrap();
                for ((plan, step), outcome) in plans.iter().zip(&steps).zip(&outcomes) {
                    self.learn(plan, step, outcome);
                }
                // Also those that have gone stay known, to be removed once more.
                for row in store.dead_letters(DeadId(0), 1_000).await.unwrap() {
                    if !self.dead.contains(&row.id) {
                        self.dead.push(row.id);
                    }
                }
                self.last = Some(steps);
                format!("{:?}", outcomes.into_iter().map(plain).collect::<Vec<_>>())
            }
            Op::Resend => match &self.last {
                Some(steps) => {
                    let outcomes = self.driver.again(steps.clone()).await.unwrap();
                    format!("{:?}", outcomes.into_iter().map(plain).collect::<Vec<_>>())
                }
                None => String::new(),
            },
            Op::Deliver(n) => {
                let ids = store.deliver(vec![mail(&address("a"), &n.to_string())]).await.unwrap();
                self.inbox.extend(ids);
                String::new()
            }
            Op::Purge(before) => format!("{:?}", store.purge(time(*before), 2).await.unwrap()),
            Op::Lease => self.lease(store).await,
            Op::Release => {
                store.release(&self.driver.lease).await.unwrap();
                self.lease(store).await
            }
            Op::Reopen => {
                drop(store);
                self.driver.store = Arc::new(MemoryStore::new());
                let store = (self.open)();
                self.lease(store).await
            }
        }
    }

    /// Takes the lease, and learns anew what is there: numbers are not kept from one lease to the next.
    async fn lease(&mut self, store: Arc<dyn Store>) -> String {
        self.driver = Driver::lease(store).await;
        self.last = None;
        self.rows.clear();
        for (key, name) in KEYS.iter().enumerate() {
            if let Some(Loaded::Snapshot(found)) =
                self.driver.store.load(&[address(name)]).await.unwrap().remove(0)
            {
                self.rows.insert(key, (found.row, found.instance));
            }
        }
        self.deliveries = self
            .driver
            .store
            .deliveries(DeliveryId(0), 1_000)
            .await
            .unwrap()
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        format!("unclean: {}", self.driver.lease.unclean)
    }

    fn learn(&mut self, plan: &Plan, step: &Step, outcome: &StepOutcome) {
        let StepOutcome::Committed(committed) = outcome else { return };
        if let Some(change) = &step.instance {
            let row = committed.row.or(step.row).unwrap();
            self.rows.insert(plan.key, (row, change.clone()));
        }
        self.inbox.extend(&committed.mail);
        self.deliveries.extend(&committed.deliveries);
    }

    fn step(&self, plan: &Plan) -> Step {
        let to = address(KEYS[plan.key]);
        let known = self.rows.get(&plan.key);
        let mut step = match (plan.target, known) {
            (Target::Free, _) => Step::default(),
            (Target::Touch, Some((row, _))) => Step { row: Some(*row), ..Step::default() },
            (Target::Again, Some((row, change))) => {
                Step { row: Some(*row), instance: Some(change.clone()), ..Step::default() }
            }
            (Target::Next(by), Some((row, change))) => {
                let mut step = next(*row, change);
                if let Some(change) = &mut step.instance {
                    change.seq = change.seq.saturating_add_signed(by.into());
                }
                step
            }
            (Target::Create(attempt), _) => {
                let mut step = create(&to);
                if let Some(change) = &mut step.instance {
                    change.step = Id::from_u128(attempt.into());
                }
                step
            }
            (Target::Touch | Target::Again | Target::Next(_), None) => create(&to),
        };
        if let Some(change) = &mut step.instance
            && !matches!(plan.target, Target::Again)
        {
            let statuses =
                [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
            change.status = statuses[usize::from(plan.status)];
            change.parked = plan.parked.then(|| payload("why"));
            // SQLite keeps large data in a row of its own.
            if plan.history == 1 {
                change.data = payload(&plan.status.to_string().repeat(4_000));
            }
        }
        let entry = step.history.pop();
        step.history = entry.into_iter().cycle().take(plan.history.into()).collect();
        if !matches!(plan.target, Target::Free) {
            self.owned_rows(plan, &mut step);
        }
        let pick = |places: &[usize], len: usize| -> Vec<usize> {
            places.iter().filter(|_| len > 0).map(|place| place % len).collect()
        };
        step.consumed = pick(&plan.consumed, self.inbox.len()).into_iter().map(|at| self.inbox[at]).collect();
        step.redriven = pick(&plan.redriven, self.dead.len()).into_iter().map(|at| self.dead[at]).collect();
        step.mail = plan.mail.iter().map(|n| mail(&to, &n.to_string())).collect();
        step.dedup = plan
            .dedup
            .iter()
            .map(|(id, content, at)| dedup_record(&to, &id.to_string(), *content, *at))
            .collect();
        for (kind, place) in &plan.deliveries {
            let there = pick(&[*place], self.deliveries.len()).first().map(|at| self.deliveries[*at]);
            step.deliveries.push(match (kind, there) {
                (1, Some(id)) => DeliveryChange::Finish(id),
                (2, Some(id)) => {
                    let mut progress = delivery("p").progress;
                    progress.attempts = *place as u32;
                    DeliveryChange::Progress(id, progress)
                }
                _ => DeliveryChange::Add(delivery(&place.to_string())),
            });
        }
        if let Some(dead) = plan.dead {
            let (reason, id) = match dead {
                Dead::Unhandled => (DeadLetterReason::Unhandled, None),
                Dead::Conflict => (DeadLetterReason::IdConflict, mail(&to, "taken").id),
            };
            step.dead.push(DeadLetter {
                to: to.clone(),
                kind: MailKind::Event,
                message: mail(&to, &format!("dead {}", plan.status)).message,
                id,
                hops: 0,
                trace: None,
                reason,
                detail: String::new(),
                times: 1,
                at: time(plan.status.into()),
            });
        }
        step
    }

    fn owned_rows(&self, plan: &Plan, step: &mut Step) {
        for (kind, seq, ord) in &plan.tasks {
            let mut task = task(*seq, *ord);
            match ord {
                // SQLite makes rows of items that are large together, and of items with a line end.
                1 => task.command.payload = payload(&"x".repeat(5_000)),
                2 if plan.parked => task.command.payload = Payload::from("[1,\n2]"),
                _ => {}
            }
            step.tasks.push(match kind {
                0 => TaskChange::Finish(task.id),
                1 => {
                    let mut progress = task.progress;
                    progress.attempts = plan.status.into();
                    TaskChange::Progress(task.id, progress)
                }
                _ => TaskChange::Add(task),
            });
        }
        for (set, name, due) in &plan.timers {
            let timer = timer(&name.to_string(), *due);
            step.timers.push(if *set { TimerChange::Set(timer) } else { TimerChange::Clear(timer.name) });
        }
        for (put, seq, ord) in &plan.obligations {
            let owed = obligation(*seq, *ord);
            step.obligations.push(if *put {
                ObligationChange::Put(owed)
            } else {
                ObligationChange::Drop(owed.id)
            });
        }
    }

    /// Everything that is kept, without the numbers.
    pub(crate) async fn contents(&self) -> String {
        let store = &self.driver.store;
        let addresses: Vec<Address> = KEYS.iter().map(|key| address(key)).collect();
        let mut all = String::new();
        let mut put = |what: &dyn std::fmt::Debug| all.push_str(&format!("{what:?}\n"));
        for (loaded, address) in store.load(&addresses).await.unwrap().into_iter().zip(&addresses) {
            match loaded {
                Some(Loaded::Snapshot(it)) => put(&(it.instance, it.tasks, it.timers, it.obligations)),
                other => put(&other),
            }
            put(&store.history(address, 100).await.unwrap());
            put(&store
                .waiting(address, 100)
                .await
                .unwrap()
                .into_iter()
                .map(|(_, mail)| mail)
                .collect::<Vec<_>>());
        }
        put(&store
            .inbox(InboxId(0), 100)
            .await
            .unwrap()
            .into_iter()
            .map(|(_, mail)| mail)
            .collect::<Vec<_>>());
        put(&store
            .deliveries(DeliveryId(0), 100)
            .await
            .unwrap()
            .into_iter()
            .map(|(_, it)| it)
            .collect::<Vec<_>>());
        let timers = store.timers(time(40), None, 100).await.unwrap();
        put(&timers.into_iter().map(|due| (due.address, due.timer)).collect::<Vec<_>>());
        let tasks = store.open_tasks(None, 100).await.unwrap();
        put(&tasks.into_iter().map(|open| (open.address, open.task)).collect::<Vec<_>>());
        let compensating = store.compensating(None, 100).await.unwrap();
        put(&compensating.into_iter().map(|(_, address)| address).collect::<Vec<_>>());
        put(&store
            .dead_letters(DeadId(0), 100)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.letter)
            .collect::<Vec<_>>());
        put(&store.counts().await.unwrap());
        for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key, InstanceOrder::Due]
        {
            for (parked, status, owed) in LISTS {
                let mut filter = InstanceFilter::default();
                (filter.parked, filter.status, filter.owed, filter.order) = (parked, status, owed, order);
                let mut lines = Vec::new();
                for mut view in pages(&**store, filter).await {
                    // The numbers of rows and lines belong to the store.
                    view.position = Position::Line(0);
                    lines.push(view);
                }
                put(&lines);
            }
        }
        all
    }
}

/// The conditions of the lists: parked, status, owed.
const LISTS: [(Option<bool>, Option<Status>, Option<bool>); 7] = [
    (None, None, None),
    (Some(true), None, None),
    (Some(false), Some(Status::Running), None),
    (None, Some(Status::Compensating), None),
    (None, Some(Status::Failed), None),
    (None, Some(Status::Aborted), Some(true)),
    (None, Some(Status::Completed), Some(false)),
];

/// Returns all pages of a list.
async fn pages(store: &dyn Store, mut filter: InstanceFilter) -> Vec<InstanceView> {
    filter.limit = 1;
    let mut views = Vec::new();
    loop {
        let page = store.instances(&filter).await.unwrap();
        views.extend(page.instances);
        let Some(more) = page.more else { return views };
        filter.from = Some(PageFrom::After(more));
    }
}

/// An outcome without numbers and without words.
fn plain(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Committed(it) => {
            format!("committed {} {} {}", it.row.is_some(), it.mail.len(), it.deliveries.len())
        }
        StepOutcome::Refused(_) => "refused".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Runs a script on the reference store and on the store that `open` opens.
pub(crate) async fn compare(
    script: &[Op],
    open: Box<dyn Fn() -> Arc<dyn Store>>,
) -> Result<(), TestCaseError> {
    let memory = MemoryStore::new();
    let mut reference = Run::start(Box::new(move || Arc::new(memory.clone()))).await;
    let mut other = Run::start(open).await;
    for op in script {
        prop_assert_eq!(reference.run(op).await, other.run(op).await, "{:?}", op);
        prop_assert_eq!(reference.contents().await, other.contents().await, "{:?}", op);
    }
    Ok(())
}
