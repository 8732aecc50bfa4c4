//! The manual: one chapter per subject, in the order in which they are best learnt.
#![doc = include_str!("docs/manual/chapters.md")]
//!
//! Every example in it is compiled and run with the tests. Those of the folder `examples` are larger and whole.

#[doc = include_str!("docs/manual/states.md")]
pub mod states {}

#[doc = include_str!("docs/manual/events.md")]
pub mod events {}

#[doc = include_str!("docs/manual/commands.md")]
pub mod commands {}

#[doc = include_str!("docs/manual/timers.md")]
pub mod timers {}

#[doc = include_str!("docs/manual/compensation.md")]
pub mod compensation {}

#[doc = include_str!("docs/manual/children.md")]
pub mod children {}

#[doc = include_str!("docs/manual/testing.md")]
pub mod testing {}

#[doc = include_str!("docs/manual/embedding.md")]
pub mod embedding {}

#[doc = include_str!("docs/manual/operating.md")]
pub mod operating {}

#[doc = include_str!("docs/manual/beyond_one_machine.md")]
pub mod beyond_one_machine {}

#[doc = include_str!("docs/manual/changing.md")]
pub mod changing {}
