//! How a caller's request reaches the engine, and what the caller knows when there is no answer.
//!
//! Owns: the limit on every call, the place a request takes among those the dispatcher keeps, and telling *surely not
//! done* from *nobody knows*. Does not own: what is asked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::InstanceError;
use super::run::Request;
use super::tempo::Busy;
use super::{Dispatcher, Health};
use crate::engine::{Answer, Claim, In, Ticket, Withdrawal};
use crate::store::StoreError;

/// Why a call was not answered.
#[derive(Debug)]
pub(super) enum NotAnswered {
    /// The dispatcher has stopped and nothing was done.
    Stopped,
    /// Nothing was done, for this reason.
    NotDone(String),
    /// Nobody knows.
    Unknown(String),
}

/// How long a call waits, and for what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    /// The caller's own limit; otherwise the dispatcher's.
    pub(super) limit: Option<Duration>,
    /// Whether it gives up as soon as the store is not available.
    pub(super) fail_fast: bool,
}

/// Withdraws a request when its caller goes away.
struct Caller(Withdrawal);

impl Drop for Caller {
    fn drop(&mut self) {
        // What the engine has taken goes on.
        self.0.withdraw();
    }
}

impl Dispatcher {
    /// Asks the engine for something that may be withdrawn as long as the engine has not begun it.
    ///
    /// # Cancellation
    /// Withdraws the request if nothing has been done about it.
    pub(super) async fn call(
        &self,
        patience: Patience,
        publishes: bool,
        ask: impl FnOnce(Ticket, Claim) -> In + Send + 'static,
    ) -> Result<Answer, NotAnswered> {
        if self.store.is_held_here() {
            let why = "it is asked for inside a transaction on the same store, whose end it would wait for; publish with \
                       the transaction's own `publish`";
            return Err(NotAnswered::NotDone(why.to_owned()));
        }
        let limit = patience.limit.unwrap_or(self.limits.call);
        let late = self.limit(patience.limit);
        tokio::pin!(late);
        let degraded = self.degraded();
        tokio::pin!(degraded);
        let place = if publishes {
            tokio::select! {
                biased;
                place = Arc::clone(&self.shared.admission).acquire_owned() => match place {
                    Ok(place) => Some(place),
                    Err(_) => return Err(NotAnswered::Stopped),
                },
                why = &mut degraded, if patience.fail_fast => return Err(NotAnswered::NotDone(why)),
                () = &mut late => {
                    let most = self.limits.publishing;
                    let why = format!("{most} events were being published, which is the limit, for {limit:?}");
                    return Err(NotAnswered::NotDone(self.because(why)));
                }
            }
        } else {
            None
        };
        if let (true, Health::Degraded { why }) = (patience.fail_fast, self.health()) {
            return Err(NotAnswered::NotDone(why));
        }
        let claim = Claim::new(place);
        let caller = Caller(claim.withdrawal());
        let answered = self.send(move |ticket| ask(ticket, claim))?;
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
                    // It is being done, and what came of it is known when the store answers.
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

    /// Asks the engine for something that changes nothing.
    pub(super) async fn request(
        &self,
        ask: impl FnOnce(Ticket) -> In + Send + 'static,
    ) -> Result<Answer, NotAnswered> {
        let answered = self.send(ask)?;
        answered.await.map_err(|_| NotAnswered::Stopped)
    }

    /// Holds a read of the store to the limit of a call.
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

    fn send(
        &self,
        ask: impl FnOnce(Ticket) -> In + Send + 'static,
    ) -> Result<oneshot::Receiver<Answer>, NotAnswered> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Ask(Box::new(ask), answer, Busy::by(&*self.clock));
        self.requests.send(request).map_err(|_| NotAnswered::Stopped)?;
        Ok(answered)
    }

    /// Ends when a call has taken too long. The limit of the dispatcher is no moment that a test waits for.
    pub(super) async fn limit(&self, own: Option<Duration>) {
        match own {
            Some(limit) => self.clock.sleep(limit).await,
            None => super::tempo::limit(&*self.clock, self.limits.call).await,
        }
    }

    /// Ends when the store is not available, and says why.
    async fn degraded(&self) -> String {
        let mut health = self.shared.health.subscribe();
        loop {
            if let Health::Degraded { why } = &*health.borrow_and_update() {
                return why.clone();
            }
            // The sender lives in `shared`.
            let _ = health.changed().await;
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

    /// A reason, with what is known about the store.
    pub(super) fn because(&self, why: String) -> String {
        match self.health() {
            Health::Degraded { why: trouble } => format!("{why}; {trouble}"),
            _ => why,
        }
    }
}
