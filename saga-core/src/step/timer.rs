//! Timers: durable wake-ups of an instance.

use crate::message::{Name, Timestamp};

/// A durable wake-up of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerRow {
    /// The name of the timer, unique within the instance.
    pub name: Name,
    /// The visit to which the timer belongs.
    pub visit: u32,
    /// The time when the timer was set (rule [R33](crate::rules#r33)).
    pub armed: Timestamp,
    /// The due time.
    pub due: Timestamp,
    /// The number of firings in the visit.
    pub fired: u32,
}

/// A change to the timers of the instance.
#[derive(Clone, Debug, PartialEq)]
pub enum TimerChange {
    /// Sets the timer. A timer with the same name is replaced.
    Set(TimerRow),
    /// Removes the timer with this name. A missing timer is not an error.
    Clear(Name),
}
