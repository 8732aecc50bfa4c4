//! What makes a table wrong. Pure functions of the model; each mistake points at the token to change.

mod aliases;
mod children;
mod coverage;
mod structure;
#[cfg(test)]
mod tests;

use crate::errors::Errors;
use crate::model::Model;

/// Runs every check. Later ones rely on names that earlier ones found to be good.
pub(crate) fn all(model: &Model, errors: &mut Errors) {
    structure::names(model, errors);
    if !errors.is_empty() {
        return;
    }
    structure::timers(model, errors);
    structure::rows(model, errors);
    structure::guarded_timers(model, errors);
    structure::states(model, errors);
    structure::totality(model, errors);
    structure::deferred(model, errors);
    children::check(model, errors);
    aliases::not_on_leave(model, errors);
    if errors.is_empty() {
        coverage::check(model, errors);
    }
}
