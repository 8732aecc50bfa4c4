//! The test kit: sagas as plain function calls, with virtual time and no runtime.
//!
//! Owns: [`Given`], the duration helpers for its tests, and the [`Lock`] of the stored names and shapes. Does not own:
//! any rule. The code of the dispatcher also decides the steps here.

mod given;
mod lock;

pub use given::Given;
pub use lock::Lock;

use std::time::Duration;

/// `n` seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// `n` hours.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(60 * 60 * n)
}

/// `n` days of 24 hours.
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(24 * 60 * 60 * n)
}
