//! The body of a pause.

use saga_core::message::Timestamp;
use saga_core::store::{Pause, PauseOf};
use serde::{Deserialize, Serialize};

use super::mail::unknown;

#[derive(Serialize, Deserialize)]
struct Body {
    who: String,
    why: String,
    at: i64,
}

pub(crate) fn write_pause(pause: &Pause) -> serde_json::Result<String> {
    let Pause { who, why, at, .. } = pause;
    serde_json::to_string(&Body { who: who.clone(), why: why.clone(), at: at.as_millis() })
}

/// Reads a pause from its columns.
pub(crate) fn read_pause(kind: &str, name: &str, body: &str) -> serde_json::Result<Pause> {
    let Body { who, why, at } = serde_json::from_str(body)?;
    let of = PauseOf::from_stored(kind, name).ok_or_else(|| unknown(kind))?;
    Ok(Pause { of, who, why, at: Timestamp::from_millis(at) })
}
