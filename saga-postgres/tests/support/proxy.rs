//! A proxy between a store and the server, which loses messages on purpose.
//!
//! Owns: the socket that the store connects to, and what is lost. Each loss is counted, so that a test can show that its fault
//! happened.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What happens to a message with the marked text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Everything passes.
    None,
    /// The connection is cut before the message reaches the server.
    LoseRequest,
    /// The server gets the message. The connection is cut before its answer reaches the store.
    LoseAnswer,
}

struct Shared {
    server: Mutex<PathBuf>,
    /// The fault, and how many messages pass before it.
    fault: Mutex<(Fault, usize)>,
    fired: AtomicUsize,
    /// Whether messages of the store are held back.
    stalled: watch::Sender<bool>,
}

/// The proxy. The drop ends it.
pub(crate) struct Proxy {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A statement of a commit has parameters, so this message is sent for each of them: `Bind`.
const BIND: u8 = b'B';
/// The name of the connection that commits.
const COMMITS: &[u8] = b"saga commit\0";

impl Proxy {
    /// Starts a proxy to the server of `config`.
    pub(crate) fn start(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("saga-px-").tempdir().expect("a directory");
        let shared = Arc::new(Shared {
            server: Mutex::new(socket(config)),
            fault: Mutex::new((Fault::None, 0)),
            fired: AtomicUsize::new(0),
            stalled: watch::Sender::new(false),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (of, path) = (Arc::clone(&shared), dir.path().join(".s.PGSQL.5432"));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = UnixListener::bind(path).expect("a socket");
                ready.send(()).expect("the test waits");
                tokio::spawn(async move {
                    while let Ok((client, _)) = listener.accept().await {
                        tokio::spawn(serve(client, Arc::clone(&of)));
                    }
                });
                let _ = stopped.await;
            });
        });
        is_ready.recv().expect("the proxy listens");
        Self { dir, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The connection string of the proxy.
    pub(crate) fn config(&self) -> String {
        format!("host={} user=saga dbname=postgres", self.dir.path().display())
    }

    /// Leads new connections to the server of `config`.
    pub(crate) fn lead_to(&self, config: &str) {
        *self.shared.server.lock() = socket(config);
    }

    /// Sets the fault of the statement with parameters after `passing` others.
    pub(crate) fn fault(&self, fault: Fault, passing: usize) {
        *self.shared.fault.lock() = (fault, passing);
    }

    /// How many messages were lost.
    pub(crate) fn fired(&self) -> usize {
        self.shared.fired.load(Ordering::SeqCst)
    }

    /// Holds back all messages of the store, or lets them go on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn socket(config: &str) -> PathBuf {
    let host = config.split(' ').find_map(|part| part.strip_prefix("host=")).expect("a socket");
    PathBuf::from(host).join(".s.PGSQL.5432")
}

async fn serve(client: UnixStream, shared: Arc<Shared>) {
    let path = shared.server.lock().clone();
    let Ok(server) = UnixStream::connect(&path).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (cut, is_cut) = watch::channel(false);
    tokio::join!(requests(from_client, to_server, &shared, cut), answers(from_server, to_client, is_cut));
}

/// Passes the messages of the store, one by one.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    cut: watch::Sender<bool>,
) {
    let (mut buffer, mut started, mut commits) = (Vec::new(), false, false);
    let mut stalled = shared.stalled.subscribe();
    loop {
        let mut read = [0; 16 * 1024];
        let Ok(count @ 1..) = from.read(&mut read).await else { break };
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            break;
        }
        buffer.extend_from_slice(&read[..count]);
        while let Some(length) = message(&buffer, started) {
            let rest = buffer.split_off(length);
            let message = std::mem::replace(&mut buffer, rest);
            // The first message says the purpose of the connection.
            commits |= !started && message.windows(COMMITS.len()).any(|part| part == COMMITS);
            let fault =
                if started && commits && message[0] == BIND { next_fault(shared) } else { Fault::None };
            started = true;
            match fault {
                Fault::LoseRequest => {
                    cut.send_replace(true);
                    return;
                }
                // The answer of this message and of all later ones is lost.
                Fault::LoseAnswer => {
                    cut.send_replace(true);
                }
                Fault::None => {}
            }
            if to.write_all(&message).await.is_err() {
                return;
            }
        }
    }
}

fn next_fault(shared: &Shared) -> Fault {
    let mut fault = shared.fault.lock();
    match *fault {
        (Fault::None, _) => Fault::None,
        (_, passing @ 1..) => {
            fault.1 = passing - 1;
            Fault::None
        }
        (now, 0) => {
            *fault = (Fault::None, 0);
            shared.fired.fetch_add(1, Ordering::SeqCst);
            now
        }
    }
}

/// The length of the first message, if it is whole. The first message of a connection has no kind.
fn message(buffer: &[u8], started: bool) -> Option<usize> {
    let at = usize::from(started);
    let length = u32::from_be_bytes(buffer.get(at..at + 4)?.try_into().ok()?) as usize + at;
    (buffer.len() >= length).then_some(length)
}

/// Passes the answers of the server until they are cut. A cut connection ends when the server has answered.
async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: watch::Receiver<bool>) {
    let mut read = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut read).await {
        if *is_cut.borrow() || to.write_all(&read[..count]).await.is_err() {
            return;
        }
    }
}
