//! The compiler's messages: one mistake a file. Each underlines the token to change and says what to write; nothing
//! else complains, although every file also implements and uses what is generated.
//!
//! The expected messages also hold prose of the compiler, which changes with its version. So another compiler skips the
//! comparison with one line, unless `SAGA_UI` is set.

use std::process::Command;

/// The version of the compiler that wrote the expected messages.
const COMPILER: &str = "rustc 1.95.";

#[test]
#[allow(clippy::print_stdout)] // A skipped test says so.
fn mistakes_are_underlined_and_sound_tables_compile() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version =
        Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    if !version.starts_with(COMPILER) && std::env::var_os("SAGA_UI").is_none() {
        println!(
            "skipped: the messages were written by {COMPILER}x, this is {version}; set SAGA_UI=1 to compare"
        );
        return;
    }
    for folder in ["parse", "names", "structure", "coverage", "types"] {
        cases.compile_fail(format!("tests/ui/{folder}/*.rs"));
    }
}
