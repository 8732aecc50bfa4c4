//! Reads the enum and its attributes into the model.
//!
//! Owns: the mistakes within one attribute. Does not own: the mistakes of the whole table.

mod item;
mod row;
mod upcast;

pub(crate) use item::{Item, Once, items};
pub(crate) use upcast::upcasts;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, Fields, Ident, Lit, LitStr, Meta, Variant};

use crate::errors::Errors;
use crate::model::{End, Missing, Model, Origin, Row, State, Verdict, lower};

/// Reads the whole table. `None` if the input is not an enum.
pub(crate) fn saga(input: TokenStream, errors: &mut Errors) -> Option<Model> {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    let Data::Enum(data) = input.data else {
        errors.on(&input.ident, "a saga is the enum of its states; derive `Saga` on an enum");
        return None;
    };
    if !input.generics.params.is_empty() {
        errors.on(
            &input.generics,
            "the enum of a saga cannot have generics: a stored type must have one shape",
        );
    }
    let mut model = Model {
        name: lower(&input.ident.to_string(), '-'),
        ident: input.ident,
        vis: input.vis,
        doc: doc(&input.attrs),
        was: Vec::new(),
        version: 1,
        labels: Vec::new(),
        keeps_changes: false,
        redact: Vec::new(),
        upcasts: Vec::new(),
        data: None,
        actions: None,
        krate: syn::parse_quote!(::saga),
        on_abort: None,
        unhandled: None,
        ended_instance: Verdict::Ignore,
        missing_instance: Missing::Reject,
        states: Vec::new(),
        rows: Vec::new(),
    };
    let (mut initially, mut any, mut deadline) = (Vec::new(), Vec::new(), None);
    let mut once = Once::default();
    for attribute in &input.attrs {
        let Some((name, tokens)) = ours(attribute, errors) else { continue };
        if matches!(name.as_str(), "unhandled" | "ended_instance" | "missing_instance") {
            once.check_attribute(attribute.path(), errors);
        }
        match name.as_str() {
            "saga" => header(tokens, &mut model, errors),
            "initially" => initially.extend(row::rows(items(tokens, errors), &Origin::Initially, errors)),
            "during_any" => any.extend(during_any(tokens, errors)),
            "deadline" => {
                let item = Item { path: attribute.path().clone(), args: Some(tokens), value: None };
                if deadline.is_some() {
                    errors.on(attribute.path(), "a saga has one deadline: this is the second");
                }
                deadline = Some(row::deadline(&item, errors));
            }
            "upcast" => model.upcasts.extend(upcast::upcast(tokens, attribute.span(), errors)),
            "unhandled" => model.unhandled = row::policy(tokens, attribute.span(), errors),
            "ended_instance" => {
                let policy = row::policy(tokens, attribute.span(), errors);
                if policy == Some(Verdict::Defer) {
                    errors.on(
                        attribute.path(),
                        "an ended instance has no later visit: write `ignore` or `reject`",
                    );
                }
                model.ended_instance = policy.unwrap_or(Verdict::Ignore);
            }
            "missing_instance" => {
                model.missing_instance =
                    row::missing(tokens, attribute.span(), errors).unwrap_or(Missing::Reject);
            }
            _ => errors.on(attribute.path(), format!("`{name}` belongs on a variant")),
        }
    }
    let mut own = Vec::new();
    for (index, variant) in data.variants.into_iter().enumerate() {
        let (state, rows) = state(index, variant, errors);
        model.states.push(state);
        own.extend(rows);
    }
    let version = model.version;
    upcast::check(&mut model.upcasts, version, errors);
    for state in &mut model.states {
        upcast::check(&mut state.upcasts, version, errors);
    }
    model.rows = initially.into_iter().chain(own).chain(any).chain(deadline).collect();
    for label in &model.labels {
        let name = label.unraw().to_string();
        let begins = |place: &LitStr| place.value().split(['.', '[', '{', '<']).next() == Some(&*name);
        if model.redact.iter().any(begins) {
            errors.on(label, format!("`{name}` is redacted, and a label is shown: leave out one of the two"));
        }
    }
    missing(&model, errors);
    Some(model)
}

