//! The test of the documented expansion. The page must show the output of the derive for the order
//! saga.

use std::io::Write;
use std::process::{Command, Stdio};

use quote::ToTokens;
use syn::Item;

/// The text before and after the code on the page.
const FENCES: (&str, &str) = ("```text\n", "```\n");

fn read(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn format(tokens: &str) -> String {
    let config = format!("{}/..", env!("CARGO_MANIFEST_DIR"));
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path", &config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is installed with Rust");
    rustfmt.stdin.take().expect("it is piped").write_all(tokens.as_bytes()).expect("rustfmt reads");
    let output = rustfmt.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success(), "rustfmt cannot read what the derive writes:\n{tokens}");
    String::from_utf8(output.stdout).expect("rustfmt writes UTF-8")
}

#[test]
fn the_documentation_shows_what_the_derive_writes_for_the_order_saga() {
    let example = syn::parse_file(&read("examples/order/saga.rs")).expect("the example is Rust");
    let order = example.items.into_iter().find_map(|item| match item {
        Item::Enum(order) if order.ident == "OrderState" => Some(order),
        _ => None,
    });
    let order = order.expect("the example has the saga");
    let written = format(&crate::saga(order.to_token_stream()).to_string());
    let page = read("src/docs/expansion.md");
    let (before, rest) = page.split_once(FENCES.0).expect("the page shows code");
    let (shown, after) = rest.split_once(FENCES.1).expect("and ends it");
    // A run with `SAGA_SHOW` writes the present output into the page.
    if shown != written && std::env::var_os("SAGA_SHOW").is_some() {
        let path = format!("{}/../src/docs/expansion.md", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, format!("{before}{}{written}{}{after}", FENCES.0, FENCES.1))
            .expect("the page is written");
        return;
    }
    assert!(
        shown == written,
        "the derive writes something else than the page shows; look at it and run this test with SAGA_SHOW=1"
    );
}
