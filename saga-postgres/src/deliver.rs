//! Inbox rows of any process.
//!
//! An advisory lock orders the writers. Rows therefore become visible in the order of their numbers, and a cursor over the
//! numbers misses none. A counter in a row would have a version for each writer, and all of them would stay while another
//! session has an old snapshot.

use std::borrow::Cow;
use std::sync::LazyLock;

use saga_core::store::{InboxId, Mail};
use tokio_postgres::Error;

use crate::read::{Reader, query};
use crate::stored::write_mail;

/// Two expressions of a statement that adds inbox rows: the lock of all writers, and the number of its last row. The number of
/// the lock is the one of the sequence, behind the text `saga`.
macro_rules! numbers_of_inbox_rows {
    ($count:literal) => {
        (
            "SELECT pg_advisory_xact_lock((1935763297::int8 << 32) | ('saga_inbox_number'::regclass)::oid::int8)",
            concat!(
                "SELECT setval('saga_inbox_number', nextval('saga_inbox_number') + ",
                $count,
                " - 1) AS inbox FROM locked"
            ),
        )
    };
}
pub(crate) use numbers_of_inbox_rows;

/// Returns the statement that adds rows.
fn statement() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let (lock, last) = numbers_of_inbox_rows!("$1");
        format!(
            "WITH locked AS MATERIALIZED ({lock}), counter AS MATERIALIZED ({last})
             INSERT INTO saga_inbox (id, consumer, key, kind, message, body)
             SELECT counter.inbox - $1 + n, consumer, key, kind, message, body
             FROM counter, unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                 WITH ORDINALITY AS r(consumer, key, kind, message, body, n)
             ORDER BY n RETURNING id"
        )
    });
    &SQL
}

/// Adds the rows in one transaction, and returns their numbers.
pub(crate) async fn deliver(client: &Reader, mails: &[Mail]) -> Result<Vec<InboxId>, Error> {
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
    let rows = query(client, statement(), &[&count, &consumer, &key, &kind, &message, &body]).await?;
    let mut ids = rows.iter().map(|row| row.try_get(0).map(InboxId)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    Ok(ids)
}
