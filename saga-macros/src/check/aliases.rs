//! The places of alias claims (rule R35).

use crate::errors::Errors;
use crate::model::{Act, Model};

/// Refuses `claim` in `on_leave`. A turn also runs `on_leave`, and a taken alias must not stop a
/// turn.
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
