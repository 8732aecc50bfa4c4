//! Aliases (rule R35): further names that an instance claims, such as the reference of a payment.
//!
//! Owns: what a step does to the aliases of its instance, and parking over one that is taken. Does not own: knowing who
//! holds one; the store does, and says so when the step is committed.

use super::instance::Instance;
use super::outbox::Outbox;
use super::work::Work;
use crate::message::Key;
use crate::step::AliasChange;

/// An alias that another instance was found to hold when a step was to claim it. The step is decided once more, knowing
/// that.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) alias: Key,
    pub(crate) by: String,
}

/// The first claim among `out` that is known to be taken, in words.
pub(super) fn taken(taken: &[Taken], out: &[Outbox]) -> Option<String> {
    let changes = out.iter().flat_map(|out| &out.aliases);
    let mut claims = changes.filter_map(|change| match change {
        AliasChange::Claim(alias) => taken.iter().find(|taken| taken.alias == *alias),
        AliasChange::Release(_) => None,
    });
    claims.next().map(|Taken { alias, by }| format!("the alias `{alias}` is held by `{by}`"))
}

impl Instance {
    /// Why what was built must not be committed, if so.
    pub(super) fn alias_taken(&self, out: &[Outbox]) -> Option<String> {
        taken(&self.taken, out)
    }
}

impl Work<'_> {
    /// Claims and releases, as far as they change anything.
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
