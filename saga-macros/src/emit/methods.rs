//! The methods of the trait of actions. Each name is one method, with the parameters common to all
//! its uses.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use crate::errors::Errors;
use crate::model::{Act, Due, Model, MoveKind, Origin, Row, Timer, TriggerKind, UndoUse, camel};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receiver {
    None,
    Ref,
    Mut,
}

/// A parameter between the receiver and the context.
#[derive(Clone)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) ty: TokenStream,
    pub(super) mutable: bool,
}

impl Param {
    fn new(name: &'static str, ty: impl ToTokens) -> Self {
        Self { name, ty: ty.to_token_stream(), mutable: false }
    }

    fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.mutable == other.mutable
            && self.ty.to_string() == other.ty.to_string()
    }
}

/// One method of the trait of actions.
pub(super) struct Method {
    pub(super) ident: Ident,
    pub(super) receiver: Receiver,
    pub(super) params: Vec<Param>,
    pub(super) guard: bool,
    pub(super) ret: TokenStream,
    pub(super) docs: Vec<String>,
    /// The name and the states of the generated target enum.
    pub(super) to: Option<(Ident, Vec<usize>)>,
}

/// All methods, in the order of their first mention.
pub(super) struct Methods(pub(super) Vec<Method>);

impl Methods {
    /// Collects all uses. A use with another receiver, context or result than an earlier use is a
    /// mistake.
    pub(super) fn collect(model: &Model, private: &TokenStream, errors: &mut Errors) -> Self {
        let mut methods = Self(Vec::new());
        let collector = Collector { model, private };
        for row in &model.rows {
            collector.row(row, &mut methods, errors);
        }
        for state in &model.states {
            for undo in &state.compensations {
                let params = state.payload.as_ref().map(|ty| Param::new("state", ty)).into_iter().collect();
                let doc = format!("Builds the undo of having been in `{}`.", state.ident);
                collector.undo(undo, params, doc, &mut methods, errors);
            }
            for (acts, when) in [(&state.on_enter, "entering"), (&state.on_leave, "leaving")] {
                for act in acts {
                    collector.state_act(
                        act,
                        state.payload.as_ref(),
                        &format!("On {when} `{}`.", state.ident),
                        &mut methods,
                        errors,
                    );
                }
            }
        }
        methods
    }

    pub(super) fn get(&self, ident: &Ident) -> Option<&Method> {
        self.0.iter().find(|method| method.ident == *ident)
    }

    fn add(&mut self, new: Method, errors: &mut Errors) {
        let Some(known) = self.0.iter_mut().find(|method| method.ident == new.ident) else {
            self.0.push(new);
            return;
        };
        if known.ret.to_string() != new.ret.to_string()
            || known.receiver != new.receiver
            || known.guard != new.guard
        {
            errors.at(
                new.ident.span(),
                format!(
                    "`{}` is used here as a method with another signature than in an earlier row; name another method{}",
                    new.ident,
                    if new.receiver == Receiver::Ref { " with `with(..)`" } else { "" }
                ),
            );
            return;
        }
        // Each use must be able to pass every parameter.
        known.params.retain(|param| new.params.iter().any(|other| other.same(param)));
        known.docs.extend(new.docs);
    }
}

struct Collector<'a> {
    model: &'a Model,
    private: &'a TokenStream,
}

