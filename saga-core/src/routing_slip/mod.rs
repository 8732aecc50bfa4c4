//! Routing slips: processes with steps that are known only at run time, as a list of commands with their undo commands.
//!
//! Owns: the slip saga, and the handler that passes each step to the handler of its command. Does not own: the policies
//! of those handlers. A step follows the policy of the slips.
//!
//! A slip is an instance of an internal saga. Its steps run one after the other. When a step fails or its outcome is
//! indeterminate, the slip undoes the earlier steps, strictly last in, first out. A refused undo parks the slip, and
//! `retry` continues with this undo.
//!
//! The design follows the Courier of MassTransit, without its end after a failed compensation.

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

/// A list of commands with their undo commands, to be published. No step runs before the publishing.
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
    /// The stored names of the replies that count as failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fails_on: Vec<String>,
}

/// A step cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlipError {
    /// The command is called at most once, but a step may be tried again.
    #[error(
        "`{0}` is called at most once, but a step of a slip may be retried; send the command from a separate saga"
    )]
    AtMostOnce(&'static str),
    /// The command cannot be stored.
    #[error("command `{command}` cannot be stored")]
    Payload {
        /// The stored name of the command.
        command: &'static str,
        /// The problem with the command.
        source: PayloadError,
    },
    /// The slip has no step to undo.
    #[error("`undo` and `fails_on` apply to a step: call `step` first")]
    NoStep,
}

impl RoutingSlip {
    /// Creates a slip without steps. An empty slip completes at once. `key` is the key of the instance.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), steps: Vec::new() }
    }

    /// Adds a step after the others. Any reply means success, except a reply named with [`fails_on`](Self::fails_on).
    ///
    /// # Errors
    /// [`SlipError`] when the command is called at most once or cannot be written as JSON.
    pub fn step<C: Command>(mut self, command: &C) -> Result<Self, SlipError> {
        self.steps.push(Step { command: record(command)?, undo: None, fails_on: Vec::new() });
        Ok(self)
    }

    /// Sets the undo command of the last added step. The undo becomes an obligation as soon as the step may have had an
    /// effect. The undo is tried until it succeeds.
    ///
    /// # Errors
    /// The errors of [`step`](Self::step), and [`SlipError::NoStep`] when the slip has no step.
    pub fn undo<C: Command>(mut self, command: &C) -> Result<Self, SlipError> {
        let undo = record(command)?;
        self.steps.last_mut().ok_or(SlipError::NoStep)?.undo = Some(undo);
        Ok(self)
    }

    /// Declares that a reply `E` means failure of the last added step, without an effect. Without a step, this method
    /// has no effect. The slip stores the name of `E`, so do not rename `E` while such slips run.
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
    const REDACT: &'static [&'static str] = &["steps[].command.payload", "steps[].undo.payload"];
}

impl Correlated for RoutingSlip {
    fn key(&self, _: &str) -> String {
        self.key.clone()
    }
}

impl DispatcherBuilder {
    /// Runs [routing slips](crate::routing_slip), with the default [`Policy`] for each of their steps. The commands of
    /// the steps need registered handlers.
    pub fn routing_slips(self) -> Self {
        self.routing_slips_with(Policy::default())
    }

    /// Runs routing slips, with `policy` for each of their steps.
    pub fn routing_slips_with(mut self, policy: Policy) -> Self {
        self.extension::<Slips>().0 = policy;
        self
    }
}

/// The policy of the slips.
#[derive(Default)]
struct Slips(Policy);

impl Extension for Slips {
    /// All other handlers are registered at this point.
    fn register(&mut self, builder: DispatcherBuilder) -> Result<DispatcherBuilder, StartError> {
        let (policy, steps) = (self.0.clone(), Steps { handlers: Arc::new(builder.handlers_by_name()) });
        let builder = builder.saga::<SlipState>().handler_with::<RunStep>(steps.clone(), policy.clone());
        Ok(builder.handler_with::<UndoStep>(steps, policy))
    }
}

/// Passes each step to the handler of its command.
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
            // A later build may have the handler.
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
            AttemptEnd::Dropped | AttemptEnd::NotBegun => Err("the attempt was dropped".into()),
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
