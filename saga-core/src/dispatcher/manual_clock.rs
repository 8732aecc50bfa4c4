//! The manual clock of a test: it moves only on a call of the test, and only while no work is active.
//!
//! Owns: virtual time, the list of waiters, and the count of active work. Does not own: the work itself.
//!
//! A dispatcher is at rest when it has processed all input that arrived before the test's request, and waits. An
//! attempt is active until it waits. It is active again from the moment of its wake-up.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::watch;

use super::clock::Clock;
use crate::engine::Moment;
use crate::message::Timestamp;

/// A clock that stands still until a test moves it. All clones are one clock.
///
/// The wall clock starts at 2026-01-01T00:00:00Z, and the monotonic clock starts at zero.
///
/// Time does not pass while a dispatcher or one of its handlers is active. A dispatcher is active while it commits a
/// step or reads the store. A handler is active while its attempt can make progress.
///
/// A handler that waits for an external source does not hold time back. Examples are a socket, a channel of the test,
/// or another clock. Tasks and threads that a handler has started do not hold time back either.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Changes when the clock moves or a test requests rest. It is separate from `rested`, because it wakes attempts.
    /// The wake-up of an attempt must not depend on the actions of an attempt.
    moved: watch::Sender<()>,
    /// Changes when a waiter begins to rest.
    rested: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    now: Moment,
    /// The number of active units of work.
    busy: usize,
    /// The waiters, by number.
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
    /// The number of dispatchers that run by this clock.
    attached: usize,
    /// The number of rest requests by tests.
    asked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// The due time of the wait, if it has one.
    due: Option<Duration>,
    /// Whether the due wait holds time back until it is awake.
    holds: bool,
    /// For a dispatcher: the time of its next regular check, and the last rest request it has answered.
    dispatcher: Option<(Duration, u64)>,
}

impl State {
    /// Whether no work is left before time must pass.
    fn is_idle(&self) -> bool {
        let awakes = |waiting: &Waiting| waiting.holds && waiting.due.is_some_and(|due| due <= self.now.mono);
        self.busy == 0 && !self.waiting.values().any(awakes) && self.has_looked()
    }

    /// Whether every dispatcher has processed its input and rests.
    fn has_looked(&self) -> bool {
        let now = self.now.mono;
        let at_rest = |waiting: &&Waiting| {
            waiting.due.is_none_or(|due| due > now)
                && waiting.dispatcher.is_some_and(|(latest, acked)| acked >= self.asked && latest > now)
        };
        self.waiting.values().filter(at_rest).count() == self.attached
    }

    fn next_due(&self) -> Option<Duration> {
        self.waiting.values().filter_map(|waiting| waiting.due).filter(|due| *due > self.now.mono).min()
    }

    fn advance(&mut self, duration: Duration) {
        self.now.wall = self.now.wall.plus(duration);
        self.now.mono = self.now.mono.saturating_add(duration);
    }
}

impl Default for Shared {
    fn default() -> Self {
        let wall = Timestamp::from_millis(1_767_225_600_000);
        let state = State {
            now: Moment { wall, mono: Duration::ZERO },
            busy: 0,
            waiting: BTreeMap::new(),
            last: 0,
            attached: 0,
            asked: 0,
        };
        Self { state: Mutex::new(state), moved: watch::Sender::new(()), rested: watch::Sender::new(()) }
    }
}

impl ManualClock {
    /// Moves both clocks forward by `duration` and wakes all waiters, also while work is active.
    pub fn advance(&self, duration: Duration) {
        self.state().advance(duration);
        self.shared.moved.send_replace(());
    }

    /// Waits until no work is left before time must pass. Published events are then applied, and their deliveries have
    /// been tried. Dead letters are stored, and expired records are removed.
    pub async fn idle(&self) {
        self.ask();
        self.wait_until(State::is_idle).await;
    }

    /// Waits until every dispatcher has processed its input. Attempts may still be active, so new input can arrive at
    /// any time.
    pub async fn looked(&self) {
        self.ask();
        self.wait_until(State::has_looked).await;
    }

    /// Waits until no work is left, and moves both clocks to the next due time. Then waits again until no work is left.
    ///
    /// The next due time is that of a timer, a repeated attempt, a time limit, or another sleep by this clock. The time
    /// limits are those of attempts and of callers. The regular checks of a dispatcher do not count. This method waits
    /// as long as nothing is due.
    ///
    /// # Cancellation
    /// The clock has either moved or not moved.
    pub async fn advance_to_next(&self) {
        self.ask();
        loop {
            self.wait_until(|state| state.is_idle() && state.next_due().is_some()).await;
            if self.move_to_next() {
                return self.idle().await;
            }
        }
    }

    /// Moves to the next due time if no work is left. The check and the move happen under one lock.
    fn move_to_next(&self) -> bool {
        let mut state = self.state();
        let Some(next) = state.next_due().filter(|_| state.is_idle()) else { return false };
        let rest = next.saturating_sub(state.now.mono);
        state.advance(rest);
        drop(state);
        self.shared.moved.send_replace(());
        true
    }

    /// Sets the wall clock, forward or back, like an administrator. This method wakes no waiter. A dispatcher notices
    /// the new time at its next check, after at most one second, or on a call of [`idle`](Self::idle).
    pub fn set_wall(&self, wall: Timestamp) {
        self.state().now.wall = wall;
    }

