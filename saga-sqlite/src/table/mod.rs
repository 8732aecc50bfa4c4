//! One module per table: the statements, their parameters, and the reading of rows.
//!
//! Owns: SQL and the stored form of each value. Does not own: transactions, or the statements of a step.

pub(crate) mod alias;
pub(crate) mod audit;
pub(crate) mod consumer;
pub(crate) mod count;
pub(crate) mod data;
pub(crate) mod dead;
pub(crate) mod dedup;
pub(crate) mod definition;
pub(crate) mod delivery;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod instance;
pub(crate) mod item;
pub(crate) mod label;
pub(crate) mod meta;
pub(crate) mod names;
pub(crate) mod pause;
pub(crate) mod progress;
pub(crate) mod retired;
pub(crate) mod timer;
pub(crate) mod value;

/// Returns all statements of a running store with their names. A test prepares the statements and checks their query
/// plans.
#[cfg(test)]
pub(crate) fn all() -> Vec<(&'static str, &'static str)> {
    [
        alias::STATEMENTS,
        audit::STATEMENTS,
        pause::STATEMENTS,
        dead::STATEMENTS,
        delivery::STATEMENTS,
        history::STATEMENTS,
        inbox::STATEMENTS,
        instance::STATEMENTS,
        instance::list::STATEMENTS,
        dedup::STATEMENTS,
        meta::STATEMENTS,
        retired::STATEMENTS,
        consumer::STATEMENTS,
        definition::STATEMENTS,
        count::STATEMENTS,
        names::STATEMENTS,
        item::STATEMENTS,
        label::STATEMENTS,
        data::STATEMENTS,
        timer::STATEMENTS,
    ]
    .concat()
}

/// Defines statements as constants, and lists them for the test of their query plans.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)+
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),+];
    };
}
use statements;

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::SqliteStore;
    use crate::open::open;
    use crate::store_file::StoreFile;

    /// These statements read a whole table on purpose.
    const SCANS: &[&str] = &[
        "consumer::ALL",
        "definition::ALL",
        "pause::ALL",
        "inbox::COUNT",
        "dead::COUNT_UP_TO",
        "retired::ALL",
        "names::ALL",
        "timer::DELETE_ALL",
        "alias::RELEASE_ALL",
        "label::DELETE_ALL",
        "count::ALL",
        "count::SHOW",
        "dead::RENAME",
        "consumer::RENAME",
    ];

    #[test]
    fn every_statement_is_prepared_and_finds_its_rows_by_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&StoreFile::new(dir.path().join("saga.db"), SqliteStore::options())).unwrap();
        let statements = all();
        assert!(statements.len() > 40);
        for (name, sql) in statements {
            let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            for n in 1..=explain.parameter_count() {
                explain.raw_bind_parameter(n, 1).unwrap();
            }
            let mut rows = explain.raw_query();
            let mut plan = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                plan.push(row.get::<_, String>(3).unwrap());
            }
            let scans = plan.iter().any(|line| line.starts_with("SCAN") && line != "SCAN CONSTANT ROW");
            let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
            let allowed = SCANS.iter().any(|scan| name.ends_with(scan));
            assert!(allowed || (!scans && !sorts), "{name}: {plan:?}");
        }
    }

    #[test]
    fn no_statement_is_compiled_again_for_other_values() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&StoreFile::new(dir.path().join("saga.db"), SqliteStore::options())).unwrap();
        db.execute_batch("BEGIN").unwrap();
        for (name, sql) in all() {
            let mut statement = db.prepare(sql).unwrap();
            for value in [1, 2, 3] {
                for n in 1..=statement.parameter_count() {
                    statement.raw_bind_parameter(n, value).unwrap();
                }
                // The values fit no column. Only the compilation counts here.
                let _ = statement.raw_query().next();
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{name}");
        }
        db.execute_batch("ROLLBACK").unwrap();
    }
}
