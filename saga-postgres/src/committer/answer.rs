//! The answer of a statement: the outcome of each of its steps.

use saga_core::message::{InstanceName, Key};
use saga_core::store::{Committed, DeadId, InboxId, Step, StepOutcome};
use saga_stored::instance as body;
use serde::Deserialize;
use tokio_postgres::{Error, Row};

use super::plan::{Sent, SentStep};
use super::statement::{INBOX, KNOWN, MISFIT, NO_LETTER, TAKEN, TASK, USED};

/// What the statement says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The number of the newest inbox row of the statement. 0 without inbox rows.
    pub(super) inbox: i64,
    bad: Vec<Bad>,
}

/// The reason why a step was not written.
#[derive(Debug, Deserialize)]
struct Bad(i32, i32, i64, Option<String>);

impl Answer {
    /// Reads the lines of the statement.
    pub(super) fn read(rows: &[Row]) -> Result<Self, Error> {
        let mut answer = Self::default();
        for row in rows {
            match row.try_get(0)? {
                INBOX => answer.inbox = row.try_get(2)?,
                ord if ord >= 0 => {
                    answer.bad.push(Bad(ord, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Reads the row of `saga_batch` of a statement without an answer.
    pub(super) fn recorded(inbox: Option<i64>, bad: Option<&str>) -> serde_json::Result<Self> {
        let bad = bad.map_or_else(|| Ok(Vec::new()), serde_json::from_str)?;
        Ok(Self { inbox: inbox.unwrap_or(0), bad })
    }

    /// Returns the outcomes of the steps, in order. `mails` is the number of inbox rows of the statement.
    pub(super) fn outcomes(mut self, sent: Vec<Sent>) -> Vec<StepOutcome> {
        // Within a step, the checks have the order of their kinds, and of the lists in the step.
        self.bad.sort_by_key(|Bad(ord, kind, number, _)| (*ord, *kind, *number));
        let first = self.inbox - mails(&sent);
        let mut outcomes = Vec::with_capacity(sent.len());
        for (ord, sent) in (0..).zip(sent) {
            outcomes.push(match sent {
                Sent::Known(outcome) => outcome,
                Sent::Sent(step) => match self.bad.iter().find(|bad| bad.0 == ord) {
                    Some(bad) => refused(&step, bad),
                    None => StepOutcome::Committed(committed(*step, first)),
                },
            });
        }
        outcomes
    }
}

/// Returns the number of inbox rows of a statement.
pub(super) fn mails(sent: &[Sent]) -> i64 {
    let count = |sent: &Sent| match sent {
        Sent::Known(_) => 0,
        Sent::Sent(step) => step.mail.1,
    };
    sent.iter().map(count).sum()
}

fn committed(step: SentStep, before: i64) -> Committed {
    let (first, count) = step.mail;
    let mut mail: Vec<InboxId> = (first..first + count).map(|n| InboxId(before + n)).collect();
    // The places are in order, so each one counts the places before it.
    step.posts.into_iter().for_each(|at| mail.insert(at, InboxId(0)));
    Committed { mail, ..step.committed }
}

fn refused(step: &SentStep, Bad(_, kind, number, detail): &Bad) -> StepOutcome {
    let detail = detail.as_deref().unwrap_or_default();
    match *kind {
        MISFIT => {
            let is_repeated = step.identity.is_some_and(|(incarnation, id, seq)| {
                seq.cast_signed() == *number && body::identities(detail) == Some((incarnation, id))
            });
            if is_repeated { StepOutcome::Repeated } else { StepOutcome::Conflict }
        }
        KNOWN if detail == "same" => StepOutcome::Duplicate,
        KNOWN => StepOutcome::IdConflict,
        TASK => StepOutcome::Refused(format!("{detail} already exists")),
        TAKEN => {
            let alias = usize::try_from(*number).ok().and_then(|at| step.claims.get(at));
            let by: Option<Key> = InstanceName::from_stored(detail).ok().and_then(|name| name.as_key());
            match (alias, by) {
                (Some(alias), Some(by)) => StepOutcome::AliasTaken { alias: alias.clone(), by },
                _ => StepOutcome::Refused("an alias belongs to an instance that does not exist".to_owned()),
            }
        }
        USED => StepOutcome::Duplicate,
        NO_LETTER => StepOutcome::Refused(Step::no_letter(DeadId(*number))),
        _ => StepOutcome::Conflict,
    }
}
