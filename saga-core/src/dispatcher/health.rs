//! The health of a dispatcher, with reasons and their ages.
//!
//! Owns: the forms for a program, a probe and a page. Does not own: the moments at which the health changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Dispatcher, Shared};
use crate::engine::{HandlerStatus, Shard, Tally};
use crate::message::Timestamp;

/// Work that is due for less than this time is not late.
const LATE: Duration = Duration::from_secs(5);

/// The health of a dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The dispatcher accepts events and advances instances.
    Running,
    /// Another process runs the sagas. This one publishes, and takes over when the other one has stopped.
    #[non_exhaustive]
    StandingBy {
        /// The owner of the store, as far as it is known.
        owner: String,
        /// The time when this process began to stand by.
        since: Timestamp,
    },
    /// The store is not available. Calls wait, no saga fails, and the dispatcher guesses no outcome (promise 7).
    #[non_exhaustive]
    Degraded {
        /// The reason that the store reports.
        why: String,
        /// The time of the first failed access.
        since: Timestamp,
    },
    /// The dispatcher has stopped. Every accepted event is in the store.
    #[non_exhaustive]
    Stopped {
        /// The reason for the stop.
        why: String,
    },
}

/// The health with everything that explains it, for [`health_report`](Dispatcher::health_report). It serializes to JSON.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthReport {
    /// The health.
    pub health: Health,
    /// The time of the report.
    pub at: Timestamp,
    /// What a person should know, the most severe first. Empty while all is well.
    pub reasons: Vec<HealthReason>,
}

/// One reason in a [`HealthReport`]. `Display` writes a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthReason {
    /// The dispatcher has stopped.
    #[non_exhaustive]
    Stopped {
        /// The reason for the stop.
        why: String,
    },
    /// The store does not answer.
    #[non_exhaustive]
    StoreUnavailable {
        /// The reason that the store reports.
        why: String,
        /// The time of the first failed access.
        since: Timestamp,
    },
    /// The messages that an earlier dispatcher or other processes left are still being read. Events are accepted.
    TakingUp,
    /// Work is due for more than five seconds: a timer, or a commit that has no answer yet.
    #[non_exhaustive]
    LateWork {
        /// The due time of the oldest work.
        since: Timestamp,
    },
    /// The circuit breaker of a handler is open.
    #[non_exhaustive]
    BreakerOpen {
        /// The stored name of the command, or the name of the subscriber.
        handler: String,
    },
    /// An operator has paused a handler.
    #[non_exhaustive]
    HandlerPaused {
        /// The stored name of the command, or the name of the subscriber.
        handler: String,
    },
}

impl HealthReport {
    /// Returns whether the process should go on, for a liveness probe. Only a stopped dispatcher needs a new start.
    pub const fn is_live(&self) -> bool {
        !matches!(self.health, Health::Stopped { .. })
    }

    /// Returns whether the dispatcher answers calls now, for a readiness probe: the store answers, and what was left is
    /// taken up.
    pub fn is_ready(&self) -> bool {
        self.health == Health::Running && !self.reasons.contains(&HealthReason::TakingUp)
    }
}

impl HealthReason {
    /// Returns a stable word, for machines.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stopped { .. } => "stopped",
            Self::StoreUnavailable { .. } => "store-unavailable",
            Self::TakingUp => "taking-up",
            Self::LateWork { .. } => "late-work",
            Self::BreakerOpen { .. } => "breaker-open",
            Self::HandlerPaused { .. } => "handler-paused",
        }
    }

    /// Returns the time since when the reason holds, if it is known.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::StoreUnavailable { since, .. } | Self::LateWork { since } => Some(*since),
            _ => None,
        }
    }
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped { why } => write!(f, "the dispatcher has stopped: {why}"),
            Self::StoreUnavailable { why, since } => {
                write!(f, "the store has not answered since {since}: {why}")
            }
            Self::TakingUp => f.write_str("the messages of an earlier dispatcher are still being read"),
            Self::LateWork { since } => write!(f, "work is due since {since}"),
            Self::BreakerOpen { handler } => write!(f, "the breaker of the handler `{handler}` is open"),
            Self::HandlerPaused { handler } => write!(f, "the handler `{handler}` is paused"),
        }
    }
}

impl Serialize for HealthReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Report {
            health: &'static str,
            live: bool,
            ready: bool,
            at: String,
            reasons: Vec<Reason>,
        }
        #[derive(Serialize)]
        struct Reason {
            reason: &'static str,
            since: Option<String>,
            text: String,
        }
        let reasons = self.reasons.iter().map(|reason| Reason {
            reason: reason.as_str(),
            since: reason.since().map(|since| since.to_string()),
            text: reason.to_string(),
        });
        let health = match self.health {
            Health::Running => "running",
            Health::StandingBy { .. } => "standing-by",
            Health::Degraded { .. } => "degraded",
            Health::Stopped { .. } => "stopped",
        };
        let (live, ready, at) = (self.is_live(), self.is_ready(), self.at.to_string());
        Report { health, live, ready, at, reasons: reasons.collect() }.serialize(serializer)
    }
}

