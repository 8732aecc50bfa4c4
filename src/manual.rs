//! The manual: one chapter per subject, in the order in which they are best learnt.
#![doc = include_str!("docs/manual/chapters.md")]
//!
//! Every example in it is compiled and run with the tests. Those of the folder `examples` are larger and whole.

#[doc = include_str!("docs/manual/states.md")]
pub mod states {}
