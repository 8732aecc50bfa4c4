//! The step in flight of an instance, and the work that follows when the step is durable.

use super::Item;
use crate::engine::ConsumerAnswer;
use crate::machine::{AfterCommit, Instance};
use crate::store::{Status, Task};

/// The step in flight of an instance. An instance has at most one.
pub(in crate::engine) struct InFlight {
    pub(in crate::engine) item: Option<Item>,
    /// The answer for the caller of `item`.
    pub(in crate::engine) answer: ConsumerAnswer,
    /// The item stays in the queue, because the instance is parked over the item.
    pub(in crate::engine) kept: bool,
    pub(in crate::engine) before: Before,
    /// The step creates the instance.
    pub(in crate::engine) created: bool,
    pub(in crate::engine) after: AfterCommit,
    /// Queue items that this step makes durable. They are the first rows of the step's mail. The other rows are routed.
    spilled: Vec<Item>,
    spilled_events: usize,
    /// The tasks that the step has changed or ended, from before this step. If the step is not written, these tasks
    /// continue from that progress.
    pub(in crate::engine) tasks: Vec<Task>,
}

/// The instance before the step.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Before {
    pub(in crate::engine) parked: bool,
    pub(in crate::engine) compensating: bool,
}

impl Before {
    pub(in crate::engine) fn of(instance: &Instance) -> Self {
        Self { parked: instance.is_parked(), compensating: instance.status() == Status::Compensating }
    }
}

impl InFlight {
    /// A step for this item that changes no instance.
    pub(in crate::engine) fn of(item: Item, answer: ConsumerAnswer) -> Self {
        Self { item: Some(item), ..Self::without_item(answer) }
    }

    fn without_item(answer: ConsumerAnswer) -> Self {
        Self {
            item: None,
            answer,
            kept: false,
            before: Before::default(),
            created: false,
            after: AfterCommit::default(),
            spilled: Vec::new(),
            spilled_events: 0,
            tasks: Vec::new(),
        }
    }

    /// A step that only writes these items to the inbox.
    pub(in crate::engine) fn spill(items: Vec<Item>, answer: ConsumerAnswer, before: Before) -> Self {
        Self { before, ..Self::without_item(answer) }.with_spilled(items)
    }

    /// Adds the items that this step also writes to the inbox.
    pub(in crate::engine) fn with_spilled(self, items: Vec<Item>) -> Self {
        let spilled_events = items.iter().filter(|item| item.is_event()).count();
        Self { spilled: items, spilled_events, ..self }
    }

    pub(in crate::engine) fn spilled(&self) -> &[Item] {
        &self.spilled
    }

    /// Number of events among the spilled items.
    pub(in crate::engine) fn spilled_events(&self) -> usize {
        self.spilled_events
    }

    pub(in crate::engine) fn take_spilled(&mut self) -> Vec<Item> {
        self.spilled_events = 0;
        std::mem::take(&mut self.spilled)
    }

    /// All items of the step, for notes on items. The item of the decision comes first.
    pub(in crate::engine) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.item.iter_mut().chain(self.spilled.iter_mut())
    }

    /// All items of the step. The item of the decision comes first.
    pub(in crate::engine) fn items(&self) -> impl Iterator<Item = &Item> {
        self.item.iter().chain(&self.spilled)
    }
}
