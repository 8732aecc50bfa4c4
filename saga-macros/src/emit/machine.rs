//! The bodies of the trait `Saga`: one arm for each row, state, timer or undo.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, Type};

use super::methods::{Methods, here};
use super::table::{Of, Table};
use crate::model::{Act, Due, Model, MoveKind, Origin, Row, State};

/// The inputs of all bodies.
pub(super) struct Machine<'a> {
    pub(super) table: &'a Table<'a>,
    pub(super) methods: &'a Methods,
    pub(super) data: &'a Type,
    pub(super) actions: &'a Ident,
}

impl Machine<'_> {
    fn model(&self) -> &Model {
        self.table.model
    }

    fn call(&self, method: &Ident, receiver: &TokenStream) -> TokenStream {
        self.methods
            .get(method)
            .map_or_else(|| quote!(), |method| method.call(self.data, self.actions, receiver))
    }

    pub(super) fn index(&self) -> TokenStream {
        let arms = self.model().states.iter().enumerate().map(|(index, state)| {
            let ident = &state.ident;
            quote!(Self::#ident { .. } => #index,)
        });
        quote!(match self { #(#arms)* })
    }

    pub(super) fn encode(&self) -> TokenStream {
        let private = &self.table.private;
        let arms = self.model().states.iter().filter(|state| state.payload.is_some()).map(|state| {
            let ident = &state.ident;
            quote! {
                Self::#ident(__saga_payload) =>
                    #private::Payload::encode(__saga_payload).map(::core::option::Option::Some),
            }
        });
        quote! {
            match self {
                #(#arms)*
                _ => ::core::result::Result::Ok(::core::option::Option::None),
            }
        }
    }

    pub(super) fn decode(&self) -> TokenStream {
        let private = &self.table.private;
        let arms = self.model().states.iter().enumerate().map(|(index, state)| {
            let ident = &state.ident;
            match &state.payload {
                None => quote!(#index => ::core::result::Result::Ok(Self::#ident),),
                Some(ty) => {
                    let read = super::upcast::read(
                        &state.upcasts,
                        private,
                        &quote!(#ty),
                        &quote!(__saga_payload),
                        &quote!(#private::payload(__saga_payload)),
                    );
                    quote!(#index => ::core::result::Result::Ok(Self::#ident(#read?)),)
                }
            }
        });
        quote! {
            match __saga_index {
                #(#arms)*
                _ => #private::no_such_state(__saga_index),
            }
        }
    }

    pub(super) fn labels(&self) -> TokenStream {
        let adds = self.model().labels.iter().map(|label| {
            let name = label.unraw().to_string();
            // The variables keep the span of the derive, so that a label from a `macro_rules!` finds them.
            let data = quote!(__saga_data);
            let field = quote_spanned!(label.span()=> &#data.#label);
            let add = quote_spanned!(label.span()=> add(#name, #field));
            quote!(__saga_labels.#add;)
        });
        quote!(#(#adds)*)
    }

    pub(super) fn guard(&self) -> TokenStream {
        let private = &self.table.private;
        let arms = self.rows(|row| row.guard.is_some()).map(|(index, row)| {
            let Some(guard) = &row.guard else { return quote!() };
            let call = self.call(guard, &quote!(__saga_data));
            if row.origin == Origin::Initially {
                return quote!(#index => #call,);
            }
            let here = self.here(row, self.needs_here(&[guard]));
            quote! {
                #index => {
                    let (__saga_data, __saga_state) = #private::expect_on(__saga_on);
                    #here
                    #call
                }
            }
        });
        quote! {
            match __saga_row {
                #(#arms)*
                _ => true,
            }
        }
    }

    pub(super) fn begin(&self) -> TokenStream {
        let private = &self.table.private;
        let arms = self.rows(|row| row.origin == Origin::Initially).map(|(index, row)| {
            let Some(run) = row.run() else { return quote!() };
            let call = self.call(run, &quote!());
            let made = match row.target() {
                Some(target) if self.payload(target).is_none() => {
                    quote!(let __saga_data = #call?; (__saga_data, Self::#target))
                }
                Some(target) => {
                    quote!(let (__saga_data, __saga_to) = #call?; (__saga_data, Self::#target(__saga_to)))
                }
                None => {
                    let to = self.branches(run);
                    quote!(let (__saga_data, __saga_to) = #call?; (__saga_data, #to))
                }
            };
            quote!(#index => ::core::result::Result::Ok({ #made }),)
        });
        quote! {
            match __saga_row {
                #(#arms)*
                _ => #private::no_such_row(__saga_row),
            }
        }
    }

    pub(super) fn run(&self) -> TokenStream {
        let arms = self.rows(|row| row.origin != Origin::Initially && row.verdict.is_none()).filter_map(
            |(index, row)| {
                let run = row.run();
                let call = run.map(|run| self.call(run, &quote!(__saga_data)));
                let here = self.here(row, run.is_some_and(|run| self.needs_here(&[run])));
                let to = match (row.to.as_ref().map(|to| &to.kind), call) {
                    (Some(MoveKind::To(targets)), None) => {
                        let target = targets.first()?;
                        quote!(::core::option::Option::Some(Self::#target))
                    }
                    (Some(MoveKind::To(targets)), Some(call)) if targets.len() > 1 => {
                        let to = self.branches(run?);
                        quote!({ let __saga_to = #call?; ::core::option::Option::Some(#to) })
                    }
                    (Some(MoveKind::To(targets)), Some(call)) => {
                        let target = targets.first()?;
                        match self.payload(target) {
                            None => quote!({ #call?; ::core::option::Option::Some(Self::#target) }),
                            Some(_) => quote!(::core::option::Option::Some(Self::#target(#call?))),
                        }
                    }
                    (Some(MoveKind::Reenter), Some(call)) => {
                        let state = match row.origin {
                            Origin::State(state) => &self.model().states[state],
                            // The check of rows refuses `run` with `reenter` in `during_any`.
                            _ => return None,
                        };
                        let ident = &state.ident;
                        match state.payload {
                            None => quote!({ #call?; ::core::option::Option::None }),
                            Some(_) => quote!(::core::option::Option::Some(Self::#ident(#call?))),
                        }
                    }
                    (_, Some(call)) => quote!({ #call?; ::core::option::Option::None }),
                    (_, None) => return None,
                };
                Some(quote!(#index => { #here #to }))
            },
        );
        quote! {
            ::core::result::Result::Ok(match __saga_row {
                #(#arms)*
                _ => ::core::option::Option::None,
            })
        }
    }

    pub(super) fn build(&self) -> TokenStream {
        let private = &self.table.private;
        let builds = |act: &Act| !matches!(act, Act::Run(_));
        let arms = self.rows(|row| row.acts.iter().any(builds)).map(|(index, row)| {
            let built: Vec<&Ident> = row.acts.iter().filter_map(built_by).collect();
            let here = if row.origin == Origin::Initially {
                quote!()
            } else if self.needs_here(&built) {
                let here = self.here(row, true);
                quote!(let __saga_state = #private::expect_present(__saga_from); #here)
            } else {
                quote!()
            };
            let needs_to = built
                .iter()
                .any(|method| self.methods.get(method).is_some_and(super::methods::Method::needs_to));
            let to = match (needs_to, row.target().cloned().or_else(|| self.reentered(row))) {
                (true, Some(target)) => quote! {
                    let __saga_to = match #private::expect_present(__saga_to) {
                        Self::#target(__saga_to) => __saga_to,
                        _ => #private::no_such_row(__saga_row)?,
                    };
                },
                _ => quote!(),
            };
            let acts = row.acts.iter().map(|act| self.act(act));
            quote!(#index => { #here #to #(#acts)* })
        });
        quote! {
            match __saga_row {
                #(#arms)*
                _ => {}
            }
            ::core::result::Result::Ok(())
        }
    }

    /// The state that a row with `reenter` enters again.
    fn reentered(&self, row: &Row) -> Option<Ident> {
        match row.origin {
            Origin::State(state) => Some(self.model().states[state].ident.clone()),
            _ => None,
        }
    }

    /// The body for the clauses of `on_enter` or `on_leave`.
    pub(super) fn at_state(&self, of: impl Fn(&State) -> &Vec<Act>) -> TokenStream {
        let arms = self.model().states.iter().filter(|state| !of(state).is_empty()).map(|state| {
            let ident = &state.ident;
            let acts = of(state).iter().map(|act| match act {
                Act::Run(method) => {
                    let call = self.call(method, &quote!(__saga_data));
                    quote!(#call?;)
                }
                act => self.act(act),
            });
            let pattern = match state.payload {
                Some(_) => quote!(Self::#ident(__saga_here)),
                None => quote!(Self::#ident),
            };
            quote!(#pattern => { #(#acts)* })
        });
        quote! {
            match __saga_state {
                #(#arms)*
                _ => {}
            }
            ::core::result::Result::Ok(())
        }
    }

    /// The body for the due times of timers with a method.
    pub(super) fn due(&self) -> TokenStream {
        let private = &self.table.private;
        let model = self.model();
        let mut arms = Vec::new();
        for (index, state) in model.states.iter().enumerate() {
            for timer in model.timers_of(index) {
                let (method, wait) = match &timer.due {
                    Due::AfterMethod(method) => (method, quote!(For)),
                    Due::AtMethod(method) => (method, quote!(Until)),
                    Due::After(_) | Due::Every { .. } | Due::Deadline(_) => continue,
                };
                let (ident, call) = (&state.ident, self.call(method, &quote!(__saga_data)));
                let pattern = match state.payload {
                    Some(_) => quote!(Self::#ident(__saga_here)),
                    None => quote!(Self::#ident),
                };
                let timer = self.table.timer(timer);
                arms.push(quote!((#timer, #pattern) => #private::Wait::#wait(#call),));
            }
        }
        quote! {
            ::core::result::Result::Ok(match (__saga_timer, __saga_state) {
                #(#arms)*
                _ => #private::no_such_row(__saga_timer)?,
            })
        }
    }

    pub(super) fn undo(&self) -> TokenStream {
        let private = &self.table.private;
        let model = self.model();
        let arms = self.table.undos.iter().enumerate().map(|(index, entry)| {
            let call = self.call(&entry.undo.method, &quote!(__saga_data));
            match entry.of {
                Of::Command(command) => quote! {
                    (#index, #private::Undone::Command(__saga_command)) => {
                        let __saga_command: #command = #private::command(__saga_command)?;
                        #private::encode_command(&#call)?
                    }
                },
                Of::State(state) => {
                    let state = &model.states[state];
                    let ident = &state.ident;
                    let pattern = match state.payload {
                        Some(_) => quote!(Self::#ident(__saga_here)),
                        None => quote!(Self::#ident),
                    };
                    quote! {
                        (#index, #private::Undone::State(#pattern)) => #private::encode_command(&#call)?,
                    }
                }
            }
        });
        quote! {
            ::core::result::Result::Ok(match (__saga_undo, __saga_of) {
                #(#arms)*
                _ => #private::no_such_row(__saga_undo)?,
            })
        }
    }

    fn rows(&self, is: impl Fn(&Row) -> bool) -> impl Iterator<Item = (usize, &Row)> {
        self.model().rows.iter().enumerate().filter(move |(_, row)| is(row))
    }

    fn payload(&self, state: &Ident) -> Option<&Type> {
        let model = self.model();
        model.state(&state.to_string()).and_then(|state| model.states[state].payload.as_ref())
    }

    fn needs_here(&self, methods: &[&Ident]) -> bool {
        methods.iter().any(|method| self.methods.get(method).is_some_and(super::methods::Method::needs_here))
    }

    /// Binds the payload of the present state to `__saga_here`.
    fn here(&self, row: &Row, needed: bool) -> TokenStream {
        if !needed || here(self.model(), row).is_none() {
            return quote!();
        }
        let private = &self.table.private;
        let states = self.model().stands_for(row);
        let patterns = states.iter().map(|&state| {
            let ident = &self.model().states[state].ident;
            quote!(Self::#ident(__saga_here))
        });
        quote! {
            let __saga_here = match __saga_state {
                #(#patterns)|* => __saga_here,
                _ => #private::wrong_state(),
            };
        }
    }

    /// Converts a value of a generated target enum to its state.
    fn branches(&self, run: &Ident) -> TokenStream {
        let Some((name, targets)) = self.methods.get(run).and_then(|method| method.to.as_ref()) else {
            return quote!();
        };
        let arms = targets.iter().map(|&target| {
            let state = &self.model().states[target];
            let ident = &state.ident;
            match state.payload {
                Some(_) => quote!(#name::#ident(__saga_payload) => Self::#ident(__saga_payload),),
                None => quote!(#name::#ident => Self::#ident,),
            }
        });
        quote!(match __saga_to { #(#arms)* })
    }

    fn act(&self, act: &Act) -> TokenStream {
        match act {
            Act::Run(_) => quote!(),
            Act::Send { command, method, each, undo } => {
                let undo = super::table::option(undo.as_ref().map(|undo| {
                    let undo = self.table.undo_of(command, undo);
                    quote!(#undo)
                }));
                self.built(method, *each, |built| quote!(__saga_out.send(#undo, &#built)?;))
            }
            Act::Publish { method, each, .. } => {
                self.built(method, *each, |built| quote!(__saga_out.publish(#built)?;))
            }
            Act::Alias { claim, method, each } => {
                let change = if *claim { quote!(claim) } else { quote!(release) };
                self.built(method, *each, |built| quote!(__saga_out.#change(&#built)?;))
            }
            Act::Start { child: path, method, each, limit, detached } => {
                let child = self.table.child(path);
                let limit = super::table::option(limit.map(|limit| quote!(#limit)));
                let starts = if *detached { quote!() } else { quote!(__saga_out.starts(#child);) };
                let started = self.built(
                    method,
                    *each,
                    |built| quote!(__saga_out.start::<#path>(#child, #limit, #detached, &#built)?;),
                );
                quote!(#starts #started)
            }
        }
    }

    /// Calls `method` and applies `act` to the result. With `each`, applies `act` to every element
    /// of the result.
    fn built(&self, method: &Ident, each: bool, act: impl Fn(TokenStream) -> TokenStream) -> TokenStream {
        let call = self.call(method, &quote!(__saga_data));
        if each {
            let act = act(quote!(__saga_built));
            quote!(for __saga_built in #call { #act })
        } else {
            act(call)
        }
    }
}

fn built_by(act: &Act) -> Option<&Ident> {
    match act {
        Act::Run(_) => None,
        Act::Send { method, .. }
        | Act::Publish { method, .. }
        | Act::Start { method, .. }
        | Act::Alias { method, .. } => Some(method),
    }
}
