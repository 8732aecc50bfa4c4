//! Business processes that finish correctly.

pub use saga_core::*;
#[cfg(feature = "macros")]
pub use saga_macros::{Command, Event, Saga};

/// Everything a saga's file needs.
pub mod prelude {
    pub use async_trait::async_trait;
    pub use saga_core::Saga;
    pub use saga_core::machine::Context;
    pub use saga_core::message::{
        Command, Correlated, Done, Event, Failed, HandlerError, Outcome, Report, Result, Timestamp, Unknown,
    };
    #[cfg(feature = "macros")]
    pub use saga_macros::{Command, Event, Saga};
    pub use serde::{Deserialize, Serialize};
}
