//! Files that an earlier build has written are opened, migrated and finished. The shop of `examples/order` was killed with
//! orders in the middle: some run, some compensate, some have ended.

#![allow(missing_docs)]

#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeMap;

use rusqlite::Connection;

/// The database and the bank of a shop that was killed, for each schema.
const SCHEMA_3: [&str; 2] =
    [include_str!("earlier/orders_schema_3.sql"), include_str!("earlier/orders_schema_3.bank")];
const SCHEMA_4: [&str; 2] =
    [include_str!("earlier/orders_schema_4.sql"), include_str!("earlier/orders_schema_4.bank")];
/// How the shop was started.
const ARGS: [&str; 8] = ["--count", "30", "--flaky", "60", "--decline", "10", "--label-refused", "30"];

fn statuses(db: &Connection, table: &str) -> BTreeMap<String, u64> {
    let sql = format!("SELECT status, count(*) FROM {table} GROUP BY status");
    let mut statement = db.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_file_of_schema_3_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_3);
}

#[test]
fn a_file_of_schema_4_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_4);
}

fn finish([database, bank]: [&str; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(database).unwrap();
    std::fs::write(folder.path().join("bank"), bank).unwrap();
    let before = statuses(&db, "saga_instance");
    assert!(before["running"] > 0 && before["compensating"] > 0 && before["completed"] > 0, "{before:?}");
    drop(db);

    // It ends with success only when every order is settled and the books of the bank balance.
    let figures = shop::finished(folder.path(), &ARGS);
    assert_eq!(figures["orders"], 30, "{figures}");

    let db = Connection::open(&path).unwrap();
    let after = statuses(&db, "saga_v_instance");
    assert_eq!(after.keys().collect::<Vec<_>>(), ["completed", "failed"], "{after:?}");
    assert_eq!(after.values().sum::<u64>(), 30);
    let words: Vec<String> = {
        let mut statement = db.prepare("SELECT DISTINCT kind FROM saga_v_history ORDER BY kind").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    for (was, word) in [("turned", "compensating"), ("arrived", "compensated")] {
        assert!(
            words.iter().any(|found| found == word) && !words.iter().any(|found| found == was),
            "{words:?}"
        );
    }
}