/// The name and the list of an attribute of this derive. `None` for other attributes and after a
/// mistake.
fn ours(attribute: &Attribute, errors: &mut Errors) -> Option<(String, TokenStream)> {
    const NAMES: [&str; 14] = [
        "saga",
        "initially",
        "during",
        "during_any",
        "deadline",
        "unhandled",
        "ended_instance",
        "missing_instance",
        "compensate_with",
        "terminal",
        "on_enter",
        "on_leave",
        "state",
        "upcast",
    ];
    let name = attribute.path().get_ident()?.to_string();
    if !NAMES.contains(&name.as_str()) {
        return None;
    }
    match &attribute.meta {
        // Only `terminal` has a meaning without a list.
        Meta::Path(_) if name == "terminal" => Some((name, TokenStream::new())),
        Meta::List(list) => Some((name, list.tokens.clone())),
        _ => {
            errors.on(attribute.path(), format!("write the attribute as a list: `#[{name}(..)]`"));
            None
        }
    }
}

fn header(tokens: TokenStream, model: &mut Model, errors: &mut Errors) {
    let mut once = Once::default();
    for item in items(tokens, errors) {
        // An item may have several earlier names.
        if item.name() != "was" {
            once.check(&item, errors);
        }
        match item.name().as_str() {
            "name" => {
                if let Some(name) = item.text(errors) {
                    if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
                        errors.on(&item.path, "a saga's name has 1 to 100 printable characters");
                    }
                    model.name = name;
                }
            }
            "was" => model.was.extend(item.text(errors)),
            "version" => match item.number(errors).map(u32::try_from) {
                Some(Ok(version)) if version > 0 => model.version = version,
                Some(_) => errors.on(&item.path, "versions count from 1"),
                None => {}
            },
            "data" => {
                // The data may have any type, so the list is not a list of items.
                if let Some(args) = &item.args {
                    match syn::parse2(args.clone()) {
                        Ok(data) => model.data = Some(data),
                        Err(error) => errors.push(error),
                    }
                } else {
                    errors.on(&item.path, "name the struct of the saga data: `data(Order)`");
                }
            }
            "label" => model.labels.extend(labels(&item, errors)),
            "history" => model.keeps_changes = keeps_changes(&item, errors),
            "redact" => model.redact.extend(item.places(errors)),
            "actions" => model.actions = item.one_ident("Name", errors),
            "on_abort" => model.on_abort = item.one_ident("State", errors),
            "crate" => {
                if let Some(path) = item.one_path("path", errors) {
                    model.krate = path;
                }
            }
            _ => errors.on(
                &item.path,
                "unknown setting; `saga` takes name, was, version, data, label, history, redact, actions, on_abort and crate",
            ),
        }
    }
}

/// The most labels of a saga. Each label of an instance is a row of an index.
const MOST_LABELS: usize = 16;

/// The fields of the data that are labels.
fn labels(item: &Item, errors: &mut Errors) -> Vec<Ident> {
    let mut labels: Vec<Ident> = Vec::new();
    for item in item.some_items(errors) {
        let Some(label) = item.ident(errors) else { continue };
        if labels.contains(&label) {
            errors.on(&label, format!("`{label}` is a label already"));
        } else if labels.len() == MOST_LABELS {
            errors.on(&label, format!("a saga has at most {MOST_LABELS} labels"));
        } else {
            labels.push(label);
        }
    }
    labels
}

/// What the history keeps besides its lines.
fn keeps_changes(item: &Item, errors: &mut Errors) -> bool {
    let mut keeps = false;
    for item in item.some_items(errors) {
        let Some(what) = item.ident(errors) else { continue };
        match what == "changes" {
            true if keeps => errors.on(&what, "`changes` is kept already"),
            true => keeps = true,
            false => errors.on(&what, "unknown part; `history` takes changes"),
        }
    }
    keeps
}

fn during_any(tokens: TokenStream, errors: &mut Errors) -> Vec<Row> {
    let (mut only, mut except) = (None, Vec::new());
    let mut rows = Vec::new();
    let mut once = Once::default();
    for item in items(tokens, errors) {
        let names = |errors: &mut Errors| -> Vec<String> {
            item.some_items(errors)
                .iter()
                .filter_map(|item| item.ident(errors))
                .map(|ident| ident.to_string())
                .collect()
        };
        match item.name().as_str() {
            "only" => {
                once.check(&item, errors);
                only = Some(names(errors));
            }
            "except" => {
                once.check(&item, errors);
                except = names(errors);
            }
            _ => rows.push(item),
        }
    }
    row::rows(rows, &Origin::Any { only, except }, errors)
}

