//! Files that an earlier build has written are opened, migrated and finished. The shop of `examples/order` was killed with
//! orders in the middle: some run, some compensate, some have ended.

#![allow(missing_docs)]

#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeMap;

use rusqlite::Connection;

const DATABASE: &str = include_str!("earlier/orders_schema_3.sql");
const BANK: &str = include_str!("earlier/orders_schema_3.bank");
/// How the shop was started.
const ARGS: [&str; 8] = ["--count", "30", "--flaky", "60", "--decline", "10", "--label-refused", "30"];

fn statuses(db: &Connection) -> BTreeMap<String, u64> {
    let mut statement = db.prepare("SELECT status, count(*) FROM saga_instance GROUP BY status").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_file_of_schema_3_is_opened_and_its_orders_are_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(DATABASE).unwrap();
    std::fs::write(folder.path().join("bank"), BANK).unwrap();
    let before = statuses(&db);
    assert!(before["running"] > 0 && before["compensating"] > 0 && before["completed"] > 0, "{before:?}");
    drop(db);

    // It ends with success only when every order is settled and the books of the bank balance.
    let figures = shop::finished(folder.path(), &ARGS);
    assert_eq!(figures["orders"], 30, "{figures}");

    let db = Connection::open(&path).unwrap();
    let after = statuses(&db);
    assert_eq!(after.keys().collect::<Vec<_>>(), ["completed", "failed"], "{after:?}");
    assert_eq!(after.values().sum::<u64>(), 30);
    let words: Vec<String> = {
        let mut statement = db.prepare("SELECT DISTINCT kind FROM saga_history ORDER BY kind").unwrap();
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
