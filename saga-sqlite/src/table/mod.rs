//! One file per table: its statements, what is bound to them, and how its rows are read back.
//!
//! Owns: SQL and the stored form of each value. Does not own: transactions, or which statements make up a step.

pub(crate) mod dead;
pub(crate) mod delivery;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod instance;
pub(crate) mod mark;
pub(crate) mod meta;
pub(crate) mod obligation;
pub(crate) mod progress;
pub(crate) mod taker;
pub(crate) mod task;
pub(crate) mod timer;
mod value;

/// Every statement that runs while the store is in use, with its name: they are prepared and their plans are checked
/// by a test.
#[cfg(test)]
pub(crate) fn statements() -> Vec<(&'static str, &'static str)> {
    [
        dead::STATEMENTS,
        delivery::STATEMENTS,
        history::STATEMENTS,
        inbox::STATEMENTS,
        instance::STATEMENTS,
        mark::STATEMENTS,
        meta::STATEMENTS,
        obligation::STATEMENTS,
        taker::STATEMENTS,
        task::STATEMENTS,
        timer::STATEMENTS,
    ]
    .concat()
}

/// Defines statements as constants, and lists them for the test of their plans.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)+
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),+];
    };
}
use statements;
