//! A handle that does not keep its dispatcher alive.

use std::sync::{Arc, Weak};

use super::line::WeakLine;
use super::{CallLimits, Clock, Dispatcher, Shared};
use crate::engine::Registry;
use crate::message::PayloadLimits;
use crate::store::Store;

/// A handle on a [`Dispatcher`] that does not keep it alive. Use it in handlers and in other values that the dispatcher
/// owns. [`Dispatcher::downgrade`] creates it.
///
/// A handler exists before its dispatcher. Give the handler an empty place for the handle, such as a
/// `OnceLock<WeakDispatcher>`, and fill this place after the start. A handler that only publishes can use
/// [`HandlerContext::publish`](super::HandlerContext::publish) instead.
#[derive(Clone)]
pub struct WeakDispatcher {
    line: WeakLine,
    registry: Arc<Registry>,
    store: Weak<dyn Store>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    payload: PayloadLimits,
    limits: CallLimits,
}

impl Dispatcher {
    /// Returns a handle that does not keep this dispatcher alive.
    pub fn downgrade(&self) -> WeakDispatcher {
        WeakDispatcher {
            line: self.line.downgrade(),
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
    /// Returns the dispatcher, or `None` when its last handle has been dropped. A stopped dispatcher is still returned
    /// while another handle exists. Its calls then return an error for the stopped dispatcher.
    pub fn upgrade(&self) -> Option<Dispatcher> {
        Some(Dispatcher {
            line: self.line.upgrade()?,
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
