//! Inbox rows of any process.
//!
//! A row lock on the counter orders the writers. Rows therefore become visible in the order of their numbers, and a cursor
//! over the numbers misses none.

use std::borrow::Cow;

use saga_core::store::{InboxId, Mail};
use tokio_postgres::Error;

use crate::read::{Reader, query};
use crate::stored::write_mail;

const DELIVER: &str =
    "WITH counter AS (UPDATE saga_counter SET inbox = inbox + $1 WHERE id = 1 RETURNING inbox)
    INSERT INTO saga_inbox (id, consumer, key, kind, message, body)
    SELECT counter.inbox - $1 + n, consumer, key, kind, message, body
    FROM counter, unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        WITH ORDINALITY AS r(consumer, key, kind, message, body, n)
    ORDER BY n RETURNING id";

/// Adds the rows in one transaction, and returns their numbers.
pub(crate) async fn deliver(client: &Reader, mails: &[Mail]) -> Result<Vec<InboxId>, Error> {
    let count = i64::try_from(mails.len()).unwrap_or(i64::MAX);
    let text = |of: fn(&Mail) -> &str| mails.iter().map(of).collect::<Vec<&str>>();
    let message: Vec<Option<&str>> =
        mails.iter().map(|mail| mail.id.as_ref().map(|id| id.as_str())).collect();
    let body: Vec<Cow<'_, str>> = mails.iter().map(|mail| Cow::Owned(write_mail(mail))).collect();
    let (consumer, key) = (text(|mail| &mail.to.saga), text(|mail| mail.to.key.stored()));
    let kind = text(|mail| mail.kind.as_str());
    let rows = query(client, DELIVER, &[&count, &consumer, &key, &kind, &message, &body]).await?;
    let mut ids = rows.iter().map(|row| row.try_get(0).map(InboxId)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    Ok(ids)
}
