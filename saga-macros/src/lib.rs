//! The derives of `saga`: `Saga`, `Event` and `Command`. Use them through the facade crate `saga-rs`.

use proc_macro::TokenStream;

/// Derives a saga on the enum of its states.
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
pub fn derive_saga(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Derives an event.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Derives a command.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
