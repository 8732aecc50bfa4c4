//! The options of a store.

use std::time::Duration;

use saga_core::store::{ShardId, StoreError};

use crate::PostgresStore;

/// The durability of an answered commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// An answered commit survives a crash of the server, and a fail-over to a synchronous replica.
    #[default]
    Durable,
    /// The server answers before its log is on disk (`synchronous_commit = off`). A crash of the server may lose the latest
    /// commits. The dispatcher then ends, because its memory is ahead of the database. All processes on a store must have the
    /// same durability: a dispatcher with [`Durable`](Self::Durable) does not notice the loss of an event that another process
    /// has published as `Relaxed`.
    Relaxed,
}

/// The options for opening a [`PostgresStore`]. See [`PostgresStore::options`].
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    pub(crate) schema: String,
    pub(crate) durability: Durability,
    pub(crate) migrate: bool,
    pub(crate) ttl: Duration,
    pub(crate) readers: usize,
    pub(crate) shards: Option<u16>,
    pub(crate) connect_timeout: Duration,
    #[cfg(feature = "rustls")]
    pub(crate) roots: Option<Vec<u8>>,
}

/// The shortest time after which a silent owner is replaced.
pub(crate) const LEAST_TTL: Duration = Duration::from_secs(1);

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "saga".to_owned(),
            durability: Durability::Durable,
            migrate: true,
            ttl: Duration::from_secs(10),
            readers: 4,
            shards: None,
            connect_timeout: Duration::from_secs(5),
            #[cfg(feature = "rustls")]
            roots: None,
        }
    }
}

impl PostgresOptions {
    /// Sets the schema with the tables of the store. The default is `saga`. One schema is one store: it belongs to one
    /// application. The name begins with a lower-case letter, and has at most 40 lower-case letters, digits and `_`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the durability of an answered commit. The default is [`Durability::Durable`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets whether opening creates the schema and brings its tables to the version of this build. The default is `true`.
    /// With `false`, the role of the application needs no right to create tables. Run [`PostgresStore::migrate`] with another
    /// role then.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Sets how long the owner may be silent. The default is 10 seconds, and the minimum is 1 second.
    ///
    /// An owner shows five times in this time that it lives. A process that stands by and sees no sign of life for this time
    /// ends the lease of the owner and takes over. It measures with its own clock. The clocks of the machines need not agree.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the number of connections that read. The default is 4. The store has two connections more.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Sets the number of shards of a new schema. The default is 1. The maximum is [`ShardId::MAX`].
    ///
    /// Each shard has a lease of its own, so several processes share the work
    /// ([`join`](saga_core::dispatcher::DispatcherBuilder::join)). A good number is about four for each process that you
    /// expect at most, because the work moves from process to process in whole shards. Each shard that a process owns needs two
    /// connections.
    ///
    /// The number is fixed when the schema is created. Later, an option with another number is an error, and without the option
    /// the schema keeps its number.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = Some(shards.clamp(1, ShardId::MAX));
        self
    }

    /// Sets the time limit for opening one connection. The default is 5 seconds. A limit in the configuration of the
    /// connection counts instead.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the certificates that sign the certificate of the server, as PEM. The default is the certificates that the
    /// machine trusts. Providers of managed databases publish such a file.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Opens the store. See [`PostgresStore::connect`].
    ///
    /// # Errors
    /// [`StoreError::Open`] if an option or the configuration is wrong, if the server refuses the role, or if the tables
    /// are of another version. [`StoreError::Unavailable`] if the server does not answer.
    pub async fn connect(self, config: &str) -> Result<PostgresStore, StoreError> {
        PostgresStore::start(config, self).await
    }
}

/// Returns what is wrong with the name of a schema.
pub(crate) fn bad_schema(schema: &str) -> Option<String> {
    let good = schema.len() <= 40
        && schema.starts_with(|c: char| c.is_ascii_lowercase())
        && schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    (!good).then(|| {
        format!(
            "`{schema}` cannot be the schema of a store; use at most 40 lower-case letters, digits and `_`, beginning with a letter"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_needs_no_quotes() {
        for good in ["saga", "s", "shop_2"] {
            assert_eq!(bad_schema(good), None);
        }
        for bad in ["", "Saga", "2a", "a-b", "a;drop", "é", &"a".repeat(41)] {
            assert!(bad_schema(bad).is_some_and(|why| why.contains(bad)), "{bad}");
        }
    }
}
