//! The mailbox of the dispatcher's thread. Every request of a caller or a handler arrives here, in order.
//!
//! Owns: the channel, its limit, and the conversation of a question with one answer. Does not own: the limits on
//! callers (`calling`), or the ends of attempts, which the lanes limit.
//!
//! A request needs a place, so that a fast caller waits instead of filling the memory. Exceptions need no place, because
//! another limit bounds them: an admitted publish, the withdrawal of a wait, one heartbeat per attempt, and the stop.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::unconstrained;

use super::clock::Clock;
use super::error::ShutdownError;
use super::tempo::Busy;
use crate::engine::{Answer, AttemptEnd, In, Ticket};

/// The number of places. The thread takes up to a few hundred requests at a time.
const PLACES: usize = 1_024;

/// Builds the input for the engine when the caller has its ticket.
type Question = Box<dyn FnOnce(Ticket) -> In + Send>;

/// A request to the dispatcher's thread.
pub(super) enum Request {
    /// An input with an answer.
    Ask { question: Question, answer: oneshot::Sender<Answer>, busy: Busy, _place: Place },
    /// An input without an answer.
    Tell(Box<In>),
    /// A running attempt is alive. The flag is true while this request waits.
    Heartbeat { attempt: u64, waits: Arc<AtomicBool> },
    /// Stop within this time, and report the result.
    Shutdown(Duration, oneshot::Sender<Result<(), ShutdownError>>),
    /// Give the shard up as soon as no attempt runs, within this time, and report whether that was possible.
    HandOver(Duration, oneshot::Sender<bool>),
    /// Stop at once, like a killed process.
    #[cfg(any(test, feature = "testing"))]
    Kill(oneshot::Sender<()>),
}

/// The end of an attempt.
pub(super) struct Ended {
    pub(super) attempt: u64,
    pub(super) how: AttemptEnd,
    pub(super) busy: Busy,
}

/// A place in the mailbox. It is free again when the thread has taken the request.
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// The place of a request that another limit has admitted.
    pub(super) fn admitted() -> Self {
        Self { _permit: None }
    }
}

/// The thread has ended. It takes no more requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

/// The callers' side. The thread stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    requests: UnboundedSender<Request>,
    places: Arc<Semaphore>,
}

/// The callers' side for values that the thread itself owns. It does not keep the dispatcher alive.
#[derive(Clone, Debug)]
pub(super) struct WeakMailbox {
    requests: WeakUnboundedSender<Request>,
    places: Arc<Semaphore>,
}

/// The thread's side. Its drop ends the waits for a place, and drops every request that was sent.
pub(super) struct Requests {
    requests: UnboundedReceiver<Request>,
    places: Arc<Semaphore>,
}

impl Mailbox {
    pub(super) fn new() -> (Self, Requests) {
        let (sender, receiver) = unbounded_channel();
        let places = Arc::new(Semaphore::new(PLACES));
        (Self { requests: sender, places: Arc::clone(&places) }, Requests { requests: receiver, places })
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> Result<Place, Gone> {
        place(&self.places).await
    }

    /// Sends a question. Each question gets at most one answer.
    pub(super) fn ask(
        &self,
        place: Place,
        clock: &dyn Clock,
        question: impl FnOnce(Ticket) -> In + Send + 'static,
    ) -> Result<oneshot::Receiver<Answer>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Ask {
            question: Box::new(question),
            answer,
            busy: Busy::by(clock),
            _place: place,
        })?;
        Ok(answered)
    }

    pub(super) fn send(&self, request: Request) -> Result<(), Gone> {
        self.requests.send(request).map_err(|_| Gone)
    }

    /// Returns whether the thread takes no more requests, because it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    pub(super) fn downgrade(&self) -> WeakMailbox {
        WeakMailbox { requests: self.requests.downgrade(), places: Arc::clone(&self.places) }
    }
}

impl WeakMailbox {
    /// Waits for a place. The wait does not keep the dispatcher alive.
    pub(super) async fn place(&self) -> Result<Place, Gone> {
        place(&self.places).await
    }

    pub(super) fn upgrade(&self) -> Option<Mailbox> {
        Some(Mailbox { requests: self.requests.upgrade()?, places: Arc::clone(&self.places) })
    }

    /// Sends a question, if the dispatcher still runs.
    pub(super) fn ask(
        &self,
        place: Place,
        clock: &dyn Clock,
        question: impl FnOnce(Ticket) -> In + Send + 'static,
    ) -> Result<oneshot::Receiver<Answer>, Gone> {
        self.upgrade().ok_or(Gone)?.ask(place, clock, question)
    }

    /// Reports that an attempt is alive, unless such a report of this attempt still waits.
    pub(super) fn heartbeat(&self, attempt: u64, waits: &Arc<AtomicBool>) {
        if let Some(mailbox) = self.upgrade()
            && !waits.swap(true, Ordering::AcqRel)
        {
            // A dispatcher that has ended drops the attempt.
            let _ = mailbox.send(Request::Heartbeat { attempt, waits: Arc::clone(waits) });
        }
    }
}

