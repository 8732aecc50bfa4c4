//! Tests of the checks on small tables.

use proc_macro2::TokenStream;
use quote::quote;

use super::all;
use crate::errors::Errors;
use crate::parse;

/// The mistakes in a table.
fn mistakes(table: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let model = parse::saga(table, &mut errors).expect("an enum");
    if errors.is_empty() {
        all(&model, &mut errors);
    }
    errors.messages()
}

/// The mistakes in a saga with these variants. The saga starts in `A`.
fn saga(variants: &TokenStream) -> Vec<String> {
    mistakes(quote! {
        #[saga(name = "s", version = 1, data(D), actions(X))]
        #[initially(when(Start, run(start), transition_to(A)))]
        #[unhandled(reject)]
        enum S { #variants }
    })
}

/// The same as `saga`, but the starting row has `send(Pay, undo(Void))`.
fn owing(variants: &TokenStream) -> Vec<String> {
    mistakes(quote! {
        #[saga(name = "s", version = 1, data(D), actions(X))]
        #[initially(when(Start, run(start), send(Pay, undo(Void)), transition_to(A)))]
        #[unhandled(reject)]
        enum S { #variants }
    })
}

const FINE: [&str; 0] = [];

#[test]
fn a_sound_table_has_no_mistakes() {
    assert_eq!(saga(&quote! { #[during(when(Go, transition_to(B)))] A, #[terminal] B }), FINE);
}

#[test]
fn an_unknown_state_is_named_with_the_nearest() {
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(Dona)))] A, #[terminal] Done }),
        ["no state `Dona` in this enum; did you mean `Done`?"]
    );
}

#[test]
fn two_unguarded_rows_for_one_trigger() {
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(B)), when(Go, stay))] A, #[terminal] B }),
        [
            "this row can never run: an earlier row already takes every `Go` here",
            "the earlier row for `Go`: add a `guard(..)` to this row, or remove one of the two rows"
        ]
    );
    assert_eq!(
        saga(&quote! { #[during(when(Go, guard(g), stay), when(Go, transition_to(B)))] A, #[terminal] B }),
        FINE
    );
}

#[test]
fn a_row_of_a_state_may_override_one_of_during_any() {
    let table = quote! {
        #[saga(name = "s", version = 1, data(D), actions(X))]
        #[initially(when(Start, run(start), transition_to(A)))]
        #[during_any(when(Stop, transition_to(B)))]
        enum S { #[during(when(Stop, stay))] A, #[terminal] B }
    };
    let found = mistakes(table);
    assert!(found.iter().all(|mistake| !mistake.contains("never run")), "{found:?}");
}

#[test]
fn states_nothing_reaches_leaves_or_ends() {
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(B)))] A, #[terminal] B, #[terminal] C }),
        ["no row leads to `C`: add a `transition_to(C)`, or remove the state"]
    );
    assert_eq!(
        saga(
            &quote! { #[during(when(Go, transition_to(B)), when(End, transition_to(C)))] A, B, #[terminal] C }
        ),
        ["no row leaves `B`: add a `#[during(..)]` to the state, or mark the state `#[terminal]`"]
    );
    assert_eq!(
        saga(&quote! {
            #[during(when(Go, transition_to(B)), when(End, transition_to(D)))] A,
            #[during(when(Go, transition_to(C)))] B,
            #[during(when(Go, transition_to(B)))] C,
            #[terminal] D
        }),
        [
            "no end can be reached from `B`: add a row towards a `#[terminal]` state",
            "no end can be reached from `C`: add a row towards a `#[terminal]` state"
        ]
    );
}

#[test]
fn a_terminal_state_takes_nothing_more() {
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(B)))] A, #[terminal] #[during(when(Go, stay))] B }),
        ["`B` is terminal and cannot have rows: remove this row"]
    );
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(B)))] A, #[terminal] #[compensate_with(Undo)] B }),
        ["`B` is terminal and cannot have `compensate_with`: remove this attribute"]
    );
}

#[test]
fn the_present_state_is_not_a_target() {
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(A)), when(End, transition_to(B)))] A, #[terminal] B }),
        ["`A` is the present state: write `reenter` for a new visit, or `stay`"]
    );
}

