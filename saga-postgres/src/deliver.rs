//! Inbox rows of any process.
//!
//! An advisory lock orders the writers. Rows therefore become visible in the order of their numbers, and a cursor over the
//! numbers misses none. A counter in a row would have a version for each writer, and all of them would stay while another
//! session has an old snapshot.

use std::borrow::Cow;
use std::sync::LazyLock;

use saga_core::store::{InboxId, Mail, ShardId};
use tokio_postgres::Error;

use crate::read::{Reader, query};
use crate::shard::{inbox_sequence, lock_of, number};
use crate::stored::write_mail;

/// Returns two expressions of a statement that adds inbox rows: the lock of all writers, and the number of its last row. `count`
/// is the number of rows. The number of the lock is the one of the sequence, behind the text `saga`.
pub(crate) fn numbers_of_inbox_rows(sequence: &str, count: &str) -> (String, String) {
    let lock = lock_of(sequence, 1_935_763_297);
    (
        format!("SELECT {lock}"),
        format!("SELECT setval('{sequence}', nextval('{sequence}') + {count} - 1) AS inbox FROM locked"),
    )
}

/// The statement that adds rows to the inbox of a store with one shard.
static ADD: LazyLock<String> = LazyLock::new(|| {
    let (lock, last) = numbers_of_inbox_rows(&inbox_sequence(ShardId::WHOLE), "$1");
    format!(
        "WITH locked AS MATERIALIZED ({lock}), counter AS MATERIALIZED ({last})
         INSERT INTO saga_inbox (id, consumer, key, kind, message, body)
         SELECT counter.inbox - $1 + n, consumer, key, kind, message, body
         FROM counter, unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
             WITH ORDINALITY AS r(consumer, key, kind, message, body, n)
         ORDER BY n RETURNING id"
    )
});

/// Adds the rows in one transaction, and returns their numbers. In a store with several shards, the owners number the rows
/// later.
pub(crate) async fn deliver(client: &Reader, mails: &[Mail], shards: u16) -> Result<Vec<InboxId>, Error> {
    if mails.is_empty() {
        return Ok(Vec::new());
    }
    let count = i64::try_from(mails.len()).unwrap_or(i64::MAX);
    let text = |of: fn(&Mail) -> &str| mails.iter().map(of).collect::<Vec<&str>>();
    let message: Vec<Option<&str>> =
        mails.iter().map(|mail| mail.id.as_ref().map(|id| id.as_str())).collect();
    let body: Vec<Cow<'_, str>> = mails.iter().map(|mail| Cow::Owned(write_mail(mail))).collect();
    let (consumer, key) = (text(|mail| &mail.to.saga), text(|mail| mail.to.key.stored()));
    let kind = text(|mail| mail.kind.as_str());
    if shards > 1 {
        const PUT_DOWN: &str = "INSERT INTO saga_arrival (shard, consumer, key, kind, message, body)
            SELECT shard, consumer, key, kind, message, body
            FROM unnest($1::int2[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                WITH ORDINALITY AS r(shard, consumer, key, kind, message, body, n) ORDER BY n";
        let shard: Vec<i16> = mails.iter().map(|mail| number_of(mail, shards)).collect();
        query(client, PUT_DOWN, &[&shard, &consumer, &key, &kind, &message, &body]).await?;
        return Ok(vec![InboxId(0); mails.len()]);
    }
    let rows = query(client, &ADD, &[&count, &consumer, &key, &kind, &message, &body]).await?;
    let mut ids = rows.iter().map(|row| row.try_get(0).map(InboxId)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    Ok(ids)
}

/// Returns the number of the shard of a row.
pub(crate) fn number_of(mail: &Mail, shards: u16) -> i16 {
    number(ShardId::of_address(&mail.to, shards))
}
