//! A handle that does not keep its dispatcher alive.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc::WeakUnboundedSender;

use super::run::Request;
use super::{CallLimits, Clock, Dispatcher, Shared};
use crate::engine::Registry;
use crate::message::PayloadLimits;
use crate::store::Store;

/// A handle on a [`Dispatcher`] that does not keep it alive, for handlers and for whatever else it owns itself. Made by
/// [`Dispatcher::downgrade`].
///
/// A handler exists before its dispatcher does, so it is given a place for one, such as a `OnceLock<WeakDispatcher>`, that
/// is filled after the start. To publish, a handler has
/// [`HandlerContext::publish`](super::HandlerContext::publish) anyway.
#[derive(Clone)]
pub struct WeakDispatcher {
    requests: WeakUnboundedSender<Request>,
    registry: Arc<Registry>,
    store: Weak<dyn Store>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    payload: PayloadLimits,
    limits: CallLimits,
}

impl Dispatcher {
    /// A handle that does not keep this dispatcher alive.
    pub fn downgrade(&self) -> WeakDispatcher {
        WeakDispatcher {
            requests: self.requests.downgrade(),
            registry: Arc::clone(&self.registry),
            store: Arc::downgrade(&self.store),
            clock: Arc::clone(&self.clock),
            shared: Arc::clone(&self.shared),
            payload: self.payload,
            limits: self.limits,
        }
    }
}

impl WeakDispatcher {
    /// The dispatcher, unless its last handle has been dropped. One that has stopped is answered as long as somebody holds a
    /// handle, and its calls say that it has stopped.
    pub fn upgrade(&self) -> Option<Dispatcher> {
        Some(Dispatcher {
            requests: self.requests.upgrade()?,
            registry: Arc::clone(&self.registry),
            store: self.store.upgrade()?,
            clock: Arc::clone(&self.clock),
            shared: Arc::clone(&self.shared),
            payload: self.payload,
            limits: self.limits,
        })
    }
}

impl std::fmt::Debug for WeakDispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeakDispatcher").finish_non_exhaustive()
    }
}
