//! Durable wake-ups of an instance.

use crate::message::{Name, Timestamp};

/// A durable wake-up of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerRow {
    /// Its name, unique within the instance.
    pub name: Name,
    /// The visit it is bound to.
    pub visit: u32,
    /// When it was set (rule R33).
    pub armed: Timestamp,
    /// When it is due.
    pub due: Timestamp,
    /// How often it has fired in its visit.
    pub fired: u32,
}

/// A change to the timers of the step's instance.
#[derive(Clone, Debug, PartialEq)]
pub enum TimerChange {
    /// Sets it, replacing one of the same name.
    Set(TimerRow),
    /// Removes the one of this name. One that is gone is not an error.
    Clear(Name),
}
