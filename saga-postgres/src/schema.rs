//! The versions of the tables, and the migrations.

use saga_core::store::StoreError;
use tokio_postgres::{Client, Error, GenericClient};

use crate::connection::Server;
use crate::error::{of_opening, refuse};
use crate::options::Durability;

/// The migrations in order. The last number is the version of this build. Released migrations are never edited.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_initial.sql")];

/// The version that this build reads and writes.
pub(crate) const fn latest() -> usize {
    MIGRATIONS.len()
}

/// The key of the lock of all migrations: the text `saga`.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1935763297)";
const HAS_META: &str = "SELECT to_regclass('saga_meta') IS NOT NULL";
const VERSION: &str = "SELECT version FROM saga_meta WHERE id = 1";

/// Creates the schema, and brings its tables to the version of this build, in one transaction.
pub(crate) async fn migrate(server: &Server, client: &mut Client) -> Result<(), StoreError> {
    let of = |error| of_opening(&server.name, error);
    if check_newer(server, version(client).await.map_err(of)?)? == latest() {
        return Ok(());
    }
    let tx = client.transaction().await.map_err(of)?;
    tx.batch_execute(LOCK).await.map_err(of)?;
    // The caller of a table must not wait long behind a migration that waits for another caller.
    tx.batch_execute("SET LOCAL lock_timeout = '2s'").await.map_err(of)?;
    // A role that may not create schemas can own this one.
    let has_schema = tx.query_one("SELECT to_regnamespace($1::text) IS NOT NULL", &[&server.schema]).await;
    if !has_schema.and_then(|row| row.try_get::<_, bool>(0)).map_err(of)? {
        tx.batch_execute(&format!("CREATE SCHEMA {}", server.schema)).await.map_err(of)?;
    }
    // Another process may have migrated the tables in the meantime.
    let found = check_newer(server, version(&tx).await.map_err(of)?)?;
    for migration in MIGRATIONS.iter().skip(found) {
        tx.batch_execute(migration).await.map_err(of)?;
    }
    let version = i32::try_from(latest()).unwrap_or(i32::MAX);
    tx.execute("UPDATE saga_meta SET version = $1 WHERE id = 1", &[&version]).await.map_err(of)?;
    tx.commit().await.map_err(of)
}

/// Refuses a server that forgets answered commits without having been told to.
pub(crate) async fn check_durability(
    server: &Server,
    client: &Client,
    durability: Durability,
) -> Result<(), StoreError> {
    let show = async |setting: &str| -> Result<String, Error> {
        client.query_one(&format!("SHOW {setting}"), &[]).await?.try_get(0)
    };
    let of = |error| of_opening(&server.name, error);
    if durability == Durability::Durable && show("synchronous_commit").await.map_err(of)? == "off" {
        return Err(refuse(
            &server.name,
            "`synchronous_commit` is off for this role, so a crash of the server loses answered commits; turn it on, or choose `Durability::Relaxed`",
        ));
    }
    if show("fsync").await.map_err(of)? == "off" {
        tracing::warn!(store = server.name, "`fsync` is off: a crash of the machine damages the database");
    }
    Ok(())
}

/// Refuses tables of another version.
pub(crate) async fn check(server: &Server, client: &Client) -> Result<(), StoreError> {
    let found = version(client).await.map_err(|error| of_opening(&server.name, error))?;
    let known = latest();
    match check_newer(server, found)? {
        0 => Err(refuse(
            &server.name,
            "the schema has no tables of a store; run `PostgresStore::migrate` once".to_owned(),
        )),
        found if found < known => Err(refuse(
            &server.name,
            format!(
                "the tables have version {found}, and this build needs version {known}; run `PostgresStore::migrate` once"
            ),
        )),
        _ => Ok(()),
    }
}

fn check_newer(server: &Server, found: usize) -> Result<usize, StoreError> {
    let known = latest();
    if found <= known {
        return Ok(found);
    }
    Err(refuse(
        &server.name,
        format!(
            "the tables were written by a newer version (version {found}; this build knows version {known}); update this application"
        ),
    ))
}

/// Returns the version of the tables. The version is 0 without tables.
async fn version(client: &impl GenericClient) -> Result<usize, Error> {
    if !client.query_one(HAS_META, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let found: i32 = client.query_one(VERSION, &[]).await?.try_get(0)?;
    Ok(usize::try_from(found).unwrap_or(usize::MAX))
}