fn state(index: usize, variant: Variant, errors: &mut Errors) -> (State, Vec<Row>) {
    let payload = match &variant.fields {
        Fields::Unit => None,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            fields.unnamed.first().map(|field| field.ty.clone())
        }
        fields => {
            errors.on(fields, "a state carries at most one named type: `State(Payload)`");
            None
        }
    };
    let mut state = State {
        name: lower(&variant.ident.to_string(), '-'),
        was: Vec::new(),
        name_span: variant.ident.span(),
        ident: variant.ident,
        doc: doc(&variant.attrs),
        payload,
        redact: Vec::new(),
        upcasts: Vec::new(),
        end: None,
        unhandled: None,
        compensations: Vec::new(),
        on_enter: Vec::new(),
        on_leave: Vec::new(),
    };
    let mut rows = Vec::new();
    let mut once = Once::default();
    for attribute in &variant.attrs {
        let Some((name, tokens)) = ours(attribute, errors) else { continue };
        if matches!(name.as_str(), "unhandled" | "terminal") {
            once.check_attribute(attribute.path(), errors);
        }
        match name.as_str() {
            "during" => rows.extend(row::rows(items(tokens, errors), &Origin::State(index), errors)),
            "terminal" => {
                let list = items(tokens, errors);
                let end = match list.as_slice() {
                    [] => End::Completed,
                    [item] if item.name() == "failure" => {
                        item.flag(errors);
                        End::Failed
                    }
                    [item, ..] => {
                        errors.on(&item.path, "write `#[terminal]` or `#[terminal(failure)]`");
                        End::Failed
                    }
                };
                state.end = Some((end, attribute.path().span()));
            }
            "compensate_with" => {
                let item = Item { path: attribute.path().clone(), args: Some(tokens), value: None };
                state.compensations.extend(row::undo_use(&item, errors));
            }
            "on_enter" => state.on_enter.extend(row::acts(tokens, errors)),
            "on_leave" => state.on_leave.extend(row::acts(tokens, errors)),
            "upcast" => state.upcasts.extend(upcast::upcast(tokens, attribute.span(), errors)),
            "unhandled" => state.unhandled = row::policy(tokens, attribute.span(), errors),
            "state" => {
                let mut once = Once::default();
                for item in items(tokens, errors) {
                    if item.name() == "name" {
                        once.check(&item, errors);
                    }
                    match item.name().as_str() {
                        "name" => {
                            state.name = item.text(errors).unwrap_or_default();
                            state.name_span = item.span();
                        }
                        "was" => state.was.extend(item.text(errors)),
                        "redact" if state.payload.is_none() => {
                            errors.on(&item.path, "the state carries nothing: write `State(Payload)`");
                        }
                        "redact" => state.redact.extend(item.places(errors)),
                        _ => errors.on(
                            &item.path,
                            "unknown setting; `state` takes `name = \"..\"`, `was = \"..\"` and `redact(..)`",
                        ),
                    }
                }
            }
            _ => errors.on(attribute.path(), format!("`{name}` belongs on the enum")),
        }
    }
    (state, rows)
}

/// Reports missing settings that the generated code needs.
fn missing(model: &Model, errors: &mut Errors) {
    let mut missing = Vec::new();
    if model.data.is_none() {
        missing.push("data(Struct)");
    }
    if model.actions.is_none() {
        missing.push("actions(Name)");
    }
    // After another mistake, the setting may be in an item that could not be read.
    if !missing.is_empty() && errors.is_empty() {
        let list = missing.join(", ");
        errors.on(
            &model.ident,
            format!("add `#[saga(name = \"{}\", version = 1, {list})]` to the enum", model.name),
        );
    }
}

/// The text of the doc comments of an item, one line for each attribute `doc`.
fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(meta) = &attribute.meta
            && let (true, Expr::Lit(literal)) = (meta.path.is_ident("doc"), &meta.value)
            && let Lit::Str(text) = &literal.lit
        {
            lines.push(text.value().trim().to_owned());
        }
    }
    lines.join("\n")
}
