//! Performs the requests of the engine: answers callers, starts attempts, and reads and writes the store.
//!
//! Owns: retries while the store is not available (promise 7). Does not own: the time of each request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::clock::Clock;
use super::event_loop::EventLoop;
use super::tempo::Busy;
use super::{Health, Shared};
use crate::engine::{In, Out};
use crate::message::{Timestamp, chain};
use crate::store::{Batch, DeadLetterRow, StepOutcome, Store, StoreError};

/// The shortest and the longest wait before the next call to the store.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// The outcomes of a batch. Virtual time stands still until the outcomes have been processed.
pub(super) type Outcomes = (Result<Vec<StepOutcome>, StoreError>, Busy);
pub(super) type Written = Pin<Box<dyn Future<Output = Outcomes> + Send>>;
pub(super) type Read = (Result<In, StoreError>, Busy);

/// The kind of access to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Commit,
}

/// A batch that is being written.
pub(super) enum Commit {
    Under(Written),
    Over(Outcomes),
}

impl Commit {
    /// Polls the future once, so that the store receives the batch before any task waits for it.
    pub(super) fn begin(mut written: Written) -> Self {
        // The later wait polls the future again and registers its own waker.
        match written.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(outcomes) => Self::Over(outcomes),
            Poll::Pending => Self::Under(written),
        }
    }

    /// Cancel-safe: the outcomes are kept until the caller takes them.
    pub(super) async fn outcomes(&mut self) -> Outcomes {
        match self {
            Self::Under(written) => written.await,
            Self::Over(outcomes) => std::mem::replace(outcomes, (Ok(Vec::new()), Busy::default())),
        }
    }
}

impl EventLoop {
    pub(super) fn perform(&mut self, out: Out) {
        let store = Arc::clone(&self.store);
        let page = self.page;
        match out {
            Out::Answer(ticket, answer) => {
                if let Some(caller) = self.tickets.remove(&ticket) {
                    // A caller that was dropped needs no answer.
                    let _ = caller.send(answer);
                }
            }
            Out::Run(attempt) => self.attempts.start(*attempt, self.clock.now().mono),
            Out::Attention(what) => self.notices.send(*what, self.clock.now().mono),
            // Many marks of one moment are one purge.
            Out::Purge => self.sources.purge_soon(),
            Out::Cancel(attempt) => self.attempts.cancel(attempt),
            Out::Drop(attempt) => self.attempts.drop_now(attempt),
            Out::Load(addresses) => self.read(move || {
                let (store, addresses) = (Arc::clone(&store), addresses.clone());
                async move {
                    let found = store.load(&addresses).await?;
                    Ok(In::Loaded { addresses, found })
                }
            }),
            Out::FetchWaiting(address) => self.read(move || {
                let (store, address) = (Arc::clone(&store), address.clone());
                async move {
                    // Reads all of them, because none may be skipped. Events have a limit. Reports of children and
                    // deliveries of other processes have no limit.
                    let mut limit = 100 * page;
                    loop {
                        let rows = store.waiting(&address, limit).await?;
                        if rows.len() < limit {
                            return Ok(In::Waiting { address, rows });
                        }
                        limit = limit.saturating_mul(8);
                    }
                }
            }),
            Out::FetchInbox(after) => self.read_page(
                move |store, page| async move { store.inbox(after, page).await },
                |rows, more| In::Inbox { rows, more },
            ),
            Out::LookThroughInbox(after) => self.read_page(
                move |store, page| async move { store.inbox(after, page).await },
                |rows, more| In::LookedThroughInbox { rows, more },
            ),
            Out::FetchLetter(id, verb) => self.read(move || {
                let store = Arc::clone(&store);
                async move {
                    let found = DeadLetterRow::read(&*store, id).await?;
                    Ok(In::Letter { verb, found })
                }
            }),
            Out::FetchRetired(inbox, deliveries) => self.read(move || {
                let store = Arc::clone(&store);
                async move {
                    let mail = store.inbox(inbox, page).await?;
                    let deliveries = store.deliveries(deliveries, page).await?;
                    let more = mail.len() >= page || deliveries.len() >= page;
                    Ok(In::Retired { mail, deliveries, more })
                }
            }),
            Out::CountLive(saga, verb) => self.read(move || {
                let (store, saga) = (Arc::clone(&store), saga.clone());
                async move {
                    let counts = store.counts().await?;
                    let of = counts.iter().filter(|count| count.saga == saga && !count.has_ended());
                    Ok(In::Live { verb, instances: of.map(|count| count.instances).sum() })
                }
            }),
            Out::FetchPauses => self.read(move || {
                let store = Arc::clone(&store);
                async move {
                    let stored = store.pauses().await?;
                    Ok(In::Pauses(stored.into_iter().map(|pause| pause.of).collect()))
                }
            }),
            Out::FetchTasks(after) => self.read_page(
                move |store, page| async move { store.open_tasks(after, page).await },
                |rows, more| In::Tasks { rows, more },
            ),
            Out::FetchCompensating(after) => self.read_page(
                move |store, page| async move { store.compensating(after, page).await },
                |rows, more| In::Compensating { rows, more },
            ),
            Out::FetchDeliveries(after) => self.read_page(
                move |store, page| async move { store.deliveries(after, page).await },
                |rows, more| In::Deliveries { rows, more },
            ),
            Out::FetchTimers(after) => self.read_page(
                move |store, page| {
                    let after = after.clone();
                    async move { store.timers(Timestamp::MAX, after, page).await }
                },
                |rows, more| In::Timers { rows, more },
            ),
        }
    }

