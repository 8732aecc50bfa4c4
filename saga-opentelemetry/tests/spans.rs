//! The spans of one order, as OpenTelemetry gets them.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

mod support;

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;
use support::{name, spans_of_one_order};

#[tokio::test]
async fn an_order_is_one_trace_linked_to_its_publisher() {
    let spans = spans_of_one_order().await;
    let names: Vec<String> = spans.iter().map(name).collect();
    let find = |wanted: &str| -> &SpanData {
        let found = names.iter().position(|name| name == wanted);
        &spans[found.unwrap_or_else(|| panic!("there is no span `{wanted}`: {names:?}"))]
    };
    let request = find("request of a customer");
    let (first, second) = (find("step order.placed"), find("step replied"));
    let (attempt, call) = (find("attempt payment.make"), find("call of the bank"));
    let delivery = find("delivery order.paid");

    let trace = |span: &SpanData| span.span_context.trace_id();
    for span in [second, attempt, call, delivery] {
        assert_eq!(trace(span), trace(first), "{}", name(span));
    }
    assert_ne!(trace(first), trace(request));
    let links: Vec<_> = first.links.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [request.span_context.span_id()]);
    assert!(second.links.links.is_empty());

    assert_eq!(first.parent_span_id, second.parent_span_id, "steps are side by side");
    assert_ne!(first.parent_span_id, SpanId::INVALID);
    assert_eq!(attempt.parent_span_id, first.span_context.span_id());
    assert_eq!(call.parent_span_id, attempt.span_context.span_id());
    assert_eq!(delivery.parent_span_id, second.span_context.span_id());
}
