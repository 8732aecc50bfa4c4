//! The static definition. Its parts refer to each other by index.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{LitStr, Path};

use crate::model::{
    Act, Due, End, Missing, Model, MoveKind, Row, Timer, TriggerKind, UndoUse, Verdict, Waive, last,
};

/// An undo command, with the state or the command that adds its obligation.
pub(super) struct UndoEntry<'a> {
    pub(super) undo: &'a UndoUse,
    pub(super) of: Of<'a>,
}

pub(super) enum Of<'a> {
    State(usize),
    Command(&'a Path),
}

/// The indices of events, commands, children and undos in the definition. The lists are complete,
/// so the default of a search is never used.
pub(super) struct Table<'a> {
    pub(super) model: &'a Model,
    pub(super) private: TokenStream,
    pub(super) events: Vec<&'a Path>,
    pub(super) commands: Vec<&'a Path>,
    pub(super) children: Vec<&'a Path>,
    pub(super) undos: Vec<UndoEntry<'a>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(model: &'a Model, private: TokenStream) -> Self {
        let mut undos: Vec<UndoEntry<'a>> = Vec::new();
        for act in model.acts() {
            if let Act::Send { command, undo: Some(undo), .. } = act {
                let known = undos.iter().any(|entry| {
                    matches!(entry.of, Of::Command(of) if last(of) == last(command))
                        && last(&entry.undo.command) == last(&undo.command)
                });
                // The first `send` with this command and this undo command decides the method of
                // the undo.
                if !known {
                    undos.push(UndoEntry { undo, of: Of::Command(command) });
                }
            }
        }
        for (index, state) in model.states.iter().enumerate() {
            undos.extend(state.compensations.iter().map(|undo| UndoEntry { undo, of: Of::State(index) }));
        }
        Self {
            events: model.events(),
            commands: model.commands(),
            children: model.children(),
            undos,
            model,
            private,
        }
    }

    pub(super) fn event(&self, path: &Path) -> usize {
        self.events.iter().position(|known| last(known) == last(path)).unwrap_or(0)
    }

    pub(super) fn command(&self, path: &Path) -> usize {
        self.commands.iter().position(|known| last(known) == last(path)).unwrap_or(0)
    }

    pub(super) fn child(&self, path: &Path) -> usize {
        self.children.iter().position(|known| last(known) == last(path)).unwrap_or(0)
    }

    /// The index of the undo that a `send` of `command` adds.
    pub(super) fn undo_of(&self, command: &Path, undo: &UndoUse) -> usize {
        self.undos
            .iter()
            .position(|entry| {
                matches!(entry.of, Of::Command(of) if last(of) == last(command))
                    && last(&entry.undo.command) == last(&undo.command)
            })
            .unwrap_or(0)
    }

    pub(super) fn definition(&self) -> TokenStream {
        let private = &self.private;
        let model = self.model;
        let (name, version, doc) = (&model.name, model.version, &model.doc);
        let states = (0..model.states.len()).map(|index| self.state(index));
        let rows = model.rows.iter().map(|row| self.row(row));
        let initially =
            (0..model.rows.len()).filter(|&row| model.rows[row].origin == crate::model::Origin::Initially);
        let events = self.events.iter().map(|path| self.event_type(path));
        let commands = self.commands.iter().map(|path| {
            let name = last(path);
            quote_spanned!(path.span()=> #private::CommandType::of::<#path>(#name))
        });
        let children = self.children.iter().map(|path| {
            let name = last(path);
            quote_spanned!(path.span()=> #private::ChildType::of::<#path>(#name))
        });
        let timers = model.timers().into_iter().map(|timer| {
            let (name, was, due) = (&timer.name, &timer.was, self.due(&timer.due));
            quote!(#private::Timer { name: #name, was: &[#(#was),*], due: #due })
        });
        let deadline = option(
            model
                .timers()
                .iter()
                .position(|timer| matches!(timer.due, Due::Deadline(_)))
                .map(|timer| quote!(#timer)),
        );
        let undos = self.undos.iter().map(|entry| {
            let command = self.command(&entry.undo.command);
            let method = entry.undo.method.to_string();
            let of = match entry.of {
                Of::State(state) => quote!(#private::UndoOf::State(#state)),
                Of::Command(of) => {
                    let of = self.command(of);
                    quote!(#private::UndoOf::Command(#of))
                }
            };
            quote!(#private::Undo { command: #command, of: #of, method: #method })
        });
        let on_abort = match model.on_abort.as_ref().and_then(|state| model.state(&state.to_string())) {
            Some(state) => quote!(::core::option::Option::Some(#state)),
            None => quote!(::core::option::Option::None),
        };
        let was = &model.was;
        let data = &model.data;
        let data_text = quote!(#data).to_string();
        let redacting = redacting(&model.redact);
        let keeps_changes = model.keeps_changes;
        let labels = model.labels.iter().map(|label| label.unraw().to_string());
        let upcasts = super::upcast::list(&model.upcasts, private, &quote!(#data));
        let ended = self.verdict(model.ended_instance);
        let missing = match model.missing_instance {
            Missing::Ignore => quote!(#private::Missing::Ignore),
            Missing::Reject => quote!(#private::Missing::Reject),
            Missing::Defer(millis) => quote!(#private::Missing::Defer(#millis)),
        };
        quote! {
            #private::Definition {
                name: #name,
                was: &[#(#was),*],
                data: #private::PayloadType::of::<#data>(#data_text)#redacting,
                labels: &[#(#labels),*],
                keeps_changes: #keeps_changes,
                upcasts: #upcasts,
                version: #version,
                doc: #doc,
                states: &[#(#states),*],
                rows: &[#(#rows),*],
                initially: &[#(#initially),*],
                events: &[#(#events),*],
                commands: &[#(#commands),*],
                children: &[#(#children),*],
                timers: &[#(#timers),*],
                deadline: #deadline,
                undos: &[#(#undos),*],
                on_abort: #on_abort,
                ended_instance: #ended,
                missing_instance: #missing,
            }
        }
    }

    fn event_type(&self, path: &Path) -> TokenStream {
        let private = &self.private;
        let name = last(path);
        quote_spanned!(path.span()=> #private::EventType::of::<#path>(#name))
    }

    fn verdict(&self, verdict: Verdict) -> TokenStream {
        let private = &self.private;
        match verdict {
            Verdict::Ignore => quote!(#private::Verdict::Ignore),
            Verdict::Reject => quote!(#private::Verdict::Reject),
            Verdict::Defer => quote!(#private::Verdict::Defer),
        }
    }

    fn state(&self, index: usize) -> TokenStream {
        let private = &self.private;
        let model = self.model;
        let state = &model.states[index];
        let (variant, name, was, doc) = (state.ident.to_string(), &state.name, &state.was, &state.doc);
        let payload = option(state.payload.as_ref().map(|ty| {
            let text = quote!(#ty).to_string();
            let redacting = redacting(&state.redact);
            quote!(#private::PayloadType::of::<#ty>(#text)#redacting)
        }));
        let upcasts = {
            let payload = &state.payload;
            super::upcast::list(&state.upcasts, private, &quote!(#payload))
        };
        let end = option(state.end.map(|(end, _)| match end {
            End::Completed => quote!(#private::End::Completed),
            End::Failed => quote!(#private::End::Failed),
        }));
        let rows = model.rows_of(index);
        let timers = model.timers_of(index).into_iter().map(|timer| self.timer(timer));
        let unhandled = option(state.unhandled.or(model.unhandled).map(|verdict| self.verdict(verdict)));
        let compensations: Vec<usize> = self
            .undos
            .iter()
            .enumerate()
            .filter(|(_, entry)| matches!(entry.of, Of::State(of) if of == index))
            .map(|(undo, _)| undo)
            .collect();
        let on_enter = state.on_enter.iter().map(|act| self.act(act));
        let on_leave = state.on_leave.iter().map(|act| self.act(act));
        quote! {
            #private::State {
                variant: #variant,
                name: #name,
                was: &[#(#was),*],
                doc: #doc,
                payload: #payload,
                upcasts: #upcasts,
                end: #end,
                rows: &[#(#rows),*],
                unhandled: #unhandled,
                timers: &[#(#timers),*],
                compensations: &[#(#compensations),*],
                on_enter: &[#(#on_enter),*],
                on_leave: &[#(#on_leave),*],
            }
        }
    }

    pub(super) fn timer(&self, timer: &Timer) -> usize {
        self.model.timers().iter().position(|known| *known == timer).unwrap_or(0)
    }

    fn due(&self, due: &Due) -> TokenStream {
        let private = &self.private;
        match due {
            // The field `deadline` of the definition marks the deadline.
            Due::After(millis) | Due::Deadline(millis) => quote!(#private::Due::After(#millis)),
            Due::AfterMethod(method) => {
                let method = method.to_string();
                quote!(#private::Due::AfterMethod(#method))
            }
            Due::AtMethod(method) => {
                let method = method.to_string();
                quote!(#private::Due::AtMethod(#method))
            }
            Due::Every { millis, times } => {
                let times = option(times.map(|times| quote!(#times)));
                quote!(#private::Due::Every { millis: #millis, times: #times })
            }
        }
    }

    fn row(&self, row: &Row) -> TokenStream {
        let private = &self.private;
        let triggers = row.triggers.iter().map(|trigger| match &trigger.kind {
            TriggerKind::Event(path) if trigger.superseded => {
                let event = self.event(path);
                quote!(#private::Trigger::Superseded(#private::Answer::Event(#event)))
            }
            TriggerKind::Failed(path) if trigger.superseded => {
                let command = self.command(path);
                quote!(#private::Trigger::Superseded(#private::Answer::Failed(#command)))
            }
            TriggerKind::Unknown(path) if trigger.superseded => {
                let command = self.command(path);
                quote!(#private::Trigger::Superseded(#private::Answer::Unknown(#command)))
            }
            TriggerKind::Event(path) => {
                let event = self.event(path);
                quote!(#private::Trigger::Event(#event))
            }
            TriggerKind::Failed(path) => {
                let command = self.command(path);
                quote!(#private::Trigger::Failed(#command))
            }
            TriggerKind::Unknown(path) => {
                let command = self.command(path);
                quote!(#private::Trigger::Unknown(#command))
            }
            TriggerKind::Finished(path) => {
                let child = self.child(path);
                quote!(#private::Trigger::Finished(#child))
            }
            TriggerKind::AllFinished(path) => {
                let child = self.child(path);
                quote!(#private::Trigger::AllFinished(#child))
            }
            TriggerKind::Parked(path) => {
                let child = self.child(path);
                quote!(#private::Trigger::Parked(#child))
            }
            TriggerKind::Timer(timer) => {
                let timer = self.timer(timer);
                quote!(#private::Trigger::Timer(#timer))
            }
        });
        let verdict = option(row.verdict.map(|verdict| self.verdict(verdict)));
        let guard = option(row.guard.as_ref().map(|guard| {
            let guard = guard.to_string();
            quote!(#guard)
        }));
        let (all, compensate) = (row.all, row.compensate.is_some());
        let not_owed = row.not_owed.iter().map(|path| self.command(path));
        let waive = match &row.waive {
            Waive::Nothing => quote!(#private::Waive::Nothing),
            Waive::All => quote!(#private::Waive::All),
            Waive::Named(undos) => {
                let undos = undos.iter().map(|path| self.command(path));
                quote!(#private::Waive::Named(&[#(#undos),*]))
            }
        };
        let acts = row.acts.iter().map(|act| self.act(act));
        let to = match row.to.as_ref().map(|to| &to.kind) {
            Some(MoveKind::To(targets)) => {
                let targets = targets.iter().filter_map(|target| self.model.state(&target.to_string()));
                quote!(#private::Move::To(&[#(#targets),*]))
            }
            Some(MoveKind::Reenter) => quote!(#private::Move::Reenter),
            Some(MoveKind::Park) => quote!(#private::Move::Park),
            Some(MoveKind::Stay) | None => quote!(#private::Move::Stay),
        };
        let doc = &row.doc;
        quote! {
            #private::Row {
                triggers: &[#(#triggers),*],
                all: #all,
                verdict: #verdict,
                guard: #guard,
                compensate: #compensate,
                not_owed: &[#(#not_owed),*],
                waive: #waive,
                clauses: &[#(#acts),*],
                to: #to,
                doc: #doc,
            }
        }
    }

    fn act(&self, act: &Act) -> TokenStream {
        let private = &self.private;
        match act {
            Act::Run(method) => {
                let method = method.to_string();
                quote!(#private::Clause::Run { method: #method })
            }
            Act::Send { command, method, each, undo } => {
                let method = method.to_string();
                let undo = option(undo.as_ref().map(|undo| {
                    let undo = self.undo_of(command, undo);
                    quote!(#undo)
                }));
                let command = self.command(command);
                quote!(#private::Clause::Send { command: #command, method: #method, each: #each, undo: #undo })
            }
            Act::Publish { event, method, each } => {
                let method = method.to_string();
                let event = self.event_type(event);
                quote!(#private::Clause::Publish { event: #event, method: #method, each: #each })
            }
            Act::Alias { claim, method, each } => {
                let method = method.to_string();
                let change = if *claim { quote!(Claim) } else { quote!(Release) };
                quote!(#private::Clause::#change { method: #method, each: #each })
            }
            Act::Start { child, method, each, limit, detached } => {
                let method = method.to_string();
                let child = self.child(child);
                let limit = option(limit.map(|limit| quote!(#limit)));
                quote! {
                    #private::Clause::Start {
                        child: #child, method: #method, each: #each, limit: #limit, detached: #detached,
                    }
                }
            }
        }
    }
}

/// The call that names the places which are never shown. Nothing without such places.
fn redacting(places: &[LitStr]) -> TokenStream {
    if places.is_empty() { quote!() } else { quote!(.redacting(&[#(#places),*])) }
}

pub(super) fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
