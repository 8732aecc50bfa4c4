//! `#[derive(Command)]`: reads the attribute and writes the implementations of `Command`, `ReplyTo`
//! and `NoReply`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, LitStr, Path};

use crate::emit::upcast::method;
use crate::errors::Errors;
use crate::model::{last, lower};
use crate::parse::{Once, items, upcasts};

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        errors.on(&input.generics, "a command cannot have generics: a stored type must have one shape");
    }
    let (mut name, mut version) = (lower(&ident.to_string(), '-'), 1_u64);
    let (mut at_most_once, mut best_effort) = (false, false);
    let mut replies: Vec<Path> = Vec::new();
    let mut was: Vec<String> = Vec::new();
    let mut redact: Vec<LitStr> = Vec::new();
    let mut krate: Path = syn::parse_quote!(::saga);
    let mut once = Once::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("command")) {
        let Ok(list) = attribute.meta.require_list() else {
            errors.on(
                attribute.path(),
                "write the attribute as a list: `#[command(name = \"..\", replies(..))]`",
            );
            continue;
        };
        for item in items(list.tokens.clone(), &mut errors) {
            if matches!(item.name().as_str(), "name" | "version" | "crate" | "at_most_once" | "best_effort") {
                once.check(&item, &mut errors);
            }
            match item.name().as_str() {
                "name" => name = item.text(&mut errors).unwrap_or(name),
                "was" => was.extend(item.text(&mut errors)),
                "redact" => redact.extend(item.places(&mut errors)),
                "version" => match item.number(&mut errors) {
                    Some(0) => errors.on(&item.path, "versions count from 1"),
                    number => version = number.unwrap_or(version),
                },
                "crate" => krate = item.one_path("path", &mut errors).unwrap_or(krate),
                "at_most_once" => {
                    item.flag(&mut errors);
                    at_most_once = true;
                }
                "best_effort" => {
                    item.flag(&mut errors);
                    best_effort = true;
                }
                "replies" => {
                    for reply in item.items(&mut errors) {
                        let Some(reply) = reply.only_path(&mut errors) else { continue };
                        // Two implementations of `ReplyTo` for one event would conflict.
                        if replies.iter().any(|known| last(known) == last(&reply)) {
                            errors.on(&reply, "this reply is listed twice");
                        } else {
                            replies.push(reply);
                        }
                    }
                }
                _ => errors.on(
                    &item.path,
                    "unknown setting; `command` takes name, was, version, replies, at_most_once, best_effort, redact and crate",
                ),
            }
        }
    }
    let Ok(version) = u32::try_from(version) else {
        errors.on(ident, "a version must fit in 32 bits");
        return errors.into_tokens();
    };
    let private = quote!(#krate::__private_0_1_0);
    let reply_to = replies.iter().map(|reply| {
        quote_spanned! {reply.span()=>
            #[automatically_derived]
            impl #private::ReplyTo<#ident> for #reply {}
        }
    });
    let no_reply = replies.is_empty().then(|| {
        quote! {
            #[automatically_derived]
            impl #private::NoReply for #ident {}
        }
    });
    let decode = method(&upcasts(&input.attrs, version, &mut errors), &private);
    let redact =
        (!redact.is_empty()).then(|| quote!(const REDACT: &'static [&'static str] = &[#(#redact),*];));
    let errors = errors.into_tokens();
    let implement = quote_spanned! {ident.span()=>
        #[automatically_derived]
        impl #private::Command for #ident {
            const NAME: &'static str = #name;
            const WAS: &'static [&'static str] = &[#(#was),*];
            const VERSION: u32 = #version;
            #redact
            const REPLIES: &'static [&'static str] = &[#(<#replies as #private::Event>::NAME),*];
            const AT_MOST_ONCE: bool = #at_most_once;
            const BEST_EFFORT: bool = #best_effort;
            #decode
        }
    };
    quote!(#errors #implement #(#reply_to)* #no_reply)
}
