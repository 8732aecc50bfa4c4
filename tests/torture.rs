//! `kill -9` at any moment, two hundred times, with an outside witness.
//!
//! The shop of `examples/order` is killed and started again on the same files until it is left to finish. The verdict
//! is reached from the bank's file and the database alone, by rules written down here once more, and never depends on
//! time; only the moments of the kills do.

#[path = "support/shop.rs"]
mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use shop::{finished, run};

const DATABASES: u64 = 4;
const KILLS_EACH: u64 = 52;
const ORDERS: u64 = 700;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

/// One life that ends by SIGKILL: after so many bytes of calls, or after so long when it does not call. Whether it was
/// alive when the blow fell.
fn killed(folder: &Path, args: &[&str], random: &mut Random) -> bool {
    let bank = folder.join("bank");
    let until = size(&bank) + random.below(8_000);
    let patience = Duration::from_millis(5 + random.below(400));
    let mut child = run(folder, args).stdout(Stdio::null()).spawn().expect("the shop starts");
    let started = Instant::now();
    while started.elapsed() < patience && size(&bank) < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    let alive = child.try_wait().expect("the shop can be waited for").is_none();
    child.kill().expect("SIGKILL");
    child.wait().expect("the shop can be waited for");
    alive
}

/// What the bank's file says of one order.
#[derive(Default)]
struct Account {
    charged: u64,
    refunded: u64,
    charge_keys: BTreeSet<String>,
}

/// Reads the witness, and holds every key to one meaning and one effect.
fn witness(folder: &Path) -> BTreeMap<String, Account> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut meanings: BTreeMap<String, String> = BTreeMap::new();
    let mut effects: BTreeMap<String, u64> = BTreeMap::new();
    let text = std::fs::read_to_string(folder.join("bank")).expect("the bank keeps a file");
    for line in text.lines() {
        let Ok(call) = serde_json::from_str::<Value>(line) else { continue };
        let text = |field: &str| call[field].as_str().expect("a text").to_owned();
        let (key, op, order) = (text("key"), text("op"), text("order"));
        let moved = call["moved"].as_u64().expect("a number");
        let meaning = format!("{op} {order} {}", call["amount"]);
        let known = meanings.entry(key.clone()).or_insert_with(|| meaning.clone());
        assert_eq!(*known, meaning, "one key, two meanings");
        if moved > 0 {
            *effects.entry(key.clone()).or_default() += 1;
            assert_eq!(effects[&key], 1, "{key} moved money twice");
        }
        let account = accounts.entry(order).or_default();
        match op.as_str() {
            "charge" => {
                account.charged += moved;
                account.charge_keys.insert(key);
            }
            "void" | "refund" => account.refunded += moved,
            _ => {}
        }
    }
    accounts
}

/// The state and price of every order in the database, and its history checked for gaps.
fn instances(folder: &Path) -> BTreeMap<String, (String, u64)> {
    let db = Connection::open(folder.join("orders.db")).expect("the database opens");
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(check, "ok");
    for table in [
        "saga_v_task",
        "saga_v_obligation",
        "saga_v_timer",
        "saga_timer",
        "saga_item",
        "saga_inbox",
        "saga_dead",
    ] {
        let left: u64 =
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count");
        assert_eq!(left, 0, "{table} is not empty although every order is settled");
    }
    let gaps: u64 = db
        .query_row(
            "SELECT count(*) FROM saga_instance i WHERE i.seq != \
             (SELECT count(DISTINCT h.body ->> '$[0]') FROM saga_history h WHERE h.instance = i.id)",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(gaps, 0, "histories have gaps");
    let mut rows = db.prepare("SELECT key, state, data FROM saga_v_instance").expect("a query");
    rows.query_map([], |row| {
        let data: Value = serde_json::from_str(&row.get::<_, String>(2)?).expect("data is JSON");
        Ok((row.get(0)?, (row.get(1)?, data["cents"].as_u64().expect("a price"))))
    })
    .expect("a query")
    .map(|row| row.expect("a row"))
    .collect()
}

fn verdict(folder: &Path, figures: &Value) {
    let accounts = witness(folder);
    let orders = instances(folder);
    assert_eq!(orders.len() as u64, ORDERS, "every order is there once");
    let mut kept = 0;
    for (order, (state, cents)) in &orders {
        let account = &accounts[order];
        assert_eq!(account.charge_keys.len(), 1, "{order} has one charge key");
        assert!(account.charged == 0 || account.charged == *cents, "{order} was charged {}", account.charged);
        match state.as_str() {
            "completed" => {
                assert_eq!((account.charged, account.refunded), (*cents, 0), "{order} is completed");
            }
            "payment-failed" | "cancelled" => {
                assert_eq!(account.charged, account.refunded, "{order} is {state}");
            }
            state => panic!("{order} is {state}"),
        }
        kept += account.charged - account.refunded;
    }
    assert_eq!(figures["kept"], kept);
    assert_eq!(figures["orders"], ORDERS);
    assert_eq!(figures["parked"], 0);
}

#[test]
fn two_hundred_kills_lose_nothing_and_move_no_cent_twice() {
    let orders = ORDERS.to_string();
    let mut kills = 0;
    for database in 0..DATABASES {
        let folder = tempfile::tempdir().expect("a folder");
        let seed = (database + 1).to_string();
        let args = [
            "--count",
            &orders,
            "--flaky",
            "40",
            "--decline",
            "10",
            "--label-refused",
            "20",
            "--delay-ms",
            "2",
            "--seed",
            &seed,
        ];
        let mut random = Random(0x5a6a + database);
        for _ in 0..KILLS_EACH {
            kills += u64::from(killed(folder.path(), &args, &mut random));
        }
        let figures = finished(folder.path(), &args);
        assert!(
            figures["cancelled"].as_u64() > Some(50),
            "too few compensations to mean anything: {figures}"
        );
        verdict(folder.path(), &figures);
        let calls = size(&folder.path().join("bank"));
        let again = finished(folder.path(), &args);
        assert_eq!(size(&folder.path().join("bank")), calls, "a further run calls nobody");
        for field in ["completed", "payment_failed", "cancelled", "charged", "refunded", "kept"] {
            assert_eq!(figures[field], again[field]);
        }
    }
    assert!(kills >= 200, "only {kills} of {} blows hit a living process", DATABASES * KILLS_EACH);
}

#[test]
fn the_same_order_file_twice_starts_nothing_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = finished(folder.path(), &[]);
    assert_eq!(first["orders"], 1_000);
    let calls = size(&folder.path().join("bank"));
    let second = finished(folder.path(), &[]);
    assert_eq!(size(&folder.path().join("bank")), calls);
    assert_eq!(first["kept"], second["kept"]);
}

#[test]
fn a_malformed_line_is_named_the_others_run_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("orders.jsonl");
    let good = |n: u32| format!("{{\"order\":\"o-{n}\",\"cents\":100,\"items\":[]}}");
    std::fs::write(&file, format!("{}\n{{\"order\": oops\n{}\n", good(1), good(2))).expect("a file");
    let output = run(folder.path(), &["--json", "--orders"])
        .arg(&file)
        .stderr(Stdio::piped())
        .output()
        .expect("a run");
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("orders.jsonl, line 2: "), "{said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(figures["orders"], 2);
}
