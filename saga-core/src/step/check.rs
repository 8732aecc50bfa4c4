//! Checks that every store applies to a step.

use super::{DeadId, Step};

impl Step {
    /// Returns the reason to refuse a step that removes a missing dead letter. The reason is for
    /// [`StepOutcome::Refused`](super::StepOutcome::Refused).
    pub fn no_letter(id: DeadId) -> String {
        format!("there is no dead letter {}: it was redriven or dropped already", id.0)
    }

    /// Returns the contradiction inside this step, if there is one. Stores then answer
    /// [`StepOutcome::Refused`](super::StepOutcome::Refused).
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
