//! How a child ended, as its parent's table reads it.
//!
//! Part of the stored format: fields are only ever added, with a default.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildEnd {
    /// In a `#[terminal]` state.
    Completed,
    /// In a `#[terminal(failure)]` state.
    Failed,
    /// By an abort, without a state for it.
    Aborted,
}

/// How an instance ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndRecord {
    pub(crate) key: String,
    pub(crate) end: ChildEnd,
    pub(crate) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Box<RawValue>>,
    pub(crate) data: Box<RawValue>,
    /// The version of the saga that wrote both.
    #[serde(default = "first")]
    pub(crate) version: u32,
}

const fn first() -> u32 {
    1
}
