//! A unit: one engine with the lease of one shard, on a thread of its own.
//!
//! Owns: the parts of a dispatcher that its units share, and the start of a unit. Does not own: the lease (`starting`), or
//! which process has which shard (`sharing`).

use crate::message::Map;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;

use super::Shared;
use super::attempt_channel::Services;
use super::attempts::Attempts;
use super::attention::{Callback, Notices};
use super::clock::Clock;
use super::error::StartError;
use super::event_loop::{EventLoop, Sources};
use super::handler::AnyHandler;
use super::mailbox::Mailbox;
use super::meter::Meter;
use super::starting::{Leased, watched};
use super::tempo::Tempo;
use crate::engine::{Limits, Registry, Shard};
use crate::message::panic_text;
use crate::store::{Lease, Pause, Store};

/// The source of random bits.
pub(super) type Random = Arc<Mutex<Box<dyn FnMut() -> u128 + Send>>>;

/// Everything that all units of a dispatcher share.
pub(super) struct Parts {
    pub(super) registry: Arc<Registry>,
    pub(super) handlers: Vec<Arc<dyn AnyHandler>>,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) window: Duration,
    pub(super) callback: Option<Callback>,
    pub(super) random: Random,
    /// The runtime of the handlers.
    pub(super) runtime: Handle,
}

impl Parts {
    /// Starts a unit under `lease`. `told` is where the application hears about its end.
    pub(super) fn start(
        &self,
        store: &Arc<dyn Store>,
        (lease, leased): (Lease, Leased),
        pauses: Vec<Pause>,
        shared: &Arc<Shared>,
        told: &Arc<Shared>,
    ) -> Result<Mailbox, StartError> {
        let (mailbox, requests) = Mailbox::new();
        let (ended_sender, ended) = unbounded_channel();
        let (runtime, runtime_gone) = watched(self.runtime.clone());
        let handlers_runtime = runtime.clone();
        let random = Arc::clone(&self.random);
        let random = move || (random.lock().unwrap_or_else(PoisonError::into_inner))();
        // From here on the clock of a test waits for the dispatcher.
        let (tempo, began) = (Tempo::new(Arc::clone(&self.clock)), self.clock.now());
        let event_loop = EventLoop {
            shard: Shard::new(
                Arc::clone(&self.registry),
                self.limits.share(store.shards()),
                lease.clone(),
                Box::new(random),
            )
            .with_pauses(pauses.into_iter().map(|pause| pause.of))
            .with_attention(self.callback.is_some()),
            store: Arc::clone(store),
            registry: Arc::clone(&self.registry),
            lease,
            clock: Arc::clone(&self.clock),
            requests,
            attempts: Attempts::new(
                self.handlers.clone(),
                runtime,
                ended_sender,
                Services {
                    mailbox: mailbox.downgrade(),
                    limits: self.limits.payload,
                    registry: Arc::clone(&self.registry),
                    clock: Arc::clone(&self.clock),
                    store: Arc::downgrade(store),
                },
            ),
            meter: Meter::new(&self.registry),
            notices: Notices::new(self.callback.clone(), told.health.subscribe(), &handlers_runtime),
            ended,
            runtime_gone,
            shared: Arc::clone(shared),
            window: self.window,
            page: self.limits.page,
            tickets: Map::default(),
            last_ticket: 0,
            ending: None,
            closing: None,
            held_back: Vec::new(),
            sources: Sources::new(tempo, store, began),
        };
        std::thread::Builder::new()
            .name("saga-dispatcher".to_owned())
            .spawn(move || run(event_loop))
            .map_err(StartError::Thread)?;
        leased.hand_over();
        Ok(mailbox)
    }
}

fn run(event_loop: EventLoop) {
    let own = tokio::runtime::Builder::new_current_thread().enable_time().build();
    match own {
        Ok(own) => {
            let fallen = event_loop.fallen();
            let run = AssertUnwindSafe(|| own.block_on(event_loop.run()));
            match catch_unwind(run) {
                Ok(finale) => {
                    // With its tasks, which hold the store, as this does.
                    drop((own, fallen));
                    finale.play();
                }
                Err(panic) => fallen(panic_text(&*panic)),
            }
        }
        Err(error) => {
            event_loop.never_began(&format!(
                "the thread of the dispatcher could not build its tokio runtime: {error}"
            ));
        }
    }
}
