//! The test kit: sagas as plain function calls, with virtual time and no runtime.
//!
//! Owns: [`Given`] and the helpers its tests read well with, and the [`Lock`] of what is stored. Does not own: any rule; the steps are decided by the same
//! code the dispatcher runs.

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
