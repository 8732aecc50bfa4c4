//! Every verb on a filled store, in each form of the output.

#[cfg(feature = "postgres")]
#[path = "../../saga-postgres/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use saga_core::message::{Alias, Key, LabelValue};
use saga_core::store::conformance::{
    Driver, create, delivery, labelled, next, obligation, payload, task, time, timer,
};
use saga_core::store::{
    Address, AliasChange, ConsumerRow, DeadLetter, DeadLetterReason, DeliveryChange, MailKind, Maintain,
    ObligationChange, Status, Step, Store, TaskChange, TimerChange,
};
use saga_sqlite::SqliteStore;

fn address(saga: &str, key: &str) -> Address {
    Address::new(saga.to_owned(), Key::new(key).unwrap())
}

/// A store with one instance of each kind, and with hostile texts.
struct Shop {
    dir: tempfile::TempDir,
}

impl Shop {
    fn filled() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("shop.db")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(fill(&store));
        Self { dir }
    }

    fn run(&self, args: &[&str]) -> Output {
        saga(&self.dir.path().join("shop.db"), args)
    }

    /// Returns both outputs and the exit code.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().unwrap();
        let mut said = text(&output.stdout);
        for line in text(&output.stderr).lines() {
            said += &format!("(stderr) {line}\n");
        }
        said + &format!("(exit code {code})")
    }
}

fn saga(db: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saga"));
    command.env_remove("SAGA_DB").arg("--db").arg(db).args(args);
    command.output().unwrap()
}

