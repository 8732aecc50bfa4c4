//! The calls of the application about what a person should know, without repetitions.
//!
//! Owns: the groups, and the task that calls the application. Does not own: the moments at which something needs
//! attention (the engine).

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::Health;
use super::ending::{ASKED, DROPPED};
use crate::engine::Attention;
use crate::message::panic_text;

/// The shortest time between two calls about the same group.
const QUIET: Duration = Duration::from_secs(60);
/// The maximum number of calls that wait. Further ones are counted in their group.
const WAITING: usize = 1_000;
/// The maximum number of groups. Further ones are not told apart.
const GROUPS: usize = 1_000;

/// One call about something that needs attention.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// The newest occurrence.
    pub what: Attention,
    /// The number of occurrences of the same group that had no call of their own since the call before. A group has one
    /// kind, one saga, subscriber or handler, and one reason.
    pub left_out: u64,
}

pub(super) type Callback = Arc<dyn Fn(Notice) + Send + Sync>;

/// Sends notices to the application. A notice of a group that had one in the last minute waits and is counted.
pub(super) struct Notices {
    to: Option<mpsc::Sender<Notice>>,
    groups: HashMap<Group, Quiet>,
}

/// Kind, object and reason.
type Group = (&'static str, String, String);

struct Quiet {
    until: Duration,
    left_out: u64,
    /// The newest occurrence without a call.
    newest: Option<Attention>,
}

impl Notices {
    /// Without a callback nothing is sent.
    pub(super) fn new(callback: Option<Callback>, health: watch::Receiver<Health>, runtime: &Handle) -> Self {
        let to = callback.map(|callback| {
            let (to, notices) = mpsc::channel(WAITING);
            drop(runtime.spawn(call(callback, notices, health)));
            to
        });
        Self { to, groups: HashMap::new() }
    }

    pub(super) fn send(&mut self, what: Attention, now: Duration) {
        let Some(to) = &self.to else { return };
        let mut group = (what.kind(), what.of().to_owned(), what.reason().into_owned());
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&group) {
            group = (what.kind(), String::new(), String::new());
        }
        match self.groups.get_mut(&group) {
            Some(quiet) => {
                quiet.left_out += u64::from(quiet.newest.is_some());
                quiet.newest = Some(what);
            }
            None => {
                let notice = Notice { what, left_out: 0 };
                let newest = to.try_send(notice).err().map(|error| error.into_inner().what);
                let until = now.saturating_add(QUIET);
                self.groups.insert(group, Quiet { until, left_out: 0, newest });
            }
        }
    }

    /// Sends what has waited long enough, and forgets quiet groups.
    pub(super) fn tick(&mut self, now: Duration) {
        let Some(to) = &self.to else { return };
        self.groups.retain(|_, quiet| {
            if now < quiet.until {
                return true;
            }
            let Some(what) = quiet.newest.take() else { return false };
            match to.try_send(Notice { what, left_out: quiet.left_out }) {
                Ok(()) => quiet.left_out = 0,
                Err(error) => quiet.newest = Some(error.into_inner().what),
            }
            quiet.until = now.saturating_add(QUIET);
            true
        });
    }
}

/// Calls the application for each notice and each change of the health, until the dispatcher has ended.
async fn call(callback: Callback, mut notices: mpsc::Receiver<Notice>, mut health: watch::Receiver<Health>) {
    let tell = |what| {
        let called = catch_unwind(AssertUnwindSafe(|| callback(what)));
        if let Err(panic) = called {
            tracing::error!(panic = panic_text(&*panic), "the callback of `on_attention` panicked");
        }
    };
    let mut told = Told::default();
    loop {
        tokio::select! {
            biased;
            notice = notices.recv() => match notice {
                Some(notice) => tell(notice),
                None => break,
            },
            changed = health.changed() => {
                if changed.is_err() {
                    break;
                }
                let now = health.borrow_and_update().clone();
                report(&now, &mut told).into_iter().for_each(tell);
            }
        }
    }
    // The thread of the dispatcher has ended.
    let last = health.borrow().clone();
    report(&last, &mut told).into_iter().for_each(tell);
}

/// The last notice about the health.
#[derive(Default)]
struct Told {
    degraded: bool,
    stopped: bool,
}

/// Returns the notice about a changed health.
fn report(health: &Health, told: &mut Told) -> Option<Notice> {
    let what = match health {
        Health::Degraded { why, .. } if !std::mem::replace(&mut told.degraded, true) => {
            Attention::Degraded { why: why.clone() }
        }
        Health::Running if std::mem::take(&mut told.degraded) => Attention::Recovered,
        Health::Stopped { why } if !is_wanted(why) && !std::mem::replace(&mut told.stopped, true) => {
            Attention::Stopped { why: why.clone() }
        }
        _ => return None,
    };
    Some(Notice { what, left_out: 0 })
}

/// Returns whether the application itself has ended the dispatcher.
fn is_wanted(why: &str) -> bool {
    [ASKED, DROPPED].contains(&why)
}
