//! The renaming of sagas: all rows of a saga get its present name, in one transaction.

use saga_core::message::InstanceName;
use saga_core::store::{NameOf, RetiredName};
use tokio_postgres::{Error, Transaction};

/// Why nothing was renamed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Two sagas have an instance with this key.
    Clash(Box<RetiredName>, InstanceName),
    /// Another process owns a shard.
    Shared,
}

/// Retires the names in order. Returns the number of moved instances for each name.
///
/// A clash gives the name and a key that both sagas have. The caller then rolls back.
pub(crate) async fn rename(
    tx: &Transaction<'_>,
    (holder, shards): (uuid::Uuid, i64),
    names: &[RetiredName],
) -> Result<Result<Vec<usize>, Refusal>, Error> {
    // All rows of a saga can be many. A part of a rename would be worse than a long one. The limit between two statements stays:
    // a frozen process would otherwise keep the lease.
    tx.batch_execute("SET LOCAL statement_timeout = 0").await?;
    // Nobody may have the numbers of the sagas in memory. The locks keep each lease until the end.
    const ALL: &str = "SELECT 1 FROM saga_lease WHERE holder = $1 FOR SHARE";
    let held = tx.query(ALL, &[&holder]).await?.len();
    if i64::try_from(held) != Ok(shards) {
        return Ok(Err(Refusal::Shared));
    }
    let mut moved = Vec::with_capacity(names.len());
    for name in names {
        let instances = match name.what {
            NameOf::Saga => rename_saga(tx, &name.was, &name.name).await?,
            _ => Ok(0),
        };
        match instances {
            Ok(instances) => moved.push(instances),
            Err(key) => return Ok(Err(Refusal::Clash(Box::new(name.clone()), key))),
        }
        retire(tx, name).await?;
    }
    Ok(Ok(moved))
}

/// Gives the rows of the saga `was` to `name`. Returns the number of moved instances, or a key that both sagas have.
async fn rename_saga(
    tx: &Transaction<'_>,
    was: &str,
    name: &str,
) -> Result<Result<usize, InstanceName>, Error> {
    const FIND: &str = "SELECT id FROM saga_name WHERE name = $1";
    let find = async |name: &str| {
        tx.query_opt(FIND, &[&name]).await?.map(|row| row.try_get::<_, i32>(0)).transpose()
    };
    let moved = match (find(was).await?, find(name).await?) {
        (None, _) => 0,
        (Some(saga), None) => {
            tx.execute("UPDATE saga_name SET name = $2 WHERE id = $1", &[&saga, &name]).await?;
            let count = "SELECT count(*) FROM saga_instance WHERE saga = $1";
            let count: i64 = tx.query_one(count, &[&saga]).await?.try_get(0)?;
            usize::try_from(count).unwrap_or(0)
        }
        (Some(from), Some(to)) => match join(tx, from, to).await? {
            Ok(moved) => moved,
            Err(key) => return Ok(Err(key)),
        },
    };
    for sql in BY_NAME {
        tx.execute(*sql, &[&was, &name]).await?;
    }
    Ok(Ok(moved))
}

/// Moves all instances of one saga to another saga, and forgets the first one.
async fn join(tx: &Transaction<'_>, from: i32, to: i32) -> Result<Result<usize, InstanceName>, Error> {
    const CLASH: &str = "SELECT key FROM saga_instance o WHERE saga = $1
         AND EXISTS (SELECT FROM saga_instance i WHERE i.saga = $2 AND i.key = o.key)
         UNION ALL SELECT alias FROM saga_alias o WHERE saga = $1
         AND EXISTS (SELECT FROM saga_alias a WHERE a.saga = $2 AND a.alias = o.alias) LIMIT 1";
    if let Some(row) = tx.query_opt(CLASH, &[&from, &to]).await?
        && let Ok(key) = InstanceName::from_stored(row.try_get(0)?)
    {
        return Ok(Err(key));
    }
    let moved = tx.execute("UPDATE saga_instance SET saga = $2 WHERE saga = $1", &[&from, &to]).await?;
    tx.execute("UPDATE saga_alias SET saga = $2 WHERE saga = $1", &[&from, &to]).await?;
    const COUNT: &str = "INSERT INTO saga_count AS c (saga, state, status, parked, instances)
         SELECT $2, state, status, parked, instances FROM saga_count WHERE saga = $1
         ON CONFLICT (saga, state, status, parked) DO UPDATE SET instances = c.instances + excluded.instances";
    tx.execute(COUNT, &[&from, &to]).await?;
    tx.execute("UPDATE saga_count_change SET saga = $2 WHERE saga = $1", &[&from, &to]).await?;
    tx.execute("DELETE FROM saga_count WHERE saga = $1", &[&from]).await?;
    tx.execute("DELETE FROM saga_name WHERE id = $1", &[&from]).await?;
    Ok(Ok(usize::try_from(moved).unwrap_or(usize::MAX)))
}

