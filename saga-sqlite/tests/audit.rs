//! The audit in a file: its rows cannot be changed through SQL, and a changed file shows.

#![allow(missing_docs)]

use rusqlite::Connection;
use saga_core::store::conformance::Driver;
use saga_core::store::{AuditEntry, AuditFilter, AuditLink, Inspect, Step};
use saga_sqlite::SqliteStore;

fn entry(who: &str) -> AuditEntry {
    AuditEntry {
        at: saga_core::store::conformance::time(7),
        who: who.to_owned(),
        why: String::new(),
        verb: "retry".into(),
        to: None,
        object: String::new(),
        payload: None,
        declined: None,
        request: None,
    }
}

#[tokio::test]
async fn rows_are_never_changed_and_a_forged_one_breaks_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saga.db");
    let store = std::sync::Arc::new(SqliteStore::open(&path).unwrap());
    let mut driver = Driver::lease(store.clone()).await;
    let audit = vec![entry("ada"), entry("bob"), entry("eve")];
    driver.committed(Step { audit, ..Step::default() }).await;

    let db = Connection::open(&path).unwrap();
    for sql in ["UPDATE saga_audit SET who = 'x'", "DELETE FROM saga_audit WHERE id = 2"] {
        let error = db.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("rows of saga_audit are never"), "{error}");
    }
    let broken = async || {
        let mut link = AuditLink::FIRST;
        let rows = store.audit(&AuditFilter::default()).await.unwrap();
        rows.iter().position(|row| !row.follows(&std::mem::replace(&mut link, row.link)))
    };
    assert_eq!(broken().await, None);
    // Somebody with the file can remove the triggers, and the chain then shows the change.
    db.execute_batch("DROP TRIGGER saga_audit_no_update; UPDATE saga_audit SET who = 'x' WHERE id = 2")
        .unwrap();
    assert_eq!(broken().await, Some(1));
    db.execute_batch("UPDATE saga_audit SET who = 'bob' WHERE id = 2; DROP TRIGGER saga_audit_no_delete;")
        .unwrap();
    db.execute("DELETE FROM saga_audit WHERE id = 1", []).unwrap();
    assert_eq!(broken().await, Some(0));
}
