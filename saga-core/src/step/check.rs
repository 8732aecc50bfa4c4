//! Checks that every store applies to a step.

use super::{DeadId, DeliveryChange, ShardId, Step};

impl Step {
    /// Returns the reason to refuse a step that removes a missing dead letter. The reason is for
    /// [`StepOutcome::Refused`](super::StepOutcome::Refused).
    pub fn no_letter(id: DeadId) -> String {
        format!("dead letter {} does not exist; the letter was already redriven or discarded", id.0)
    }

    /// Returns the contradiction inside this step, if there is one. Stores then answer
    /// [`StepOutcome::Refused`](super::StepOutcome::Refused).
    pub fn contradiction(&self) -> Option<&'static str> {
        let touches_instance = !(self.tasks.is_empty()
            && self.timers.is_empty()
            && self.obligations.is_empty()
            && self.aliases.is_empty());
        match &self.instance {
            None if !self.history.is_empty() => {
                Some("the step has history lines but no change of the instance")
            }
            None if !self.labels.is_empty() => Some("the step has labels but no change of the instance"),
            None if self.row.is_none() && touches_instance => {
                Some("the step has tasks, timers, obligations or aliases but no instance")
            }
            Some(change) if self.row.is_none() && change.seq != 1 => {
                Some("the first step of an instance must have number 1")
            }
            Some(change) if i64::try_from(change.seq).is_err() => {
                Some("the number of the step is out of range")
            }
            _ => None,
        }
    }

    /// Returns the reason to refuse a step that writes rows of another shard than `shard`, if it does so. Mail and dead
    /// letters may go to any shard. Stores then answer [`StepOutcome::Refused`](super::StepOutcome::Refused).
    pub fn foreign(&self, shard: ShardId) -> Option<String> {
        if shard.is_whole() {
            return None;
        }
        let instance = self.instance.iter().map(|change| &change.address);
        let deliveries = self.deliveries.iter().filter_map(|change| match change {
            DeliveryChange::Add(delivery) => Some(&delivery.to),
            _ => None,
        });
        let mut all = instance.chain(deliveries).chain(self.dedup.iter().map(|record| &record.to));
        let foreign = all.find(|address| !shard.owns(address))?;
        Some(format!("{foreign} does not belong to {shard}, which the lease of the step owns"))
    }
}
