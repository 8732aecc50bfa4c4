//! The store of a verb: a file, or a schema in PostgreSQL.
//!
//! Owns: the opening of the store, and the hand-over of decisions. Does not own: the reads, which are those of `Inspect`.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use saga_core::store::{InboxId, Inspect, Mail, Store, StoreError};
#[cfg(feature = "postgres")]
use saga_postgres::{PostgresOptions, PostgresStore};
use saga_sqlite::{SqliteReader, SqliteStore};

use crate::args::Arguments;

/// The place of a store, as the arguments name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    /// The configuration of the connection, and the schema.
    #[cfg(feature = "postgres")]
    Postgres(String, String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            // The configuration may have a password.
            #[cfg(feature = "postgres")]
            Self::Postgres(_, schema) => write!(f, "schema `{schema}` of PostgreSQL"),
        }
    }
}

impl Place {
    pub(crate) fn of(arguments: &Arguments) -> Result<Self> {
        #[cfg(feature = "postgres")]
        match (&arguments.db, &arguments.postgres) {
            (Some(_), Some(_)) => bail!(
                "name one store: --db (or SAGA_DB) is a file, and --postgres (or SAGA_POSTGRES) is a database"
            ),
            (None, Some(config)) => return Ok(Self::Postgres(config.clone(), arguments.schema.clone())),
            (_, None) => {}
        }
        let path = arguments.db.clone().context(NO_STORE)?;
        Ok(Self::File(path))
    }

    /// Returns the path of a file.
    pub(crate) fn file(self) -> Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path),
            #[cfg(feature = "postgres")]
            Self::Postgres(..) => bail!("this verb needs a file; name it with --db"),
        }
    }

    /// Returns whether both are the same store, as far as their names say.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => {
                let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
                real(one) == real(other)
            }
            #[cfg(feature = "postgres")]
            (Self::Postgres(..), Self::Postgres(..)) => self == other,
            #[cfg(feature = "postgres")]
            _ => false,
        }
    }

    /// Opens the store for writing. `create`: a new store is created.
    pub(crate) async fn writable(&self, create: bool) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::File(path) => Box::new(SqliteStore::options().create(create).open(path)?),
            #[cfg(feature = "postgres")]
            Self::Postgres(config, schema) => {
                Box::new(options(schema).migrate(create).connect(config).await?)
            }
        })
    }

    /// Brings the tables to the version of this program.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::File(path) => SqliteStore::options().create(false).open(path).map(drop),
            #[cfg(feature = "postgres")]
            Self::Postgres(config, schema) => PostgresStore::migrate(config, options(schema)).await,
        }
    }
}

#[cfg(feature = "postgres")]
const NO_STORE: &str = "name the store with --db FILE or --postgres CONFIG, or set SAGA_DB or SAGA_POSTGRES";
#[cfg(not(feature = "postgres"))]
const NO_STORE: &str = "name the store with --db FILE, or set SAGA_DB";

/// The store of a verb, open for reading.
#[derive(Clone)]
pub(crate) enum Source {
    File(SqliteReader),
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
}

impl Source {
    pub(crate) async fn open(place: &Place) -> Result<Self, StoreError> {
        Ok(match place {
            Place::File(path) => Self::File(SqliteReader::open(path)?),
            #[cfg(feature = "postgres")]
            Place::Postgres(config, schema) => {
                Self::Postgres(options(schema).migrate(false).connect(config).await?)
            }
        })
    }

    /// Puts decisions into the inbox, for the dispatcher of the store. A file is opened for writing only now.
    pub(crate) async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError> {
        match self {
            Self::File(reader) => {
                SqliteStore::options().create(false).open(reader.path())?.deliver(mail).await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.deliver(mail).await,
        }
    }

    /// Returns the name of the store for people: the path, or the server with the database and the schema.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(reader) => reader.path().display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.name().to_owned(),
        }
    }

    /// Returns the version of the tables, which is the one of this program.
    pub(crate) fn schema(&self) -> usize {
        match self {
            Self::File(_) => SqliteStore::SCHEMA,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => PostgresStore::SCHEMA,
        }
    }

    pub(crate) fn inspect(&self) -> Arc<dyn Inspect> {
        match self {
            Self::File(reader) => Arc::new(reader.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Returns the reader of a file.
    pub(crate) fn file(&self) -> Option<&SqliteReader> {
        match self {
            Self::File(reader) => Some(reader),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }
}

impl Deref for Source {
    type Target = dyn Inspect;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::File(reader) => reader,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store,
        }
    }
}

#[cfg(feature = "postgres")]
fn options(schema: &str) -> PostgresOptions {
    PostgresStore::options().schema(schema)
}
