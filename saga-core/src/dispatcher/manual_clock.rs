//! The clock of a test: it moves only when the test moves it, and only while nothing is at work.
//!
//! Owns: virtual time, who waits for it, and who is at work. A dispatcher is at rest when it has looked at everything
//! that reached it before the test asked, and waits. An attempt is at work until it waits for something, and again from
//! the moment it is woken.

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

/// A clock that stands still until a test moves it. Clones are one clock.
///
/// It starts at 2026-01-01T00:00:00Z by the wall clock, and at zero by the other.
///
/// Time does not pass while a dispatcher or one of its handlers is at work: while a step is being committed, the store is
/// being read, or an attempt has something to do. A handler that waits for something outside, such as a socket, a channel
/// of the test or another clock, does not hold time back; nor do tasks and threads that a handler has started.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Changes when the clock moves, or a test asks. A channel of its own, because it wakes attempts, and what wakes an
    /// attempt must not follow from what an attempt does.
    moved: watch::Sender<()>,
    /// Changes when somebody rests.
    rested: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    now: Moment,
    /// How much is at work.
    busy: usize,
    /// Those who wait, by a number of their own.
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
    /// Dispatchers that run by this clock.
    attached: usize,
    /// How often a test has asked whether all are at rest.
    asked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// What it waits for, if that is for a moment.
    due: Option<Duration>,
    /// Whether its being due holds time back until it is awake.
    holds: bool,
    /// A dispatcher: when it looks again in any case, and up to which question it is at rest.
    dispatcher: Option<(Duration, u64)>,
}

impl State {
    /// Whether nothing is left to do before time passes.
    fn is_idle(&self) -> bool {
        let awakes = |waiting: &Waiting| waiting.holds && waiting.due.is_some_and(|due| due <= self.now.mono);
        self.busy == 0 && !self.waiting.values().any(awakes) && self.has_looked()
    }

    /// Whether every dispatcher has looked at what had reached it, and rests.
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
    /// Moves both clocks forward and wakes whoever waits, whether or not anything is at work.
    pub fn advance(&self, duration: Duration) {
        self.state().advance(duration);
        self.shared.moved.send_replace(());
    }

    /// Waits until nothing is left to do before time passes: what was published is applied, its deliveries have been
    /// tried, dead letters are kept, what is past its window is removed.
    pub async fn idle(&self) {
        self.ask();
        self.wait_until(State::is_idle).await;
    }

    /// Waits until every dispatcher has dealt with what had reached it. Attempts may be at work, so more can reach it at
    /// any time.
    pub async fn looked(&self) {
        self.ask();
        self.wait_until(State::has_looked).await;
    }

    /// Waits until nothing is left to do, moves both clocks to the next moment that anything is due, and waits until
    /// nothing is left to do again. Due are timers, attempts to be repeated, time limits of attempts and of callers, and
    /// whoever else sleeps by this clock; not the regular looks of a dispatcher. Waits as long as nothing is due.
    ///
    /// # Cancellation
    /// The clock has moved or it has not.
    pub async fn advance_to_next(&self) {
        self.ask();
        loop {
            self.wait_until(|state| state.is_idle() && state.next_due().is_some()).await;
            if self.move_to_next() {
                return self.idle().await;
            }
        }
    }

    /// Moves to what is due next, if nothing is left to do: looked at once more in the same breath as the clock moves.
    fn move_to_next(&self) -> bool {
        let mut state = self.state();
        let Some(next) = state.next_due().filter(|_| state.is_idle()) else { return false };
        let rest = next.saturating_sub(state.now.mono);
        state.advance(rest);
        drop(state);
        self.shared.moved.send_replace(());
        true
    }

    /// Sets the wall clock, forward or back, as an administrator would. Nobody is woken: a dispatcher notices it when it
    /// looks again, which is after a second at most, or when [`idle`](Self::idle) is called.
    pub fn set_wall(&self, wall: Timestamp) {
        self.state().now.wall = wall;
    }

    /// Has every dispatcher look once more at what has reached it.
    fn ask(&self) {
        self.state().asked += 1;
        self.shared.moved.send_replace(());
    }

    async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let mut rested = self.shared.rested.subscribe();
        while !condition(&self.state()) {
            // The sender lives in `self`.
            let _ = rested.changed().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// A dispatcher runs by this clock from here on.
    pub(super) fn attach(&self) -> Attached {
        self.state().attached += 1;
        Attached { clock: self.clone(), acked: 0 }
    }

    /// Something is at work until this goes.
    pub(super) fn working(&self) -> Working {
        self.state().busy += 1;
        Working(self.clone())
    }

    /// Ends when so much time has passed, for whatever reason the clock has moved.
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

    /// Ends when the clock has moved so that this is so. Holds the moves from here on, so that none is missed.
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

/// Something at work: time stands still until it goes.
#[derive(Debug)]
pub(super) struct Working(ManualClock);

impl Working {
    /// Rests for so long and is at work again afterwards, with no moment between in which time could pass.
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

/// An attempt, which is at work whenever somebody has woken it.
#[derive(Debug)]
pub(super) struct Tracked {
    clock: ManualClock,
    /// There while it is at work and not being polled.
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

    /// What holds back the clock for the attempt.
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

/// Takes whoever waits off the list when it is woken or goes away.
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
    /// Up to which question it has looked at everything that had reached it.
    acked: u64,
}

impl Attached {
    /// Rests until something is due, at `latest`, or when a test asks. To be polled behind everything that can reach the
    /// dispatcher: it takes being polled as the sign that nothing has. Answers up to which question that is so.
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
    // Nothing panics while one is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