    /// Reads one page. A full page may have a successor.
    fn read_page<T, F, R>(&mut self, read: F, input: fn(Vec<T>, bool) -> In)
    where
        T: Send + 'static,
        F: Fn(Arc<dyn Store>, usize) -> R + Send + 'static,
        R: Future<Output = Result<Vec<T>, StoreError>> + Send + 'static,
    {
        let (store, page) = (Arc::clone(&self.store), self.page);
        self.read(move || {
            let rows = read(Arc::clone(&store), page);
            async move {
                let rows = rows.await?;
                let more = rows.len() >= page;
                Ok(input(rows, more))
            }
        });
    }

    /// Reads the store, and retries while the store is not available.
    fn read<F, R>(&mut self, ask: F)
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = Result<In, StoreError>> + Send + 'static,
    {
        let (clock, shared, busy) = self.asking();
        self.sources.reads.spawn(async move { shared.ask(Access::Read, &*clock, busy, ask).await });
    }

    /// Commits a batch, and retries until its outcome is known (rule R30).
    pub(super) fn commit(&self, batch: Arc<Batch>) -> Written {
        let (store, lease) = (Arc::clone(&self.store), self.lease.clone());
        let (clock, shared, busy) = self.asking();
        Box::pin(async move {
            let (store, lease) = (&*store, &lease);
            shared.ask(Access::Commit, &*clock, busy, || store.commit(lease, Arc::clone(&batch))).await
        })
    }

    fn asking(&self) -> (Arc<dyn Clock>, Arc<Shared>, Busy) {
        (Arc::clone(&self.clock), Arc::clone(&self.shared), Busy::by(&*self.clock))
    }

    /// Checks whether another process has written, and whether the store is still the one that was opened.
    pub(super) fn look(&mut self, scan: bool) {
        let (store, busy) = (Arc::clone(&self.store), Busy::by(&*self.clock));
        let (shared, clock) = (Arc::clone(&self.shared), Arc::clone(&self.clock));
        self.sources.reads.spawn(async move {
            let looked = match store.pulse().await {
                Ok(woken) => {
                    shared.recovered(Access::Read);
                    Ok(if woken || scan { In::Woken } else { In::Tick })
                }
                // The next check follows after one second.
                Err(error) if error.is_temporary() => {
                    shared.degraded(Access::Read, &error, clock.now().wall);
                    Ok(In::Tick)
                }
                Err(error) => Err(error),
            };
            (looked, busy)
        });
    }

