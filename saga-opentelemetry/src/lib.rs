//! OpenTelemetry for `saga`: one trace for each instance, linked to the traces of its events.
//!
//! The dispatcher has [`tracing`] spans for steps, attempts and deliveries. [`OpenTelemetry`] gives them their places in
//! distributed traces. `tracing-opentelemetry` must be a layer of the subscriber, and exports them.
//!
//! ```
//! # use saga_core::dispatcher::DispatcherBuilder;
//! # fn with_traces(builder: DispatcherBuilder) -> DispatcherBuilder {
//! builder.tracer(saga_opentelemetry::OpenTelemetry::new())
//! # }
//! ```
//!
//! - The id of the trace of an instance is its incarnation. A process that has crashed goes on in the same trace.
//! - Steps are side by side below the root of the instance. An attempt stands below the step that sent its command.
//! - A step links to the span that published its event, if that span belongs to another trace. A child links to its parent.
//! - The root itself is no span: an instance can live for years. Viewers show the steps without it.
//! - A delivery to a subscriber stands below the span that published the event.

#![forbid(unsafe_code)]

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use saga_core::engine::{Traced, TracedKind, Tracer};
use saga_core::message::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A [`Tracer`] for OpenTelemetry.
#[derive(Clone, Copy, Debug)]
pub struct OpenTelemetry {
    share: f64,
}

impl Default for OpenTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenTelemetry {
    /// Returns a tracer that samples every instance.
    pub const fn new() -> Self {
        Self { share: 1.0 }
    }

    /// Samples this share of the instances, from 0.0 to 1.0. The incarnation decides, so an instance is sampled as a whole, in
    /// all processes. The sampler of the SDK must follow its parent, as the default does.
    #[must_use]
    pub const fn sample(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    fn is_sampled(&self, trace: u128) -> bool {
        // The low 64 bits of an incarnation are random. A share needs no more precision than a float has.
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let place = trace as u64 as f64 / u64::MAX as f64;
        place < self.share || self.share >= 1.0
    }
}

impl Tracer for OpenTelemetry {
    fn current(&self) -> Option<TraceContext> {
        let context = Span::current().context();
        own(context.span().span_context()).or_else(|| own(Context::current().span().span_context()))
    }

    fn join(&self, span: &Span, of: &Traced<'_>) -> Option<TraceContext> {
        let cause = of.cause.map(|cause| remote(cause.trace_id(), cause.span_id(), cause.flags()));
        let parent = match of.incarnation {
            Some(incarnation) => {
                let trace = incarnation.as_u128();
                let of_instance = |cause: &SpanContext| cause.trace_id() == TraceId::from(trace);
                match cause {
                    Some(cause) if of.kind == TracedKind::Attempt && of_instance(&cause) => cause,
                    cause => {
                        if let Some(cause) = cause.filter(|cause| !of_instance(cause)) {
                            span.add_link(cause);
                        }
                        remote(trace, root(trace), u8::from(self.is_sampled(trace)))
                    }
                }
            }
            None => cause?,
        };
        // The span is new, so its parent can be set. Without a layer for OpenTelemetry nothing happens.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        own(span.context().span().span_context())
    }
}

/// The id of the root of a trace. An incarnation is random, and so is this half of it.
const fn root(trace: u128) -> u64 {
    #[allow(clippy::cast_possible_truncation)] // Half of the bits is what is wanted.
    let half = (trace >> 64) as u64 ^ trace as u64;
    if half == 0 { 1 } else { half }
}

fn remote(trace: u128, span: u64, flags: u8) -> SpanContext {
    let (trace, span, flags) = (TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

fn own(context: &SpanContext) -> Option<TraceContext> {
    let trace = u128::from_be_bytes(context.trace_id().to_bytes());
    let span = u64::from_be_bytes(context.span_id().to_bytes());
    TraceContext::new(trace, span, context.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_instances_is_sampled_and_each_one_as_a_whole() {
        let half = OpenTelemetry::new().sample(0.5);
        assert!(half.is_sampled(1) && half.is_sampled(1) && !half.is_sampled(u128::from(u64::MAX)));
        assert!(OpenTelemetry::new().is_sampled(u128::MAX));
        assert!(!OpenTelemetry::new().sample(0.0).is_sampled(0));
    }

    #[test]
    fn a_root_is_never_the_forbidden_zero() {
        assert_eq!(root(0), 1);
        assert_eq!(root((7 << 64) | 7), 1);
        assert_eq!(root(7), 7);
    }
}
