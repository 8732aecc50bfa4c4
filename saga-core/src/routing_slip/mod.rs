//! Routing slips: processes whose steps are only known at run time, as a list of commands with their undo commands.
//!
//! A slip is an instance of a saga of our own. Its steps run one after the other; when one fails, or nobody knows what
//! became of it, those before it are undone, strictly last in, first out, and an undo that is refused parks the slip:
//! `retry` goes on where it stopped. Owns: that saga, and the handler that hands each step to the handler of its
//! command. Does not own: policies of those handlers; a step goes by the policy of the slips.
//!
//! The idea is that of MassTransit's Courier, without its end after a failed compensation.

mod saga;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::Instrument;

use crate::dispatcher::{AnyHandler, DispatcherBuilder, Extension, Handler, HandlerContext, StartError};
use crate::engine::{AttemptEnd, Policy};
use crate::machine::MessageRecord;
use crate::message::{
    Command, Correlated, Done, Event, HandlerError, HandlerResult, Message, PayloadError, PayloadLimits,
};
use saga::{RunStep, StepDone, StepFailed, UndoStep};
pub use saga::{Slip, SlipState};

/// A list of commands with their undo commands, to be published. Nothing runs before that.
///
/// The chapter on compensation of the manual has an example.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoutingSlip {
    key: String,
    steps: Vec<Step>,
}

/// One step of a slip.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Step {
    command: MessageRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<MessageRecord>,
    /// Replies that count as failures, by stored name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fails_on: Vec<String>,
}

/// A step cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlipError {
    /// The command is called at most once, and a step may be tried again.
    #[error(
        "`{0}` is called at most once, and a step of a slip may be tried again; send it from a saga of its own"
    )]
    AtMostOnce(&'static str),
    /// The command cannot be kept.
    #[error("command `{command}` cannot be kept")]
    Payload {
        /// Its stored name.
        command: &'static str,
        /// What is wrong with it.
        source: PayloadError,
    },
    /// There is no step that could be undone.
    #[error("`undo` and `fails_on` belong to a step: write `step` before them")]
    NoStep,
}

impl RoutingSlip {
    /// A slip without steps, which completes at once. The key is that of the instance.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), steps: Vec::new() }
    }

    /// Adds a step behind the others. Any reply means that it is done, unless [`fails_on`](Self::fails_on) names it.
    ///
    /// # Errors
    /// [`SlipError`]: the command is called at most once, or cannot be written as JSON.
    pub fn step<C: Command>(mut self, command: &C) -> Result<Self, SlipError> {
        self.steps.push(Step { command: record(command)?, undo: None, fails_on: Vec::new() });
        Ok(self)
    }

    /// Says what undoes the step added last. It is owed as soon as the step may have had an effect, and is tried until it
    /// succeeds.
    ///
    /// # Errors
    /// As for [`step`](Self::step); [`SlipError::NoStep`] when there is none.
    pub fn undo<C: Command>(mut self, command: &C) -> Result<Self, SlipError> {
        let undo = record(command)?;
        self.steps.last_mut().ok_or(SlipError::NoStep)?.undo = Some(undo);
        Ok(self)
    }

    /// Says that the step added last has failed, without an effect, when it is answered with an `E`. Without a step it
    /// says nothing. The stored name of `E` is kept with the slip, so do not rename `E` while such slips run.
    #[must_use]
    pub fn fails_on<E: Event>(mut self) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.fails_on.push(E::NAME.to_owned());
        }
        self
    }
}

fn record<C: Command>(command: &C) -> Result<MessageRecord, SlipError> {
    if C::AT_MOST_ONCE {
        return Err(SlipError::AtMostOnce(C::NAME));
    }
    let not = |source| SlipError::Payload { command: C::NAME, source };
    let message = Message::of_command(command).map_err(not)?;
    message.payload.check(PayloadLimits::DEFAULT).map_err(not)?;
    Ok(MessageRecord::from(&message))
}

impl Event for RoutingSlip {
    const NAME: &'static str = "saga.routing-slip";
    const KEYED: bool = true;
}

impl Correlated for RoutingSlip {
    fn key(&self, _: &str) -> String {
        self.key.clone()
    }
}

impl DispatcherBuilder {
    /// Runs [routing slips](crate::routing_slip), by the default [`Policy`] for each of their steps. Their commands need
    /// handlers, as all others do.
    pub fn routing_slips(self) -> Self {
        self.routing_slips_with(Policy::default())
    }

    /// Runs routing slips, by `policy` for each of their steps.
    pub fn routing_slips_with(mut self, policy: Policy) -> Self {
        self.extension::<Slips>().0 = policy;
        self
    }
}

/// By which policy slips run.
#[derive(Default)]
struct Slips(Policy);

impl Extension for Slips {
    /// By now all other handlers are there.
    fn register(&mut self, builder: DispatcherBuilder) -> Result<DispatcherBuilder, StartError> {
        let (policy, steps) = (self.0.clone(), Steps { handlers: Arc::new(builder.handlers_by_name()) });
        let builder = builder.saga::<SlipState>().handler_with::<RunStep>(steps.clone(), policy.clone());
        Ok(builder.handler_with::<UndoStep>(steps, policy))
    }
}

/// Hands each step to the handler of its command.
#[derive(Clone)]
struct Steps {
    handlers: Arc<HashMap<&'static str, Arc<dyn AnyHandler>>>,
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl Steps {
    async fn run(
        &self,
        command: MessageRecord,
        cx: &HandlerContext,
    ) -> Result<Option<Message>, HandlerError> {
        let message = Message::from(command);
        let Some(handler) = self.handlers.get(&*message.name) else {
            // Perhaps the next build has it.
            return Err(format!("no handler for `{}`", message.name).into());
        };
        let span = tracing::info_span!("slip", command = %message.name);
        let attempt = Arc::clone(handler).attempt(message, cx.clone(), PayloadLimits::CEILING);
        match attempt.instrument(span).await {
            AttemptEnd::Replied(reply) => Ok(reply),
            AttemptEnd::Refused(why) => Err(HandlerError::refused(why)),
            AttemptEnd::RefusedForGood(why) => Err(HandlerError::refused_for_good(why)),
            AttemptEnd::Indeterminate(why) => Err(why.into()),
            AttemptEnd::Unreadable(why) => Err(HandlerError::unreadable(why)),
            AttemptEnd::BadReply(why) => Err(HandlerError::bad_reply(why)),
            AttemptEnd::Dropped | AttemptEnd::NotBegun => Err("it was dropped".into()),
        }
    }
}

impl Handler<RunStep> for Steps {
    async fn handle(&self, command: RunStep, cx: &HandlerContext) -> HandlerResult<RunStep> {
        let reply = self.run(command.command, cx).await?;
        let failed = reply.as_ref().filter(|reply| command.fails_on.iter().any(|name| *name == reply.name));
        if let Some(reply) = failed {
            return Ok(StepFailed { nth: command.nth, why: reply.name.to_string() }.into());
        }
        Ok(StepDone { nth: command.nth, reply: reply.as_ref().map(MessageRecord::from) }.into())
    }
}

impl Handler<UndoStep> for Steps {
    async fn handle(&self, command: UndoStep, cx: &HandlerContext) -> HandlerResult<UndoStep> {
        if let Some(undo) = command.undo {
            self.run(undo, cx).await?;
        }
        Ok(Done.into())
    }
}
