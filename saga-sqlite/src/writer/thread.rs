//! The writer's thread and its queue, and the way past both when nobody else writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    writer: Arc<Mutex<Writer>>,
    /// The epoch of the lease that is to end after what the writer is doing; 0 for none.
    abandoned: Arc<AtomicU64>,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Starts the thread.
    pub(crate) fn start(place: Arc<Place>, writer: Writer) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let writer = Arc::new(Mutex::new(writer));
        let abandoned = Arc::new(AtomicU64::new(0));
        let (own, ended) = (Arc::clone(&writer), Arc::clone(&abandoned));
        let thread = std::thread::Builder::new().name("saga-writer".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                // A panic is caught before it can poison the lock.
                let mut writer = own.lock().unwrap_or_else(PoisonError::into_inner);
                // The caller learns of a panic because its answer never comes.
                guarded(&mut writer, job);
                writer.abandon(ended.load(Ordering::SeqCst));
            }
            own.lock().unwrap_or_else(PoisonError::into_inner).close();
        })?;
        Ok(Self { place, writer, abandoned, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has the writer do something on the calling thread, which saves two changes of thread; `None` when somebody else
    /// is using it, or when the job declines.
    pub(crate) fn call_here<T>(
        &self,
        job: impl FnOnce(&mut Writer) -> Option<Result<T, StoreError>>,
    ) -> Option<Result<T, StoreError>> {
        let mut writer = self.writer.try_lock().ok()?;
        guarded(&mut writer, job).unwrap_or_else(|| Some(Err(self.gone())))
    }

    /// Ends a lease soon, without waiting: here and now, or after what the writer is doing.
    pub(crate) fn abandon(&self, epoch: u64) {
        self.abandoned.fetch_max(epoch, Ordering::SeqCst);
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.abandon(epoch);
        } else if let Some(jobs) = &self.jobs {
            // In a full queue there is a job, and after each job the thread looks.
            let _ = jobs.try_send(Box::new(|_| ()));
        }
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
        Err(self.gone())
    }

    fn gone(&self) -> StoreError {
        unavailable(self.place.name(), "the writer panicked; it starts afresh with the next call")
    }
}

fn guarded<T>(writer: &mut Writer, job: impl FnOnce(&mut Writer) -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(|| job(writer))).ok();
    if done.is_none() {
        writer.panicked();
    }
    done
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