async fn fill(store: &(impl Store + Clone)) {
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let mut paying = create(&address("order", "A-1"));
    paying.instance.as_mut().unwrap().state = "paying".into();
    let mut open = task(1, 0);
    open.progress.attempts = 3;
    (open.progress.due, open.progress.error) = (time(60_000), Some("connection reset".to_owned()));
    paying.tasks = vec![TaskChange::Add(open)];
    paying.obligations = vec![ObligationChange::Put(obligation(1, 0))];
    paying.timers = vec![TimerChange::Set(timer("timeout", 900_000))];
    paying = labelled(paying, "customer", Some(LabelValue::text("C-7 \u{202e}\u{1b}[31m")));
    paying = labelled(paying, "total", Some(LabelValue::Integer(4_200)));
    paying.aliases = vec![AliasChange::Claim(Alias::new("invoice 7").unwrap())];
    let row = driver.created(paying.clone()).await;
    let mut moved = next(row, paying.instance.as_ref().unwrap());
    moved.instance.as_mut().unwrap().state = "shipping".into();
    driver.committed(moved).await;

    let mut done = create(&address("order", "A-2"));
    let change = done.instance.as_mut().unwrap();
    (change.state, change.status) = ("done".into(), Status::Completed);
    driver.created(done).await;

    let mut parked = create(&address("refund", "R \u{202e}1"));
    let change = parked.instance.as_mut().unwrap();
    change.data = payload("\u{1b}[31mred\u{9b}2J");
    let record =
        r#"{"reason":"undo-refused","detail":"the bank said \u001b[2Jno","at":5000,"subject":"nothing"}"#;
    change.parked = Some(record.into());
    parked.dead = vec![DeadLetter {
        detail: "no row takes it".to_owned(),
        ..DeadLetter::new(
            address("order", "A-9"),
            MailKind::Event,
            task(1, 0).command,
            DeadLetterReason::Unhandled,
            time(7_000),
        )
    }];
    driver.created(parked).await;
    let mut failing = delivery("A-2");
    failing.progress.attempts = 3;
    failing.progress.due = time(9_000);
    failing.progress.error = Some("no \u{1b}answer".to_owned());
    let deliveries = vec![DeliveryChange::Add(delivery("A-1")), DeliveryChange::Add(failing)];
    driver.committed(Step { deliveries, ..Step::default() }).await;
    let definition = |version: u32, states: serde_json::Value| {
        serde_json::from_value(serde_json::json!({
            "saga": "order", "version": version, "doc": "An order.", "data": { "type_name": "Order" },
            "states": states, "initially": [0],
            "rows": [
                { "triggers": [{ "on": "event", "name": "order.placed", "label": "OrderPlaced" }],
                  "clauses": [{ "do": "send", "name": "payment.make", "type_name": "MakePayment", "method": "pay" }],
                  "to": { "to": ["paying"] } },
                { "triggers": [{ "on": "event", "name": "payment.done", "label": "PaymentDone" }],
                  "to": { "to": ["done"] } },
            ],
            "events": [], "ended_instance": "ignore", "missing_instance": "reject",
            "commands": [{ "name": "payment.make", "version": 1, "replies": ["payment.done"], "type_name": "MakePayment" }],
        }))
        .unwrap()
    };
    let paying = serde_json::json!({ "name": "paying", "variant": "Paying", "rows": [1] });
    let done = serde_json::json!({ "name": "done", "variant": "Done", "rows": [], "end": "completed" });
    let shipping = serde_json::json!({ "name": "shipping", "variant": "Shipping", "rows": [] });
    let other = |saga: &str, data: &str| {
        let definition = serde_json::json!({
            "saga": saga, "version": 1, "data": { "type_name": data },
            "states": [{ "name": "started", "variant": "Started", "rows": [] }], "initially": [], "rows": [],
            "events": [], "commands": [], "ended_instance": "ignore", "missing_instance": "reject",
        });
        serde_json::from_value(definition).unwrap()
    };
    let definitions = [
        definition(1, serde_json::json!([paying])),
        definition(2, serde_json::json!([paying, done, shipping])),
        other("refund", "Refund"),
        other("saga.recurring", "Schedule"),
    ];
    store.define(&definitions).await.unwrap();
    let consumer = |consumer: &str, subscriber| ConsumerRow {
        event: "order.paid".to_owned(),
        consumer: consumer.to_owned(),
        subscriber,
    };
    store.register(&[consumer("order", false), consumer("mailer", true)]).await.unwrap();
    let mut nightly = create(&address("saga.recurring", "nightly"));
    let change = nightly.instance.as_mut().unwrap();
    change.state = "waiting".into();
    change.data =
        r#"{"cron":"0 3 * * *","from":1,"runs":4,"skipped":1,"why_skipped":"it \u001b[2Jstill runs",
        "last":[{"saga":"order","key":"A-2"}]}"#
            .into();
    nightly.timers = vec![TimerChange::Set(timer("due", 950_000))];
    driver.created(nightly).await;
    let more = (0..3).map(|n| create(&address("zebra", &format!("z-{n}")))).collect::<Vec<Step>>();
    driver.commit(more).await;
}

