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
const SCHEMA_5: [&str; 2] =
    [include_str!("earlier/orders_schema_5.sql"), include_str!("earlier/orders_schema_5.bank")];
const SCHEMA_6: [&str; 2] =
    [include_str!("earlier/orders_schema_6.sql"), include_str!("earlier/orders_schema_6.bank")];
const SCHEMA_7: [&str; 2] =
    [include_str!("earlier/orders_schema_7.sql"), include_str!("earlier/orders_schema_7.bank")];
const SCHEMA_8: [&str; 2] =
    [include_str!("earlier/orders_schema_8.sql"), include_str!("earlier/orders_schema_8.bank")];
/// How the shop was started.
const ARGS: [&str; 8] = ["--count", "30", "--flaky", "60", "--decline", "10", "--label-refused", "30"];

fn statuses(db: &Connection, table: &str) -> BTreeMap<String, u64> {
    read(db, &format!("SELECT status, count(*) FROM {table} GROUP BY status"))
}

/// The counts as the store keeps them, with the changes in the newest lines of history.
fn counted(db: &Connection) -> BTreeMap<String, u64> {
    let sql = "SELECT n.name || ' ' || c.state, sum(c.instances
                   + (SELECT count(*) FROM saga_history WHERE id > m.counted AND (moved & 65535) = c.id)
                   - (SELECT count(*) FROM saga_history WHERE id > m.counted AND (moved >> 16) = c.id))
               FROM saga_count AS c JOIN saga_name AS n ON n.id = c.saga JOIN saga_meta AS m GROUP BY 1";
    let all = read(db, sql).into_iter();
    all.filter(|(_, instances)| *instances > 0).collect()
}

fn by_row(db: &Connection) -> BTreeMap<String, u64> {
    read(db, "SELECT saga || ' ' || state, count(*) FROM saga_v_instance GROUP BY 1")
}

fn read(db: &Connection, sql: &str) -> BTreeMap<String, u64> {
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_file_of_schema_3_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_3, "saga_instance");
}

#[test]
fn a_file_of_schema_4_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_4, "saga_instance");
}

#[test]
fn a_file_of_schema_5_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_5, "saga_v_instance");
}

#[test]
fn a_file_of_schema_6_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_6, "saga_v_instance");
}

#[test]
fn a_file_of_schema_7_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_7, "saga_v_instance");
}

#[test]
fn a_file_of_schema_8_is_opened_and_its_orders_are_finished() {
    finish(SCHEMA_8, "saga_v_instance");
}

/// `instances` is the table with the words for the status in the earlier file.
fn finish([database, bank]: [&str; 2], instances: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(database).unwrap();
    std::fs::write(folder.path().join("bank"), bank).unwrap();
    let before = statuses(&db, instances);
    assert!(before["running"] > 0 && before["compensating"] > 0 && before["completed"] > 0, "{before:?}");
    drop(db);

    // It ends with success only when every order is settled and the books of the bank balance.
    let figures = shop::finished(folder.path(), &ARGS);
    assert_eq!(figures["orders"], 30, "{figures}");

    let db = Connection::open(&path).unwrap();
    let after = statuses(&db, "saga_v_instance");
    assert_eq!(after.keys().collect::<Vec<_>>(), ["completed", "failed"], "{after:?}");
    assert_eq!(after.values().sum::<u64>(), 30);
    assert_eq!(counted(&db), by_row(&db), "the counts contain what was there before the migration");
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
