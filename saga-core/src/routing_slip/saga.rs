//! The saga of a routing slip: it runs the steps one after the other, and undoes them when a step fails.

#![allow(unreachable_pub)] // The messages are named by the trait that the derive generates.
#![allow(clippy::duplicated_attributes)] // Two starting rows share words.

use saga_macros::{Command, Event, Saga};
use serde::{Deserialize, Serialize};

use super::{RoutingSlip, Step};
use crate::machine::{Context, MessageRecord};
use crate::message::{ActionResult, Failed, Unknown};

/// The states of a slip.
#[derive(Saga, Clone, Debug, PartialEq, Eq)]
// The commands of the application are hidden as a whole, because the slip does not know their types.
#[saga(name = "saga.routing-slip", version = 1, data(Slip), actions(SlipActions), crate(crate))]
#[saga(redact("steps[].command.payload", "steps[].undo.payload"))]
#[initially(
    when(RoutingSlip, guard(is_empty), run(accept), transition_to(Completed)),
    when(RoutingSlip, run(accept), send(RunStep, with(first), undo(UndoStep)), transition_to(Running))
)]
#[unhandled(ignore)]
pub enum SlipState {
    /// The slip runs its steps one after the other.
    #[during(
        when(StepDone, guard(was_last), run(finish), transition_to(Completed)),
        when(StepDone, run(advance), send(RunStep, with(next), undo(UndoStep)), stay),
        when(StepFailed, not_owed(UndoStep), compensate, run(note_failure), transition_to(Faulted)),
        when(failed(RunStep), compensate, run(note_refusal), transition_to(Faulted)),
        when(unknown(RunStep), compensate, run(note_unknown), transition_to(Faulted))
    )]
    Running,
    /// Every step is done.
    #[terminal]
    Completed,
    /// A step has failed, and the steps before it are undone.
    #[terminal(failure)]
    Faulted,
}

/// The data of a slip.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slip {
    steps: Vec<Step>,
    /// The number of done steps.
    pub done: usize,
    /// The reason of the failure.
    pub why: Option<String>,
}

impl Slip {
    fn step(&self, nth: usize) -> RunStep {
        let step = &self.steps[nth];
        RunStep {
            nth,
            command: step.command.clone(),
            undo: step.undo.clone(),
            fails_on: step.fails_on.clone(),
        }
    }
}

impl SlipActions for Slip {
    fn is_empty(event: &RoutingSlip, _: &Context) -> bool {
        event.steps.is_empty()
    }

    fn accept(event: &RoutingSlip, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { steps: event.steps.clone(), done: 0, why: None })
    }

    fn first(&self, _: &RoutingSlip, _: &mut Context) -> RunStep {
        self.step(0)
    }

    fn was_last(&self, event: &StepDone, _: &Context) -> bool {
        event.nth + 1 >= self.steps.len()
    }

    fn finish(&mut self, event: &StepDone, _: &mut Context) -> ActionResult<()> {
        self.done = event.nth + 1;
        Ok(())
    }

    fn advance(&mut self, event: &StepDone, _: &mut Context) -> ActionResult<()> {
        self.done = event.nth + 1;
        Ok(())
    }

    fn next(&self, event: &StepDone, _: &mut Context) -> RunStep {
        self.step(event.nth + 1)
    }

    fn undo_step(&self, command: &RunStep, _: &mut Context) -> UndoStep {
        UndoStep { nth: command.nth, undo: command.undo.clone() }
    }

    fn note_failure(&mut self, event: &StepFailed, _: &mut Context) -> ActionResult<()> {
        self.why = Some(format!("step {}: {}", event.nth + 1, event.why));
        Ok(())
    }

    fn note_refusal(&mut self, event: &Failed<RunStep>, _: &mut Context) -> ActionResult<()> {
        self.why = Some(format!("step {}: {}", event.command.nth + 1, event.reason));
        Ok(())
    }

    fn note_unknown(&mut self, event: &Unknown<RunStep>, _: &mut Context) -> ActionResult<()> {
        self.why =
            Some(format!("the outcome of step {} is unknown: {}", event.command.nth + 1, event.reason));
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "saga.step-done", redact("reply.payload"), crate(crate))]
pub struct StepDone {
    pub(super) nth: usize,
    pub(super) reply: Option<MessageRecord>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "saga.step-failed", crate(crate))]
pub struct StepFailed {
    pub(super) nth: usize,
    pub(super) why: String,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "saga.run-step", replies(StepDone, StepFailed), crate(crate))]
#[command(redact("command.payload", "undo.payload"))]
pub struct RunStep {
    pub(super) nth: usize,
    pub(super) command: MessageRecord,
    pub(super) undo: Option<MessageRecord>,
    pub(super) fails_on: Vec<String>,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "saga.undo-step", redact("undo.payload"), crate(crate))]
pub struct UndoStep {
    pub(super) nth: usize,
    pub(super) undo: Option<MessageRecord>,
}
