#![doc = include_str!("docs/manual.md")]
#![cfg_attr(
    all(feature = "macros", feature = "recurring", feature = "routing-slip", feature = "sqlite", feature = "testing"),
    doc = include_str!("docs/manual/chapters.md")
)]
#![doc = include_str!("docs/features.md")]

// In documentation it is there with any features, so that `cargo doc` of an application shows it.
#[cfg(any(
    all(doc, not(doctest)),
    all(
        feature = "macros",
        feature = "recurring",
        feature = "routing-slip",
        feature = "sqlite",
        feature = "testing"
    )
))]
pub mod manual;

#[cfg(feature = "testing")]
pub use saga_core::conformance;
#[cfg(feature = "recurring")]
pub use saga_core::recurring;
#[cfg(feature = "routing-slip")]
pub use saga_core::routing_slip;
#[cfg(feature = "testing")]
pub use saga_core::testing;
pub use saga_core::{__private_0_1_0, Saga, definition, dispatcher, engine, machine, message, store};
#[cfg(feature = "macros")]
pub use saga_macros::{Command, Event, Saga};
#[cfg(feature = "sqlite")]
pub use saga_sqlite::{self as sqlite, SqliteStore};

pub use saga_core::dispatcher::{
    Dispatcher, Disposition, Handler, HandlerContext, Health, Instance, OpenCommand, PublishOptions, Receipt,
    Resolved, Subscriber,
};
pub use saga_core::engine::Policy;
pub use saga_core::machine::Position;
pub use saga_core::message::MessageId;

#[doc = include_str!("docs/expansion.md")]
pub mod expansion {}

#[doc = include_str!("docs/what_happens_if.md")]
pub mod what_happens_if {}

#[doc = include_str!("docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("../docs/rules.md")]
pub mod rules {}

/// Everything a saga's file needs.
pub mod prelude {
    pub use saga_core::Saga;
    pub use saga_core::dispatcher::{Handler, HandlerContext, Subscriber};
    pub use saga_core::machine::{AllFinished, ChildEnd, ChildParked, Context, Finished};
    pub use saga_core::message::{
        Command, Correlated, Done, Event, Failed, HandlerError, Outcome, Report, Result, Tick, Timestamp,
        Unknown,
    };
    #[cfg(feature = "macros")]
    pub use saga_macros::{Command, Event, Saga};
    pub use serde::{Deserialize, Serialize};
}

#[cfg(all(feature = "macros", feature = "recurring", feature = "routing-slip", feature = "testing"))]
#[doc = include_str!("docs/coming_from_masstransit.md")]
pub mod coming_from_masstransit {}
