//! The derives of `saga`: `Saga`, `Event` and `Command`. Use them through the facade crate `saga-rs`.
//!
//! ```text
//! tokens ─▶ parse ─▶ model ─▶ check ─▶ emit ─▶ tokens
//!              └──────── errors ───────┘
//! ```
//!
//! `parse` reads attributes and recovers at the next comma; `model` is plain data with spans; `check` holds functions
//! of the model; `emit` writes code, after a mistake too, so that one mistake does not cascade.

mod check;
mod command;
mod emit;
mod errors;
mod event;
mod model;
mod parse;

use proc_macro::TokenStream;

/// Derives a saga on the enum of its states; the attributes hold the whole table.
#[proc_macro_derive(
    Saga,
    attributes(
        saga,
        initially,
        during,
        during_any,
        unhandled,
        ended_instance,
        compensate_with,
        terminal,
        on_enter,
        on_leave,
        state
    )
)]
pub fn derive_saga(input: TokenStream) -> TokenStream {
    saga(input.into()).into()
}

/// Derives an event: `#[event(name = "order.placed", key(order))]`.
///
/// `name` is what is stored; without it the type's name in kebab case is, and renaming the type loses stored events.
/// `key(field)`, `key(a, b)` (joined with `/`) or `key(by(method))` says which instance the event is for; without a key
/// it can only be the reply to a command. `version = N` numbers the shape of the payload.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    event::expand(input.into()).into()
}

/// Derives a command: `#[command(name = "payment.make", replies(PaymentCompleted, PaymentDeclined))]`.
///
/// `name` is what is stored; without it the type's name in kebab case is. `replies(..)` are the events a handler may
/// answer with; without them it answers `Done`. `at_most_once` forbids a second call, `best_effort` makes failures a
/// matter of record only. `version = N` numbers the shape of the payload.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    command::expand(input.into()).into()
}

/// The whole pipeline of the saga derive, on tokens that a test can make.
fn saga(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::default();
    let Some(model) = parse::saga(input, &mut errors) else { return errors.into_tokens() };
    if errors.is_empty() && !model.is_broken() {
        check::all(&model, &mut errors);
    }
    emit::saga(&model, errors)
}
