//! A shop that runs, fails and recovers, with the dashboard open and a button that kills its process.
//!
//! Owns: the two processes. The parent serves the dashboard on the file, and starts the shop again when it ends. The child
//! runs the dispatcher. Does not own: the saga and its world (`shop`).

mod shop;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use saga_dashboard::{Options, Source, Token};
use saga_sqlite::{SqliteReader, SqliteStore};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::Ended;
use crate::args::Demo;
use crate::output::tell;
use crate::source::Source as Store;
use crate::ui::{Decisions, serve};

/// The time between the end of the process and its next start, so that the pages show that nothing moves.
const PAUSE: Duration = Duration::from_secs(4);

pub(crate) async fn demo(demo: &Demo) -> Result<Ended> {
    if let Some(file) = &demo.worker {
        // The end of the standard input is the end of the parent. A thread of its own does not hold back the end of a shop
        // that fails.
        let (alive, parent) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _alive = alive;
            std::io::stdin().read_to_end(&mut Vec::new())
        });
        tokio::select! {
            ran = shop::run(file) => ran?,
            _ = parent => {}
        }
        return Ok(Ended::Well);
    }
    let folder = Folder::new()?;
    let path = folder.0.join("shop.db");
    // The pages can read the file before the shop has written to it.
    drop(SqliteStore::open(&path)?);
    let reader = SqliteReader::open(&path)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, demo.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be opened; choose another one with --port"))?;
    let address = listener.local_addr()?;

    let shop = Shop::default();
    let killer = shop.clone();
    let token = Token::random();
    let mut options = Options::new(token.clone()).name("shop.db").button(
        "Kill the shop",
        "Ends the process of the shop at once, in the middle of its orders. It starts again after a few seconds and goes on.",
        move || killer.kill(),
    );
    let link = format!("http://{address}/log-in?code={}", options.invite());
    tell("A shop takes an order every second. Its bank and its carrier fail now and then.");
    tell(&format!("Open {link}"));
    tell(&format!("The link works once. Later, log in with the token {}", token.reveal()));
    tell("Press \"Kill the shop\" there, and look how the orders go on. Ctrl-C ends the demo.");
    let source = Source::store_with_inbox(reader.clone(), Decisions(Store::File(reader)));
    tokio::select! {
        served = serve(listener, source, options, demo.seconds) => served?,
        ran = shop.keep_running(&path) => ran?,
        // So that the folder is removed.
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(Ended::Well)
}

/// The process of the shop.
#[derive(Clone, Default)]
struct Shop {
    child: Arc<Mutex<Option<Child>>>,
    killed: Arc<Notify>,
}

impl Shop {
    fn kill(&self) {
        if let Some(child) = &mut *self.child.lock().unwrap_or_else(PoisonError::into_inner) {
            // A process that has ended already is what was asked for.
            let _ = child.kill();
            self.killed.notify_one();
        }
    }

    /// Starts the process, and starts it again after its end.
    async fn keep_running(&self, file: &Path) -> Result<()> {
        loop {
            let child = Command::new(std::env::current_exe()?)
                .arg("demo")
                .arg("--worker")
                .arg(file)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .context("the process of the shop cannot be started")?;
            let number = child.id();
            *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
            let status = loop {
                let ended = {
                    let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
                    child.as_mut().map(Child::try_wait).transpose()?.flatten()
                };
                if let Some(status) = ended {
                    break status;
                }
                tokio::select! {
                    () = self.killed.notified() => {}
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            };
            tell(&format!(
                "The shop (process {number}) has ended: {status}. It starts again in {} seconds.",
                PAUSE.as_secs()
            ));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // The last handle belongs to the demo itself.
        if Arc::strong_count(&self.child) == 1 {
            self.kill();
        }
    }
}

/// A folder that is removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("saga-demo-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A file that stays behind in the folder for temporary files does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
