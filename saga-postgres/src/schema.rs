//! The versions of the tables, and the migrations.

use saga_core::store::{ShardId, StoreError};
use tokio_postgres::{Client, Error, GenericClient};

use crate::connection::Server;
use crate::error::{of_opening, refuse};
use crate::options::Durability;
use crate::shard::{create_sequence, number};

/// The migrations in order. The last number is the version of this build. Released migrations are never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_rewound.sql"),
    include_str!("../migrations/0003_counts.sql"),
    include_str!("../migrations/0004_shards.sql"),
];

/// The version that this build reads and writes.
pub(crate) const fn latest() -> usize {
    MIGRATIONS.len()
}

/// The key of the lock of all migrations: the text `saga`.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1935763297)";
const HAS_META: &str = "SELECT to_regclass('saga_meta') IS NOT NULL";
const VERSION: &str = "SELECT version FROM saga_meta WHERE id = 1";

/// Creates the schema with this number of shards, and brings its tables to the version of this build, in one transaction.
pub(crate) async fn migrate(
    server: &Server,
    client: &mut Client,
    shards: Option<u16>,
) -> Result<(), StoreError> {
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
    if let (0, Some(shards)) = (found, shards) {
        divide(&tx, shards).await.map_err(of)?;
    }
    let version = i32::try_from(latest()).unwrap_or(i32::MAX);
    tx.execute("UPDATE saga_meta SET version = $1 WHERE id = 1", &[&version]).await.map_err(of)?;
    tx.commit().await.map_err(of)
}

/// Divides a new store into shards.
async fn divide(client: &impl GenericClient, shards: u16) -> Result<(), Error> {
    let count = i16::try_from(shards).unwrap_or(i16::MAX);
    client.execute("UPDATE saga_meta SET shards = $1 WHERE id = 1", &[&count]).await?;
    for shard in ShardId::all(shards).skip(1) {
        const ADD: &str = "INSERT INTO saga_shard (id, unclean, epoch, number) VALUES ($1, 0, 0, 0)";
        client.execute(ADD, &[&number(shard)]).await?;
        client.batch_execute(&create_sequence(shard)).await?;
    }
    Ok(())
}

/// Returns the number of shards. The number is fixed when the schema is created.
pub(crate) async fn shards(server: &Server, client: &Client, wanted: Option<u16>) -> Result<u16, StoreError> {
    let row = client.query_one("SELECT shards FROM saga_meta WHERE id = 1", &[]).await;
    let found: i16 = row.and_then(|row| row.try_get(0)).map_err(|error| of_opening(&server.name, error))?;
    let found = u16::try_from(found).unwrap_or(1);
    match wanted {
        Some(wanted) if wanted != found => Err(refuse(
            &server.name,
            format!(
                "the schema has {found} shards, and the options ask for {wanted}; the number is fixed when a schema is created; leave the option out, or choose a new schema"
            ),
        )),
        _ => Ok(found),
    }
}

/// Refuses a session without the settings that this process has asked for.
///
/// A pooler in transaction mode drops them, or gives them to the sessions of others. The settings of a role can change while
/// the store is open.
pub(crate) async fn check_session(server: &Server, client: &Client) -> Result<(), StoreError> {
    const SETTINGS: &str = "SELECT current_setting('search_path'), current_setting('enable_seqscan'),
        current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), current_setting('fsync')";
    let of = |error| of_opening(&server.name, error);
    let row = client.query_one(SETTINGS, &[]).await.map_err(of)?;
    let setting = |at: usize| row.try_get::<_, &str>(at).map_err(of);
    if setting(0)? != server.schema || setting(1)? != "off" {
        return Err(refuse(
            &server.name,
            "the session does not have the settings of its connection, as behind a pooler in transaction mode; connect to the server directly",
        ));
    }
    let forgets = match (setting(2)?, setting(3)?) {
        ("off", _) => true,
        ("local", replicas) => !replicas.is_empty(),
        _ => false,
    };
    if server.durability == Durability::Durable && forgets {
        return Err(refuse(
            &server.name,
            format!(
                "`synchronous_commit` is {} for this role, so a crash or a fail-over of the server loses answered commits; turn it on, or choose `Durability::Relaxed`",
                setting(2)?
            ),
        ));
    }
    if setting(4)? == "off" {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::Schema;

    #[test]
    fn a_session_without_its_settings_is_refused() {
        let Some(schema) = Schema::new() else { return };
        let server = Server::new(&schema.config, &schema.options()).expect("a server");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let own = server.connect(crate::connection::Role::Commit, None).await.expect("a connection");
            check_session(&server, &own).await.expect("the settings are there");
            // As behind a pooler: the schema is set for the role, and nothing else is.
            let refused = check_session(&server, &schema.client().await).await.expect_err("no settings");
            assert!(refused.to_string().contains("pooler"), "{refused}");
            own.batch_execute("SET synchronous_commit = off").await.expect("a setting");
            let refused = check_session(&server, &own).await.expect_err("not durable");
            assert!(refused.to_string().contains("synchronous_commit"), "{refused}");
        });
    }
}
