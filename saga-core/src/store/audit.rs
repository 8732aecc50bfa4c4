//! Reads of the audit: its rows, the filter, and the check of the chain.

use crate::message::MessageId;
use crate::step::{Address, AuditEntry, AuditId, AuditLink};

/// One row of the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// The number of the row.
    pub id: AuditId,
    /// The decision.
    pub entry: AuditEntry,
    /// The link of the row to all rows before it.
    pub link: AuditLink,
}

impl AuditRow {
    /// Returns whether the row follows the row with this link. For the first row, the link is [`AuditLink::FIRST`].
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
