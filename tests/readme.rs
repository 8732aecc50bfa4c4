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
