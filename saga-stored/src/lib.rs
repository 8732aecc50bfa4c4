//! The stored JSON of instances: bodies, history lines and pending items, with the checksum of a row.
//!
//! Owns: the text of these values, which is the same in each store. Does not own: SQL, or the meaning of a payload. A
//! payload is copied into the text as it is. Applications do not use this crate, and its interface may change in any
//! version.

pub mod checksum;
pub mod history;
pub mod instance;
pub mod item;
pub mod json;
pub mod pending;
pub mod view;