#[test]
fn every_verb_prints_a_table() {
    let shop = Shop::filled();
    for (name, args) in [
        ("ls", &["ls"][..]),
        ("ls_parked", &["ls", "--parked"]),
        ("ls_keys", &["ls", "--sort", "key", "--limit", "2"]),
        ("ls_none", &["ls", "--waiting-for", "nothing"]),
        ("show", &["show", "order", "A-1"]),
        ("show_alias", &["show", "order", "invoice 7", "--alias"]),
        ("show_hostile", &["show", "refund", "R \u{202e}1"]),
        ("trace", &["trace", "order", "A-1"]),
        ("count", &["count"]),
        ("count_of_saga", &["count", "--saga", "order"]),
        ("dead_ls", &["dead", "ls"]),
        ("dead_ls_found", &["dead", "ls", "--consumer", "order", "--key", "A-", "--error", "NO ROW"]),
        ("dead_ls_none", &["dead", "ls", "--reason", "skipped"]),
        ("dead_show", &["dead", "show", "1"]),
        ("tasks", &["tasks"]),
        ("tasks_failing", &["tasks", "--failing", "--saga", "zebra"]),
        ("timers", &["timers"]),
        ("schedules", &["schedules"]),
        ("deliveries", &["deliveries"]),
        ("deliveries_failing", &["deliveries", "--failing", "--consumer", "mailer"]),
        ("deliveries_none", &["deliveries", "--key", "B-"]),
        ("deliveries_json", &["deliveries", "--limit", "1", "-o", "json"]),
        ("problems", &["problems"]),
        ("consumers", &["consumers"]),
        ("watch_of_a_change", &["retry", "order", "A-1", "--because", "test", "--by", "ada", "--watch"]),
        ("sagas", &["sagas"]),
        ("graph_mermaid", &["graph", "order"]),
        ("graph_dot", &["graph", "order", "--format", "dot"]),
        ("graph_of_version", &["graph", "order", "--version", "1"]),
        ("graph_none", &["graph", "nothing"]),
    ] {
        insta::assert_snapshot!(name, shop.says(args));
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_store_in_postgres_is_shown_as_a_file_is() {
    let Some(schema) = support::Schema::new() else { return };
    let shop = Shop::filled();
    let of_schema = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saga"));
        command
            .env_remove("SAGA_DB")
            .args(["--postgres", &schema.config, "--schema", &schema.name])
            .args(args);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut said = text(&output.stdout);
        for line in text(&output.stderr).lines() {
            said += &format!("(stderr) {line}\n");
        }
        said + &format!("(exit code {})", output.status.code().unwrap())
    };
    // Without tables every verb says how to have them.
    let none = of_schema(&["ls"]);
    assert!(none.contains("no tables") && none.ends_with("(exit code 1)"), "{none}");
    let made = of_schema(&["migrate", "run"]);
    assert!(made.contains("none is missing"), "{made}");
    let store = schema.open(schema.options());
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(fill(&store));
    for args in [
        &["ls"][..],
        &["ls", "--parked"],
        &["ls", "--sort", "key"],
        &["ls", "--sort", "changed"],
        &["ls", "--label", "customer^=C-"],
        &["show", "order", "A-1"],
        &["show", "order", "invoice 7", "--alias"],
        &["trace", "order", "A-1"],
        &["count"],
        &["tasks"],
        &["timers"],
        &["schedules"],
        &["problems"],
        &["consumers"],
        &["sagas"],
        &["graph", "order"],
        &["check"],
        &["audit"],
        &["export", "order", "A-2"],
        &["wait", "order", "A-2"],
    ] {
        // Row numbers belong to the store.
        let plain = |text: String| {
            text.lines().filter(|line| !line.contains("\"row\"")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(plain(of_schema(args)), plain(shop.says(args)), "{args:?}");
    }
    let stats = of_schema(&["stats"]);
    assert!(stats.contains("schema ") && stats.contains("instances"), "{stats}");
    let refused = of_schema(&["backup", "copy.db"]);
    assert!(refused.contains("pg_dump") && refused.ends_with("(exit code 1)"), "{refused}");
    let both = of_schema(&["--db", "shop.db", "ls"]);
    assert!(both.contains("name one store") && both.ends_with("(exit code 1)"), "{both}");
}

#[test]
fn json_is_the_documented_one_and_jsonl_has_one_value_in_each_line() {
    let shop = Shop::filled();
    for args in [
        &["ls"][..],
        &["show", "order", "A-1"],
        &["trace", "order", "A-1"],
        &["count"],
        &["dead", "ls"],
        &["dead", "show", "1"],
        &["tasks"],
        &["timers"],
        &["schedules"],
        &["problems"],
        &["consumers"],
        &["sagas"],
        &["stats"],
    ] {
        let json = shop.run(&[&["-o", "json"], args].concat());
        let whole: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let lines = shop.run(&[&["-o", "jsonl"], args].concat());
        let lines = String::from_utf8(lines.stdout).unwrap();
        let each: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        match whole {
            serde_json::Value::Array(items) => assert_eq!(items, each, "{args:?}"),
            one => assert_eq!([one], each[..], "{args:?}"),
        }
        assert!(!lines.contains('\u{1b}') && !lines.contains('\u{202e}') && !lines.contains('\u{9b}'));
    }
    let empty = shop.run(&["-o", "json", "ls", "--state", "none"]);
    assert_eq!(String::from_utf8(empty.stdout).unwrap(), "[]\n");
}

#[test]
fn every_condition_selects_the_expected_instances() {
    let shop = Shop::filled();
    let keys = |args: &[&str]| {
        let output = shop.run(&[&["-o", "jsonl", "ls", "--sort", "key"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let key = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().to_owned()
        };
        lines.lines().map(key).collect::<Vec<_>>()
    };
    let refund = "R \u{202e}1";
    for (args, expected) in [
        (&["--saga", "order"][..], &["A-1", "A-2"][..]),
        (&["--state", "shipping"], &["A-1"]),
        (&["--status", "completed"], &["A-2"]),
        (&["--parked"], &[refund]),
        (&["--not-parked", "--saga", "refund"], &[]),
        (&["--reason", "undo-refused"], &[refund]),
        (&["--key", "z-"], &["z-0", "z-1", "z-2"]),
        (&["--alias", "invoice 7"], &["A-1"]),
        (&["--label", "total>=100", "--label", "customer^=C-"], &["A-1"]),
        (&["--label", "total=4200"], &["A-1"]),
        (&["--label", "total=4200", "--label", "customer=C-8"], &[]),
        (&["--error", "RESET"], &["A-1"]),
        (&["--waiting-for", "payment.make"], &["A-1"]),
        (&["--owed"], &["A-1"]),
        (&["--not-owed", "--saga", "order"], &["A-2"]),
        (&["--due-until", "1970-01-01T00:15:01Z"], &["A-1"]),
        (&["--created-from", "2000-01-01T00:00:00Z"], &[]),
        (&["--created-until", "1970-01-01T00:00:01Z"], &[]),
        (&["--changed-from", "1970-01-01T00:00:01.001Z"], &["A-1"]),
        (&["--descending", "--saga", "zebra"], &["z-2", "z-1", "z-0"]),
        (&["--saga", "zebra", "--limit", "1"], &["z-0"]),
        (&["--after", "key.zebra.z-1"], &["z-2"]),
    ] {
        assert_eq!(keys(args), expected, "{args:?}");
    }
}

#[test]
fn redacted_values_are_shown_on_request_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let store = SqliteStore::open(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let mut step = create(&address("order", "A-1"));
        step.instance.as_mut().unwrap().data = r#"{"card":"4111","cents":7}"#.into();
        let mut letter = DeadLetter::new(
            address("order", "A-9"),
            MailKind::Event,
            task(1, 0).command,
            DeadLetterReason::Unhandled,
            time(7_000),
        );
        letter.message.name = "card.added".into();
        letter.message.payload = r#"{"card":"4111","note":"n"}"#.into();
        step.dead = vec![letter];
        driver.created(step).await;
        let definition = serde_json::json!({
            "saga": "order", "version": 1, "data": { "type_name": "Order", "redacted": ["card"] },
            "states": [{ "name": "started", "variant": "Started", "rows": [] }], "initially": [], "rows": [],
            "events": [{ "name": "card.added", "version": 1, "keyed": true, "type_name": "CardAdded", "redacted": ["card"] }],
            "commands": [], "ended_instance": "ignore", "missing_instance": "reject",
        });
        store.define(&[serde_json::from_value(definition).unwrap()]).await.unwrap();
    });
    for args in [&["show", "order", "A-1"][..], &["dead", "show", "1"], &["-o", "json", "dead", "ls"]] {
        let said = |args: &[&str]| String::from_utf8(saga(&path, args).stdout).unwrap();
        let (hidden, shown) = (said(args), said(&[args, &["--reveal"]].concat()));
        assert!(hidden.contains("***") && !hidden.contains("4111"), "{args:?}: {hidden}");
        assert!(shown.contains("4111") && !shown.contains("***"), "{args:?}: {shown}");
    }
    let who = ["--by", "ada", "--because", "a test", "--yes", "--wait", "0"];
    let edit = |body: &str| saga(&path, &[&["dead", "edit", "1", "--body", body][..], &who].concat());
    let refused = edit(r#"{"card":"***","note":"m"}"#);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("`***` at `card`"), "{said}");
    assert_eq!(edit(r#"{"card":"4112","note":"***"}"#).status.code(), Some(5), "it waits for a dispatcher");
}

#[test]
fn an_exported_instance_is_shown_from_another_file() {
    let shop = Shop::filled();
    let export = shop.run(&["export", "order", "A-1"]);
    assert!(export.status.success(), "{export:?}");
    let file = shop.dir.path().join("a-1.json");
    std::fs::write(&file, &export.stdout).unwrap();
    let copy = shop.dir.path().join("copy.db");
    let imported = saga(&copy, &["import", file.to_str().unwrap()]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    for args in [&["show", "order", "A-1"][..], &["trace", "order", "A-1"], &["ls", "--label", "total=4200"]]
    {
        let said = |db: &Path| String::from_utf8(saga(db, args).stdout).unwrap();
        assert_eq!(said(&copy), said(&shop.dir.path().join("shop.db")), "{args:?}");
    }
    let again = saga(&copy, &["import", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("import into a new file"));
    let broken = saga(&shop.dir.path().join("new.db"), &["import", "/dev/null"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(!shop.dir.path().join("new.db").exists(), "nothing is created");
    assert_eq!(shop.run(&["export", "order", "none"]).status.code(), Some(3));
}

#[test]
fn exit_codes_tell_what_happened() {
    let shop = Shop::filled();
    let code = |args: &[&str]| shop.run(args).status.code().unwrap();
    assert_eq!(code(&["ls"]), 0);
    assert_eq!(code(&["ls", "--status", "waiting"]), 2);
    assert_eq!(code(&["ls", "--after", "nowhere"]), 2);
    assert_eq!(code(&["ls", "--label", "total>=many"]), 2);
    assert_eq!(code(&["show", "order", "none"]), 3);
    assert_eq!(code(&["trace", "order", "none"]), 3);
    assert_eq!(code(&["dead", "show", "99"]), 3);
    let missing = saga(&shop.dir.path().join("none.db"), &["ls"]);
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("none.db") && said.contains("does not exist"), "{said}");
    assert!(!shop.dir.path().join("none.db").exists(), "nothing is created");
    let unnamed = Command::new(env!("CARGO_BIN_EXE_saga")).env_remove("SAGA_DB").arg("ls").output().unwrap();
    assert_eq!(unnamed.status.code(), Some(1));
    assert!(String::from_utf8(unnamed.stderr).unwrap().contains("SAGA_DB"));
}

#[test]
fn a_file_of_another_version_is_refused_and_stays_as_it_is() {
    let shop = Shop::filled();
    let path = shop.dir.path().join("shop.db");
    for (version, says) in
        [(SqliteStore::SCHEMA - 1, "earlier version"), (SqliteStore::SCHEMA + 1, "newer version")]
    {
        let db = saga_sqlite::rusqlite::Connection::open(&path).unwrap();
        db.execute("UPDATE saga_meta SET schema_version = ?1", [version]).unwrap();
        drop(db);
        let before = std::fs::read(&path).unwrap();
        let output = shop.run(&["ls"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn stats_show_the_size_of_the_store_and_what_waits() {
    let shop = Shop::filled();
    let path = shop.dir.path().join("shop.db").canonicalize().unwrap();
    // The sizes depend on the version of SQLite.
    let bytes = |line: &str| match line.strip_suffix(" bytes") {
        Some(_) => format!("{} N bytes\n", &line[..12]),
        None => format!("{line}\n"),
    };
    let said: String = shop.says(&["stats"]).lines().map(bytes).collect();
    insta::assert_snapshot!("stats", said.replace(path.to_str().unwrap(), "shop.db"));
}

#[test]
fn migrate_status_reads_a_file_of_each_version() {
    let shop = Shop::filled();
    let path = shop.dir.path().join("shop.db");
    let mut said = String::new();
    for version in [6, SqliteStore::SCHEMA, 99] {
        let db = saga_sqlite::rusqlite::Connection::open(&path).unwrap();
        db.execute("UPDATE saga_meta SET schema_version = ?1", [version]).unwrap();
        said += &shop.says(&["migrate", "status"]);
        said += "\n";
    }
    said += &shop.says(&["-o", "jsonl", "migrate", "status"]);
    insta::assert_snapshot!("migrate_status", said.replace(path.to_str().unwrap(), "shop.db"));
}

/// Returns the next line of a process. A process that prints nothing for long is killed by the test runner.
fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    assert_ne!(output.read_line(&mut line).unwrap(), 0, "the process has ended");
    line
}

#[test]
fn a_watch_shows_each_change_and_ends_with_its_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let store = SqliteStore::open(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut driver = runtime.block_on(Driver::lease(Arc::new(store.clone())));
    runtime.block_on(driver.created(create(&address("order", "A-1"))));
    let mut process = Command::new(env!("CARGO_BIN_EXE_saga"))
        .arg("--db")
        .arg(&path)
        .args(["-o", "jsonl", "count", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    assert!(line(&mut output).contains("\"instances\":1"));
    runtime.block_on(driver.created(create(&address("order", "A-2"))));
    assert!(line(&mut output).contains("\"instances\":2"), "an unchanged output is not repeated");
    drop(output);
    runtime.block_on(driver.created(create(&address("order", "A-3"))));
    assert_eq!(process.wait().unwrap().code(), Some(0), "nobody reads any more");
}

#[test]
fn a_watch_of_nothing_ends() {
    let shop = Shop::filled();
    assert_eq!(shop.run(&["show", "order", "none", "--watch"]).status.code(), Some(3));
}

#[test]
fn it_reads_beside_a_running_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let store = SqliteStore::open(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        for n in 0..3 {
            driver.created(create(&address("order", &format!("A-{n}")))).await;
            let output = saga(&path, &["-o", "jsonl", "ls"]);
            assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), n + 1);
        }
    });
}

#[test]
fn a_backup_is_a_store_with_the_same_instances() {
    let shop = Shop::filled();
    let copy = shop.dir.path().join("copy.db");
    let output = shop.run(&["backup", copy.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = |db: &Path| String::from_utf8(saga(db, &["-o", "json", "ls"]).stdout).unwrap();
    assert_eq!(listed(&copy), listed(&shop.dir.path().join("shop.db")));
    assert_eq!(shop.run(&["backup", copy.to_str().unwrap()]).status.code(), Some(1), "it is not overwritten");
}

#[test]
fn a_check_reads_everything_and_names_each_damage() {
    let shop = Shop::filled();
    insta::assert_snapshot!("check", shop.says(&["check"]));
    let db = saga_sqlite::rusqlite::Connection::open(shop.dir.path().join("shop.db")).unwrap();
    db.execute_batch(
        "UPDATE saga_instance SET body = replace(body, 'shipping', 'SHIPPING') WHERE key = 'A-1';
         UPDATE saga_history SET checksum = checksum + 1 WHERE id = 3;
         UPDATE saga_count SET instances = instances + 5 WHERE id = 1;",
    )
    .unwrap();
    drop(db);
    insta::assert_snapshot!("check_damaged", shop.says(&["check"]));
}

#[test]
fn a_wait_ends_where_it_is_told() {
    let shop = Shop::filled();
    let code =
        |args: &[&str]| shop.run(&[&["wait"], args, &["--timeout", "0"]].concat()).status.code().unwrap();
    assert_eq!(code(&["order", "A-2"]), 0, "it has ended");
    assert_eq!(code(&["order", "A-1"]), 5);
    assert_eq!(code(&["order", "A-1", "--state", "shipping"]), 0);
    assert_eq!(code(&["order", "A-2", "--state", "shipping"]), 5, "it has ended in another state");
    assert_eq!(code(&["refund", "R \u{202e}1", "--parked"]), 0);
    assert_eq!(code(&["order", "none"]), 3);
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_saga")).args(["completions", shell]).output().unwrap();
        assert!(output.status.success() && output.stdout.len() > 1_000, "{shell}");
    }
}
