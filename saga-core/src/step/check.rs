//! What every store refuses, whatever it keeps its rows in.

use super::{DeadId, Step};

impl Step {
    /// Why no store takes a step that removes this dead letter again, for [`Outcome::Refused`](super::Outcome::Refused).
    pub fn no_letter(id: DeadId) -> String {
        format!("there is no dead letter {}: it was redriven or dropped already", id.0)
    }

    /// Why no store takes this step, if so: it contradicts itself. Stores answer
    /// [`Outcome::Refused`](super::Outcome::Refused) with it.
    pub fn contradiction(&self) -> Option<&'static str> {
        let touches_instance = !(self.tasks.is_empty()
            && self.timers.is_empty()
            && self.obligations.is_empty()
            && self.aliases.is_empty());
        match &self.instance {
            None if !self.history.is_empty() => Some("history without a change of the instance"),
            None if self.row.is_none() && touches_instance => {
                Some("tasks, timers, obligations or aliases of no instance")
            }
            Some(change) if self.row.is_none() && change.seq != 1 => Some("an instance begins with step 1"),
            Some(change) if i64::try_from(change.seq).is_err() => {
                Some("the number of the step is out of range")
            }
            _ => None,
        }
    }
}
