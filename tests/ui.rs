//! The compiler's messages: one mistake a file. Each underlines the token to change and says what to write; nothing
//! else complains, although every file also implements and uses what is generated.

#[test]
fn mistakes_are_underlined_and_sound_tables_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    for folder in ["parse", "names", "structure", "coverage", "types"] {
        cases.compile_fail(format!("tests/ui/{folder}/*.rs"));
    }
}