/// Tables with the name of the saga. A row that the present name has already is removed first: the row of the earlier name
/// replaces it, except the pause, whose present row stays.
const BY_NAME: &[&str] = &[
    "UPDATE saga_inbox SET consumer = $2 WHERE consumer = $1 AND kind <> 'delivery'",
    "UPDATE saga_arrival SET consumer = $2 WHERE consumer = $1 AND kind <> 'delivery'",
    "UPDATE saga_dead SET consumer = $2 WHERE consumer = $1 AND kind <> 'delivery'",
    "DELETE FROM saga_dedup d WHERE consumer = $2 AND EXISTS (SELECT FROM saga_dedup o
         WHERE o.consumer = $1 AND o.key = d.key AND o.message = d.message)",
    "UPDATE saga_dedup SET consumer = $2 WHERE consumer = $1",
    "DELETE FROM saga_consumer c WHERE consumer = $2 AND NOT subscriber AND EXISTS (SELECT FROM saga_consumer o
         WHERE o.consumer = $1 AND o.event = c.event AND NOT o.subscriber)",
    "UPDATE saga_consumer SET consumer = $2 WHERE consumer = $1 AND NOT subscriber",
    "DELETE FROM saga_definition d WHERE saga = $2 AND EXISTS (SELECT FROM saga_definition o
         WHERE o.saga = $1 AND o.version = d.version)",
    "UPDATE saga_definition SET saga = $2 WHERE saga = $1",
    "DELETE FROM saga_retired r WHERE saga = $2 AND what IN ('state', 'event', 'command') AND EXISTS (SELECT FROM saga_retired o
         WHERE o.saga = $1 AND o.what = r.what AND o.was = r.was)",
    "UPDATE saga_retired SET saga = $2 WHERE what IN ('state', 'event', 'command') AND saga = $1",
    "DELETE FROM saga_pause p WHERE kind IN ('saga', 'consumer') AND name = $1 AND EXISTS (SELECT FROM saga_pause o
         WHERE o.kind = p.kind AND o.name = $2)",
    "UPDATE saga_pause SET name = $2 WHERE kind IN ('saga', 'consumer') AND name = $1",
];

/// Retires the name. Names retired earlier then lead to the present name. The present name is no longer retired.
async fn retire(tx: &Transaction<'_>, retired: &RetiredName) -> Result<(), Error> {
    const LEAD: &str = "UPDATE saga_retired SET name = $4 WHERE what = $1 AND saga = $2 AND name = $3";
    const INSERT: &str = "INSERT INTO saga_retired (what, saga, was, name) VALUES ($1, $2, $3, $4)
         ON CONFLICT (what, saga, was) DO UPDATE SET name = excluded.name";
    const DELETE: &str = "DELETE FROM saga_retired WHERE what = $1 AND saga = $2 AND was = $3";
    let (what, RetiredName { saga, was, name, .. }) = (retired.what.as_str(), retired);
    tx.execute(LEAD, &[&what, saga, was, name]).await?;
    tx.execute(INSERT, &[&what, saga, was, name]).await?;
    tx.execute(DELETE, &[&what, saga, name]).await?;
    Ok(())
}
