//! A saga that does nothing but wait for a moment.

use std::time::{Duration, UNIX_EPOCH};

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "timed", version = 1, data(Timed), actions(TimedActions))]
#[initially(when(Rung, run(ring), transition_to(Ringing)))]
#[unhandled(ignore)]
pub enum TimedState {
    #[during(timeout(at(silence), transition_to(Silent)))]
    Ringing,
    #[terminal]
    Silent,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    due_ms: u64,
}

impl TimedActions for Timed {
    fn ring(event: &Rung, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { due_ms: event.due_ms })
    }
    fn silence(&self, _: &mut Context) -> saga::Timestamp {
        (UNIX_EPOCH + Duration::from_millis(self.due_ms)).into()
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rung", key(key))]
pub struct Rung {
    pub key: String,
    pub due_ms: u64,
}
