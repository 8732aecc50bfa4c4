//! The engine under every order of events a seed can think of: answers overtake each other, stores hang, processes die
//! between any two moments, and an outside world keeps the books.
//!
//! Nothing here runs in parallel or waits: a seed picks what happens next, so a failure is repeated by its seed.
//! `SAGA_SEEDS=10000..90000 cargo test -p saga-core simulation` looks further than the suite does.
//!
//! The technique is deterministic simulation, as FoundationDB made it known.

mod driver;
mod family;
mod order;
mod scripted;
mod second_saga;
mod world;

use driver::Driver;

/// SplitMix64.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("less than a usize")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("SAGA_SEEDS").ok();
    let given = given.as_deref().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    given.unwrap_or(0..400)
}

/// What was seen over all seeds, so that the suite cannot pass by looking away.
#[derive(Debug, Default)]
struct Seen {
    crashes: u64,
    lost_batches: u64,
    completed: u64,
    compensated: u64,
    parked: u64,
    duplicates: u64,
    unclean: u64,
    timeouts: u64,
    repeats: u64,
    refused: u64,
    early: u64,
    notes: u64,
    tracks: u64,
    untracked: u64,
    labels: u64,
    unlabelled: u64,
    saves: u64,
    late_saves: u64,
    clock_set: u64,
    verbs: u64,
    moved_timers: u64,
    skipped: u64,
    mended: u64,
    pauses: u64,
    paused_elsewhere: u64,
    resumes: u64,
    paused_events: u64,
    audited: u64,
    elsewhere: u64,
    closed: u64,
    family: family::SeenChildren,
}

#[test]
fn whatever_happens_in_whatever_order_every_order_settles_and_the_books_balance() {
    let (mut seen, mut failures) = (Seen::default(), Vec::new());
    for seed in seeds() {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Driver::new(seed).run(&mut seen)));
        if let Err(panic) = ran {
            failures.push(format!("seed {seed}: {}", crate::message::panic_text(&*panic)));
        }
    }
    let (some, many) = (&failures[..failures.len().min(10)], failures.len());
    assert!(failures.is_empty(), "{many} seeds failed\n{}", some.join("\n"));
    let Seen { crashes, lost_batches, completed, compensated, parked, .. } = seen;
    let Seen { duplicates, unclean, timeouts, repeats, early, notes, .. } = seen;
    let Seen { labels, unlabelled, tracks, untracked, saves, late_saves, .. } = seen;
    let all = [
        ("crashes", crashes),
        ("crashes that took a batch with them", lost_batches),
        ("starts after an unclean end", unclean),
        ("orders completed", completed),
        ("orders compensated", compensated),
        ("instances parked", parked),
        ("duplicates recognised", duplicates),
        ("batches sent again", repeats),
        ("steps refused by the store", seen.refused),
        ("corrections of the wall clock", seen.clock_set),
        ("verbs answered to be done", seen.verbs),
        ("timers moved by an operator", seen.moved_timers),
        ("events skipped by an operator", seen.skipped),
        ("events applied by a mended build", seen.mended),
        ("pauses that were answered", seen.pauses),
        ("pauses from other processes", seen.paused_elsewhere),
        ("pauses that were ended", seen.resumes),
        ("events for a paused saga", seen.paused_events),
        ("decisions in the audit", seen.audited),
        ("messages to another shard", seen.elsewhere),
        ("shards closed before their end", seen.closed),
        ("batches sent early", early),
        ("notes that waited", notes),
        ("events that came before their instance", tracks),
        ("events whose instance never came", untracked),
        ("events that found their instance by an alias", labels),
        ("events by an alias that nobody had", unlabelled),
        ("saves by running attempts", saves),
        ("saves by attempts that were over", late_saves),
        ("attempts that took too long", timeouts),
    ];
    for (what, times) in all.into_iter().chain(seen.family.times()) {
        assert!(times > 0, "no {what} in all these seeds: {seen:?}");
    }
}
