//! Assertions about the output of other derives: keys, aliases, replies and kinds of commands.
//!
//! The compiler checks the assertions after the expansion. An error marks the user's token.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::spanned::Spanned;

use super::table::Table;
use crate::model::{Act, Model, Origin, TriggerKind, Verdict, last};

pub(super) fn all(table: &Table<'_>) -> TokenStream {
    let mut out = TokenStream::new();
    keys(table, &mut out);
    starts(table, &mut out);
    replies(table, &mut out);
    at_most_once(table, &mut out);
    undos(table, &mut out);
    out
}

/// Writes one assertion. The compiler shows `name` beside the message.
fn check(name: &str, span: Span, holds: &TokenStream, message: &str, out: &mut TokenStream) {
    let name = syn::Ident::new(name, span);
    out.extend(quote_spanned! {span=>
        const _: () = {
            #[allow(dead_code)]
            const #name: () = ::core::assert!(#holds, #message);
        };
    });
}

/// Each event has a key or an alias, or is a reply to a command of this saga. No other event can
/// reach an instance.
fn keys(table: &Table<'_>, out: &mut TokenStream) {
    let private = &table.private;
    let sent = table.model.sent();
    for event in &table.events {
        let name = last(event);
        check(
            "EVENT_HAS_A_KEY",
            event.span(),
            &quote! {
                <#event as #private::Event>::KEYED
                    || #private::name_in(<#event as #private::Event>::NAME, &[#(<#sent as #private::Command>::REPLIES),*])
            },
            &format!(
                "`{name}` has no key and is not a reply of a command of this saga: add `#[event(key(..))]`, or list the event in the `replies(..)` of a command"
            ),
            out,
        );
    }
}

/// A starting event has a key. An alias only identifies an instance that has already claimed the
/// alias.
fn starts(table: &Table<'_>, out: &mut TokenStream) {
    let private = &table.private;
    let rows = table.model.rows.iter().filter(|row| row.origin == Origin::Initially);
    for trigger in rows.flat_map(|row| &row.triggers) {
        let TriggerKind::Event(event) = &trigger.kind else { continue };
        let name = last(event);
        let saga = &table.model.name;
        check(
            "START_HAS_A_KEY",
            event.span(),
            &quote!(!<#event as #private::Event>::BY_ALIAS.holds(#saga)),
            &format!(
                "`{name}` has an alias for this saga, but a starting event needs a key: add `key(..)`, or `key_for(..)` for this saga"
            ),
            out,
        );
    }
}

/// The table takes every reply of every sent command.
fn replies(table: &Table<'_>, out: &mut TokenStream) {
    let private = &table.private;
    let events = &table.events;
    for command in table.model.sent() {
        let name = last(command);
        check(
            "REPLY_HAS_A_ROW",
            command.span(),
            &quote! {
                #private::all_names_in(
                    <#command as #private::Command>::REPLIES,
                    &[#(<#events as #private::Event>::NAME),*],
                )
            },
            &format!(
                "a reply of `{name}` is missing in the table: add a `when(..)` or an `ignore(..)` for each event in `replies(..)`"
            ),
            out,
        );
    }
}

/// A state that follows the sending of an at-most-once command has a row for `unknown(..)`. The
/// command is never called again (rule R18).
fn at_most_once(table: &Table<'_>, out: &mut TokenStream) {
    let private = &table.private;
    for command in table.model.sent() {
        if let Some(state) = without_unknown(table.model, command) {
            let name = last(command);
            check(
                "UNKNOWN_OUTCOME_HAS_A_ROW",
                command.span(),
                &quote!(!<#command as #private::Command>::AT_MOST_ONCE),
                &format!(
                    "`{name}` is called at most once and may become unknown, but `{state}` has no row for this outcome: add `when(unknown({name}), ..)`"
                ),
                out,
            );
        }
    }
}

/// Finds a state that follows the sending of `command` and does not decide its unknown outcome.
fn without_unknown(model: &Model, command: &Path) -> Option<String> {
    let name = last(command);
    let sends = |act: &Act| matches!(act, Act::Send { command, .. } if last(command) == name);
    let mut open: Vec<usize> = Vec::new();
    for row in &model.rows {
        if row.acts.iter().any(sends) {
            // `stay`, `park` and `reenter` lead to the same state.
            if row.keeps_state() || row.targets().is_empty() {
                open.extend(model.stands_for(row));
            }
            open.extend(row.targets().iter().filter_map(|target| model.state(&target.to_string())));
        }
    }
    for (index, state) in model.states.iter().enumerate() {
        if state.on_enter.iter().any(sends) {
            open.push(index);
        }
    }
    let decided = |state: usize| {
        model.rows_of(state).into_iter().any(|row| {
            let row = &model.rows[row];
            // A guard may return false. A `superseded(..)` matches only answers to an earlier
            // command.
            row.guard.is_none()
                && row.verdict != Some(Verdict::Reject)
                && row.triggers.iter().any(|trigger| {
                    !trigger.superseded
                        && matches!(&trigger.kind, TriggerKind::Unknown(path) if last(path) == name)
                })
        })
    };
    open.into_iter()
        .find(|&state| model.states[state].end.is_none() && !decided(state))
        .map(|state| model.states[state].ident.to_string())
}

/// An undo command is repeated without limit and has at most one reply (rule R14).
fn undos(table: &Table<'_>, out: &mut TokenStream) {
    let private = &table.private;
    for entry in &table.undos {
        let undo = &entry.undo.command;
        let name = last(undo);
        check(
            "UNDO_IS_TRIED_UNTIL_SUCCESS",
            undo.span(),
            &quote! {
                !<#undo as #private::Command>::AT_MOST_ONCE
                    && !<#undo as #private::Command>::BEST_EFFORT
                    && <#undo as #private::Command>::REPLIES.len() <= 1
            },
            &format!(
                "`{name}` is an undo; an undo is tried until success and has at most one reply: remove `at_most_once`, `best_effort` or further `replies(..)`"
            ),
            out,
        );
    }
}
