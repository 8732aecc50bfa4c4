//! The outside world of the order saga: it does as the test says and remembers every call.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each test file uses its own part of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga_core::dispatcher::{
    Dispatcher, DispatcherBuilder, Handler, HandlerContext, ManualClock, Subscriber,
};
use saga_core::engine::Policy;
use saga_core::message::{Command, Done, HandlerError, HandlerResult};
use saga_core::store::Store;
use tokio::sync::Notify;

use crate::support::*;

/// Lets time pass, in step with the dispatchers, until `future` ends.
pub async fn in_time<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    tokio::pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            () = clock.advance_to_next() => {}
        }
    }
}

/// What the next call of a command does.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Answers as intended.
    Answer,
    /// Answers that it cannot be done (declined, refused).
    Decline,
    /// `HandlerError::refused`.
    Refuse,
    /// An indeterminate error.
    Lose,
    /// Panics.
    Panic,
    /// Waits until it is dropped, or until `World::let_go`.
    Hang,
    /// Blocks its thread until `World::unblock`.
    Block,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub command: &'static str,
    pub key: String,
    pub attempt: u32,
}

#[derive(Clone, Default)]
pub struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
    plans: Mutex<Vec<(&'static str, VecDeque<Plan>)>>,
    calls: Mutex<Vec<Call>>,
    called: Notify,
    go: Notify,
    unblocked: Mutex<bool>,
    unblock: std::sync::Condvar,
    delivered: Mutex<Vec<String>>,
}

impl World {
    /// The next calls of `C` do this, the ones after answer.
    pub fn plan<C: Command>(&self, plans: &[Plan]) -> &Self {
        let mut all = self.0.plans.lock().unwrap();
        match all.iter_mut().find(|(name, _)| *name == C::NAME) {
            Some((_, queue)) => queue.extend(plans.iter().cloned()),
            None => all.push((C::NAME, plans.iter().cloned().collect())),
        }
        drop(all);
        self
    }

    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }

    /// The calls of one command.
    pub fn calls_of<C: Command>(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.command == C::NAME).collect()
    }

    /// The commands called, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.calls().into_iter().map(|call| call.command).collect()
    }

    /// Ends when `C` has been called `n` times.
    pub async fn called<C: Command>(&self, n: usize) {
        loop {
            let changed = self.0.called.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.calls_of::<C>().len() >= n {
                return;
            }
            changed.await;
        }
    }

    /// Lets a call that hangs answer.
    pub fn let_go(&self) {
        self.0.go.notify_one();
    }

    /// Lets calls that block their threads answer.
    pub fn unblock(&self) {
        *self.0.unblocked.lock().unwrap() = true;
        self.0.unblock.notify_all();
    }

    pub fn delivered(&self) -> Vec<String> {
        self.0.delivered.lock().unwrap().clone()
    }

    /// Ends when `n` deliveries were tried.
    pub async fn delivered_times(&self, n: usize) {
        loop {
            let changed = self.0.called.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.delivered().len() >= n {
                return;
            }
            changed.await;
        }
    }

    async fn call<C: Command>(&self, cx: &HandlerContext) -> Result<bool, HandlerError> {
        self.0.calls.lock().unwrap().push(Call {
            command: C::NAME,
            key: cx.idempotency_key().to_owned(),
            attempt: cx.attempt(),
        });
        let plan = {
            let mut plans = self.0.plans.lock().unwrap();
            plans.iter_mut().find(|(name, _)| *name == C::NAME).and_then(|(_, queue)| queue.pop_front())
        };
        self.0.called.notify_waiters();
        match plan.unwrap_or(Plan::Answer) {
            Plan::Answer => Ok(true),
            Plan::Decline => Ok(false),
            Plan::Refuse => Err(HandlerError::refused("refused")),
            Plan::Lose => Err("the answer was lost".into()),
            Plan::Panic => panic!("the handler panicked"),
            Plan::Block => {
                let mut unblocked = self.0.unblocked.lock().unwrap();
                while !*unblocked {
                    unblocked = self.0.unblock.wait(unblocked).unwrap();
                }
                Ok(true)
            }
            Plan::Hang => {
                self.0.go.notified().await;
                Ok(true)
            }
        }
    }
}

impl Handler<MakePayment> for World {
    async fn handle(&self, _: MakePayment, cx: &HandlerContext) -> HandlerResult<MakePayment> {
        Ok(match self.call::<MakePayment>(cx).await? {
            true => PaymentCompleted { payment: 99 }.into(),
            false => PaymentDeclined {}.into(),
        })
    }
}

impl Handler<CreateShippingLabel> for World {
    async fn handle(
        &self,
        _: CreateShippingLabel,
        cx: &HandlerContext,
    ) -> HandlerResult<CreateShippingLabel> {
        Ok(match self.call::<CreateShippingLabel>(cx).await? {
            true => LabelCreated {}.into(),
            false => LabelRefused {}.into(),
        })
    }
}

macro_rules! undo {
    ($name:ident) => {
        impl Handler<$name> for World {
            async fn handle(&self, _: $name, cx: &HandlerContext) -> HandlerResult<$name> {
                self.call::<$name>(cx).await?;
                Ok(Done.into())
            }
        }
    };
}
undo!(VoidPayment);
undo!(VoidLabel);
undo!(RefundPayment);

impl Subscriber<OrderCompleted> for World {
    async fn handle(&self, event: OrderCompleted, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.delivered.lock().unwrap().push(event.order.clone());
        let fails = {
            let mut plans = self.0.plans.lock().unwrap();
            plans.iter_mut().find(|(name, _)| *name == "mail").and_then(|(_, queue)| queue.pop_front())
        };
        self.0.called.notify_waiters();
        match fails {
            Some(Plan::Lose) => Err("the mail server is down".into()),
            Some(Plan::Refuse) => Err(HandlerError::refused("no such mailbox")),
            _ => Ok(()),
        }
    }
}

impl World {
    /// The next deliveries do this.
    pub fn plan_mail(&self, plans: &[Plan]) {
        self.0.plans.lock().unwrap().push(("mail", plans.iter().cloned().collect()));
    }
}

/// A dispatcher for the order saga on `store`.
pub fn builder(store: impl Store, world: &World, clock: &ManualClock) -> DispatcherBuilder {
    builder_with(store, world, clock, Policy::default().timeout(Duration::from_secs(60)))
}

/// As `builder`, with a policy for the two forward commands.
pub fn builder_with(
    store: impl Store,
    world: &World,
    clock: &ManualClock,
    policy: Policy,
) -> DispatcherBuilder {
    without_mail(store, world, clock, policy).subscriber::<OrderCompleted>("mail", world.clone())
}

/// As `builder_with`, of a build that does not have the subscriber.
pub fn without_mail(
    store: impl Store,
    world: &World,
    clock: &ManualClock,
    policy: Policy,
) -> DispatcherBuilder {
    let mut seed = 0_u64;
    // SplitMix64: the same ids and jitters every time.
    let mut next = move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(mixed ^ (mixed >> 31))
    };
    Dispatcher::builder(store)
        .saga::<OrderState>()
        .handler_with::<MakePayment>(world.clone(), policy.clone())
        .handler_with::<CreateShippingLabel>(world.clone(), policy)
        .handler::<VoidPayment>(world.clone())
        .handler::<VoidLabel>(world.clone())
        .handler::<RefundPayment>(world.clone())
        .clock(clock.clone())
        .random(move || next() << 64 | next())
}
