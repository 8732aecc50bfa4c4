//! The thread of a store. It runs all connections and calls, so a caller needs no runtime with network support.

use std::thread::JoinHandle;

use saga_core::store::StoreError;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use crate::error::unavailable;

type Job = Box<dyn FnOnce() + Send>;

/// The thread. The drop ends its calls.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let thread = std::thread::Builder::new().name("saga-postgres".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                while let Some(job) = queue.recv().await {
                    job();
                }
            });
            // A look-up of a name may still run. Its result has no use.
            runtime.shutdown_background();
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` on the thread. Dropping the future does not stop the work.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        name: &str,
        work: impl AsyncFnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.start_work(async move || {
            // The receiver is gone if the caller was cancelled.
            let _ = answer.send(work().await);
        });
        answered.await.unwrap_or_else(|_| Err(unavailable(name, "a call to the store panicked")))
    }

    /// Starts `work` on the thread, and does not wait for it.
    pub(crate) fn start_work(&self, work: impl AsyncFnOnce() + Send + 'static) {
        let job: Job = Box::new(move || drop(spawn_local(async move { work().await })));
        if let Some(jobs) = &self.jobs {
            // The thread ends only after the drop of the sender.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}
