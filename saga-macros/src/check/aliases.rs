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
                "`on_leave` cannot have `claim`: a turn must not fail over a taken alias; write `claim` in the rows \
                 that leave the state, or in `on_enter` of the next state",
            );
        }
    }
}
