//! The registry of the dispatcher: its sagas, the handlers of their commands, and the consumers of events.

use crate::message::Map;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::attempts::Policy;
use super::problem::StartProblem;
use super::tracer::Tracer;
use crate::definition::{Clause, Definition, EventType, StoredDefinition};
use crate::machine::Program;
use crate::store::{ConsumerRow, Pause};

/// A saga or subscriber that receives an event (rule R28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    Saga(Arc<str>),
    Subscriber(Arc<str>),
}

impl Consumer {
    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Saga(name) | Self::Subscriber(name) => name,
        }
    }
}

/// A handler or subscriber. Its lane runs a limited number of attempts at a time.
#[derive(Debug)]
pub(crate) struct LaneSpec {
    /// The stored name of the command, or the name of the subscriber.
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
    pub(crate) at_most_once: bool,
    pub(crate) subscriber: bool,
}

/// Everything that is registered before the start.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) sagas: Map<&'static str, Arc<dyn Program>>,
    /// Earlier names of sagas, with the present name.
    pub(crate) formerly: BTreeMap<&'static str, &'static str>,
    pub(crate) lanes: Vec<LaneSpec>,
    /// The lane of each command.
    pub(crate) handlers: Map<&'static str, usize>,
    /// The lane of each subscriber, and the event it takes.
    pub(crate) subscribers: BTreeMap<Arc<str>, (usize, EventType)>,
    /// The consumers of each event, without repetition. Sagas come first.
    pub(crate) consumers: Map<String, Vec<Consumer>>,
    /// Joins spans to distributed traces.
    /// Consumers that other processes have registered since the start, by event (rule R28).
    later: RwLock<Arc<Map<String, Vec<Consumer>>>>,
    has_later: AtomicBool,
    pub(crate) tracer: Option<Box<dyn Tracer>>,
    duplicate_sagas: Vec<&'static str>,
    duplicate_formers: Vec<(&'static str, &'static str, &'static str)>,
    /// Earlier names of commands, with the present name and its lane.
    pub(crate) renamed: Vec<(&'static str, &'static str, usize)>,
    duplicate_handlers: Vec<&'static str>,
    duplicate_subscribers: Vec<String>,
}

impl Registry {
    pub(crate) fn saga(&mut self, program: Arc<dyn Program>) {
        let Definition { name, was, .. } = program.definition();
        for was in *was {
            if let Some(other) = self.formerly.insert(was, name).filter(|other| other != name) {
                self.duplicate_formers.push((was, other, name));
            }
        }
        if self.sagas.insert(name, program).is_some() {
            self.duplicate_sagas.push(name);
        }
    }

    pub(crate) fn tracer(&self) -> Option<&dyn Tracer> {
        self.tracer.as_deref()
    }

