//! Writes the generated items: target enums, the trait of actions, the machine, the definition, and
//! assertions.
//!
//! After a mistake, the items are still written, with bodies that cannot run. So one mistake causes
//! no errors elsewhere.

mod asserts;
mod docs;
mod machine;
mod methods;
mod table;
pub(crate) mod upcast;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use crate::errors::Errors;
use crate::model::Model;
use machine::Machine;
use methods::Methods;
use table::Table;

pub(crate) fn saga(model: &Model, mut errors: Errors) -> TokenStream {
    let krate = &model.krate;
    let private = quote!(#krate::__private_0_1_0);
    let methods = Methods::collect(model, &private, &mut errors);
    let short = quote!(__saga);
    let table = Table::new(model, short.clone());
    let sound = errors.is_empty();
    let errors = errors.into_tokens();
    let (Some(data), Some(actions)) = (&model.data, &model.actions) else {
        return errors;
    };
    let targets = target_enums(model, &methods);
    let action_trait = action_trait(model, actions, &methods, &private);
    let machine = Machine { table: &table, methods: &methods, data, actions };
    let implement = implement(model, &machine, sound);
    let event_of = table.events.iter().enumerate().map(|(index, path)| {
        let ident = &model.ident;
        quote_spanned! {path.span()=>
            #[automatically_derived]
            impl #short::EventOf<#ident> for #path {
                const INDEX: usize = #index;
            }
        }
    });
    // A saga with several starting events cannot be a child (rule R21).
    let child = match model.starting_event() {
        Some(event) => {
            let ident = &model.ident;
            quote! {
                #[automatically_derived]
                #[diagnostic::do_not_recommend]
                impl #short::Child for #ident {
                    type Start = #event;
                }
            }
        }
        None => quote!(),
    };
    let asserts = if sound { asserts::all(&table) } else { quote!() };
    quote! {
        #errors
        #targets
        #action_trait
        const _: () = {
            // The alias keeps the generated code short. Only this block sees the alias.
            #[allow(unused_imports)]
            use #private as __saga;
            #implement
            #(#event_of)*
            #child
            #asserts
        };
    }
}

