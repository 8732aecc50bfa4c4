//! Upcasts as a definition sees them: from which version, and which shape they read.

use std::fmt;

use serde::de::DeserializeOwned;

#[cfg(any(test, feature = "testing"))]
use super::Shape;

/// An upcast: the version it starts from, and what it reads of that.
#[derive(Clone, Copy)]
pub struct UpcastFrom {
    /// The version.
    pub version: u32,
    #[cfg_attr(not(any(test, feature = "testing")), allow(dead_code))]
    pub(crate) reads: fn() -> Reads,
}

/// The shape an upcast reads.
#[doc(hidden)]
#[derive(Debug)]
pub struct Reads {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) shape: Shape,
}

impl Reads {
    /// What `upcast` takes.
    pub fn of<Old: DeserializeOwned, New>(upcast: impl FnOnce(Old) -> New) -> Self {
        drop(upcast);
        Self {
            #[cfg(any(test, feature = "testing"))]
            shape: Shape::of::<Old>(),
        }
    }
}

impl UpcastFrom {
    #[doc(hidden)]
    pub const fn new(version: u32, reads: fn() -> Reads) -> Self {
        Self { version, reads }
    }
}

impl fmt::Debug for UpcastFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.version.fmt(f)
    }
}
