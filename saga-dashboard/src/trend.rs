//! How many instances started and ended lately, sampled while somebody looks.
//!
//! Owns: the samples, and their drawing. Does not own: the counts, which the store keeps. Nothing is sampled while no page is
//! open, so that a dashboard without a reader costs nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use maud::{Markup, html};
use saga_core::store::InstanceCount;

/// The time between two samples.
const STEP: Duration = Duration::from_secs(5);
/// The time that a drawing covers.
const SPAN: Duration = Duration::from_secs(15 * 60);
/// The size of a drawing.
const SIZE: (f64, f64) = (200.0, 32.0);

/// The samples of the last minutes.
#[derive(Default)]
pub(crate) struct Trend(Mutex<VecDeque<Sample>>);

/// The counts at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    stored: u64,
    ended: u64,
}

/// Instances a minute, for each moment between two samples, with its age in seconds. The oldest one is first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) started: Vec<(f64, f64)>,
    pub(crate) ended: Vec<(f64, f64)>,
}

impl Trend {
    /// Takes a sample, if the last one is old enough.
    pub(crate) fn note(&self, counts: &[InstanceCount]) {
        let sum = |is: &dyn Fn(&InstanceCount) -> bool| {
            counts.iter().filter(|count| is(count)).map(|count| count.instances).sum()
        };
        let ended = sum(&|count| count.status.is_some_and(saga_core::store::Status::is_over));
        self.add(Sample { at: Instant::now(), stored: sum(&|_| true), ended });
    }

    fn add(&self, sample: Sample) {
        // Each change is whole, so a poisoned lock still holds valid state.
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.back().is_some_and(|last| sample.at.saturating_duration_since(last.at) < STEP) {
            return;
        }
        samples.push_back(sample);
        while samples.front().is_some_and(|first| sample.at.saturating_duration_since(first.at) > SPAN) {
            samples.pop_front();
        }
    }

    /// Returns the rates between the samples.
    pub(crate) fn rates(&self) -> Rates {
        self.rates_at(Instant::now())
    }

    fn rates_at(&self, now: Instant) -> Rates {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rates = Rates::default();
        // A purge removes ended instances, so that a difference says nothing.
        let grown =
            |(one, other): &(&Sample, &Sample)| other.stored >= one.stored && other.ended >= one.ended;
        for (one, other) in samples.iter().zip(samples.iter().skip(1)).filter(grown) {
            let minutes = other.at.saturating_duration_since(one.at).as_secs_f64() / 60.0;
            let age = now.saturating_duration_since(other.at).as_secs_f64();
            let rate = |was: u64, is: u64| (is - was) as f64 / minutes.max(f64::MIN_POSITIVE);
            rates.started.push((age, rate(one.stored, other.stored)));
            rates.ended.push((age, rate(one.ended, other.ended)));
        }
        rates
    }
}

/// Draws the rates of one kind. Nothing is drawn for fewer than two.
pub(crate) fn spark(rates: &[(f64, f64)], about: &str) -> Markup {
    let (width, height) = SIZE;
    let oldest = rates.first().map_or(0.0, |(age, _)| *age);
    let highest = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let x = |age: f64| width * (1.0 - age / oldest.max(1.0));
    // A line of zeros lies at the bottom.
    let y = |rate: f64| (height - 1.0) * (1.0 - rate / highest.max(1.0)) + 0.5;
    let points: Vec<String> =
        rates.iter().map(|(age, rate)| format!("{:.1},{:.1}", x(*age), y(*rate))).collect();
    let line = points.join(" ");
    let lowest = rates.iter().map(|(_, rate)| *rate).fold(highest, f64::min);
    let label = format!(
        "{about} a minute over the last {:.0} minutes: between {lowest:.0} and {highest:.0}",
        (oldest / 60.0).max(1.0)
    );
    html! {
        @if points.len() > 1 {
            svg.spark viewBox=(format!("0 0 {width} {height}")) preserveAspectRatio="none" role="img" aria-label=(label) {
                title { (label) }
                polygon.a points=(format!("{:.1},{height} {line} {width},{height}", x(oldest))) {}
                polyline.l points=(line) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_between_samples_and_not_over_a_purge() {
        let (trend, begin) = (Trend::default(), Instant::now());
        let at = |seconds, stored, ended| Sample { at: begin + Duration::from_secs(seconds), stored, ended };
        // The second sample comes too early.
        for sample in [at(0, 10, 0), at(2, 11, 0), at(60, 70, 30), at(120, 40, 0)] {
            trend.add(sample);
        }
        let rates = trend.rates_at(begin + Duration::from_secs(130));
        assert_eq!(rates.started, [(70.0, 60.0)]);
        assert_eq!(rates.ended, [(70.0, 30.0)]);
        trend.add(at(10_000, 40, 0));
        assert_eq!(trend.rates_at(begin).started, [], "old samples are forgotten");
    }

    #[test]
    fn a_drawing_needs_two_rates_and_stays_in_its_frame() {
        assert_eq!(spark(&[(5.0, 3.0)], "Started").into_string(), "");
        let drawn = spark(&[(60.0, 0.0), (30.0, 12.0), (0.0, 6.0)], "Started").into_string();
        assert!(drawn.contains("points=\"0.0,31.5 100.0,0.5 200.0,16.0\""), "{drawn}");
        assert!(drawn.contains("Started a minute over the last 1 minutes: between 0 and 12"), "{drawn}");
    }
}
