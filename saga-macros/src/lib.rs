//! The derives of `saga`: `Saga`, `Event` and `Command`. Use the derives through the facade crate
//! `saga-rs`.
//!
//! ```text
//! tokens ─▶ parse ─▶ model ─▶ check ─▶ emit ─▶ tokens
//!              └──────── errors ───────┘
//! ```
//!
//! - `parse` reads the attributes. After a mistake, reading goes on at the next comma.
//! - `model` is plain data with spans.
//! - `check` holds pure functions of the model.
//! - `emit` writes the code, also after a mistake. So one mistake causes no errors elsewhere.

mod check;
mod command;
mod emit;
mod errors;
mod event;
#[cfg(test)]
mod expansion;
mod model;
mod parse;

use proc_macro::TokenStream;

/// Derives a saga on the enum of its states. The attributes hold the whole table.
#[proc_macro_derive(
    Saga,
    attributes(
        saga,
        initially,
        during,
        during_any,
        deadline,
        unhandled,
        ended_instance,
        missing_instance,
        compensate_with,
        terminal,
        on_enter,
        on_leave,
        state,
        upcast
    )
)]
pub fn derive_saga(input: TokenStream) -> TokenStream {
    saga(input.into()).into()
}

/// Derives an event: `#[event(name = "order.placed", key(order))]`.
///
/// - `name` is the stored name. The default is the name of the type in kebab case. A rename of the
///   type changes this default. Events stored under the earlier name then need `was`.
/// - `was` is an earlier stored name. Events stored under this name can still be read.
/// - `version = N` numbers the shape of the payload. The default is 1.
/// - `key(field)` or `key(by(method))` gives the key of the instance. `key(a, b)` joins the fields
///   with `/`.
/// - `key_for(SagaState, field)` gives another key for one saga.
/// - `alias(..)` and `alias_for(..)` take the same arguments. They give an alias that the instance
///   has claimed.
///
/// In a joined key, `%2F` replaces a `/` inside a field. So different fields never give the same
/// key. A key with an empty field is not valid. An event without a key and without an alias can
/// only be the reply to a command.
#[proc_macro_derive(Event, attributes(event, upcast))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    event::expand(input.into()).into()
}

/// Derives a command:
/// `#[command(name = "payment.make", replies(PaymentCompleted, PaymentDeclined))]`.
///
/// - `name` is the stored name. The default is the name of the type in kebab case.
/// - `was` is an earlier stored name. Commands stored under this name can still be read.
/// - `version = N` numbers the shape of the payload. The default is 1.
/// - `replies(..)` lists the events that a handler may answer with. Without `replies(..)` the
///   handler answers `Done`.
/// - `at_most_once` forbids a second call (rule R18).
/// - `best_effort` records a failure only in the history. The failure reaches no row (rule R3).
#[proc_macro_derive(Command, attributes(command, upcast))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    command::expand(input.into()).into()
}

/// The pipeline of the saga derive, on tokens that a test can create.
fn saga(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::default();
    let Some(model) = parse::saga(input, &mut errors) else { return errors.into_tokens() };
    // On a table that was not read completely, the checks would report further mistakes.
    if errors.is_empty() && !model.is_broken() {
        check::all(&model, &mut errors);
    }
    emit::saga(&model, errors)
}

#[cfg(test)]
mod tests {
    use proc_macro2::{TokenStream, TokenTree};
    use quote::quote;

