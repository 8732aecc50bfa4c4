//! The consumers of an event, while another release may run the sagas.
//!
//! Owns: the comparison of this build with the names and versions in the store. Does not own: the delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::dispatcher::retired;
use crate::engine::Registry;
use crate::message::InstanceName;
use crate::store::{Address, ConsumerRow, MailKind, Pause, Store, StoreError};

/// The longest age of the versions. They change only when a dispatcher starts.
const AGE: Duration = Duration::from_secs(1);

/// Why an event is not delivered.
pub(super) enum NoRoute {
    /// The running release does not know the event or its version.
    NotYet(String),
    /// The store has names that this build does not know. A later release has taken over.
    Outdated(String),
}

/// A consumer of an event.
pub(super) struct Route {
    row: ConsumerRow,
    /// The name of the consumer in this build.
    pub(super) present: String,
}

impl Route {
    /// The name for which the event says its key.
    pub(super) fn of_key(&self) -> &str {
        if self.row.subscriber { "" } else { &self.present }
    }

    pub(super) fn kind(&self) -> MailKind {
        if self.row.subscriber { MailKind::Delivery } else { MailKind::Event }
    }

    /// The address under the name by which the owner of the store knows the consumer.
    pub(super) fn address(&self, key: InstanceName) -> Address {
        Address::new(self.row.consumer.clone(), key)
    }
}

/// A consumer of this build.
struct Own {
    row: ConsumerRow,
    /// Earlier names of a saga. The owner of the store may still use one of them.
    was: Vec<&'static str>,
}

impl Own {
    fn is_called(&self, name: &str, subscriber: bool) -> bool {
        self.row.subscriber == subscriber && (self.row.consumer == name || self.was.contains(&name))
    }

    fn is_retired(&self, pauses: &[Pause]) -> bool {
        let retired = |name: &str| pauses.iter().any(|pause| pause.retires(name));
        retired(&self.row.consumer) || self.was.iter().any(|was| retired(was))
    }
}

/// The sagas in the store, with the versions of their events.
#[derive(Default)]
struct Defined {
    /// The newest definition of each saga.
    events: BTreeMap<String, BTreeMap<String, u32>>,
}

pub(super) struct Routes {
    own: Vec<Own>,
    names: Vec<retired::Known>,
    defined: Mutex<Option<(Duration, Arc<Defined>)>>,
}

impl Routes {
    pub(super) fn new(registry: &Registry) -> Self {
        let was = |row: &ConsumerRow| {
            let formerly =
                registry.formerly.iter().filter(|(_, name)| !row.subscriber && **name == row.consumer);
            formerly.map(|(was, _)| *was).collect()
        };
        let own = registry.own_consumers().into_iter().map(|row| Own { was: was(&row), row }).collect();
        Self { own, names: retired::known(registry), defined: Mutex::new(None) }
    }

    /// Returns the consumers of an event in this version. A consumer of the running release gets the event only if the
    /// release can read it. Otherwise it would become a dead letter, or have no effect, after its acceptance.
    pub(super) async fn of(
        &self,
        event: &str,
        version: u32,
        store: &dyn Store,
        now: Duration,
    ) -> Result<Result<Vec<Route>, NoRoute>, StoreError> {
        let problems = retired::problems_of(&self.names, &store.retired().await?);
        if let Some(problem) = problems.first() {
            return Ok(Err(NoRoute::Outdated(format!(
                "{problem}; a later release runs the sagas; stop this process"
            ))));
        }
        let defined = self.defined(store, now).await?;
        let (mut stored, pauses) = (store.consumers().await?, store.pauses().await?);
        // The running release has retired these. It records no event for them, also if this build has them (rule R28).
        stored.retain(|row| !pauses.iter().any(|pause| pause.retires(&row.consumer)));
        let mut routes = Vec::new();
        for row in stored.iter().filter(|row| row.event == event) {
            let reads = defined.events.get(&row.consumer).and_then(|events| events.get(event));
            if let Some(reads) = reads.filter(|reads| !row.subscriber && **reads < version) {
                return Ok(Err(NoRoute::NotYet(format!(
                    "the running release of saga `{}` reads version {reads} of event `{event}`, and this is version {version}",
                    row.consumer
                ))));
            }
            let own = self.own.iter().find(|own| own.is_called(&row.consumer, row.subscriber));
            let present = own.map_or(&row.consumer, |own| &own.row.consumer).clone();
            routes.push(Route { row: row.clone(), present });
        }
        // A name that the store does not have belongs to a consumer that only this build has. Its rows wait (rule R28).
        let sagas = defined.events.keys().map(|name| (&**name, false));
        let names: BTreeSet<(&str, bool)> =
            stored.iter().map(|row| (&*row.consumer, row.subscriber)).chain(sagas).collect();
        for own in self.own.iter().filter(|own| own.row.event == event && !own.is_retired(&pauses)) {
            if stored.iter().any(|row| row.event == event && own.is_called(&row.consumer, row.subscriber)) {
                continue;
            }
            if let Some((name, _)) = names.iter().find(|(name, subscriber)| own.is_called(name, *subscriber))
            {
                return Ok(Err(NoRoute::NotYet(format!(
                    "`{name}` of the running release does not take event `{event}`"
                ))));
            }
            routes.push(Route { row: own.row.clone(), present: own.row.consumer.clone() });
        }
        Ok(Ok(routes))
    }

    /// Reads the versions anew at the next event, because another release runs the sagas.
    pub(super) fn forget(&self) {
        *self.defined.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn defined(&self, store: &dyn Store, now: Duration) -> Result<Arc<Defined>, StoreError> {
        let known = || self.defined.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, defined)) = &*known()
            && now.saturating_sub(*at) < AGE
        {
            return Ok(Arc::clone(defined));
        }
        let mut defined = Defined::default();
        // The definitions of a saga come in the order of their versions.
        for definition in store.definitions().await? {
            let events = definition.events.into_iter().map(|event| (event.name, event.version)).collect();
            defined.events.insert(definition.saga, events);
        }
        let defined = Arc::new(defined);
        *known() = Some((now, Arc::clone(&defined)));
        Ok(defined)
    }
}
