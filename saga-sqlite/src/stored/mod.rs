//! The stored JSON: the bodies of instances and history lines, and the pending items of an instance.
//!
//! Owns: the text of the columns `body`, `pending` and `progress`. People read these texts through the views `saga_v_*`.
//! Does not own: SQL, or the meaning of a payload. A payload is copied into the text as it is.

pub(crate) mod history;
pub(crate) mod instance;
pub(crate) mod item;
pub(crate) mod json;
pub(crate) mod pending;
