//! Where aliases can be claimed.

use crate::errors::Errors;
use crate::model::{Act, Model};

/// A turn leaves the state too, and a claim can be refused; a turn cannot.
pub(super) fn not_on_leave(model: &Model, errors: &mut Errors) {
    for act in model.states.iter().flat_map(|state| &state.on_leave) {
        if let Act::Alias { claim: true, method, .. } = act {
            errors.on(
                method,
                "a state may be left for undoing, which no alias that is taken must hold up: write `claim` in the rows that \
                 leave it, or in `on_enter` of the next state",
            );
        }
    }
}