    /// A table with most of the grammar.
    fn table() -> TokenStream {
        quote! {
            /// The states.
            #[saga(name = "order", was = "sale", version = 3, data(Order), actions(OrderActions), history(changes))]
            #[upcast(from = 1, with(Order1::next, Order2::next))]
            #[initially(when(Placed, run(place), claim(reference), send(Pay, undo(Void)), transition_to(Waiting)))]
            #[during_any(except(Done), when(Cancel, compensate, transition_to(Cancelled)))]
            #[deadline(days = 2, compensate, transition_to(Cancelled))]
            #[missing_instance(defer(minutes = 5))]
            #[unhandled(reject)]
            pub enum OrderState {
                #[during(
                    when(Paid, guard(enough), not_owed(Void), run(keep), send(Ship, each), transition_to(Shipping, Cancelled)),
                    when(any(Declined, failed(Pay)), waive, transition_to(Cancelled)),
                    when(Split, start(ParcelState, each, limit = 3, with(parcels)), start(Watch, detached), stay),
                    when(finished(ParcelState), guard(is_lost), run(note), stay),
                    when(any(all_finished(ParcelState), parked(ParcelState)), stay),
                    timeout(hours = 1, minutes = 30, name = "late", compensate, transition_to(Cancelled))
                )]
                Waiting,
                #[compensate_with(Refund, with(give_back))]
                #[upcast(from = 2, with(in_cents))]
                #[on_enter(publish(Announced), claim(labels, each))]
                #[on_leave(release(labels, each))]
                #[during(
                    when(Shipped, doc = "gone", transition_to(Done)),
                    when(any(superseded(Shipped), unknown(Ship)), park),
                    when_all(Packed, Weighed, guard(enough_of_both), stay),
                    every(hours = 1, times = 3, run(look), stay),
                    timeout(at(closing), transition_to(Resting)),
                    defer(Paid)
                )]
                Shipping(Receipt),
                #[during(
                    when(Paid, stay),
                    timeout(after(patience), transition_to(Cancelled), waive(Refund)),
                    ignore(superseded(failed(Ship)))
                )]
                #[unhandled(defer)]
                Resting,
                #[terminal]
                Done,
                #[terminal(failure)]
                Cancelled,
            }
        }
    }

    fn event() -> TokenStream {
        quote! {
            #[event(name = "paid", was = "payed", version = 3, key(bank, account), alias_for(State, reference))]
            #[upcast(from = 1, with(Paid1::next, Paid2::next))]
            pub struct Paid {
                bank: String,
                account: String,
                reference: String,
            }
        }
    }

    fn command() -> TokenStream {
        quote! {
            #[command(name = "pay", was = "charge", version = 2, replies(Paid, Declined), at_most_once)]
            #[upcast(from = 1, with(in_cents))]
            pub struct Pay {
                cents: u64,
            }
        }
    }

    /// All variants of `tokens` with one mistake, at any depth. The mistake is a missing token, an
    /// early end, or two swapped tokens.
    fn cut(tokens: TokenStream) -> Vec<TokenStream> {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut all = Vec::new();
        for (at, tree) in trees.iter().enumerate() {
            all.push(trees[..at].iter().cloned().chain(trees[at + 1..].iter().cloned()).collect());
            all.push(trees[..at].iter().cloned().collect());
            if let TokenTree::Group(group) = tree {
                for inner in cut(group.stream()) {
                    let group = TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inner));
                    let before = trees[..at].iter().cloned();
                    all.push(before.chain([group]).chain(trees[at + 1..].iter().cloned()).collect());
                }
            }
            if at + 1 < trees.len() {
                let mut swapped = trees.clone();
                swapped.swap(at, at + 1);
                all.push(swapped.into_iter().collect());
            }
        }
        all
    }

    #[test]
    fn half_typed_events_and_commands_always_emit_something_and_never_panic() {
        half_typed(event(), super::event::expand);
        half_typed(command(), super::command::expand);
    }

    fn half_typed(whole: TokenStream, expand: impl Fn(TokenStream) -> TokenStream) {
        assert!(!expand(whole.clone()).to_string().contains("compile_error"));
        for part in cut(whole) {
            let text = part.to_string();
            assert!(syn::parse2::<syn::File>(expand(part)).is_ok(), "not items: {text}");
        }
    }

    #[test]
    fn half_typed_tables_always_emit_something_and_never_panic() {
        let tables = cut(table());
        assert!(tables.len() > 300, "{}", tables.len());
        for table in tables {
            let text = table.to_string();
            let out = super::saga(table);
            assert!(syn::parse2::<syn::File>(out).is_ok(), "not items: {text}");
        }
    }

    #[test]
    fn a_sound_table_emits_no_error() {
        let out = super::saga(table()).to_string();
        let mistake =
            out.split("compile_error").nth(1).map(|rest| rest.chars().take(200).collect::<String>());
        assert_eq!(mistake, None);
    }
}