impl Requests {
    /// Takes the next request. `None` when every handle has been dropped. Cancel-safe.
    pub(super) async fn recv(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    pub(super) fn try_recv(&mut self) -> Result<Request, TryRecvError> {
        self.requests.try_recv()
    }

    /// Takes the next request on a thread without a runtime.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn blocking_recv(&mut self) -> Option<Request> {
        self.requests.blocking_recv()
    }

    /// Accepts no more requests. The waiting ones can still be taken.
    pub(super) fn close(&mut self) {
        self.places.close();
        self.requests.close();
    }
}

impl Drop for Requests {
    /// A sender first announces its request and then stores it. The drop of a tokio receiver between these two moments
    /// leaves the request in the channel while any sender lives, and its caller would wait without end. `recv` also
    /// waits for announced requests.
    fn drop(&mut self) {
        self.close();
        let mut rest = pin!(unconstrained(async { while self.recv().await.is_some() {} }));
        let mut cx = Context::from_waker(Waker::noop());
        while rest.as_mut().poll(&mut cx).is_pending() {
            std::thread::yield_now();
        }
    }
}

async fn place(places: &Arc<Semaphore>) -> Result<Place, Gone> {
    let permit = Arc::clone(places).acquire_owned().await.map_err(|_| Gone)?;
    Ok(Place { _permit: Some(permit) })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use super::super::clock::SystemClock;
    use super::*;

    fn ask(mailbox: &Mailbox, place: Place) {
        let asked = mailbox.ask(place, &SystemClock::default(), |_| In::Tick);
        assert!(asked.is_ok());
    }

    #[tokio::test]
    async fn a_full_mailbox_makes_callers_wait_until_a_request_is_taken() {
        let (mailbox, mut requests) = Mailbox::new();
        for _ in 0..PLACES {
            let place = mailbox.place().await.expect("a place is free");
            ask(&mailbox, place);
        }
        let mut next = Box::pin(mailbox.place());
        assert!(poll_once(&mut next).is_none(), "all places are in use");
        drop(requests.recv().await);
        assert!(poll_once(&mut next).is_some(), "the taken request has freed its place");
    }

    #[tokio::test]
    async fn the_end_of_the_thread_ends_the_wait_for_a_place() {
        let (mailbox, requests) = Mailbox::new();
        let places: Vec<_> = (0..PLACES).map(|_| poll_once(&mut Box::pin(mailbox.place()))).collect();
        let mut next = Box::pin(mailbox.place());
        assert!(poll_once(&mut next).is_none());
        drop(requests);
        assert!(matches!(poll_once(&mut next), Some(Err(Gone))));
        drop(places);
    }

    /// The end of the thread and a request meet at every distance. The mailbox lives on, so only the drop of the
    /// thread's side can drop the request.
    #[test]
    fn a_request_sent_at_the_end_of_the_thread_is_dropped_with_it() {
        const ROUNDS: usize = 400_000;
        let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let next = Mutex::new(None);
        let wait = |counter: &AtomicUsize, round| {
            for turn in 0.. {
                if counter.load(Ordering::Acquire) >= round {
                    break;
                }
                // On one core the other thread needs its turn.
                if turn < 1_000 { std::hint::spin_loop() } else { std::thread::yield_now() }
            }
        };
        let mut stuck = 0;
        let pass = |turns| (0..turns).for_each(|_| std::hint::spin_loop());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    wait(&begun, round);
                    let requests: Option<Requests> = next.lock().expect("no holder panics").take();
                    pass(round % 32);
                    drop(requests);
                    ended.store(round, Ordering::Release);
                }
            });
            for round in 1..=ROUNDS {
                let (mailbox, requests) = Mailbox::new();
                *next.lock().expect("no holder panics") = Some(requests);
                let (answer, mut answered) = oneshot::channel();
                begun.store(round, Ordering::Release);
                pass(round / 32 % 32);
                // The request may come before or after the end.
                let _ = mailbox.send(Request::Shutdown(Duration::ZERO, answer));
                wait(&ended, round);
                stuck += usize::from(matches!(answered.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
            }
        });
        assert_eq!(stuck, 0);
    }

    #[test]
    fn an_attempt_has_at_most_one_heartbeat_in_the_mailbox() {
        let (mailbox, mut requests) = Mailbox::new();
        let waits = Arc::default();
        for _ in 0..3 {
            mailbox.downgrade().heartbeat(1, &waits);
        }
        assert!(matches!(requests.try_recv(), Ok(Request::Heartbeat { attempt: 1, .. })));
        assert!(requests.try_recv().is_err());
        waits.store(false, Ordering::Release);
        mailbox.downgrade().heartbeat(1, &waits);
        assert!(requests.try_recv().is_ok());
    }

    /// Polls once, without a waker.
    fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