    /// Registers a handler. The handler also runs commands that were sent under an earlier name.
    pub(crate) fn handler(
        &mut self,
        command: &'static str,
        was: &[&'static str],
        at_most_once: bool,
        policy: Policy,
    ) -> usize {
        let lane = self.lanes.len();
        self.renamed.extend(was.iter().map(|&was| (was, command, lane)));
        self.lanes.push(LaneSpec { name: command, policy, at_most_once, subscriber: false });
        if self.handlers.insert(command, lane).is_some() {
            self.duplicate_handlers.push(command);
        }
        lane
    }

    pub(crate) fn subscriber(&mut self, name: &'static str, event: EventType, policy: Policy) -> usize {
        let lane = self.lanes.len();
        self.lanes.push(LaneSpec { name, policy, at_most_once: false, subscriber: true });
        if self.subscribers.insert(name.into(), (lane, event)).is_some() {
            self.duplicate_subscribers.push(name.to_owned());
        }
        lane
    }

    /// Returns whether this build has the consumer, by its present or an earlier name.
    pub(crate) fn has_consumer(&self, name: &str) -> bool {
        self.sagas.contains_key(name)
            || self.formerly.contains_key(name)
            || self.subscribers.contains_key(name)
    }

    /// Returns whether the consumer takes the event.
    pub(crate) fn takes(&self, consumer: &str, event: &str) -> bool {
        self.consumers.get(event).is_some_and(|consumers| consumers.iter().any(|of| **of.name() == *consumer))
    }

    /// Returns the stored names of the sagas of this build with the events that they publish.
    pub(crate) fn published(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let definitions = self.sagas.values().map(|program| program.definition());
        definitions.flat_map(|of| published(of).into_iter().map(|(event, _)| (of.name, event)))
    }

    /// Keeps the consumers that the store has and this registry does not know yet.
    pub(crate) fn learn(&self, stored: &[ConsumerRow]) {
        let mut later: Map<String, Vec<Consumer>> = Map::default();
        for row in stored.iter().filter(|row| !self.takes(&row.consumer, &row.event)) {
            // An earlier name of a saga of this build is the same consumer.
            if !row.subscriber && self.formerly.contains_key(&*row.consumer) {
                continue;
            }
            let name: Arc<str> = row.consumer.as_str().into();
            let consumer = if row.subscriber { Consumer::Subscriber(name) } else { Consumer::Saga(name) };
            later.entry(row.event.clone()).or_default().push(consumer);
        }
        self.has_later.store(!later.is_empty(), Ordering::Release);
        *self.later.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(later);
    }

    /// Returns the consumers of an event that were registered by other processes since the start.
    pub(crate) fn later_consumers(&self, event: &str) -> Vec<Consumer> {
        if !self.has_later.load(Ordering::Acquire) {
            return Vec::new();
        }
        let later = self.later.read().unwrap_or_else(PoisonError::into_inner);
        later.get(event).cloned().unwrap_or_default()
    }

    /// Returns the consumers of this build.
    pub(crate) fn own_consumers(&self) -> BTreeSet<ConsumerRow> {
        let mut rows = BTreeSet::new();
        for program in self.sagas.values() {
            let definition = program.definition();
            for event in definition.events.iter().filter(|event| event.keyed) {
                let (event, consumer) = (event.name.to_owned(), definition.name.to_owned());
                rows.insert(ConsumerRow { event, consumer, subscriber: false });
            }
        }
        for (name, (_, event)) in &self.subscribers {
            rows.insert(ConsumerRow {
                event: event.name.to_owned(),
                consumer: name.to_string(),
                subscriber: true,
            });
        }
        rows
    }

    /// Completes the consumers with those in the store. Returns the consumers of this build, or all errors of the
    /// registration. A retired consumer takes no event.
    pub(crate) fn finish(
        &mut self,
        stored: &[ConsumerRow],
        pauses: &[Pause],
    ) -> Result<Vec<ConsumerRow>, Vec<StartProblem>> {
        let mut rows = self.own_consumers();
        let known: Vec<ConsumerRow> = rows.iter().cloned().collect();
        // A consumer that only the store knows keeps receiving its rows (rule R28).
        rows.extend(stored.iter().cloned());
        for row in rows {
            let consumers = self.consumers.entry(row.event).or_default();
            let consumer: Arc<str> = row.consumer.into();
            if row.subscriber {
                consumers.push(Consumer::Subscriber(consumer));
            } else {
                consumers.insert(0, Consumer::Saga(consumer));
            }
        }
        let problems = self.problems_with(stored, pauses);
        self.handlers.extend(self.renamed.drain(..).map(|(was, _, lane)| (was, lane)));
        if problems.is_empty() { Ok(known) } else { Err(problems) }
    }

    /// Returns the lanes of the handler of a command, by a present or an earlier name, and of the subscriber with this name.
    pub(crate) fn lanes_named(&self, name: &str) -> impl Iterator<Item = usize> + use<> {
        let subscriber = self.subscribers.get(name).map(|(lane, _)| *lane);
        self.handlers.get(name).copied().into_iter().chain(subscriber)
    }

    /// Returns the definitions of all sagas, in no order.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = StoredDefinition> {
        self.sagas.values().map(|program| StoredDefinition::from(program.definition()))
    }

    /// Returns the errors of the registration, if these consumers and pauses are in the store.
    pub(crate) fn problems_with(&self, stored: &[ConsumerRow], pauses: &[Pause]) -> Vec<StartProblem> {
        let own = self.own_consumers();
        // The start of this build ends the retirement of its own consumers.
        let retired = |name: &str| pauses.iter().any(|pause| pause.retires(name)) && !self.has_consumer(name);
        let stored = || stored.iter().filter(|row| !retired(&row.consumer));
        self.problems(|event| own.iter().chain(stored()).any(|row| row.event == event))
    }

