//! The list of checks. A check is a pure function of the model. Each mistake marks the token to
//! change.

mod aliases;
mod children;
mod coverage;
mod structure;
#[cfg(test)]
mod tests;
mod undos;

use crate::errors::Errors;
use crate::model::Model;

/// Runs the checks. All further checks rely on the names that the first check has found to be
/// correct.
pub(crate) fn all(model: &Model, errors: &mut Errors) {
    structure::names(model, errors);
    if !errors.is_empty() {
        return;
    }
    structure::timers(model, errors);
    structure::rows(model, errors);
    structure::guarded_timers(model, errors);
    structure::states(model, errors);
    undos::check(model, errors);
    structure::totality(model, errors);
    structure::deferred(model, errors);
    children::check(model, errors);
    aliases::not_on_leave(model, errors);
    if errors.is_empty() {
        // In a table with another mistake, the paths may be wrong.
        coverage::check(model, errors);
    }
}