    /// Reads what only the store knows, for the metrics.
    #[cfg(feature = "metrics")]
    pub(super) fn measure_store(&mut self) {
        let (store, busy) = (Arc::clone(&self.store), Busy::by(&*self.clock));
        self.sources.reads.spawn(async move {
            let read = async { Ok::<_, StoreError>((store.counts().await?, store.sizes().await?)) };
            match read.await {
                Ok((counts, sizes)) => super::meter::stored(&counts, &sizes),
                Err(error) => tracing::debug!(error = %chain(&error), "the store could not be measured"),
            }
            (Ok(In::Tick), busy)
        });
    }

    /// Logs the stored names that this build does not know.
    pub(super) fn compare_names(&mut self) {
        let (store, registry) = (Arc::clone(&self.store), Arc::clone(&self.registry));
        let busy = Busy::by(&*self.clock);
        self.sources.reads.spawn(async move {
            match super::names::unknown(&registry, &*store).await {
                Ok(unknown) => unknown.iter().for_each(|unknown| tracing::warn!("{unknown}")),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the names in the store could not be compared");
                }
            }
            (Ok(In::Tick), busy)
        });
    }

    pub(super) fn purge(&mut self, before: Timestamp) {
        let (store, busy) = (Arc::clone(&self.store), Busy::by(&*self.clock));
        let failed = self.sources.purge_failed();
        self.sources.reads.spawn(async move {
            const AT_ONCE: usize = 500;
            let mut instances = 0;
            loop {
                let purged = store.purge(before, AT_ONCE).await;
                instances += purged.as_ref().map_or(0, |purged| purged.instances);
                let done = if instances > 0 { In::Purged } else { In::Tick };
                match purged {
                    Ok(purged) if purged.instances >= AT_ONCE || purged.dedup >= AT_ONCE => {}
                    Ok(_) => return (Ok(done), busy),
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "expired instances and deduplication records could not be removed; the next try is in a minute");
                        failed.store(true, Ordering::Relaxed);
                        return (Ok(done), busy);
                    }
                }
            }
        });
    }
}

impl Shared {
    /// Retries an access to the store while the store is not available, and records the health.
    async fn ask<T, R>(
        &self,
        by: Access,
        clock: &dyn Clock,
        mut busy: Busy,
        ask: impl Fn() -> R,
    ) -> (Result<T, StoreError>, Busy)
    where
        R: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = RETRY.0;
        loop {
            match ask().await {
                Err(error) if error.is_temporary() => {
                    self.degraded(by, &error, clock.now().wall);
                    busy = busy.pause(clock, wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
                answer => {
                    if answer.is_ok() {
                        self.recovered(by);
                    }
                    return (answer, busy);
                }
            }
        }
    }

    /// Records that the store is not available, unless the health already shows it.
    fn degraded(&self, by: Access, error: &StoreError, now: Timestamp) {
        if by == Access::Commit {
            self.commit_fails.store(true, Ordering::Relaxed);
        }
        self.health.send_if_modified(|health| {
            let why = chain(error).to_string();
            if matches!(health, Health::Stopped { .. }) {
                return false;
            }
            let since = match health {
                Health::Degraded { why: known, .. } if *known == why => return false,
                Health::Degraded { since, .. } => *since,
                _ => now,
            };
            tracing::warn!(why, "the store is not available; the dispatcher tries again");
            *health = Health::Degraded { why, since };
            true
        });
    }

    /// Records that the store has answered. A full store can still be read, so a read does not end a failure of
    /// commits.
    fn recovered(&self, by: Access) {
        match by {
            Access::Commit => self.commit_fails.store(false, Ordering::Relaxed),
            Access::Read if self.commit_fails.load(Ordering::Relaxed) => return,
            Access::Read => {}
        }
        self.health.send_if_modified(|health| {
            let was = matches!(health, Health::Degraded { .. });
            if was {
                tracing::info!("the store is available again");
                *health = Health::Running;
            }
            was
        });
    }
}
