//! One item in the list of an attribute, such as `stay`, `run(place)` or `minutes = 15`.
//!
//! A mistake affects only its item. Reading goes on at the next comma.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Ident, Lit, LitStr, Path, Token};

use crate::errors::Errors;

/// A path with an optional list in parentheses, or with an optional literal after `=`.
pub(crate) struct Item {
    pub(crate) path: Path,
    pub(crate) args: Option<TokenStream>,
    pub(crate) value: Option<Lit>,
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = input.call(Path::parse_mod_style)?;
        let mut item = Self { path, args: None, value: None };
        if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            item.args = Some(content.parse()?);
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            item.value = Some(input.parse()?);
        }
        // The caller has split the list at its commas, so a further token means a missing comma.
        if !input.is_empty() {
            return Err(input.error("expected `,`"));
        }
        Ok(item)
    }
}

impl Item {
    /// The name of the item. Empty if the path has several segments.
    pub(crate) fn name(&self) -> String {
        self.path.get_ident().map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn span(&self) -> Span {
        self.path.span()
    }

    /// Returns the identifier of an item that must be a single name.
    pub(crate) fn ident(&self, errors: &mut Errors) -> Option<Ident> {
        match (self.path.get_ident(), &self.args, &self.value) {
            (Some(ident), None, None) => Some(ident.clone()),
            _ => {
                errors.on(&self.path, "expected a single name here");
                None
            }
        }
    }

    /// Returns the path of an item that must be a path only.
    pub(crate) fn only_path(self, errors: &mut Errors) -> Option<Path> {
        if self.args.is_some() || self.value.is_some() {
            errors.on(&self.path, "expected only a type here");
            return None;
        }
        Some(self.path)
    }

    /// The items of the list. A missing list is reported here, so callers report only an empty
    /// list.
    pub(crate) fn items(&self, errors: &mut Errors) -> Vec<Self> {
        match &self.args {
            Some(args) => items(args.clone(), errors),
            None => {
                let name = self.name();
                errors.on(&self.path, format!("the list is missing: write `{name}(..)`"));
                Vec::new()
            }
        }
    }

    /// Reports a list or a value of an item that takes neither, such as `stay`.
    pub(crate) fn flag(&self, errors: &mut Errors) {
        if self.args.is_some() || self.value.is_some() {
            errors.on(&self.path, format!("`{}` takes no list and no value", self.name()));
        }
    }

    /// The items of a list that needs at least one entry. An empty list is reported, because it
    /// would have no effect.
    pub(crate) fn some_items(&self, errors: &mut Errors) -> Vec<Self> {
        let before = errors.len();
        let items = self.items(errors);
        if items.is_empty() && errors.len() == before {
            errors.on(&self.path, format!("`{}(..)` needs at least one entry", self.name()));
        }
        items
    }

    /// Returns the only name in the list, such as the method of `run(method)`. `what` is the
    /// placeholder in the message.
    pub(crate) fn one_ident(&self, what: &str, errors: &mut Errors) -> Option<Ident> {
        let items = self.items(errors);
        match items.as_slice() {
            [item] => item.ident(errors),
            _ => {
                if self.args.is_some() {
                    errors.on(&self.path, format!("expected one {what}: `{}({what})`", self.name()));
                }
                None
            }
        }
    }

    /// Returns the places in the list of `redact(..)`: names of fields, and texts such as `"lines[].card"`.
    pub(crate) fn places(&self, errors: &mut Errors) -> Vec<LitStr> {
        let Some(args) = &self.args else {
            errors.on(&self.path, "name the fields: `redact(card, \"billing.iban\")`");
            return Vec::new();
        };
        let one = |input: ParseStream<'_>| -> syn::Result<LitStr> {
            if input.peek(LitStr) {
                return input.parse();
            }
            let field: Ident = input.call(Ident::parse_any)?;
            Ok(LitStr::new(&field.unraw().to_string(), field.span()))
        };
        let list =
            |input: ParseStream<'_>| Punctuated::<LitStr, Token![,]>::parse_terminated_with(input, one);
        let places: Vec<LitStr> = match list.parse2(args.clone()) {
            Ok(places) => places.into_iter().collect(),
            Err(error) => {
                errors.push(error);
                return Vec::new();
            }
        };
        if places.is_empty() {
            errors.on(&self.path, "`redact(..)` needs at least one place");
        }
        for (at, place) in places.iter().enumerate() {
            if place.value().trim().is_empty() {
                errors.on(place, "a place has a name; for the whole value, use `saga::Sensitive`");
            } else if places[..at].iter().any(|known| known.value() == place.value()) {
                errors.on(place, format!("`{}` is redacted already", place.value()));
            }
        }
        places
    }

    /// Returns the only type in the list, such as the command of `failed(Command)`. `what` is the
    /// placeholder in the message.
    pub(crate) fn one_path(&self, what: &str, errors: &mut Errors) -> Option<Path> {
        let mut items = self.items(errors);
        match (items.len(), self.args.is_some()) {
            (1, _) => items.remove(0).only_path(errors),
            (_, true) => {
                errors.on(&self.path, format!("expected one {what}: `{}({what})`", self.name()));
                None
            }
            _ => None,
        }
    }

    /// Returns the text after `=`.
    pub(crate) fn text(&self, errors: &mut Errors) -> Option<String> {
        match &self.value {
            Some(Lit::Str(text)) => Some(text.value()),
            _ => {
                errors.on(&self.path, format!("write the value as text: `{} = \"..\"`", self.name()));
                None
            }
        }
    }

    /// Returns the whole number after `=`.
    pub(crate) fn number(&self, errors: &mut Errors) -> Option<u64> {
        match &self.value {
            Some(Lit::Int(number)) => match number.base10_parse() {
                Ok(number) => Some(number),
                Err(error) => {
                    errors.push(error);
                    None
                }
            },
            _ => {
                errors.on(&self.path, format!("write the value as a whole number: `{} = 1`", self.name()));
                None
            }
        }
    }
}

/// The settings of one list that may stand there once. A second one would silently replace the first.
#[derive(Default)]
pub(crate) struct Once(BTreeSet<String>);

impl Once {
    /// Reports the second item of one name.
    pub(crate) fn check(&mut self, item: &Item, errors: &mut Errors) {
        self.check_attribute(&item.path, errors);
    }

    /// Reports the second attribute of one name.
    pub(crate) fn check_attribute(&mut self, path: &Path, errors: &mut Errors) {
        let name = path.get_ident().map(ToString::to_string).unwrap_or_default();
        if !name.is_empty() && !self.0.insert(name.clone()) {
            errors.on(path, format!("`{name}` is given twice: leave out one of the two"));
        }
    }
}

/// Splits a list at its commas and reads each item. An item with a mistake is left out.
pub(crate) fn items(tokens: TokenStream, errors: &mut Errors) -> Vec<Item> {
    let mut items = Vec::new();
    let mut item: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                if item.is_empty() {
                    errors.at(punct.span(), "an item is missing before this comma");
                } else {
                    one(&mut item, &mut items, errors);
                }
            }
            _ => item.push(token),
        }
    }
    if !item.is_empty() {
        one(&mut item, &mut items, errors);
    }
    items
}

fn one(tokens: &mut Vec<TokenTree>, items: &mut Vec<Item>, errors: &mut Errors) {
    match syn::parse2(std::mem::take(tokens).into_iter().collect()) {
        Ok(item) => items.push(item),
        Err(error) => errors.push(error),
    }
}
