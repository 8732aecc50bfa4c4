//! Requests of callers to the engine, and the known outcome of a request without an answer.
//!
//! Owns: the limit on every call, the admission of a request, and the distinction between *certainly not done* and *not
//! known*. Does not own: the content of requests.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::InstanceError;
use super::mailbox::{Mailbox, Place};
use super::{Dispatcher, Health};
use crate::engine::{Answer, Claim, In, Ticket, Withdrawal};
use crate::store::StoreError;

/// The reason why a call was not answered.
#[derive(Debug)]
pub(super) enum NotAnswered {
    /// The dispatcher has stopped and nothing was done.
    Stopped,
    /// Nothing was done, for this reason.
    NotDone(String),
    /// The outcome is not known, for this reason.
    Unknown(String),
}

/// The limits on the wait of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    /// The limit of the caller. `None` means the limit of the dispatcher.
    pub(super) limit: Option<Duration>,
    /// Whether the call returns as soon as the store is not available.
    pub(super) fail_fast: bool,
}

/// Withdraws a request when the call is dropped.
struct Caller(Withdrawal);

impl Drop for Caller {
    fn drop(&mut self) {
        // A request that the engine has begun continues.
        self.0.withdraw();
    }
}

/// Why a call is refused inside a transaction on the same store.
pub(super) const IN_TRANSACTION: &str = "the call is inside a transaction on the same store; the call would wait for the end of \
                                         the transaction; publish with the transaction's own `publish`";

impl Dispatcher {
    /// Sends a request that changes state. The request can be withdrawn until the engine begins it.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the request if the engine has not begun it.
    pub(super) async fn call(
        &self,
        mailbox: &Mailbox,
        patience: Patience,
        publishes: bool,
        ask: impl FnOnce(Ticket, Claim) -> In + Send + 'static,
    ) -> Result<Answer, NotAnswered> {
        if self.store.is_held_here() {
            return Err(NotAnswered::NotDone(IN_TRANSACTION.to_owned()));
        }
        let limit = patience.limit.unwrap_or(self.limits.call);
        let late = self.limit(patience.limit);
        tokio::pin!(late);
        let degraded = self.degraded();
        tokio::pin!(degraded);
        let admission = if publishes {
            tokio::select! {
                biased;
                place = Arc::clone(&self.shared.admission).acquire_owned() => match place {
                    Ok(place) => Some(place),
                    Err(_) => return Err(NotAnswered::Stopped),
                },
                why = &mut degraded, if patience.fail_fast => return Err(NotAnswered::NotDone(why)),
                () = &mut late => {
                    let most = self.limits.publishing;
                    let why = format!("{most} publishes, the limit of `max_in_flight_publishes`, were in flight for {limit:?}");
                    return Err(NotAnswered::NotDone(self.because(why)));
                }
            }
        } else {
            None
        };
        if let (true, Some(why)) = (patience.fail_fast, self.unavailable()) {
            return Err(NotAnswered::NotDone(why));
        }
        let claim = Claim::new(admission);
        let caller = Caller(claim.withdrawal());
        // The admission of a publish also bounds the mailbox.
        let place = if publishes {
            Place::admitted()
        } else {
            tokio::select! {
                biased;
                place = mailbox.place() => place.map_err(|_| NotAnswered::Stopped)?,
                () = &mut late => {
                    let why = format!("the dispatcher took no request within {limit:?}");
                    return Err(NotAnswered::NotDone(self.because(why)));
                }
            }
        };
        let asked = mailbox.ask(place, &*self.clock, move |ticket| ask(ticket, claim));
        let answered = asked.map_err(|_| NotAnswered::Stopped)?;
        tokio::pin!(answered);
        let mut fail_fast = patience.fail_fast;
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return answer.map_err(|_| self.gone(&caller.0)),
                why = &mut degraded, if fail_fast => {
                    if caller.0.withdraw() {
                        return Err(NotAnswered::NotDone(why));
                    }
                    // The request is in progress, and its outcome is known when the store answers.
                    fail_fast = false;
                }
                () = &mut late => {
                    let why = self.because(format!("no answer within {limit:?}"));
                    let not_done = caller.0.withdraw();
                    return Err(if not_done { NotAnswered::NotDone(why) } else { NotAnswered::Unknown(why) });
                }
            }
        }
    }

    /// Applies the limit of a call to a read of the store.
    pub(super) async fn within<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, InstanceError> {
        tokio::select! {
            biased;
            read = read => Ok(read?),
            () = self.limit(None) => {
                let why = self.because(format!("the store did not answer within {:?}", self.limits.call));
                Err(InstanceError::NotDone { why })
            }
        }
    }

    /// Waits until the call reaches its limit. A manual clock does not count this limit as a due time.
    pub(super) async fn limit(&self, own: Option<Duration>) {
        match own {
            Some(limit) => self.clock.sleep(limit).await,
            None => super::tempo::limit(&*self.clock, self.limits.call).await,
        }
    }

    /// Waits until a call that began at `since` reaches its limit.
    pub(super) async fn rest_of_limit(&self, own: Option<Duration>, since: Duration) {
        let passed = self.clock.now().mono.saturating_sub(since);
        match own {
            Some(limit) => self.clock.sleep(limit.saturating_sub(passed)).await,
            None => super::tempo::limit(&*self.clock, self.limits.call.saturating_sub(passed)).await,
        }
    }

    /// Waits until the store is not available, and returns the reason.
    async fn degraded(&self) -> String {
        let mut health = self.shared.health.subscribe();
        loop {
            health.borrow_and_update();
            if let Some(why) = self.unavailable() {
                return why;
            }
            // `shared` owns the sender.
            let _ = health.changed().await;
        }
    }

    /// Returns the reason why the store is not available.
    pub(super) fn unavailable(&self) -> Option<String> {
        match &*self.shared.health.borrow() {
            Health::Degraded { why, .. } if !self.shared.is_one_shard.load(Ordering::Acquire) => {
                Some(why.clone())
            }
            _ => None,
        }
    }

    /// The dispatcher has stopped without an answer.
    fn gone(&self, request: &Withdrawal) -> NotAnswered {
        if request.withdraw() {
            return NotAnswered::Stopped;
        }
        NotAnswered::Unknown(match self.health() {
            Health::Stopped { why } => format!("the dispatcher stopped: {why}"),
            _ => "the dispatcher stopped".to_owned(),
        })
    }

    /// Returns a reason, with the known state of the store.
    pub(super) fn because(&self, why: String) -> String {
        match self.health() {
            Health::Degraded { why: trouble, .. } => format!("{why}; {trouble}"),
            _ => why,
        }
    }
}
