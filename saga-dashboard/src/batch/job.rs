//! The work of one decision about many instances, and how far it is.
//!
//! Owns: the order and the pace of the work, and its figures. Does not own: the decisions, which the source applies. The
//! work ends with the process. The decisions that were made stay, and the same filter finds the instances that are left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::iter;
use saga_core::machine::{Operator, OperatorVerb};
use saga_core::message::Timestamp;
use saga_core::store::Address;

use crate::source::{Decided, NotDecided, Source};

/// The works that can be shown.
const KEPT: usize = 16;
/// The decisions that wait for the dispatcher at a time. They share commits.
const AT_ONCE: usize = 32;
/// The decisions in one transaction of the inbox.
const PORTION: usize = 200;
/// The failures that are kept for people.
const FAILURES: usize = 20;

/// The latest works.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<VecDeque<Arc<Job>>>);

impl Jobs {
    pub(super) fn begin(
        &self,
        name: &'static str,
        decisions: Vec<(Address, Operator)>,
        began: Timestamp,
    ) -> Arc<Job> {
        let mut jobs = lock(&self.0);
        // A page of an earlier process must not show the work of this one.
        let id = u64::from(getrandom::u32().unwrap_or_default()) << 16 | (jobs.len() as u64 + 1);
        let total = decisions.len();
        let (decisions, figures) = (Mutex::new(decisions), Mutex::default());
        let job = Arc::new(Job { id, name, began, total, decisions, figures });
        jobs.push_back(Arc::clone(&job));
        // A work that goes on stays.
        while jobs.len() > KEPT
            && let Some(ended) = jobs.iter().position(|job| job.figures().ended)
        {
            jobs.remove(ended);
        }
        job
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Job>> {
        lock(&self.0).iter().find(|job| job.id == id).cloned()
    }
}

/// One decision about many instances.
pub(super) struct Job {
    pub(super) id: u64,
    /// The verb, for people.
    pub(super) name: &'static str,
    pub(super) began: Timestamp,
    pub(super) total: usize,
    /// The decisions until the work takes them.
    decisions: Mutex<Vec<(Address, Operator)>>,
    figures: Mutex<Figures>,
}

/// How far the work is.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) applied: u64,
    pub(super) handed_over: u64,
    pub(super) declined: u64,
    pub(super) not_done: u64,
    pub(super) unknown: u64,
    /// The first failures, with their reasons.
    pub(super) failures: Vec<(Address, String)>,
    /// The work has ended.
    pub(super) ended: bool,
}

impl Figures {
    /// Returns the number of instances with an outcome.
    pub(super) fn done(&self) -> u64 {
        self.applied + self.handed_over + self.declined + self.not_done + self.unknown
    }

    fn count(&mut self, to: Address, outcome: Result<Decided, NotDecided>) {
        match outcome {
            Ok(Decided::Done) => self.applied += 1,
            Ok(Decided::HandedOver) => self.handed_over += 1,
            Err(why) => {
                match why {
                    NotDecided::Declined(_) => self.declined += 1,
                    NotDecided::NotDone(_) => self.not_done += 1,
                    NotDecided::Unknown(_) => self.unknown += 1,
                }
                if self.failures.len() < FAILURES {
                    self.failures.push((to, why.to_string()));
                }
            }
        }
    }
}

impl Job {
    pub(super) fn figures(&self) -> Figures {
        lock(&self.figures).clone()
    }

    /// Decides about all instances, in order.
    pub(super) async fn run(self: Arc<Self>, source: Source, verb: OperatorVerb) {
        let end = End(&self);
        let decisions = std::mem::take(&mut *lock(&self.decisions));
        if source.is_inbox() {
            let mut decisions = decisions.into_iter().peekable();
            while decisions.peek().is_some() {
                let portion = decisions.by_ref().take(PORTION).collect();
                for (to, outcome) in source.hand_over(portion, &verb).await {
                    lock(&self.figures).count(to, outcome);
                }
            }
        } else {
            let decide = |(to, operator): (Address, Operator)| {
                let (source, verb) = (&source, verb.clone());
                async move { (to.clone(), source.decide(to, verb, operator).await) }
            };
            let mut decided = iter(decisions).map(decide).buffered(AT_ONCE);
            while let Some((to, outcome)) = decided.next().await {
                lock(&self.figures).count(to, outcome);
            }
        }
        drop(end);
    }
}

/// Notes the end of the work, also after a panic.
struct End<'a>(&'a Job);

impl Drop for End<'_> {
    fn drop(&mut self) {
        lock(&self.0.figures).ended = true;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is whole, so a poisoned lock still holds valid state.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
