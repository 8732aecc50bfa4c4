//! `#[derive(Event)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, Path};

use crate::errors::Errors;
use crate::model::lower;
use crate::parse::{Item, items};

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
    let mut keys_for: Vec<(Path, Key)> = Vec::new();
    let mut was: Vec<String> = Vec::new();
    let mut krate: Path = syn::parse_quote!(::saga);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("event")) {
        let Ok(list) = attribute.meta.require_list() else {
            errors.on(attribute.path(), "write it as a list: `#[event(name = \"..\", key(field))]`");
            continue;
        };
        for item in items(list.tokens.clone(), &mut errors) {
            match item.name().as_str() {
                "name" => name = item.text(&mut errors).unwrap_or(name),
                "was" => was.extend(item.text(&mut errors)),
                "version" => version = item.number(&mut errors).unwrap_or(version),
                "crate" => krate = item.one_path("path", &mut errors).unwrap_or(krate),
                "key" if key.is_some() => {
                    errors.on(
                        &item.path,
                        "an event has one key; for a key of several fields write `key(a, b)`",
                    );
                }
                "key" => key = key_of(item.items(&mut errors), &item.path, &mut errors),
                "key_for" => {
                    let mut list = item.items(&mut errors);
                    if list.is_empty() {
                        continue;
                    }
                    let saga = list.remove(0).only_path(&mut errors);
                    let key = key_of(list, &item.path, &mut errors);
                    keys_for.extend(saga.zip(key));
                }
                _ => errors.on(
                    &item.path,
                    "unknown setting; `event` takes name, was, version, key, key_for and crate",
                ),
            }
        }
    }
    let Ok(version) = u32::try_from(version) else {
        errors.on(ident, "versions fit in 32 bits");
        return errors.into_tokens();
    };
    if let (None, Some((saga, _))) = (&key, keys_for.first()) {
        errors.on(saga, "say also which key it has for everybody else: `key(field)`");
    }
    let correlated = key.as_ref().map(|key| {
        let text = key.text(&krate);
        let others = keys_for.iter().map(|(saga, key)| {
            let (text, taker) = (key.text(&krate), quote!(__saga_taker));
            quote_spanned! {saga.span()=>
                if #taker == <#saga as #krate::__private_0_1_0::Saga>::NAME {
                    return #text;
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #krate::__private_0_1_0::Correlated for #ident {
                fn key(&self, __saga_taker: &str) -> ::std::string::String {
                    let __saga_event = self;
                    #(#others)*
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
            const WAS: &'static [&'static str] = &[#(#was),*];
            const VERSION: u32 = #version;
            const KEYED: bool = #keyed;
        }
    };
    quote!(#errors #implement #correlated)
}

/// `key(field, ..)` or `key(by(method))`.
fn key_of(list: Vec<Item>, path: &Path, errors: &mut Errors) -> Option<Key> {
    match list.as_slice() {
        [by] if by.name() == "by" && by.args.is_some() => by.one_ident("method", errors).map(Key::By),
        [] => {
            errors.on(path, "name the field: `key(order)`, `key_for(Saga, order)`");
            None
        }
        fields => Some(Key::Fields(fields.iter().filter_map(|field| field.ident(errors)).collect())),
    }
}

impl Key {
    /// The key as text. Names nothing of its own, so that it also works where a macro has written the fields.
    fn text(&self, krate: &Path) -> TokenStream {
        let event = quote!(__saga_event);
        let part =
            |field: &Ident| quote_spanned!(field.span()=> ::std::string::ToString::to_string(&#event.#field));
        match self {
            Self::By(method) => {
                quote_spanned!(method.span()=> ::std::string::ToString::to_string(&#event.#method()))
            }
            Self::Fields(fields) => match fields.as_slice() {
                [field] => part(field),
                fields => {
                    let parts = fields.iter().map(part);
                    quote!(#krate::__private_0_1_0::join_key(&[#(#parts),*]))
                }
            },
        }
    }
}
