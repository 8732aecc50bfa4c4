//! Metrics through the facade `metrics`, behind the feature of the same name. `docs/operate/metrics.md` lists them.
//!
//! Owns: names, labels and units. Does not own: the figures, which the engine counts. Without the feature, each call is
//! empty.

#[cfg(not(feature = "metrics"))]
pub(super) use off::Meter;
#[cfg(feature = "metrics")]
pub(super) use on::{Meter, stored};

#[cfg(not(feature = "metrics"))]
mod off {
    use std::time::Duration;

    use crate::dispatcher::health::Figures;
    use crate::engine::Registry;
    use crate::message::Timestamp;

    #[derive(Debug)]
    pub(in crate::dispatcher) struct Meter;

    impl Meter {
        pub(in crate::dispatcher) fn new(_: &Registry) -> Self {
            Self
        }

        pub(in crate::dispatcher) fn committed(&self, _: usize, _: Duration) {}

        pub(in crate::dispatcher) fn attempt(&self, _: usize, _: Duration) {}

        pub(in crate::dispatcher) fn tick(&mut self, _: &Figures, _: Timestamp, _: bool) {}
    }
}

#[cfg(feature = "metrics")]
mod on {
    use std::time::Duration;

    use metrics::{
        Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
        gauge, histogram,
    };

    use crate::dispatcher::health::Figures;
    use crate::engine::Registry;
    use crate::message::Timestamp;
    use crate::store::{InstanceCount, StoreSizes};

    /// The metrics of one dispatcher. Each is registered once, at the start.
    pub(in crate::dispatcher) struct Meter {
        steps: Counter,
        batches: Counter,
        stale_timers: Counter,
        dead_letters: Counter,
        parks: Counter,
        overdue: Counter,
        best_effort_failures: Counter,
        batch_steps: Histogram,
        commit: Histogram,
        queued_steps: Gauge,
        oldest_due: Gauge,
        timer_late: Gauge,
        store_available: Gauge,
        ready: Gauge,
        handlers: Vec<HandlerMeter>,
    }

    struct HandlerMeter {
        /// Replied, refused, indeterminate, unreadable and dropped.
        outcomes: [Counter; 5],
        retries: Counter,
        duration: Histogram,
        running: Gauge,
        waiting: Gauge,
        paused: Gauge,
        breaker_open: Gauge,
    }

    impl HandlerMeter {
        fn new(handler: &'static str) -> Self {
            let outcome = |outcome: &'static str| counter!("saga_attempts_total", "handler" => handler, "outcome" => outcome);
            Self {
                outcomes: ["replied", "refused", "indeterminate", "unreadable", "dropped"].map(outcome),
                retries: counter!("saga_retries_total", "handler" => handler),
                duration: histogram!("saga_attempt_seconds", "handler" => handler),
                running: gauge!("saga_handler_running", "handler" => handler),
                waiting: gauge!("saga_handler_waiting", "handler" => handler),
                paused: gauge!("saga_handler_paused", "handler" => handler),
                breaker_open: gauge!("saga_handler_breaker_open", "handler" => handler),
            }
        }
    }

    impl Meter {
        pub(in crate::dispatcher) fn new(registry: &Registry) -> Self {
            describe();
            Self {
                steps: counter!("saga_steps_total"),
                batches: counter!("saga_batches_total"),
                stale_timers: counter!("saga_stale_timers_total"),
                dead_letters: counter!("saga_dead_letters_total"),
                parks: counter!("saga_parks_total"),
                overdue: counter!("saga_overdue_total"),
                best_effort_failures: counter!("saga_best_effort_failures_total"),
                batch_steps: histogram!("saga_batch_steps"),
                commit: histogram!("saga_commit_seconds"),
                queued_steps: gauge!("saga_queued_steps"),
                oldest_due: gauge!("saga_oldest_due_seconds"),
                timer_late: gauge!("saga_timer_late_seconds"),
                store_available: gauge!("saga_store_available"),
                ready: gauge!("saga_ready"),
                handlers: registry.lanes.iter().map(|lane| HandlerMeter::new(lane.name)).collect(),
            }
        }

        /// A batch of this many steps has its outcomes after this time.
        pub(in crate::dispatcher) fn committed(&self, steps: usize, took: Duration) {
            self.batch_steps.record(number(steps));
            self.commit.record(took.as_secs_f64());
        }

        /// An attempt of this lane has ended after this time.
        pub(in crate::dispatcher) fn attempt(&self, lane: usize, took: Duration) {
            if let Some(handler) = self.handlers.get(lane) {
                handler.duration.record(took.as_secs_f64());
            }
        }

