//! The README says what is true: its code blocks are the example `small`, and its two commands are the ones CI runs.

const README: &str = include_str!("../README.md");
const SMALL: &str = include_str!("../examples/small.rs");
const CI: &str = include_str!("../.ci/run");

#[test]
fn every_code_block_stands_in_the_example() {
    let blocks: Vec<&str> = README
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(str::trim)
        .collect();
    assert!(blocks.len() >= 4, "{} blocks", blocks.len());
    for block in blocks {
        assert!(SMALL.contains(block), "not in examples/small.rs:\n{block}");
    }
}

#[test]
fn there_are_exactly_two_commands() {
    let commands: Vec<&str> = README.lines().filter(|line| line.starts_with("cargo ")).collect();
    assert_eq!(commands, ["cargo run --release --example order", "cargo test --workspace --all-features"]);
    assert!(CI.contains("README.md"), "CI reads its commands from the README");
}

/// The refusal on the page is the one of the compiler, and its table is the one of the test.
#[test]
fn the_refusal_is_the_compilers_own() {
    let page = README.split("## What the compiler refuses").nth(1).expect("the page has the section");
    let blocks: Vec<&str> =
        page.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::trim).collect();
    let table = include_str!("ui/coverage/debt_at_failure_end.rs");
    let message = include_str!("ui/coverage/debt_at_failure_end.stderr");
    assert!(table.contains(blocks[0]), "not in the test:\n{}", blocks[0]);
    assert!(message.contains(blocks[1]), "not the compiler's message:\n{}", blocks[1]);
}