#[test]
fn a_payload_needs_a_run() {
    assert_eq!(
        saga(&quote! {
            #[during(when(Go, transition_to(B)))] A,
            #[during(when(End, transition_to(C)))] B(Paid),
            #[terminal] C
        }),
        ["`B` carries `Paid`: add `run(method)` to this row to build the payload"]
    );
}

#[test]
fn r01_every_pair_of_state_and_event_is_decided() {
    let table = |row: TokenStream| {
        mistakes(quote! {
            #[saga(name = "s", version = 1, data(D), actions(X))]
            #[initially(when(Start, run(start), transition_to(A)))]
            enum S { #[during(when(Go, transition_to(B)), #row)] A, #[during(when(Go, transition_to(C)), when(Tick, stay))] B, #[terminal] C }
        })
    };
    assert_eq!(table(quote!(ignore(Tick))), FINE);
    assert_eq!(table(quote!(reject(Tick))), FINE);
    assert_eq!(
        table(quote!(when(Tick, guard(g), stay))),
        [
            "only guarded rows take Tick in `A`: add a row without a guard, `ignore(..)` or `reject(..)`, or `#[unhandled(..)]`"
        ]
    );
    assert_eq!(
        table(quote!()),
        ["no row decides Tick in `A`: add rows, `ignore(..)` or `reject(..)`, or `#[unhandled(..)]`"]
    );
}

#[test]
fn r12_a_failure_end_with_a_debt_is_refused_with_the_path() {
    assert_eq!(
        owing(&quote! { #[during(when(No, transition_to(F)))] A, #[terminal(failure)] F }),
        [
            "the undo `Void` would never run, but may be owed on the path start > A > F. The failure end `F` allows no open obligation. Add `compensate` to run the undo first, `not_owed(Void)` if there is nothing to undo, or `waive(Void)` to drop the obligation"
        ]
    );
    for clause in [quote!(compensate), quote!(not_owed(Void)), quote!(waive), quote!(waive(Void))] {
        assert_eq!(
            owing(&quote! { #[during(when(No, #clause, transition_to(F)))] A, #[terminal(failure)] F }),
            FINE
        );
    }
}

#[test]
fn r12_a_refused_command_owes_nothing() {
    assert_eq!(
        owing(&quote! { #[during(when(failed(Pay), transition_to(F)))] A, #[terminal(failure)] F }),
        FINE
    );
    let any = quote! { #[during(when(any(No, failed(Pay)), transition_to(F)))] A, #[terminal(failure)] F };
    assert_eq!(owing(&any).len(), 1, "the event alone leaves it owed");
}

#[test]
fn r12_an_unknown_outcome_or_a_timer_is_no_success() {
    for (trigger, cause) in [
        (quote!(when(unknown(Pay), transition_to(C))), "`unknown(Pay)`"),
        (quote!(timeout(minutes = 1, transition_to(C))), "A time-out"),
        (quote!(every(days = 1, transition_to(C))), "A repeated timer"),
    ] {
        let found = owing(&quote! { #[during(when(Yes, transition_to(C)), #trigger)] A, #[terminal] C });
        assert_eq!(found.len(), 1, "{found:?}");
        let said = format!(
            "the undo `Void` would never run, but may be owed on the path start > A > C. {cause} is not a success: the plain end `C` does not release the obligation. "
        );
        assert!(found[0].starts_with(&said), "{found:?}");
    }
    assert_eq!(
        owing(&quote! { #[during(when(Yes, transition_to(C)))] A, #[terminal] C }),
        FINE,
        "a success releases"
    );
}

#[test]
fn r12_what_a_state_owes_is_owed_after_it() {
    let table = |clause: TokenStream| {
        saga(&quote! {
            #[compensate_with(Refund)] #[during(when(Go, transition_to(B)), when(Stop, compensate, transition_to(F)))] A,
            #[during(when(No, #clause transition_to(F)))] B,
            #[terminal(failure)] F
        })
    };
    assert_eq!(table(quote!(compensate,)), FINE);
    let found = &table(quote!())[0];
    assert!(
        found.contains("undo `Refund` would never run, but may be owed on the path start > A > B > F."),
        "{found}"
    );
}

#[test]
fn r12_not_owed_in_a_loop_leaves_it_outstanding() {
    let found = saga(&quote! {
        #[during(when(Again, send(Pay, undo(Void)), stay), when(No, not_owed(Void), transition_to(F)))] A,
        #[terminal(failure)] F
    });
    assert_eq!(found.len(), 1, "two may be owed, one is dropped: {found:?}");
}

#[test]
fn r12_guards_count_both_ways_and_ways_are_joined() {
    let found = saga(&quote! {
        #[during(when(Go, guard(g), send(Pay, undo(Void)), transition_to(B)), when(Go, transition_to(B)))] A,
        #[during(when(No, transition_to(F)))] B,
        #[terminal(failure)] F
    });
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn r12_a_compensating_row_clears_what_was_owed_and_owes_what_it_sends() {
    let table = |send: TokenStream| {
        owing(&quote! {
            #[during(when(Retry, compensate, #send transition_to(B)))] A,
            #[during(when(No, transition_to(F)))] B,
            #[terminal(failure)] F
        })
    };
    assert_eq!(table(quote!()), FINE);
    assert_eq!(table(quote!(send(Pay, undo(Void)),)).len(), 1);
}

#[test]
fn r12_more_graphs() {
    let void = |table: &TokenStream| {
        owing(table).iter().any(|said| said.contains("the undo `Void` would never run"))
    };
    let unship = |table: &TokenStream| {
        owing(table).iter().any(|said| said.contains("the undo `Unship` would never run"))
    };
    // Two commands are open. The failure of one command does not drop the obligation of the other.
    let parallel = |clause: TokenStream| {
        quote! {
            #[during(when(Go, send(Ship, undo(Unship)), transition_to(B)))] A,
            #[during(when(failed(Pay), #clause transition_to(F)), when(Yes, transition_to(C)))] B,
            #[terminal] C, #[terminal(failure)] F
        }
    };
    assert!(unship(&parallel(quote!())));
    assert_eq!(owing(&parallel(quote!(not_owed(Unship),))), FINE);
    assert!(unship(&parallel(quote!(waive(Void),))), "one of two is waived");
    assert_eq!(owing(&parallel(quote!(waive,))), FINE);
    // A loop without `send` leaves one obligation. A loop with `send` leaves more than one, and one
    // `not_owed` is not enough.
    let around = |clause: TokenStream| {
        quote! {
            #[during(when(Go, transition_to(B)))] A,
            #[during(when(Back, #clause transition_to(A)), when(No, not_owed(Void), transition_to(F)))] B,
            #[terminal(failure)] F
        }
    };
    assert_eq!(owing(&around(quote!())), FINE);
    assert!(void(&around(quote!(send(Pay, undo(Void)),))));
    // Each visit of the state adds an obligation.
    let visits = saga(&quote! {
        #[compensate_with(Refund)]
        #[during(when(Go, transition_to(B)), when(No, not_owed(Refund), transition_to(F)), when(Stop, compensate, transition_to(F)))]
        A,
        #[during(when(Back, transition_to(A)))] B,
        #[terminal(failure)] F
    });
    assert_eq!(visits.len(), 1, "{visits:?}");
    // A command in `on_enter` adds its obligation as well.
    let entering = saga(&quote! {
        #[during(when(Go, transition_to(B)))] A,
        #[on_enter(send(Pay, undo(Void)))] #[during(when(No, transition_to(F)))] B,
        #[terminal(failure)] F
    });
    let entering = &entering[0];
    assert!(
        entering.contains("undo `Void` would never run, but may be owed on the path start > A > B > F."),
        "{entering}"
    );
    // Rows of `during_any` and the deadline count in every state in which they apply.
    let any = mistakes(quote! {
        #[saga(name = "s", version = 1, data(D), actions(X))]
        #[initially(when(Start, run(start), transition_to(A)))]
        #[during_any(when(Stop, transition_to(F)))]
        #[unhandled(reject)]
        enum S {
            #[during(when(Go, send(Pay, undo(Void)), transition_to(B)))] A,
            #[during(when(Yes, transition_to(C)))] B,
            #[terminal] C, #[terminal(failure)] F
        }
    });
    assert!(any.len() == 1 && any[0].contains("start > A > B > F"), "{any:?}");
    let deadline = mistakes(quote! {
        #[saga(name = "s", version = 1, data(D), actions(X))]
        #[initially(when(Start, run(start), send(Pay, undo(Void)), transition_to(A)))]
        #[deadline(hours = 1, transition_to(C))]
        #[unhandled(reject)]
        enum S { #[during(when(Yes, transition_to(C)))] A, #[terminal] C }
    });
    assert!(deadline.len() == 1 && deadline[0].contains("The deadline is not a success"), "{deadline:?}");
    // A complete set and the end of children are successes, like events.
    for trigger in
        [quote!(when_all(Yes, Too, transition_to(C))), quote!(when(all_finished(Kid), transition_to(C)))]
    {
        let success = quote! {
            #[during(when(Go, start(Kid), transition_to(B)))] A,
            #[during(#trigger, when(finished(Kid), stay), when(No, compensate, transition_to(F)))] B,
            #[terminal] C, #[terminal(failure)] F
        };
        assert_eq!(owing(&success), FINE);
    }
    let failure = quote! {
        #[during(when(Go, start(Kid), transition_to(B)))] A,
        #[during(when(finished(Kid), transition_to(F)))] B,
        #[terminal(failure)] F
    };
    assert!(void(&failure));
}

#[test]
fn a_compensation_that_can_never_run() {
    assert_eq!(
        saga(&quote! { #[compensate_with(Refund)] #[during(when(Go, transition_to(B)))] A, #[terminal] B }),
        ["the undo `Refund` can never run: no row from `A` onwards has `compensate`"]
    );
}

#[test]
fn an_aborted_instance_arrives_in_a_failure_end_without_payload() {
    let found = mistakes(quote! {
        #[saga(name = "s", version = 1, data(D), actions(X), on_abort(B))]
        #[initially(when(Start, run(start), transition_to(A)))]
        #[unhandled(reject)]
        enum S { #[during(when(Go, transition_to(B)))] A, #[terminal] B }
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("`on_abort` needs a failure end"), "{found:?}");
}

#[test]
fn two_events_with_one_last_name_and_two_states_with_one_stored_name() {
    assert_eq!(
        saga(&quote! { #[during(when(Go, stay), when(other::Go, transition_to(B)))] A, #[terminal] B }),
        [
            "two events are called `Go` here; write the same path everywhere, or rename one with `use .. as ..`"
        ]
    );
    assert_eq!(
        saga(&quote! { #[during(when(Go, transition_to(B)))] A, #[terminal] #[state(name = "a")] B }),
        ["two states are stored as `a`: give one of them another `#[state(name = \"..\")]`"]
    );
}

#[test]
fn several_mistakes_are_reported_together() {
    let found = saga(&quote! {
        #[during(when(Go), run(x), when(End, transition_to(B), stay), timeout(stay))] A,
        #[terminal(fail)] B
    });
    assert_eq!(
        found,
        [
            "this row has no move: add `transition_to(State)`, `stay`, `reenter` or `park`",
            "expected a row: `when(..)`, `when_all(..)`, `timeout(..)`, `every(..)`, `ignore(..)`, `reject(..)` or `defer(..)`",
            "a row has one move: this is the second",
            "a time-out needs a time: `timeout(minutes = 15, ..)` with millis, seconds, minutes, hours or days, or `timeout(after(method), ..)`, or `timeout(at(method), ..)`",
            "write `#[terminal]` or `#[terminal(failure)]`",
        ]
    );
}

#[test]
fn a_type_may_be_called_like_a_keyword_without_a_raw_form() {
    for name in ["Super", "Crate"] {
        let command = syn::Ident::new(name, proc_macro2::Span::call_site());
        let table = quote! { #[during(when(Go, send(#command), transition_to(B)))] A, #[terminal] B };
        assert_eq!(saga(&table), FINE, "{name}");
    }
}
