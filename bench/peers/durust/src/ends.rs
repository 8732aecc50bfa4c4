//! Who waits for the end of which order. The client of durust has no call that waits for a result.
//!
//! A workflow that is about to return says so, and the next commit of its run is the durable end. Both come from the
//! worker in this order, so no query of the database is needed.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use tokio::sync::oneshot;

/// The orders under way.
#[derive(Default)]
pub struct Ends {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Orders whose workflow has run through.
    returned: HashSet<String>,
    /// Run, order, and who waits.
    waiting: HashMap<String, (String, oneshot::Sender<()>)>,
    /// Runs that had a commit before their start was answered.
    early: HashSet<String>,
}

impl Ends {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics under this lock")
    }

    /// The workflow of this order returns its result.
    pub fn returned(&self, order: &str) {
        self.inner().returned.insert(order.to_owned());
    }

    /// A workflow task of this run is committed.
    pub fn committed(&self, run: &str) {
        let mut inner = self.inner();
        let Some((order, _)) = inner.waiting.get(run) else {
            inner.early.insert(run.to_owned());
            return;
        };
        let order = order.clone();
        if inner.returned.remove(&order)
            && let Some((_, sender)) = inner.waiting.remove(run)
        {
            // A waiter that has gone needs no answer.
            let _ = sender.send(());
        }
    }

    /// Resolves with the commit that ends this order.
    pub fn wait(&self, run: &str, order: &str) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner();
        if inner.early.remove(run) && inner.returned.remove(order) {
            let _ = sender.send(());
        } else {
            inner.waiting.insert(run.to_owned(), (order.to_owned(), sender));
        }
        receiver
    }
}
