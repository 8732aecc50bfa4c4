//! The checks of undos that belong to one command.
//!
//! Owns: mistakes of one `send(.., undo(..))`. Does not own: obligations along the paths of the
//! table (`coverage`).

use syn::{Ident, Path};

use crate::errors::Errors;
use crate::model::{Act, End, Model, UndoUse, last};

/// Undos of `send(.., undo(..))`: one method builds the undo of a command, and an undo that nothing
/// could run is refused.
pub(super) fn check(model: &Model, errors: &mut Errors) {
    let mut known: Vec<(&Path, &UndoUse)> = Vec::new();
    for act in model.acts() {
        let Act::Send { command, undo: Some(undo), .. } = act else { continue };
        let same = known
            .iter()
            .find(|(of, other)| last(of) == last(command) && last(&other.command) == last(&undo.command));
        // The definition holds one entry for a command and its undo, and the entry names the method.
        match same {
            Some((_, other)) if other.method != undo.method => errors.on(
                &undo.method,
                format!(
                    "the undo `{}` of `{}` is built by `{}` in another `send`: one method builds it",
                    last(&undo.command),
                    last(command),
                    other.method
                ),
            ),
            Some(_) => {}
            None => known.push((command, undo)),
        }
    }
    // A row with `compensate` sends its commands at the arrival, after all undos (rule R13).
    for row in model.rows.iter().filter(|row| row.compensate.is_some()) {
        let fails = |target: &&Ident| {
            let state = model.state(&target.to_string()).map(|state| &model.states[state]);
            state.is_some_and(|state| matches!(state.end, Some((End::Failed, _))))
        };
        let Some(target) = row.targets().into_iter().find(fails) else { continue };
        for act in &row.acts {
            if let Act::Send { command, undo: Some(undo), .. } = act {
                errors.on(
                    &undo.command,
                    format!(
                        "`{}` is sent at the arrival in the failure end `{target}`, so its undo `{}` would never \
                         run: remove `undo({})`",
                        last(command),
                        last(&undo.command),
                        last(&undo.command)
                    ),
                );
            }
        }
    }
}
