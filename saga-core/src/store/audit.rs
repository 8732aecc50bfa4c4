//! Reads of the audit: its rows, the filter, and the check of the chain.

use std::collections::BTreeMap;

use crate::message::MessageId;
use crate::step::{Address, AuditEntry, AuditId, AuditLink};

/// One row of the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// The number of the row.
    pub id: AuditId,
    /// The decision.
    pub entry: AuditEntry,
    /// The link of the row to all rows before it in its chain.
    pub link: AuditLink,
    /// The chain of the row. Each shard has one, so a store with one shard has the chain 0 alone.
    pub chain: u16,
}

/// Follows the chains of the audit, row by row.
#[derive(Clone, Debug, Default)]
pub struct AuditChains(BTreeMap<u16, AuditLink>);

impl AuditChains {
    /// Returns whether the row follows the row before it in its chain. The rows must come in the order of their numbers, from
    /// the first one. After a row that does not follow, the check goes on from this row.
    pub fn follows(&mut self, row: &AuditRow) -> bool {
        let before = self.0.insert(row.chain, row.link).unwrap_or(AuditLink::FIRST);
        row.follows(&before)
    }

    /// Returns the last link of each chain. Who keeps them elsewhere notices later that a row was removed at the end.
    pub fn last(&self) -> &BTreeMap<u16, AuditLink> {
        &self.0
    }
}

impl AuditRow {
    /// Returns whether the row follows the row of its chain with this link. For the first row, the link is [`AuditLink::FIRST`].
    pub fn follows(&self, before: &AuditLink) -> bool {
        before.next(&self.entry) == self.link
    }
}

/// The rows that a read of the audit returns. The default is the oldest 100 rows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Only decisions about this instance or subscriber and key.
    pub to: Option<Address>,
    /// Only decisions of this operator.
    pub who: Option<String>,
    /// Only the decision that answers this request. At most one row is returned.
    pub request: Option<MessageId>,
    /// The place and the direction of the page.
    pub from: AuditFrom,
    /// The maximum number of rows.
    pub limit: usize,
}

impl AuditFilter {
    /// Returns whether a row meets the conditions. The place and the limit do not count.
    pub fn matches(&self, row: &AuditRow) -> bool {
        let entry = &row.entry;
        self.to.as_ref().is_none_or(|to| entry.to.as_ref() == Some(to))
            && self.who.as_ref().is_none_or(|who| entry.who == *who)
            && self.request.as_ref().is_none_or(|request| entry.request.as_ref() == Some(request))
    }
}

impl Default for AuditFilter {
    fn default() -> Self {
        Self { to: None, who: None, request: None, from: AuditFrom::default(), limit: 100 }
    }
}

/// The place and the direction of a page of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFrom {
    /// The rows after this one, oldest first.
    After(AuditId),
    /// The rows before this one, newest first.
    Before(AuditId),
}

impl AuditFrom {
    /// The newest rows, newest first.
    pub const NEWEST: Self = Self::Before(AuditId(i64::MAX));
}

impl Default for AuditFrom {
    fn default() -> Self {
        Self::After(AuditId::default())
    }
}