impl Collector<'_> {
    /// The parameter `event` in a row. `None` if the row has several triggers, or if the trigger
    /// has no value.
    fn event(&self, row: &Row) -> Option<Param> {
        let private = self.private;
        let ty = match &row.only_trigger()?.kind {
            TriggerKind::Event(path) => quote!(#path),
            TriggerKind::Failed(path) => quote!(#private::Failed<#path>),
            TriggerKind::Unknown(path) => quote!(#private::Unknown<#path>),
            TriggerKind::Finished(path) => quote!(#private::Finished<#path>),
            TriggerKind::AllFinished(_) => quote!(#private::AllFinished),
            TriggerKind::Parked(_) => quote!(#private::ChildParked),
            TriggerKind::Timer(Timer { due: Due::Every { .. }, .. }) => quote!(#private::Tick),
            TriggerKind::Timer(_) => return None,
        };
        Some(Param::new("event", ty))
    }

    fn row(&self, row: &Row, methods: &mut Methods, errors: &mut Errors) {
        if row.verdict.is_some() {
            return;
        }
        let private = self.private;
        let model = self.model;
        let initially = row.origin == Origin::Initially;
        let here = here(model, row);
        let event = self.event(row);
        let doc = describe(model, row);
        if let Some(guard) = &row.guard {
            let from = here.clone().map(|ty| Param::new("from", ty));
            methods.add(
                Method {
                    ident: guard.clone(),
                    receiver: if initially { Receiver::None } else { Receiver::Ref },
                    params: from.into_iter().chain(event.clone()).collect(),
                    guard: true,
                    ret: quote!(bool),
                    docs: vec![format!("Whether this row applies: {doc}.")],
                    to: None,
                },
                errors,
            );
        }
        for trigger in &row.triggers {
            let TriggerKind::Timer(timer) = &trigger.kind else { continue };
            let (method, ret) = match &timer.due {
                Due::AfterMethod(method) => (method, quote!(::core::time::Duration)),
                Due::AtMethod(method) => (method, quote!(#private::Timestamp)),
                Due::After(_) | Due::Every { .. } | Due::Deadline(_) => continue,
            };
            let params = here.clone().map(|ty| Param::new("state", ty)).into_iter().collect();
            let docs = vec![format!("When this timer is due, asked once on entering: {doc}.")];
            let ident = method.clone();
            methods.add(
                Method { ident, receiver: Receiver::Ref, params, guard: false, ret, docs, to: None },
                errors,
            );
        }
        let targets: Vec<usize> =
            row.targets().iter().filter_map(|target| model.state(&target.to_string())).collect();
        let target = match (row.to.as_ref().map(|to| &to.kind), targets.as_slice()) {
            (Some(MoveKind::To(_)), [target]) => model.states[*target].payload.clone(),
            // Without `run`, `reenter` keeps the payload, so there is no new payload to pass.
            (Some(MoveKind::Reenter), _) if row.run().is_some() => here.clone(),
            _ => None,
        };
        for act in &row.acts {
            match act {
                Act::Run(method) => {
                    let to = (targets.len() > 1).then(|| {
                        let name = Ident::new(&format!("{}To", camel(&method.to_string())), method.span());
                        (name, targets.clone())
                    });
                    let made = match (&to, &target) {
                        (Some((name, _)), _) => quote!(#name),
                        (None, Some(payload)) => quote!(#payload),
                        (None, None) => quote!(()),
                    };
                    let keeps = row.keeps_state();
                    let ret = match (initially, &to, &target) {
                        (true, None, None) => quote!(#private::ActionResult<Self>),
                        (true, _, _) => quote!(#private::ActionResult<(Self, #made)>),
                        _ if keeps => quote!(#private::ActionResult<()>),
                        _ => quote!(#private::ActionResult<#made>),
                    };
                    let from = here.clone().map(|ty| Param {
                        mutable: keeps,
                        ..Param::new(if keeps { "state" } else { "from" }, ty)
                    });
                    methods.add(
                        Method {
                            ident: method.clone(),
                            receiver: if initially { Receiver::None } else { Receiver::Mut },
                            params: from.into_iter().chain(event.clone()).collect(),
                            guard: false,
                            ret,
                            docs: vec![format!("Runs in this row: {doc}.")],
                            to,
                        },
                        errors,
                    );
                }
                Act::Send { command: built, method, each, undo } => {
                    let params = self.built_params(row, here.as_ref(), target.as_ref(), event.clone());
                    self.built(
                        built,
                        method,
                        *each,
                        params,
                        &format!("Builds what this row sends: {doc}."),
                        methods,
                        errors,
                    );
                    if let Some(undo) = undo {
                        let params = vec![Param::new("command", built)];
                        let doc = format!("Builds the undo of `{}`.", crate::model::last(built));
                        self.undo(undo, params, doc, methods, errors);
                    }
                }
                Act::Start { child, method, each, .. } => {
                    let params = self.built_params(row, here.as_ref(), target.as_ref(), event.clone());
                    let doc = format!("Builds the event that starts a child in this row: {doc}.");
                    self.built(&self.start_of(child), method, *each, params, &doc, methods, errors);
                }
                Act::Publish { event: built, method, each } => {
                    let params = self.built_params(row, here.as_ref(), target.as_ref(), event.clone());
                    self.built(
                        built,
                        method,
                        *each,
                        params,
                        &format!("Builds what this row publishes: {doc}."),
                        methods,
                        errors,
                    );
                }
                Act::Alias { claim, method, each } => {
                    let params = self.built_params(row, here.as_ref(), target.as_ref(), event.clone());
                    let doc = format!("{}: {doc}.", names_alias(*claim));
                    self.built(&alias(), method, *each, params, &doc, methods, errors);
                }
            }
        }
    }

    /// The type of the event that starts `child`.
    fn start_of(&self, child: &syn::Path) -> TokenStream {
        let private = self.private;
        quote_spanned!(child.span()=> <#child as #private::Child>::Start)
    }

    fn built_params(
        &self,
        row: &Row,
        here: Option<&Type>,
        target: Option<&Type>,
        event: Option<Param>,
    ) -> Vec<Param> {
        let name = if row.keeps_state() { "state" } else { "from" };
        let from = here.map(|ty| Param::new(name, ty));
        let to = target.map(|ty| Param::new("to", ty));
        from.into_iter().chain(to).chain(event).collect()
    }

    #[allow(clippy::too_many_arguments)] // A struct would only repeat these parameters.
    fn built(
        &self,
        ty: &impl quote::ToTokens,
        method: &Ident,
        each: bool,
        params: Vec<Param>,
        doc: &str,
        methods: &mut Methods,
        errors: &mut Errors,
    ) {
        let ret = if each { quote!(::std::vec::Vec<#ty>) } else { quote!(#ty) };
        let docs = vec![doc.to_owned()];
        let ident = method.clone();
        methods.add(
            Method { ident, receiver: Receiver::Ref, params, guard: false, ret, docs, to: None },
            errors,
        );
    }

    fn undo(
        &self,
        undo: &UndoUse,
        params: Vec<Param>,
        doc: String,
        methods: &mut Methods,
        errors: &mut Errors,
    ) {
        let command = &undo.command;
        let (ident, ret) = (undo.method.clone(), quote!(#command));
        methods.add(
            Method { ident, receiver: Receiver::Ref, params, guard: false, ret, docs: vec![doc], to: None },
            errors,
        );
    }

    fn state_act(
        &self,
        act: &Act,
        payload: Option<&Type>,
        doc: &str,
        methods: &mut Methods,
        errors: &mut Errors,
    ) {
        let private = self.private;
        let params = || payload.map(|ty| Param::new("state", ty)).into_iter().collect::<Vec<_>>();
        match act {
            Act::Run(method) => {
                let params = params().into_iter().map(|param| Param { mutable: true, ..param }).collect();
                methods.add(
                    Method {
                        ident: method.clone(),
                        receiver: Receiver::Mut,
                        params,
                        guard: false,
                        ret: quote!(#private::ActionResult<()>),
                        docs: vec![doc.to_owned()],
                        to: None,
                    },
                    errors,
                );
            }
            Act::Send { command, method, each, undo } => {
                self.built(command, method, *each, params(), doc, methods, errors);
                if let Some(undo) = undo {
                    let doc = format!("Builds the undo of `{}`.", crate::model::last(command));
                    self.undo(undo, vec![Param::new("command", command)], doc, methods, errors);
                }
            }
            Act::Start { child, method, each, .. } => {
                self.built(&self.start_of(child), method, *each, params(), doc, methods, errors);
            }
            Act::Publish { event, method, each } => {
                self.built(event, method, *each, params(), doc, methods, errors);
            }
            Act::Alias { claim, method, each } => {
                let doc = format!("{}. {doc}", names_alias(*claim));
                self.built(&alias(), method, *each, params(), &doc, methods, errors);
            }
        }
    }
}

fn alias() -> TokenStream {
    quote!(::std::string::String)
}

const fn names_alias(claim: bool) -> &'static str {
    if claim { "Names the alias this row claims" } else { "Names the alias this row gives up" }
}

/// The payload type of the states in which a row applies, if all these states have the same type.
pub(super) fn here(model: &Model, row: &Row) -> Option<Type> {
    let states = model.stands_for(row);
    let mut types = states.iter().map(|&state| model.states[state].payload.as_ref());
    let first = types.next()??;
    types.all(|ty| ty == Some(first)).then(|| first.clone())
}

/// A short description of a row, for the documentation of its methods.
pub(super) fn describe(model: &Model, row: &Row) -> String {
    let place = match &row.origin {
        Origin::Initially => "initially".to_owned(),
        Origin::State(state) => format!("in `{}`", model.states[*state].ident),
        Origin::Any { .. } => "in any state".to_owned(),
    };
    let to = match row.to.as_ref().map(|to| &to.kind) {
        Some(MoveKind::To(targets)) => {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            format!(" to `{}`", targets.join("` or `"))
        }
        _ => String::new(),
    };
    let compensate = if row.compensate.is_some() { ", after compensating" } else { "" };
    format!("{place}, `{}`{to}{compensate}", row.waits_for())
}

impl Method {
    /// The declaration in the trait, with the span of the name in the table. So an error about a
    /// missing or wrong implementation marks that name.
    pub(super) fn declare(&self, private: &TokenStream) -> TokenStream {
        let span = Span::call_site().located_at(self.ident.span());
        let Self { ident, ret, .. } = self;
        let receiver = match self.receiver {
            Receiver::None => quote!(),
            Receiver::Ref => quote_spanned!(span=> &self,),
            Receiver::Mut => quote_spanned!(span=> &mut self,),
        };
        let params = self.params.iter().map(|param| {
            let name = Ident::new(param.name, span);
            let ty = &param.ty;
            if param.mutable {
                quote_spanned!(span=> #name: &mut #ty,)
            } else {
                quote_spanned!(span=> #name: &#ty,)
            }
        });
        let context = if self.guard {
            quote_spanned!(span=> cx: &#private::Context)
        } else {
            quote_spanned!(span=> cx: &mut #private::Context)
        };
        let docs = self.docs.iter();
        quote_spanned! {span=>
            #(#[doc = #docs])*
            fn #ident(#receiver #(#params)* #context) -> #ret;
        }
    }

    /// A call on the type `data`. The arguments are in scope under their `__saga_` names.
    pub(super) fn call(&self, data: &Type, actions: &Ident, receiver: &TokenStream) -> TokenStream {
        let ident = &self.ident;
        let receiver = match self.receiver {
            Receiver::None => quote!(),
            Receiver::Ref | Receiver::Mut => quote!(#receiver,),
        };
        let args = self.params.iter().map(|param| match param.name {
            "event" => {
                let ty = &param.ty;
                quote!(__saga_cause.get::<#ty>())
            }
            "command" => quote!(&__saga_command),
            "to" => quote!(__saga_to),
            _ => quote!(__saga_here),
        });
        quote!(<#data as #actions>::#ident(#receiver #(#args,)* __saga_cx))
    }

    /// Returns whether a call needs the payload of the present state.
    pub(super) fn needs_here(&self) -> bool {
        self.params.iter().any(|param| matches!(param.name, "from" | "state"))
    }

    /// Returns whether a call needs the payload of the state to enter.
    pub(super) fn needs_to(&self) -> bool {
        self.params.iter().any(|param| param.name == "to")
    }
}
