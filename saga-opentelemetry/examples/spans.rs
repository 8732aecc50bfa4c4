//! Prints the spans of one order: `cargo run -p saga-opentelemetry --example spans`.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spans = support::spans_of_one_order().await;
    let name = |id| spans.iter().find(|span| span.span_context.span_id() == id).map(support::name);
    for span in &spans {
        let context = &span.span_context;
        let parent = name(span.parent_span_id).unwrap_or_else(|| "-".to_owned());
        println!("{} {:<38} below {parent}", context.trace_id(), support::name(span));
        for link in &span.links.links {
            let linked = name(link.span_context.span_id()).unwrap_or_else(|| "another process".to_owned());
            println!("{:32} {:<38} linked to {linked}", "", "");
        }
    }
    Ok(())
}
