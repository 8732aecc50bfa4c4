//! The dashboard on a store.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use saga_core::store::{Mail, StoreError};
use saga_dashboard::{Inbox, Options, Source, Token};
use tokio::net::TcpListener;

use crate::Ended;
use crate::args::Ui;
use crate::output::{plain, tell};
use crate::source::Source as Store;

/// Hands decisions of the pages to the dispatcher.
pub(crate) struct Decisions(pub(crate) Store);

#[async_trait]
impl Inbox for Decisions {
    async fn deliver(&self, mail: Vec<Mail>) -> Result<(), StoreError> {
        self.0.deliver(mail).await.map(drop)
    }
}

/// Serves until the process is interrupted.
pub(crate) async fn ui(ui: &Ui, reveal: bool, store: &Store) -> Result<Ended> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ui.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be opened; choose another one with --port"))?;
    let address = listener.local_addr()?;
    let name = match store.file() {
        Some(file) => file.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
        None => store.name(),
    };
    let token = Token::random();
    let mut options = Options::new(token.clone()).name(name);
    if reveal {
        options = options.reveal();
    }
    let link = format!("http://{address}/log-in?code={}", options.invite());
    let source = source(store, ui.read_only);
    tell(&format!("The dashboard of {} is open once under", plain(&store.name())));
    tell(&format!("  {link}"));
    tell(&format!("and at http://{address} with the token {}", token.reveal()));
    serve(listener, source, options, ui.seconds).await?;
    Ok(Ended::Well)
}

/// The store as the pages see it.
fn source(store: &Store, read_only: bool) -> Source {
    match (store, read_only) {
        (Store::File(reader), true) => Source::store(reader.clone()),
        (Store::File(reader), false) => Source::store_with_inbox(reader.clone(), Decisions(store.clone())),
        #[cfg(feature = "postgres")]
        (Store::Postgres(database), true) => Source::store(database.clone()),
        #[cfg(feature = "postgres")]
        (Store::Postgres(database), false) => {
            Source::store_with_inbox(database.clone(), Decisions(store.clone()))
        }
    }
}

/// Serves until the process is interrupted, or for this number of seconds.
pub(crate) async fn serve(
    listener: TcpListener,
    source: Source,
    options: Options,
    seconds: Option<u64>,
) -> Result<()> {
    let ended = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = async { axum::serve(listener, saga_dashboard::router(source, options)).await } => served?,
        () = ended => {}
    }
    Ok(())
}
