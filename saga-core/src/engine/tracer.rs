//! The joint between the spans of the engine and a system for distributed traces.

use tracing::Span;

use crate::message::{Incarnation, TraceContext};
use crate::store::Address;

/// Joins the spans of a dispatcher to distributed traces, for example those of OpenTelemetry.
///
/// Without a tracer, the context of a publisher goes unchanged through steps, commands, handlers, replies, children and
/// timers. A tracer gives each span a context of its own, and everything inside the span continues that context.
///
/// The dispatcher calls both methods on its own thread or on the thread of the caller. They must not block or panic.
pub trait Tracer: Send + Sync + 'static {
    /// Returns the context of the code that runs now. An event that is published without
    /// [`trace`](crate::dispatcher::PublishOptions::trace) gets this context.
    fn current(&self) -> Option<TraceContext>;

    /// Joins a new span to a trace, before it is entered. Returns the context of the span. `None` continues the context
    /// of the cause.
    fn join(&self, span: &Span, of: &Traced<'_>) -> Option<TraceContext>;
}

/// A new span.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Traced<'a> {
    /// The kind of the span.
    pub kind: TracedKind,
    /// The instance, or the subscriber with the key of the event.
    pub of: &'a Address,
    /// The incarnation of the instance. `None` for a delivery to a subscriber. One trace for each instance can have this
    /// value as its id.
    pub incarnation: Option<Incarnation>,
    /// The context of the cause: of the published event, or of the step that sent the command.
    pub cause: Option<TraceContext>,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TracedKind {
    /// The step of an instance.
    Step,
    /// An attempt of a command.
    Attempt,
    /// An attempt of a delivery to a subscriber.
    Delivery,
}

impl dyn Tracer {
    /// Joins a span, and returns the context for everything inside it.
    pub(crate) fn joined(tracer: Option<&Self>, span: &Span, of: &Traced<'_>) -> Option<TraceContext> {
        tracer.and_then(|tracer| tracer.join(span, of)).or(of.cause)
    }
}
