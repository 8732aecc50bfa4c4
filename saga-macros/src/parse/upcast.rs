//! Reads `#[upcast(from = 1, with(v1_to_v2, v2_to_v3))]`: the functions from earlier shapes to the
//! next shape.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

use super::item::items;
use crate::errors::Errors;
use crate::model::Upcast;

/// Reads all upcasts of an event or a command, in the order of their versions.
pub(crate) fn upcasts(attributes: &[Attribute], version: u32, errors: &mut Errors) -> Vec<Upcast> {
    let mut upcasts = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("upcast")) {
        match &attribute.meta {
            Meta::List(list) => upcasts.extend(upcast(list.tokens.clone(), attribute.span(), errors)),
            _ => errors
                .on(attribute.path(), "write the attribute as a list: `#[upcast(from = 1, with(function))]`"),
        }
    }
    check(&mut upcasts, version, errors);
    upcasts
}

/// Reads the upcasts of one attribute. The first function reads version `from`. Each further
/// function reads the next version.
pub(super) fn upcast(tokens: TokenStream, span: Span, errors: &mut Errors) -> Vec<Upcast> {
    let (mut from, mut with) = (None, Vec::new());
    let before = errors.len();
    for item in items(tokens, errors) {
        match item.name().as_str() {
            "from" => from = item.number(errors).map(|number| (number, item.span())),
            "with" => with.extend(item.items(errors).into_iter().filter_map(|item| item.only_path(errors))),
            _ => errors.on(&item.path, "unknown setting; `upcast` takes `from = N` and `with(function)`"),
        }
    }
    match (from, with.as_slice()) {
        (Some((from, span)), [_, ..]) => match u32::try_from(from) {
            Ok(from @ 1..) => {
                let versions = (from..).zip(with);
                return versions.map(|(from, with)| Upcast { from, with, span }).collect();
            }
            _ => errors.at(span, "versions count from 1"),
        },
        _ if errors.len() == before => errors.at(
            span,
            "an upcast needs a version to read and a function to the next shape: `upcast(from = 1, with(function))`",
        ),
        _ => {}
    }
    Vec::new()
}

/// Sorts upcasts by version. Refuses an upcast from the present or a later version, and a second
/// upcast from one version.
pub(super) fn check(upcasts: &mut [Upcast], version: u32, errors: &mut Errors) {
    upcasts.sort_by_key(|upcast| upcast.from);
    for upcast in upcasts.iter().filter(|upcast| upcast.from >= version) {
        let next = upcast.from.saturating_add(1);
        errors.at(
            upcast.span,
            format!(
                "an upcast must start below the present version {version}: set `version = {next}` first, or set another `from`"
            ),
        );
    }
    for pair in upcasts.windows(2) {
        if let [first, second] = pair
            && first.from == second.from
        {
            errors.at(second.span, format!("version {} has two upcasts: this is the second", second.from));
        }
    }
}
