//! Connections: their settings, and their end.
//!
//! Owns: the configuration of the server and of each session. Does not own: statements.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use saga_core::message::chain;
use saga_core::store::StoreError;
use tokio::sync::Notify;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};

use crate::error::{of_opening, of_store, refuse, unavailable};
use crate::options::{Durability, PostgresOptions, bad_schema};
use crate::tls::{self, Tls};

/// The settings of each session. Without them, a plan for tables that the server does not know yet can be a scan of a table
/// that has grown since. The limits end the statements of a call that has ended.
const SETTINGS: &str = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off \
                        -c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=5s \
                        -c default_transaction_isolation=read\\ committed";

/// The server, and the settings of its sessions.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    tls: Tls,
    connect_timeout: Duration,
    pub(crate) durability: Durability,
    /// The name of the store, for errors. It has no password.
    pub(crate) name: String,
    pub(crate) schema: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A connection with its client.
type Opened = (Client, Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>);

/// The purpose of a connection. Administrators see it in `pg_stat_activity`, behind the name of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Commit,
    /// The sign of life of the lease holder.
    Beat,
    Read,
    Migrate,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Beat => "beat",
            Self::Read => "read",
            Self::Migrate => "migrate",
        }
    }
}

impl Server {
    pub(crate) fn new(config: &str, options: &PostgresOptions) -> Result<Self, StoreError> {
        // The error of the parser names the parameter, and never its value.
        let mut config =
            Config::from_str(config).map_err(|error| refuse("PostgreSQL", chain(&error).to_string()))?;
        let name = name(&config, &options.schema);
        if let Some(why) = bad_schema(&options.schema) {
            return Err(refuse(&name, why));
        }
        tls::set_mode(&name, &mut config)?;
        let tls = tls::new(&name, &config, options)?;
        let commit = match options.durability {
            Durability::Durable => "",
            Durability::Relaxed => " -c synchronous_commit=off",
        };
        let settings = format!(
            "{} -c search_path={} {SETTINGS}{commit}",
            config.get_options().unwrap_or_default(),
            options.schema
        );
        config.options(settings.trim_start());
        if config.get_application_name().is_none() {
            config.application_name("saga");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.connect_timeout);
        }
        config
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            // The first of several hosts may be down and give no answer.
            .load_balance_hosts(LoadBalanceHosts::Random)
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        let connect_timeout = config.get_connect_timeout().copied().unwrap_or(options.connect_timeout);
        // The limit of the client is for each address, and this one is for all of them.
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX).max(1);
        let connect_timeout = connect_timeout.saturating_mul(hosts);
        let (durability, schema) = (options.durability, options.schema.clone());
        Ok(Self { config, tls, connect_timeout, durability, name, schema })
    }

    /// Returns the configuration of a connection for this purpose.
    pub(crate) fn config(&self, role: Role) -> Config {
        let mut config = self.config.clone();
        let application = config.get_application_name().unwrap_or("saga").to_owned();
        config.application_name(format!("{application} {}", role.as_str()));
        config
    }

    /// Returns the way of a connection over the network.
    #[allow(clippy::clone_on_copy, reason = "without TLS it has no content")]
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    async fn open(&self, role: Role) -> Result<Opened, Error> {
        self.config(role).connect(self.tls()).await
    }

    /// Returns the time limit for opening a connection to any of the hosts.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Opens a connection. `notified` is told about each notification of the server.
    pub(crate) async fn connect(
        &self,
        role: Role,
        notified: Option<Arc<Notify>>,
    ) -> Result<Client, StoreError> {
        let opened = self.open(role);
        // The limit of the client is for the socket alone.
        let (client, mut connection) = match tokio::time::timeout(self.connect_timeout, opened).await {
            Ok(opened) => opened.map_err(|error| match role {
                Role::Migrate => of_opening(&self.name, error),
                _ => of_store(&self.name, error),
            })?,
            Err(_) => return Err(unavailable(&self.name, "the server does not answer to a new connection")),
        };
        let store = self.name.clone();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(message) = messages.next().await {
                match message {
                    Ok(AsyncMessage::Notification(_)) => {
                        if let Some(notified) = &notified {
                            notified.notify_one();
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(store, error = %chain(&error), "a connection has ended");
                        // The drop of the connection ends the calls that wait for an answer.
                        break;
                    }
                }
            }
        });
        Ok(client)
    }
}

/// Returns the name of the store for errors, without the password.
fn name(config: &Config, schema: &str) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "no host".to_owned(),
    };
    let port = config.get_ports().first().map_or(String::new(), |port| format!(":{port}"));
    let database = config.get_dbname().or(config.get_user()).unwrap_or("no database");
    format!("PostgreSQL {host}{port}/{database}, schema {schema}")
}
