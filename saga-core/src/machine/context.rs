//! The context of an action: its source of time, ids and reports.

use std::cell::Cell;

use crate::message::{Command, Id, Incarnation, InstanceName, Message, Report, Timestamp, name_matches};

/// The only source of time, ids and randomness for actions. So actions are pure.
///
/// All values are fixed for one step. An action may run again for the same step, after a crash or by an operator's
/// `retry`. Then it sees the same ids, but a later `now`.
#[derive(Debug)]
pub struct Context {
    now: Timestamp,
    key: InstanceName,
    incarnation: Incarnation,
    seq: u64,
    next_id: Cell<u32>,
    command: Option<Message>,
    reports: Vec<(String, Report)>,
}

impl Context {
    pub(crate) fn new(now: Timestamp, key: InstanceName, incarnation: Incarnation, seq: u64) -> Self {
        Self { now, key, incarnation, seq, next_id: Cell::new(0), command: None, reports: Vec::new() }
    }

    /// Counts ids from `first`, so that two contexts of one step never return the same id.
    pub(crate) fn with_ids_from(self, first: u32) -> Self {
        self.next_id.set(first);
        self
    }

    /// Adds the command that the input reports on.
    pub(crate) fn with_command(mut self, command: Option<Message>) -> Self {
        self.command = command;
        self
    }

    /// Sets the known reports of commands, by stored name. The last report of a name counts.
    pub(crate) fn set_reports(&mut self, reports: Vec<(String, Report)>) {
        self.reports = reports;
    }

    /// The time of this step by the clock of the lease holder. It does not change during the step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns a new id, derived from the instance, the step and the number of ids before. A repeated step gets the
    /// same ids.
    pub fn new_id(&self) -> Id {
        let ordinal = self.next_id.get();
        self.next_id.set(ordinal.wrapping_add(1));
        self.incarnation.derive(self.seq, ordinal, "id")
    }

    /// The key of this instance.
    pub fn key(&self) -> &str {
        self.key.text()
    }

    /// The command that the present event answers. The event is a reply to a `C`, or the `failed` or `unknown` of a
    /// `C`.
    pub fn command<C: Command>(&self) -> Option<C> {
        let command = self.command.as_ref().filter(|command| name_matches(&command.name, C::NAME, C::WAS))?;
        command.command().ok()
    }

    /// The known outcome of the command `C`, for the action that builds an undo.
    ///
    /// The outcomes of the command to undo and of the commands open at the turn are known. Of several outcomes, the
    /// newest counts. `None` means that no outcome is known.
    pub fn report<C: Command>(&self) -> Option<&Report> {
        self.reports
            .iter()
            .rev()
            .find(|(name, _)| name_matches(name, C::NAME, C::WAS))
            .map(|(_, report)| report)
    }
}
