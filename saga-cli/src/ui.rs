//! The dashboard on the file of a store.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use saga_core::store::{Mail, Store, StoreError};
use saga_dashboard::{Inbox, Options, Source, Token};
use saga_sqlite::{SqliteReader, SqliteStore};
use tokio::net::TcpListener;

use crate::Ended;
use crate::args::Ui;
use crate::output::{plain, tell};

/// Opens the file for writing only when there is a decision.
pub(crate) struct File(pub(crate) SqliteReader);

#[async_trait]
impl Inbox for File {
    async fn deliver(&self, mail: Vec<Mail>) -> Result<(), StoreError> {
        let store = SqliteStore::options().create(false).open(self.0.path())?;
        store.deliver(mail).await.map(drop)
    }
}

/// Serves until the process is interrupted.
pub(crate) async fn ui(ui: &Ui, reveal: bool, store: &SqliteReader) -> Result<Ended> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ui.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be opened; choose another one with --port"))?;
    let address = listener.local_addr()?;
    let file = store.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let token = Token::random();
    let mut options = Options::new(token.clone()).name(file);
    if reveal {
        options = options.reveal();
    }
    let link = format!("http://{address}/log-in?code={}", options.invite());
    let source = if ui.read_only {
        Source::store(store.clone())
    } else {
        Source::store_with_inbox(store.clone(), File(store.clone()))
    };
    tell(&format!("The dashboard of {} is open once under", plain(&store.path().display().to_string())));
    tell(&format!("  {link}"));
    tell(&format!("and at http://{address} with the token {}", token.reveal()));
    serve(listener, source, options, ui.seconds).await?;
    Ok(Ended::Well)
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
