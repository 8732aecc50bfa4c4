//! What a type looks like to serde, and from which earlier shapes it is read.
//!
//! Owns: the places of a type in its JSON, the sensitive ones among them, and what an upcast reads. Does not own: what is compared with them
//! (`testing::Lock`), or the calls of upcasts, which the derives write.

mod mask;
mod places;
mod sensitive;
mod upcast;

pub(crate) use mask::{HIDDEN, Parts, Places, Redacting, each, is_within, mask, redacted};
#[cfg(any(test, feature = "testing"))]
pub(crate) use places::Place;
pub(crate) use places::Shape;
pub(crate) use sensitive::{INVALID, masking, met};
pub use sensitive::{MASK, Sensitive};
pub use upcast::{Reads, UpcastFrom};
