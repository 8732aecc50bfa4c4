//! The thread of the writer and its queue, and direct calls while the writer is idle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use saga_core::store::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::Writer;
use crate::error::unavailable;
use crate::store_file::StoreFile;

/// The queue length before callers wait. The lease holder sends one batch at a time, so the queue is for all other
/// callers.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The handle to the writer.
#[derive(Debug)]
pub(crate) struct Handle {
    place: Arc<StoreFile>,
    writer: Arc<Mutex<Writer>>,
    /// The epoch of an abandoned lease. The lease ends after the current job of the writer. The value is 0 for none.
    abandoned: Arc<AtomicU64>,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    pub(crate) fn start(place: Arc<StoreFile>, writer: Writer) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let writer = Arc::new(Mutex::new(writer));
        let abandoned = Arc::new(AtomicU64::new(0));
        let (own, ended) = (Arc::clone(&writer), Arc::clone(&abandoned));
        let thread = std::thread::Builder::new().name("saga-writer".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                // The panic is caught before it can poison the lock.
                let mut writer = own.lock().unwrap_or_else(PoisonError::into_inner);
                // After a panic the answer is never sent. The caller detects this.
                guarded(&mut writer, job);
                writer.abandon(ended.load(Ordering::SeqCst));
            }
            own.lock().unwrap_or_else(PoisonError::into_inner).close();
        })?;
        Ok(Self { place, writer, abandoned, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a job on the calling thread. This saves two changes of thread.
    ///
    /// Returns `None` if the writer is in use, or if the job declines.
    pub(crate) fn call_here<T>(
        &self,
        job: impl FnOnce(&mut Writer) -> Option<Result<T, StoreError>>,
    ) -> Option<Result<T, StoreError>> {
        let mut writer = self.writer.try_lock().ok()?;
        guarded(&mut writer, job).unwrap_or_else(|| Some(Err(self.gone())))
    }

    /// Ends a lease without waiting: at once, or after the current job of the writer.
    pub(crate) fn abandon(&self, epoch: u64) {
        self.abandoned.fetch_max(epoch, Ordering::SeqCst);
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.abandon(epoch);
        } else if let Some(jobs) = &self.jobs {
            // A full queue contains a job already. The thread checks for abandoned leases after each job.
            let _ = jobs.try_send(Box::new(|_| ()));
        }
    }

    /// Runs a job on the thread of the writer. Dropping the future does not stop a queued job.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // The receiver is gone if the caller was cancelled. The written data stays.
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
        unavailable(self.place.name(), "the writer panicked; the next call opens a new connection")
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
    /// Waits for the thread. After the drop of the last handle, the file is closed and the lock is free.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}
