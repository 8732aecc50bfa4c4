//! The engine behind the facade crate `saga-rs`; use that one.

// On docs.rs, each item names the features that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate self as saga_core;

pub mod definition;
pub mod dispatcher;
pub mod engine;
pub mod machine;
pub mod message;
#[cfg(feature = "recurring")]
pub mod recurring;
#[cfg(feature = "routing-slip")]
pub mod routing_slip;
#[doc = include_str!("../rules.md")]
pub mod rules {}
mod shape;
pub mod step;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use machine::Saga;

/// Used by generated code, and by nothing else. Named after the version so that nobody can depend on it.
#[doc(hidden)]
pub mod __private_0_1_0 {
    pub use crate::definition::{
        Answer, ChildType, Clause, CommandType, Definition, Due, End, EventType, Missing, Move, PayloadType,
        Row, State, Timer, Trigger, Undo, UndoOf, Verdict, Waive,
    };
    pub use crate::machine::generated::{
        all_names_in, command, expect_on, expect_present, name_in, no_such_row, no_such_state, payload,
        upcast, wrong_state,
    };
    pub use crate::machine::{
        AllFinished, Cause, Child, ChildParked, Context, EventOf, Finished, Outbox, Saga, Undone, Wait,
        encode_command,
    };
    pub use crate::message::{
        ActionResult, ByAlias, Command, Correlated, Event, Failed, Message, NoReply, Payload, PayloadError,
        ReplyTo, Tick, Timestamp, Unknown, join_key,
    };
    pub use crate::shape::{Reads, UpcastFrom};
    pub use crate::step::Labels;
}