        pub(in crate::dispatcher) fn tick(&mut self, figures: &Figures, now: Timestamp, available: bool) {
            let tally = &figures.tally;
            self.steps.absolute(tally.steps);
            self.batches.absolute(tally.batches);
            self.stale_timers.absolute(tally.stale_timers);
            self.dead_letters.absolute(tally.dead_letters);
            self.parks.absolute(tally.parked);
            self.overdue.absolute(tally.overdue);
            self.best_effort_failures.absolute(tally.best_effort_failures);
            self.queued_steps.set(number(figures.queued_steps));
            let oldest = [figures.commit_since, figures.timer_since].into_iter().flatten().min();
            self.oldest_due.set(oldest.map_or(0.0, |since| now.since(since).as_secs_f64()));
            self.timer_late.set(figures.timer_late.as_secs_f64());
            self.store_available.set(flag(available));
            self.ready.set(flag(available && !figures.taking_up));
            for (meter, handler) in self.handlers.iter().zip(&*figures.handlers) {
                let ended = &handler.ended;
                let counts =
                    [ended.replied, ended.refused, ended.indeterminate, ended.unreadable, ended.dropped];
                meter.outcomes.iter().zip(counts).for_each(|(counter, count)| counter.absolute(count));
                meter.retries.absolute(handler.retries);
                meter.running.set(number(handler.running));
                meter.waiting.set(number(handler.waiting));
                meter.paused.set(flag(handler.paused));
                meter.breaker_open.set(flag(handler.breaker_open == Some(true)));
            }
        }
    }

    /// Publishes what only the store knows.
    pub(in crate::dispatcher) fn stored(counts: &[InstanceCount], sizes: &StoreSizes) {
        for count in counts {
            let status = count.status.map_or("unreadable", |status| status.as_str());
            // Several states have one status.
            let same = counts.iter().filter(|other| {
                (&other.saga, other.status, other.parked) == (&count.saga, count.status, count.parked)
            });
            let sum: u64 = same.map(|count| count.instances).sum();
            let parked = if count.parked { "true" } else { "false" };
            gauge!("saga_instances", "saga" => count.saga.clone(), "status" => status, "parked" => parked)
                .set(sum as f64);
        }
        gauge!("saga_inbox_rows").set(sizes.inbox as f64);
        gauge!("saga_dead_letter_rows").set(sizes.dead_letters as f64);
        if let Some(bytes) = sizes.file_bytes {
            gauge!("saga_store_bytes").set(bytes as f64);
        }
        if let Some(bytes) = sizes.log_bytes {
            gauge!("saga_store_log_bytes").set(bytes as f64);
        }
    }

    fn flag(is: bool) -> f64 {
        if is { 1.0 } else { 0.0 }
    }

    fn number(n: usize) -> f64 {
        n as f64
    }

    fn describe() {
        describe_counter!("saga_steps_total", Unit::Count, "Durable steps of instances");
        describe_counter!("saga_batches_total", Unit::Count, "Committed batches");
        describe_counter!("saga_stale_timers_total", Unit::Count, "Timers that fired after their visit");
        describe_counter!("saga_dead_letters_total", Unit::Count, "Messages that became dead letters");
        describe_counter!("saga_parks_total", Unit::Count, "Times an instance was parked");
        describe_counter!("saga_overdue_total", Unit::Count, "Undos that were tried for more than 24 hours");
        describe_counter!("saga_best_effort_failures_total", Unit::Count, "Failed best-effort commands");
        describe_counter!("saga_attempts_total", Unit::Count, "Ended attempts by handler and outcome");
        describe_counter!("saga_retries_total", Unit::Count, "Attempts after the first one of a command");
        describe_histogram!("saga_batch_steps", Unit::Count, "Steps of a batch");
        describe_histogram!("saga_commit_seconds", Unit::Seconds, "Time from a batch to its outcomes");
        describe_histogram!("saga_attempt_seconds", Unit::Seconds, "Duration of an attempt");
        describe_gauge!("saga_queued_steps", Unit::Count, "Steps that wait for a commit");
        describe_gauge!("saga_oldest_due_seconds", Unit::Seconds, "Age of the oldest due work");
        describe_gauge!("saga_timer_late_seconds", Unit::Seconds, "Delay of the latest timer of this second");
        describe_gauge!("saga_store_available", Unit::Count, "1 while the store answers");
        describe_gauge!("saga_ready", Unit::Count, "1 while the dispatcher answers calls");
        describe_gauge!("saga_handler_running", Unit::Count, "Running attempts");
        describe_gauge!("saga_handler_waiting", Unit::Count, "Commands or deliveries that wait for a place");
        describe_gauge!("saga_handler_paused", Unit::Count, "1 while the handler is paused");
        describe_gauge!("saga_handler_breaker_open", Unit::Count, "1 while the breaker is open");
        describe_gauge!("saga_instances", Unit::Count, "Instances by saga, status and park");
        describe_gauge!("saga_inbox_rows", Unit::Count, "Rows of the inbox, at most 10,000");
        describe_gauge!("saga_dead_letter_rows", Unit::Count, "Dead letters, at most 10,000");
        describe_gauge!("saga_store_bytes", Unit::Bytes, "Size of the database file");
        describe_gauge!("saga_store_log_bytes", Unit::Bytes, "Size of the write-ahead log");
    }
}