fn target_enums(model: &Model, methods: &Methods) -> TokenStream {
    let vis = &model.vis;
    let mut out = TokenStream::new();
    for method in &methods.0 {
        let Some((name, targets)) = &method.to else { continue };
        let doc = format!("Where `{}` leads.", method.ident);
        let variants = targets.iter().map(|&target| {
            let state = &model.states[target];
            let ident = format_ident!("{}", state.ident);
            let doc = format!("To the state `{ident}`.");
            match &state.payload {
                Some(payload) => quote!(#[doc = #doc] #ident(#payload),),
                None => quote!(#[doc = #doc] #ident,),
            }
        });
        out.extend(quote! {
            #[doc = #doc]
            #[allow(clippy::large_enum_variant, missing_debug_implementations)]
            #vis enum #name { #(#variants)* }
        });
    }
    out
}

fn action_trait(model: &Model, name: &Ident, methods: &Methods, private: &TokenStream) -> TokenStream {
    let vis = &model.vis;
    let docs = docs::of_trait(model);
    let declared = methods.0.iter().map(|method| method.declare(private));
    quote! {
        #(#[doc = #docs])*
        #[allow(clippy::ptr_arg, clippy::trivially_copy_pass_by_ref)]
        #vis trait #name: Sized {
            #(#declared)*
        }
    }
}

fn implement(model: &Model, machine: &Machine<'_>, sound: bool) -> TokenStream {
    let private = &machine.table.private;
    let (ident, data) = (&model.ident, machine.data);
    let (name, version) = (&model.name, model.version);
    let was = (!model.was.is_empty()).then(|| {
        let was = &model.was;
        quote!(const WAS: &'static [&'static str] = &[#(#was),*];)
    });
    let body = |tokens: TokenStream| {
        if sound { tokens } else { quote!(::core::unreachable!("the saga's table has mistakes")) }
    };
    let definition = if sound {
        let definition = machine.table.definition();
        quote! {
            static DEFINITION: #private::Definition = #definition;
            &DEFINITION
        }
    } else {
        body(quote!())
    };
    let (index, encode, decode) = (body(machine.index()), body(machine.encode()), body(machine.decode()));
    let decode_data = (sound && !model.upcasts.is_empty()).then(|| {
        let payload = quote!(::core::option::Option::Some(__saga_data));
        let read =
            upcast::read(&model.upcasts, private, &quote!(#data), &payload, &quote!(__saga_data.decode()));
        quote! {
            fn __decode_data(
                __saga_data: &#private::Payload,
                __saga_version: u32,
            ) -> ::core::result::Result<#data, #private::PayloadError> {
                #read
            }
        }
    });
    let labels = (sound && !model.labels.is_empty()).then(|| {
        let labels = machine.labels();
        quote! {
            fn __labels(__saga_data: &#data, __saga_labels: &mut #private::Labels) {
                #labels
            }
        }
    });
    let (guard, begin) = (body(machine.guard()), body(machine.begin()));
    let (run, build) = (body(machine.run()), body(machine.build()));
    let enter = body(machine.at_state(|state| &state.on_enter));
    let leave = body(machine.at_state(|state| &state.on_leave));
    let (due, undo) = (body(machine.due()), body(machine.undo()));
    quote! {
        #[automatically_derived]
        #[allow(clippy::all, clippy::pedantic, unused_variables, unused_mut, unreachable_patterns, unreachable_code)]
        impl #private::Saga for #ident {
            type Data = #data;
            const NAME: &'static str = #name;
            #was
            const VERSION: u32 = #version;

            fn definition() -> &'static #private::Definition {
                #definition
            }

            fn __index(&self) -> usize {
                #index
            }

            fn __encode(
                &self,
            ) -> ::core::result::Result<::core::option::Option<#private::Payload>, #private::PayloadError> {
                #encode
            }

            fn __decode(
                __saga_index: usize,
                __saga_payload: ::core::option::Option<&#private::Payload>,
                __saga_version: u32,
            ) -> ::core::result::Result<Self, #private::PayloadError> {
                #decode
            }

            #decode_data

            #labels

            fn __guard(
                __saga_row: usize,
                __saga_on: ::core::option::Option<(&#data, &Self)>,
                __saga_cause: #private::Cause<'_>,
                __saga_cx: &#private::Context,
            ) -> bool {
                #guard
            }

            fn __begin(
                __saga_row: usize,
                __saga_cause: #private::Cause<'_>,
                __saga_cx: &mut #private::Context,
            ) -> #private::ActionResult<(#data, Self)> {
                #begin
            }

            fn __run(
                __saga_row: usize,
                __saga_data: &mut #data,
                __saga_state: &mut Self,
                __saga_cause: #private::Cause<'_>,
                __saga_cx: &mut #private::Context,
            ) -> #private::ActionResult<::core::option::Option<Self>> {
                #run
            }

            fn __build(
                __saga_row: usize,
                __saga_data: &#data,
                __saga_from: ::core::option::Option<&Self>,
                __saga_to: ::core::option::Option<&Self>,
                __saga_cause: #private::Cause<'_>,
                __saga_cx: &mut #private::Context,
                __saga_out: &mut #private::Outbox,
            ) -> #private::ActionResult<()> {
                #build
            }

            fn __enter(
                __saga_data: &mut #data,
                __saga_state: &mut Self,
                __saga_cx: &mut #private::Context,
                __saga_out: &mut #private::Outbox,
            ) -> #private::ActionResult<()> {
                #enter
            }

            fn __leave(
                __saga_data: &mut #data,
                __saga_state: &mut Self,
                __saga_cx: &mut #private::Context,
                __saga_out: &mut #private::Outbox,
            ) -> #private::ActionResult<()> {
                #leave
            }

            fn __due(
                __saga_timer: usize,
                __saga_data: &#data,
                __saga_state: &Self,
                __saga_cx: &mut #private::Context,
            ) -> #private::ActionResult<#private::Wait> {
                #due
            }

            fn __undo(
                __saga_undo: usize,
                __saga_data: &#data,
                __saga_of: #private::Undone<'_, Self>,
                __saga_cx: &mut #private::Context,
            ) -> #private::ActionResult<#private::Message> {
                #undo
            }
        }
    }
}
