//! The work between `start` and the first step: waiting for the store, taking the lease, and preparing the stored data.
//!
//! Owns: the rule that a failed or cancelled start leaves no lease behind. Does not own: the parts to start.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::error::StartError;
use super::performing::RETRY;
use super::retired;
use super::tempo::limit;
use crate::engine::{Registry, StartProblem, exposure};
use crate::message::chain;
use crate::store::{ConsumerRow, Lease, Pause, RetiredName, Store, StoreError, marked};

/// The time limit for a store to take back the lease of a failed start.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// Returns a runtime handle, and a receiver that completes at the end of this runtime. An idle task lives as long as
/// the runtime.
pub(super) fn watched(runtime: Handle) -> (Handle, oneshot::Receiver<()>) {
    let (alive, gone) = oneshot::channel::<()>();
    drop(runtime.spawn(async move {
        let mut alive = alive;
        // Also completes when the dispatcher has gone and drops the other end.
        alive.closed().await;
    }));
    (runtime, gone)
}

/// Retries an access while the store is not available, like a running dispatcher.
pub(super) struct Patient<'a> {
    clock: &'a dyn Clock,
    within: Duration,
    until: Duration,
}

impl<'a> Patient<'a> {
    /// Has this time from now on, for all its accesses together.
    pub(super) fn new(clock: &'a dyn Clock, within: Duration) -> Self {
        Self { clock, within, until: clock.now().mono.saturating_add(within) }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock
    }

    /// Accesses the store for a start.
    pub(super) async fn ask<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, StartError> {
        self.access(ask).await.map_err(|error| match error.is_temporary() {
            true => StartError::NotAvailable { within: self.within, source: error },
            false => error.into(),
        })
    }

    /// Accesses the store. A temporary error means that the time is over. An access without an answer is given up then.
    pub(super) async fn access<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut wait = RETRY.0;
        loop {
            let left = self.until.saturating_sub(self.clock.now().mono);
            let answer = tokio::select! {
                biased;
                answer = ask() => answer,
                () = limit(self.clock, left) => {
                    let (store, source) = ("the store".to_owned(), "the store has not answered".into());
                    return Err(StoreError::Unavailable { store, source });
                }
            };
            let error = match answer {
                Err(error) if error.is_temporary() => error,
                answer => return answer,
            };
            if self.clock.now().mono.saturating_add(wait) > self.until {
                return Err(error);
            }
            tracing::warn!(error = %chain(&error), "the store is not available; the call waits for the store");
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }
}

type Asked = Pin<Box<dyn Future<Output = Result<Lease, StoreError>> + Send>>;

/// Takes the lease. A lease that arrives after the end of the wait is given back.
pub(super) struct Leasing {
    store: Arc<dyn Store>,
    asked: Option<Asked>,
}

impl Leasing {
    pub(super) fn begin(store: Arc<dyn Store>, owner: String) -> Self {
        let asked = {
            let store = Arc::clone(&store);
            Box::pin(async move { store.lease(&owner).await })
        };
        Self { store, asked: Some(asked) }
    }
}

impl Future for Leasing {
    type Output = Result<Lease, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(asked) = &mut self.asked else { return Poll::Pending };
        let polled = asked.as_mut().poll(cx);
        if polled.is_ready() {
            self.asked = None;
        }
        polled
    }
}

impl Drop for Leasing {
    fn drop(&mut self) {
        let (store, asked) = (Arc::clone(&self.store), self.asked.take());
        // Without a runtime, no work continues here, and the store has no caller to answer.
        if let (Some(asked), Ok(runtime)) = (asked, Handle::try_current()) {
            drop(runtime.spawn(async move {
                if let Ok(lease) = asked.await {
                    let _ = store.release(&lease).await;
                    store.abandon(&lease);
                }
            }));
        }
    }
}

/// A lease under which nothing runs yet. Its drop gives the lease back.
pub(super) struct Leased {
    store: Arc<dyn Store>,
    lease: Option<Lease>,
}

impl Leased {
    pub(super) fn new(store: Arc<dyn Store>, lease: Lease) -> Self {
        Self { store, lease: Some(lease) }
    }

    /// Passes the lease to the thread of the dispatcher.
    pub(super) fn hand_over(mut self) {
        self.lease = None;
    }

    /// Nothing has run, so the next start sees a clean stop. This holds even if the store did not take the lease back
    /// in time. Nothing was written under the lease.
    pub(super) async fn give_back(self, clock: &dyn Clock) {
        let Some(lease) = &self.lease else { return };
        tokio::select! {
            biased;
            _ = self.store.release(lease) => {}
            () = limit(clock, GIVE_BACK) => {}
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            self.store.abandon(lease);
        }
    }
}

/// Returns the pauses, or the reason why this build must not run on the store.
pub(super) async fn admitted(
    store: &dyn Store,
    registry: &Registry,
) -> Result<Result<Vec<Pause>, Vec<StartProblem>>, StoreError> {
    let pauses = store.pauses().await?;
    if let Some(why) = marked(&pauses) {
        return Ok(Err(vec![StartProblem::Moved { why }]));
    }
    let problems = retired::problems(registry, &store.retired().await?);
    Ok(if problems.is_empty() { Ok(pauses) } else { Err(problems) })
}

/// Prepares the stored data for this build: the present `names`, the consumers of each event, and the definitions. Returns
/// the pauses, or the reason why this build must not run on the store, without any change. Duty: hold the lease, so that no other build renames
/// anything meanwhile.
pub(super) async fn prepare(
    store: &dyn Store,
    registry: &Registry,
    names: &[RetiredName],
    consumers: &[ConsumerRow],
    stored: &[ConsumerRow],
) -> Result<Result<Vec<Pause>, Vec<StartProblem>>, StoreError> {
    let mut pauses = match admitted(store, registry).await? {
        Ok(pauses) => pauses,
        Err(problems) => return Ok(Err(problems)),
    };
    if !names.is_empty() {
        let moved = store.rename(names).await?;
        // The pause of a renamed saga has the present name now.
        pauses = store.pauses().await?;
        for (RetiredName { was, name, .. }, instances) in names.iter().zip(moved) {
            if instances > 0 {
                tracing::info!(was, name, instances, "a saga was renamed");
            }
        }
    }
    let is_own = |pause: &Pause| consumers.iter().any(|own| pause.retires(&own.consumer));
    let (returned, pauses): (Vec<_>, Vec<_>) = pauses.into_iter().partition(is_own);
    for Pause { of, who, .. } in &returned {
        tracing::warn!(who, "{of} was retired, and this build has it; it receives events again");
    }
    if !returned.is_empty() || consumers.iter().any(|consumer| !stored.contains(consumer)) {
        store.register(consumers).await?;
    }
    let known = store.definitions().await?;
    let mut own: Vec<_> = registry.definitions().collect();
    for definition in &mut own {
        // The payloads of earlier builds stay hidden.
        known.iter().for_each(|earlier| definition.keep_redacted(earlier));
    }
    exposure::warn(&own);
    let changed: Vec<_> = own.into_iter().filter(|definition| !known.contains(definition)).collect();
    if !changed.is_empty() {
        store.define(&changed).await?;
    }
    for Pause { of, who, .. } in &pauses {
        tracing::warn!(who, "{of} is {} until somebody resumes it", of.state());
    }
    Ok(Ok(pauses))
}
