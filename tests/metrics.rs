//! The metrics that a dispatcher publishes are those of the document, with its kinds, units and labels.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![cfg(feature = "metrics")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use saga::prelude::*;
use saga::testing::ManualClock;
use saga::{Dispatcher, Done, SqliteStore};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), send(Pay), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(when(any(failed(Pay), unknown(Pay)), park), timeout(minutes = 1, transition_to(Ended)))]
    Paying,
    #[terminal]
    Ended,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.order.clone() })
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay { order: self.id.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "noted", key(order))]
pub struct Noted {
    order: String,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "pay")]
pub struct Pay {
    order: String,
}

/// Refuses the order `bad`.
struct Bank;

impl Handler<Pay> for Bank {
    async fn handle(&self, pay: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        if pay.order == "bad" { Err(HandlerError::refused("no money")) } else { Ok(Done.into()) }
    }
}

/// The rows of the document by name: kind, unit and labels.
fn documented() -> BTreeMap<String, (String, String, BTreeSet<String>)> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operate/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (cells[0].trim_end_matches('`').to_owned(), (cells[1].to_owned(), cells[2].to_owned(), labels))
    })
    .collect()
}

type Found = BTreeMap<String, (String, String, BTreeSet<String>)>;

fn found(snapshotter: &Snapshotter) -> (Found, BTreeMap<String, f64>) {
    let (mut found, mut values) = (Found::new(), BTreeMap::new());
    for (key, unit, _, value) in snapshotter.snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let unit = match unit.map(|unit| unit.as_str()) {
            Some("count") => "1",
            other => other.unwrap_or("none"),
        };
        let labels: BTreeSet<String> = key.labels().map(|label| label.key().to_owned()).collect();
        let series: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.len() as f64,
        };
        values.insert(format!("{} {}", key.name(), series.join(",")).trim().to_owned(), value);
        found.insert(key.name().to_owned(), (kind.to_owned(), unit.to_owned(), labels));
    }
    (found, values)
}

#[tokio::test]
async fn the_document_lists_what_is_published() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let store = SqliteStore::open(folder.path().join("saga.db")).unwrap();
    let builder = Dispatcher::builder(store).saga::<OrderState>().handler::<Pay>(Bank).clock(clock.clone());
    let builder = builder.subscriber::<Noted>("mail", Mail);
    let dispatcher = builder.start().await.unwrap();
    for order in ["good", "bad"] {
        dispatcher.publish(Placed { order: order.to_owned() }).await.unwrap();
    }
    clock.idle().await;
    clock.advance(Duration::from_secs(61));
    clock.idle().await;
    clock.advance(Duration::from_secs(16));
    clock.idle().await;
    dispatcher.shutdown(Duration::ZERO).await.unwrap();

    let (found, values) = found(&snapshotter);
    assert_eq!(found, documented());
    let value =
        |series: &str| values.get(series).copied().unwrap_or_else(|| panic!("no {series} in {values:?}"));
    assert_eq!(value("saga_attempts_total handler=pay,outcome=replied"), 1.0);
    assert_eq!(value("saga_attempts_total handler=pay,outcome=refused"), 1.0);
    assert_eq!(value("saga_attempt_seconds handler=pay"), 2.0);
    assert_eq!(value("saga_parks_total"), 1.0);
    assert_eq!(value("saga_instances saga=order,status=running,parked=true"), 1.0);
    assert_eq!(value("saga_instances saga=order,status=completed,parked=false"), 1.0);
    assert!(value("saga_steps_total") >= 4.0 && value("saga_commit_seconds") >= 4.0);
    assert!(value("saga_store_bytes") >= 4_096.0);
}

struct Mail;

impl Subscriber<Noted> for Mail {
    async fn handle(&self, _: Noted, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// The names of metrics in a query.
fn metrics_in(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("saga_"));
    // Prometheus shows a histogram as buckets.
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn the_dashboard_and_the_alerts_use_metrics_of_the_document() {
    let read = |name: &str| -> serde_json::Value {
        let path = format!("{}/docs/operate/{name}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let known: BTreeSet<String> = documented().into_keys().collect();
    let mut shown = BTreeSet::new();
    for panel in read("grafana.json")["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            shown.extend(metrics_in(target["expr"].as_str().unwrap()));
        }
    }
    assert_eq!(shown, known, "the dashboard shows each metric");
    let runbook =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operate/runbook.md")).unwrap();
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let anchors: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let alerts = read("alerts.json");
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 8);
    for rule in rules {
        let used = metrics_in(rule["expr"].as_str().unwrap());
        assert!(!used.is_empty() && used.is_subset(&known), "{rule}");
        let to = rule["annotations"]["runbook"].as_str().unwrap().split_once('#').unwrap().1;
        assert!(anchors.contains(to), "the runbook has no heading for {rule}");
    }
}