    /// Makes every dispatcher check its input once more.
    fn ask(&self) {
        self.state().asked += 1;
        self.shared.moved.send_replace(());
    }

    async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let mut rested = self.shared.rested.subscribe();
        while !condition(&self.state()) {
            // `self` owns the sender.
            let _ = rested.changed().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// Attaches a dispatcher to this clock.
    pub(super) fn attach(&self) -> Attached {
        self.state().attached += 1;
        Attached { clock: self.clone(), acked: 0 }
    }

    /// Marks work as active until the returned guard is dropped.
    pub(super) fn working(&self) -> Working {
        self.state().busy += 1;
        Working(self.clone())
    }

    /// Waits until `duration` has passed, for any reason of the clock's moves.
    pub(super) async fn pass(&self, duration: Duration) {
        let until = self.now().mono.saturating_add(duration);
        self.until(move |state| state.now.mono >= until).await;
    }

    fn wait(&self, waiting: Waiting) -> Entry {
        let mut state = self.state();
        state.last += 1;
        let id = state.last;
        state.waiting.insert(id, waiting);
        drop(state);
        self.shared.rested.send_replace(());
        Entry { clock: self.clone(), id }
    }

    /// Waits until the condition holds after a move of the clock. The receiver is created at once, so that no move is
    /// missed.
    fn until(
        &self,
        condition: impl Fn(&State) -> bool + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (clock, mut moved) = (self.clone(), self.shared.moved.subscribe());
        async move {
            while !condition(&clock.state()) {
                let _ = moved.changed().await;
            }
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.state().now
    }

    fn sleep_until(&self, mono: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let entry = self.wait(Waiting { due: Some(mono), holds: false, dispatcher: None });
        let until = self.until(move |state| state.now.mono >= mono);
        Box::pin(async move {
            let _entry = entry;
            until.await;
        })
    }

    fn manual(&self) -> Option<&ManualClock> {
        Some(self)
    }
}

/// Guard of active work: time stands still until its drop.
#[derive(Debug)]
pub(super) struct Working(ManualClock);

impl Working {
    /// Rests for the given time and is then active again. Time cannot pass between the two.
    pub(super) async fn pause(self, duration: Duration) -> Self {
        let clock = self.0.clone();
        let due = clock.now().mono.saturating_add(duration);
        let entry = clock.wait(Waiting { due: Some(due), holds: true, dispatcher: None });
        let until = clock.until(move |state| state.now.mono >= due);
        drop(self);
        until.await;
        let working = clock.working();
        drop(entry);
        working
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
        self.0.shared.rested.send_replace(());
    }
}

/// An attempt. It is active from each wake-up until it waits.
#[derive(Debug)]
pub(super) struct Tracked {
    clock: ManualClock,
    /// Present while the attempt is active and is not being polled.
    working: Mutex<Option<Working>>,
    waker: Mutex<Option<Waker>>,
}

impl Tracked {
    pub(super) fn begin(clock: &ManualClock) -> Arc<Self> {
        let working = Mutex::new(Some(clock.working()));
        Arc::new(Self { clock: clock.clone(), working, waker: Mutex::default() })
    }

    pub(super) fn poll<T>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        *lock(&self.waker) = Some(cx.waker().clone());
        let polling = self.end();
        let polled = poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))));
        if polled.is_ready() {
            self.work(polling);
        }
        polled
    }

    /// The guard that holds the clock back for the attempt.
    pub(super) fn end(&self) -> Working {
        let working = lock(&self.working).take();
        working.unwrap_or_else(|| self.clock.working())
    }

    fn work(&self, working: Working) {
        let before = lock(&self.working).replace(working);
        drop(before);
    }
}

impl Wake for Tracked {
    fn wake(self: Arc<Self>) {
        self.work(self.clock.working());
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Removes the waiter from the list on its wake-up or drop.
struct Entry {
    clock: ManualClock,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.clock.state().waiting.remove(&self.id);
        self.clock.shared.rested.send_replace(());
    }
}

/// A dispatcher that runs by this clock.
#[derive(Debug)]
pub(super) struct Attached {
    clock: ManualClock,
    /// The last rest request for which the dispatcher has processed all its input.
    acked: u64,
}

impl Attached {
    /// Rests until the next due time, until `latest`, or until a test requests rest. Poll this future after every
    /// source of input: a poll means that no input has arrived. Returns the number of the last rest request for which
    /// this holds.
    pub(super) fn rest(
        &self,
        due: Option<Duration>,
        latest: Duration,
    ) -> Pin<Box<dyn Future<Output = u64> + Send + 'static>> {
        let (clock, acked) = (self.clock.clone(), self.acked);
        let entry = clock.wait(Waiting { due, holds: false, dispatcher: Some((latest, acked)) });
        let wake = due.map_or(latest, |due| due.min(latest));
        let until = clock.until(move |state| state.now.mono >= wake || state.asked > acked);
        Box::pin(async move {
            let _entry = entry;
            until.await;
            clock.state().asked
        })
    }

    pub(super) fn acked(&mut self, question: u64) {
        self.acked = question;
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.clock.state().attached -= 1;
        self.clock.shared.rested.send_replace(());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds the lock, so a poisoned lock still holds valid state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
