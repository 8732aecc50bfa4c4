//! Aliases (rule R35): further names that an instance claims, such as the reference of a payment.
//!
//! Owns: the alias changes of a step, and parking over an alias that is taken. Does not own: the holder of an alias.
//! The store knows the holder and reports it at the commit.

use super::instance::Instance;
use super::outbox::Outbox;
use super::work::Work;
use crate::message::Alias;
use crate::step::AliasChange;

/// An alias that another instance held when a step claimed it. The step is decided again with this knowledge.
#[derive(Clone, Debug)]
pub(crate) struct RejectedClaim {
    pub(crate) alias: Alias,
    pub(crate) by: String,
}

/// Describes the first claim in `out` that is known to be taken.
pub(super) fn taken(rejected: &[RejectedClaim], out: &[Outbox]) -> Option<String> {
    let changes = out.iter().flat_map(|out| &out.aliases);
    let mut claims = changes.filter_map(|change| match change {
        AliasChange::Claim(alias) => rejected.iter().find(|claim| claim.alias == *alias),
        AliasChange::Release(_) => None,
    });
    claims.next().map(|RejectedClaim { alias, by }| format!("the alias `{alias}` is held by `{by}`"))
}

impl Instance {
    /// Why the contents of `out` must not be committed, if a claimed alias is taken.
    pub(super) fn alias_taken(&self, out: &[Outbox]) -> Option<String> {
        taken(&self.rejected_claims, out)
    }
}

impl Work<'_> {
    /// Applies claims and releases. A change without effect is not written.
    pub(super) fn change_aliases(&mut self, changes: Vec<AliasChange>) {
        for change in changes {
            let changes = match &change {
                AliasChange::Claim(alias) => self.instance.aliases.insert(alias.clone()),
                AliasChange::Release(alias) => self.instance.aliases.remove(alias),
            };
            if changes {
                self.step.aliases.push(change);
            }
        }
    }
}
