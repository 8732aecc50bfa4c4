//! `#[derive(Event)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Ident, Path};

use crate::errors::Errors;
use crate::model::lower;
use crate::parse::items;

/// How an event names its instance.
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
        errors.on(&input.generics, "an event has no generics: what is stored must have one shape");
    }
    let (mut name, mut version, mut key) = (lower(&ident.to_string(), '-'), 1_u64, None);
    let mut krate: Path = syn::parse_quote!(::saga);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("event")) {
        let Ok(list) = attribute.meta.require_list() else {
            errors.on(attribute.path(), "write it as a list: `#[event(name = \"..\", key(field))]`");
            continue;
        };
        for item in items(list.tokens.clone(), &mut errors) {
            match item.name().as_str() {
                "name" => name = item.text(&mut errors).unwrap_or(name),
                "version" => version = item.number(&mut errors).unwrap_or(version),
                "crate" => krate = item.one_path("path", &mut errors).unwrap_or(krate),
                "key" => {
                    let list = item.items(&mut errors);
                    key = match list.as_slice() {
                        [by] if by.name() == "by" && by.args.is_some() => {
                            by.one_ident("method", &mut errors).map(Key::By)
                        }
                        [] => {
                            errors.on(&item.path, "name the field: `key(order)`");
                            None
                        }
                        fields => Some(Key::Fields(
                            fields.iter().filter_map(|field| field.ident(&mut errors)).collect(),
                        )),
                    };
                }
                _ => errors.on(&item.path, "unknown setting; `event` takes name, version, key and crate"),
            }
        }
    }
    let Ok(version) = u32::try_from(version) else {
        errors.on(ident, "versions fit in 32 bits");
        return errors.into_tokens();
    };
    let correlated = key.as_ref().map(|key| {
        let text = match key {
            Key::By(method) => {
                quote_spanned!(method.span()=> ::std::string::ToString::to_string(&self.#method()))
            }
            Key::Fields(fields) => {
                let parts = fields.iter().map(
                    |field| quote_spanned!(field.span()=> ::std::string::ToString::to_string(&self.#field)),
                );
                match fields.len() {
                    1 => quote!(#(#parts)*),
                    _ => quote!([#(#parts),*].join("/")),
                }
            }
        };
        quote! {
            #[automatically_derived]
            impl #krate::__private_0_1_0::Correlated for #ident {
                fn key(&self, _: &str) -> ::std::string::String {
                    #text
                }
            }
        }
    });
    let keyed = key.is_some();
    let errors = errors.into_tokens();
    let span = ident.span();
    let implement = quote_spanned! {span=>
        #[automatically_derived]
        impl #krate::__private_0_1_0::Event for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const KEYED: bool = #keyed;
        }
    };
    quote!(#errors #implement #correlated)
}
