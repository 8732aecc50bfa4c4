//! What an action may know besides its arguments.

use std::cell::Cell;

use crate::message::{Command, Id, Incarnation, Key, Message, Report, Timestamp, is};

/// The only source of time, ids and randomness for actions, so that they are pure.
///
/// Everything it returns is fixed for one step: an action that is run again for the same step (after a crash, or by an
/// operator's `retry`) sees the same ids, though a later `now`.
#[derive(Debug)]
pub struct Context {
    now: Timestamp,
    key: Key,
    incarnation: Incarnation,
    seq: u64,
    next_id: Cell<u32>,
    command: Option<Message>,
    reports: Vec<(String, Report)>,
}

impl Context {
    pub(crate) fn new(now: Timestamp, key: Key, incarnation: Incarnation, seq: u64) -> Self {
        Self { now, key, incarnation, seq, next_id: Cell::new(0), command: None, reports: Vec::new() }
    }

    /// Counts ids from `first`, so that two contexts of one step never give the same.
    pub(crate) fn with_ids_from(self, first: u32) -> Self {
        self.next_id.set(first);
        self
    }

    /// Adds the command that is being reported on.
    pub(crate) fn with_command(mut self, command: Option<Message>) -> Self {
        self.command = command;
        self
    }

    /// Sets what is known about commands, by stored name; the last of a name counts.
    pub(crate) fn set_reports(&mut self, reports: Vec<(String, Report)>) {
        self.reports = reports;
    }

    /// The time of this step by the owner's clock. The same throughout the step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new id: derived from the instance, the step and how many were asked for before, so the same again when the
    /// step is repeated.
    pub fn new_id(&self) -> Id {
        let ordinal = self.next_id.get();
        self.next_id.set(ordinal.wrapping_add(1));
        self.incarnation.derive(self.seq, ordinal, "id")
    }

    /// The key of this instance.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// The command that the present event answers, when it is the reply to a `C` or its `failed`/`unknown`.
    pub fn command<C: Command>(&self) -> Option<C> {
        let command = self.command.as_ref().filter(|command| is(&command.name, C::NAME, C::WAS))?;
        command.command().ok()
    }

    /// What became of the command `C`, in the action that builds an undo.
    ///
    /// Known are the command being undone and the commands that were open at the turn; of several the newest. `None`
    /// when there is none, or when it has not been answered.
    pub fn report<C: Command>(&self) -> Option<&Report> {
        self.reports.iter().rev().find(|(name, _)| is(name, C::NAME, C::WAS)).map(|(_, report)| report)
    }
}