/// The condition of the engine, as the thread last published it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) tally: Tally,
    pub(super) handlers: Arc<[HandlerStatus]>,
    /// Steps that wait for a commit.
    pub(super) queued_steps: usize,
    /// The beginning of the commit in progress.
    pub(super) commit_since: Option<Timestamp>,
    /// The due time of the first timer, if it has passed.
    pub(super) timer_since: Option<Timestamp>,
    /// The longest delay of a timer that has fired since the figures before.
    pub(super) timer_late: Duration,
    /// What was left is still being read.
    pub(super) taking_up: bool,
}

impl Figures {
    pub(super) fn of(shard: &mut Shard, commit_since: Option<Timestamp>) -> Self {
        Self {
            tally: shard.tally(),
            handlers: shard.handlers().into(),
            queued_steps: shard.queued_steps(),
            commit_since,
            timer_since: shard.late_timer(),
            timer_late: shard.take_timer_late(),
            taking_up: shard.is_taking_up(),
        }
    }
}

impl Figures {
    /// The figures of several engines with the same handlers.
    pub(super) fn together(all: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = Self::default();
        for figures in all {
            sum.tally.add(&figures.tally);
            sum.handlers = match sum.handlers.is_empty() {
                true => figures.handlers,
                false => {
                    let pairs = sum.handlers.iter().zip(&*figures.handlers);
                    pairs.map(|(one, other)| one.together(other)).collect()
                }
            };
            sum.queued_steps += figures.queued_steps;
            sum.commit_since = earlier(sum.commit_since, figures.commit_since);
            sum.timer_since = earlier(sum.timer_since, figures.timer_since);
            sum.timer_late = sum.timer_late.max(figures.timer_late);
            sum.taking_up |= figures.taking_up;
        }
        sum
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

impl Shared {
    /// Publishes the figures of the engine, for callers that read them.
    pub(super) fn publish(&self, figures: Figures) {
        self.figures.send_if_modified(|known| {
            let changed = *known != figures;
            if changed {
                *known = figures;
            }
            changed
        });
    }
}

impl Dispatcher {
    /// Returns the current health.
    pub fn health(&self) -> Health {
        self.shared.health.borrow().clone()
    }

    /// Returns the health with its reasons and their ages, for probes and for pages. The dispatcher updates the figures
    /// behind it once a second. The call reads no store and does not wait.
    pub fn health_report(&self) -> HealthReport {
        let (health, at) = (self.health(), self.clock.now().wall);
        let mut reasons = Vec::new();
        match &health {
            Health::Stopped { why } => reasons.push(HealthReason::Stopped { why: why.clone() }),
            Health::Degraded { why, since } => {
                reasons.push(HealthReason::StoreUnavailable { why: why.clone(), since: *since });
            }
            Health::Running | Health::StandingBy { .. } => {}
        }
        let figures = self.shared.figures.borrow();
        if !matches!(health, Health::Stopped { .. }) {
            let oldest = [figures.commit_since, figures.timer_since].into_iter().flatten().min();
            let late = oldest.filter(|since| at.since(*since) > LATE);
            reasons.extend(late.map(|since| HealthReason::LateWork { since }));
            reasons.extend(figures.taking_up.then_some(HealthReason::TakingUp));
        }
        for handler in &*figures.handlers {
            if handler.breaker_open == Some(true) {
                reasons.push(HealthReason::BreakerOpen { handler: handler.name.clone() });
            }
            if handler.paused {
                reasons.push(HealthReason::HandlerPaused { handler: handler.name.clone() });
            }
        }
        HealthReport { health, at, reasons }
    }

    /// Waits until the dispatcher has stopped, and returns the reason: a shutdown, the loss of the lease to another process,
    /// or an error that no repetition can repair. The future is cancel-safe.
    ///
    /// A process that shares its store with others stands by again after this
    /// ([`stand_by`](super::DispatcherBuilder::stand_by)).
    pub fn stopped(&self) -> impl Future<Output = String> + Send + use<> {
        let mut changes = self.shared.health.subscribe();
        let shared = Arc::clone(&self.shared);
        async move {
            let stopped = changes.wait_for(|health| matches!(health, Health::Stopped { .. })).await;
            let why = match stopped.as_deref() {
                Ok(Health::Stopped { why }) => why.clone(),
                // `shared` owns the sender, so the sender still exists.
                _ => String::new(),
            };
            drop(stopped);
            drop(shared);
            why
        }
    }

    /// Waits until the health differs from the health at the time of the call, and returns the new health. A change between
    /// two calls is not returned: compare with [`health`](Self::health), or use [`stopped`](Self::stopped) for the end. The
    /// future is cancel-safe.
    pub fn health_changed(&self) -> impl Future<Output = Health> + Send + use<> {
        let mut changes = self.shared.health.subscribe();
        let shared = Arc::clone(&self.shared);
        async move {
            // `shared` owns the sender, so the sender still exists.
            let _ = changes.changed().await;
            drop(shared);
            changes.borrow().clone()
        }
    }

    /// Returns the counters since the start. The dispatcher updates them once a second.
    pub fn counters(&self) -> Tally {
        self.shared.figures.borrow().tally
    }

    /// Returns the condition of each handler and subscriber, in the order of their registration. The dispatcher updates
    /// the conditions once a second.
    pub fn handlers(&self) -> Arc<[HandlerStatus]> {
        Arc::clone(&self.shared.figures.borrow().handlers)
    }
}
