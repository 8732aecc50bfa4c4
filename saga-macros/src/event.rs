//! `#[derive(Event)]`: reads the attribute and writes the implementations of `Event` and
//! `Correlated`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, LitStr, Path};

use crate::emit::upcast::method;
use crate::errors::Errors;
use crate::model::lower;
use crate::parse::{Item, Once, items, upcasts};

/// The key or alias by which an event identifies its instance.
struct Named {
    alias: bool,
    by: Key,
}

/// The source of a key or alias: fields of the event, or a method of the event.
enum Key {
    Fields(Vec<Ident>),
    By(Ident),
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        errors.on(&input.generics, "an event cannot have generics: a stored type must have one shape");
    }
    let (mut name, mut version) = (lower(&ident.to_string(), '-'), 1_u64);
    let mut key: Option<Named> = None;
    let mut keys_for: Vec<(Path, Named)> = Vec::new();
    let mut was: Vec<String> = Vec::new();
    let mut redact: Vec<LitStr> = Vec::new();
    let mut krate: Path = syn::parse_quote!(::saga);
    let mut once = Once::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("event")) {
        let Ok(list) = attribute.meta.require_list() else {
            errors
                .on(attribute.path(), "write the attribute as a list: `#[event(name = \"..\", key(field))]`");
            continue;
        };
        for item in items(list.tokens.clone(), &mut errors) {
            if matches!(item.name().as_str(), "name" | "version" | "crate") {
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
                "key" | "alias" if key.is_some() => errors.on(
                    &item.path,
                    "an event has one key or one alias; write `key(a, b)` for several fields; write `key_for(Saga, \
                     field)` or `alias_for(Saga, field)` for a single saga",
                ),
                word @ ("key" | "alias") => {
                    key = Named::read(word == "alias", item.items(&mut errors), &item.path, &mut errors);
                }
                word @ ("key_for" | "alias_for") => {
                    let mut list = item.some_items(&mut errors);
                    // A missing or empty list is reported already.
                    if list.is_empty() {
                        continue;
                    }
                    let saga = list.remove(0).only_path(&mut errors);
                    let key = Named::read(word == "alias_for", list, &item.path, &mut errors);
                    keys_for.extend(saga.zip(key));
                }
                _ => errors.on(
                    &item.path,
                    "unknown setting; `event` takes name, was, version, key, key_for, alias, alias_for, redact and crate",
                ),
            }
        }
    }
    let Ok(version) = u32::try_from(version) else {
        errors.on(ident, "a version must fit in 32 bits");
        return errors.into_tokens();
    };
    // `Correlated::key` needs a key or alias for all other consumers.
    if let (None, Some((saga, _))) = (&key, keys_for.first()) {
        errors.on(
            saga,
            "the event also needs a key or an alias for all other consumers: add `key(field)` or `alias(field)`",
        );
    }
    let correlated = key.as_ref().map(|key| {
        let text = key.text(&krate);
        let others = keys_for.iter().map(|(saga, key)| {
            let (text, consumer) = (key.text(&krate), quote!(__saga_consumer));
            quote_spanned! {saga.span()=>
                if #krate::__private_0_1_0::name_in(#consumer, &[
                    &[<#saga as #krate::__private_0_1_0::Saga>::NAME],
                    <#saga as #krate::__private_0_1_0::Saga>::WAS,
                ]) {
                    return #text;
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #krate::__private_0_1_0::Correlated for #ident {
                fn key(&self, __saga_consumer: &str) -> ::std::string::String {
                    let __saga_event = self;
                    #(#others)*
                    #text
                }
            }
        }
    });
    let decode = method(&upcasts(&input.attrs, version, &mut errors), &quote!(#krate::__private_0_1_0));
    let keyed = key.is_some();
    let by_alias = key.as_ref().and_then(|key| by_alias(key, &keys_for, &krate));
    let redact =
        (!redact.is_empty()).then(|| quote!(const REDACT: &'static [&'static str] = &[#(#redact),*];));
    let errors = errors.into_tokens();
    let span = ident.span();
    let implement = quote_spanned! {span=>
        #[automatically_derived]
        impl #krate::__private_0_1_0::Event for #ident {
            const NAME: &'static str = #name;
            const WAS: &'static [&'static str] = &[#(#was),*];
            const VERSION: u32 = #version;
            #redact
            const KEYED: bool = #keyed;
            #by_alias
            #decode
        }
    };
    quote!(#errors #implement #correlated)
}

/// The constant `BY_ALIAS`: the sagas for which the event has an alias. `None` without such a saga.
fn by_alias(key: &Named, keys_for: &[(Path, Named)], krate: &Path) -> Option<TokenStream> {
    let others = key.alias;
    // The sagas with an alias instead of the key, or with a key instead of the alias.
    let except: Vec<&Path> =
        keys_for.iter().filter(|(_, named)| named.alias != others).map(|(saga, _)| saga).collect();
    (others || !except.is_empty()).then(|| {
        quote! {
            const BY_ALIAS: #krate::__private_0_1_0::ByAlias = #krate::__private_0_1_0::ByAlias::new(
                #others,
                &[#(
                    &[<#except as #krate::__private_0_1_0::Saga>::NAME],
                    <#except as #krate::__private_0_1_0::Saga>::WAS
                ),*],
            );
        }
    })
}

impl Named {
    /// Reads the list of `key(field, ..)`, `key(by(method))`, or the same list of `alias(..)`.
    /// `list` does not contain the saga of `key_for(..)` and `alias_for(..)`.
    fn read(alias: bool, list: Vec<Item>, path: &Path, errors: &mut Errors) -> Option<Self> {
        let by = match list.as_slice() {
            // A `by` without a list is a field.
            [by] if by.name() == "by" && by.args.is_some() => Key::By(by.one_ident("method", errors)?),
            [] => {
                let write = if alias {
                    "name the field: `alias(reference)`, `alias_for(Saga, reference)`"
                } else {
                    "name the field: `key(order)`, `key_for(Saga, order)`"
                };
                errors.on(path, write);
                return None;
            }
            fields => Key::Fields(fields.iter().filter_map(|field| field.ident(errors)).collect()),
        };
        Some(Self { alias, by })
    }

    /// The expression for the text of the key or alias. Only fields and methods have the spans of
    /// the user. So the expression also compiles if another macro has written the fields.
    fn text(&self, krate: &Path) -> TokenStream {
        let event = quote!(__saga_event);
        let part =
            |field: &Ident| quote_spanned!(field.span()=> ::std::string::ToString::to_string(&#event.#field));
        match &self.by {
            Key::By(method) => {
                quote_spanned!(method.span()=> ::std::string::ToString::to_string(&#event.#method()))
            }
            Key::Fields(fields) => match fields.as_slice() {
                [field] => part(field),
                fields => {
                    let parts = fields.iter().map(part);
                    quote!(#krate::__private_0_1_0::join_key(&[#(#parts),*]))
                }
            },
        }
    }
}
