//! Collects what is logged, with the spans it was logged in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

pub type Fields = BTreeMap<String, String>;

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    pub level: Level,
    pub message: String,
    pub fields: Fields,
    /// The spans around it, the outermost first.
    pub spans: Vec<(&'static str, Fields)>,
}

impl Line {
    /// One of its own fields; empty when it has none of that name.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

struct Log {
    /// Every span there ever was; its id is its place, counted from 1.
    spans: Vec<(&'static str, Fields)>,
    lines: Vec<Line>,
}

/// One for all tests of a process, because the dispatcher has a thread of its own.
static LOG: Mutex<Log> = Mutex::new(Log { spans: Vec::new(), lines: Vec::new() });

thread_local! {
    /// The spans that this thread is in.
    static WITHIN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Collects from here on.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Collector).expect("nobody else listens"));
}

/// The lines that name this key, or were logged in a span that does.
pub fn about(key: &str) -> Vec<Line> {
    let names = |fields: &Fields| fields.get("key").is_some_and(|found| found == key);
    let about = |line: &Line| names(&line.fields) || line.spans.iter().any(|(_, fields)| names(fields));
    lines().into_iter().filter(about).collect()
}

/// All lines so far.
pub fn lines() -> Vec<Line> {
    log().lines.clone()
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Reader(&mut fields));
        let mut log = log();
        log.spans.push((span.metadata().name(), fields));
        Id::from_u64(log.spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        let within = WITHIN.try_with(|within| within.borrow().clone()).unwrap_or_default();
        let mut log = log();
        let spans = within.into_iter().map(|id| log.spans[id as usize - 1].clone()).collect();
        log.lines.push(Line { level: *event.metadata().level(), message, fields, spans });
    }

    fn enter(&self, span: &Id) {
        // A thread that ends has left all of them.
        let _ = WITHIN.try_with(|within| within.borrow_mut().push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let _ = WITHIN.try_with(|within| {
            let mut within = within.borrow_mut();
            if let Some(at) = within.iter().rposition(|id| *id == span.into_u64()) {
                within.remove(at);
            }
        });
    }
}

/// Reads fields as text.
struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
