//! The writer's thread and its queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use saga_core::store::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::Writer;
use crate::error::unavailable;
use crate::place::Place;

/// Callers wait beyond this; the lease holder has one batch under way at a time, so it is for everybody else.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Handle {
    place: Arc<Place>,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Starts the thread.
    pub(crate) fn start(place: Arc<Place>, mut writer: Writer) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new().name("saga-writer".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                // The caller learns of a panic because its answer never comes.
                if catch_unwind(AssertUnwindSafe(|| job(&mut writer))).is_err() {
                    writer.panicked();
                }
            }
            writer.close();
        })?;
        Ok(Self { place, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has the writer do something. Dropping the future does not stop it once it is queued.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // Nobody listens any more when the caller was cancelled; what was written stays written.
            let _ = answer.send(job(writer));
        });
        if let Some(jobs) = &self.jobs
            && jobs.send(job).await.is_ok()
            && let Ok(result) = answered.await
        {
            return result;
        }
        Err(unavailable(self.place.name(), "the writer panicked; it starts afresh with the next call"))
    }
}

impl Drop for Handle {
    /// Waits for the thread, so that the file is closed and the lock free when the last handle has gone.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}