    fn problems(&self, has_consumer: impl Fn(&str) -> bool) -> Vec<StartProblem> {
        let mut problems = self.problems_of_names();
        let mut sagas: Vec<&Definition> = self.sagas.values().map(|program| program.definition()).collect();
        sagas.sort_by_key(|definition| definition.name);
        for definition in sagas {
            let saga = definition.name.to_owned();
            for command in definition.commands {
                if !self.handlers.contains_key(command.name) {
                    problems.push(StartProblem::NoHandler {
                        command: command.name.to_owned(),
                        saga: saga.clone(),
                        type_name: command.type_name.to_owned(),
                    });
                }
            }
            for child in definition.children {
                if !self.sagas.contains_key(child.name) {
                    problems.push(StartProblem::NoChild {
                        child: child.name.to_owned(),
                        saga: saga.clone(),
                        type_name: child.type_name.to_owned(),
                    });
                }
            }
            for (event, type_name) in published(definition) {
                if !has_consumer(event) {
                    problems.push(StartProblem::NoConsumer {
                        event: event.to_owned(),
                        saga: saga.clone(),
                        type_name: type_name.to_owned(),
                    });
                }
            }
        }
        let definitions = self.sagas.values().map(|program| program.definition());
        problems.extend(super::exposure::problems(
            definitions,
            self.subscribers.values().map(|(_, event)| event),
        ));
        let mut lanes = self.handlers.clone();
        for &(was, command, lane) in &self.renamed {
            if lanes.insert(was, lane).is_some_and(|other| other != lane) {
                let (command, was) = (command.to_owned(), was.to_owned());
                problems.push(StartProblem::EarlierNameOfAnotherCommand { command, was });
            }
        }
        problems
    }

    /// Names that two registered items share.
    fn problems_of_names(&self) -> Vec<StartProblem> {
        let two_sagas = |&saga: &&'static str| StartProblem::TwoSagas { saga: saga.to_owned() };
        let mut problems: Vec<StartProblem> = self.duplicate_sagas.iter().map(two_sagas).collect();
        let of = |was: &&'static str, saga: &&'static str| ((*saga).to_owned(), (*was).to_owned());
        for (was, saga) in self.formerly.iter().filter(|(was, _)| self.sagas.contains_key(*was)) {
            let (saga, was) = of(was, saga);
            problems.push(StartProblem::EarlierNameOfAnotherSaga { saga, was });
        }
        for (was, one, other) in &self.duplicate_formers {
            let (saga, was) = of(was, one);
            problems.push(StartProblem::OneEarlierName { saga, other: (*other).to_owned(), was });
        }
        for (was, saga) in self.formerly.iter().filter(|(was, _)| self.subscribers.contains_key(**was)) {
            let (saga, was) = of(was, saga);
            problems.push(StartProblem::EarlierNameOfASubscriber { saga, was });
        }
        for &command in &self.duplicate_handlers {
            problems.push(StartProblem::TwoHandlers { command: command.to_owned() });
        }
        for subscriber in &self.duplicate_subscribers {
            problems.push(StartProblem::TwoSubscribers { subscriber: subscriber.clone() });
        }
        for name in self.subscribers.keys().filter(|name| self.sagas.contains_key(&***name)) {
            problems.push(StartProblem::SagaAndSubscriber { name: name.to_string() });
        }
        problems
    }
}

/// The stored names and type names of the events that a saga publishes, without repetition.
fn published(definition: &Definition) -> BTreeSet<(&'static str, &'static str)> {
    let rows = definition.rows.iter().flat_map(|row| row.clauses);
    let states = definition.states.iter().flat_map(|state| state.on_enter.iter().chain(state.on_leave));
    rows.chain(states)
        .filter_map(|clause| match clause {
            Clause::Publish { event, .. } => Some((event.name, event.type_name)),
            _ => None,
        })
        .collect()
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("sagas", &self.sagas.keys())
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}
