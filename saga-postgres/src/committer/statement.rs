//! The statement of a commit: one round trip, one transaction, no open transaction in between.
//!
//! Owns: the SQL. Does not own: the rows (`rows`), or the meaning of the answer (`answer`).
//!
//! The statement is built of parts, one for each kind of rows. A part that looks finds the steps that do not fit: another
//! step, a known message, a taken alias. These steps are in `bad`, and no part writes their rows. Looking before writing is
//! exact, because only the lease holder writes these rows, and the share lock on its lease keeps others out until the commit.
//!
//! The division at the end fails if the lease is gone, or if an update found another number of rows than it must. Then
//! nothing is written.

use std::fmt::Write;

use saga_core::store::ShardId;
use tokio_postgres::types::ToSql;

use super::rows::{
    Claims, Columns, Consumed, Dedup, DeliveryProgress, GoneDeliveries, GoneItems, GoneLabels, GonePauses,
    Items, Letters, Lines, NewAudit, NewDeliveries, NewLabels, NewMail, NewPauses, NewTasks, Posts, Progress,
    Redriven, Releases, Rows, Starts, Touched, Updates,
};
use crate::deliver::numbers_of_inbox_rows;
use crate::shard::inbox_sequence;

/// A kind of rows in the statement. In each text, `{rows}` is the table of the rows, and `{good}` is the condition that the
/// step with the row `r` fits.
struct Part {
    /// The name of the common table expression with the rows.
    name: &'static str,
    columns: &'static [(&'static str, &'static str)],
    /// The columns of the expression, if there are more than those of the rows.
    select: &'static str,
    /// The steps that do not fit, as (place, kind, number, detail).
    bad: &'static str,
    /// The writes, each with a name.
    writes: &'static [(&'static str, &'static str)],
    /// The changes of the counts, as (saga, state, status, parked, change).
    counts: &'static str,
}

/// The kind of a step that does not fit the stored row.
pub(super) const MISFIT: i32 = 0;
/// The kind of a step with a known message.
pub(super) const KNOWN: i32 = 1;
/// The kind of a step with a task that exists.
pub(super) const TASK: i32 = 2;
/// The kind of a step that claims a taken alias.
pub(super) const TAKEN: i32 = 3;
/// The kind of a step with an inbox row that was used before.
pub(super) const USED: i32 = 4;
/// The kind of a step with a dead letter that does not exist.
pub(super) const NO_LETTER: i32 = 5;
/// The kind of the line with the highest number of an inbox row.
pub(super) const INBOX: i32 = -1;
/// The kind of the line that proves the condition.
const CONDITION: i32 = -2;

const fn part<C: Columns>(name: &'static str, columns: std::marker::PhantomData<C>) -> Part {
    let _ = columns;
    Part { name, columns: C::COLUMNS, select: "r.*", bad: "", writes: &[], counts: "" }
}

macro_rules! parts {
    ($($field:ident: $columns:ident { $($set:ident: $value:expr),* $(,)? })+) => {
        const PARTS: &[Part] = &[$(
            #[allow(clippy::needless_update, reason = "some parts set every field")]
            Part { $($set: $value,)* ..part::<$columns<'static>>(stringify!($field), std::marker::PhantomData) }
        ),+];

        /// Returns the set of the kinds with rows, and the parameters.
        pub(super) fn params<'p>(rows: &'p Rows<'_>, params: &mut Vec<&'p (dyn ToSql + Sync)>) -> u32 {
            let (mut set, mut bit) = (0, 1);
            $(
                if !rows.$field.is_empty() {
                    set |= bit;
                    rows.$field.params(params);
                }
                bit <<= 1;
            )+
            let _ = bit;
            set
        }
    };
}

parts! {
    updates: Updates {
        select: "r.*, i.id IS NOT NULL AND i.seq = r.seq - 1 AND i.incarnation = r.incarnation AS fits, i.seq AS was_seq, i.saga, \
                 i.state AS was_state, i.status AS was_status, i.parked AS was_parked, i.last AS was_last, \
                 CASE WHEN i.seq = r.seq - 1 AND i.incarnation = r.incarnation THEN NULL ELSE left(i.body, 120) END AS was_body",
        bad: "SELECT ord, 0, coalesce(was_seq, 0), was_body FROM {rows} WHERE NOT fits",
        writes: &[
            ("advance", "UPDATE saga_instance i SET seq = r.seq, status = r.status, parked = r.parked, state = r.state, \
                             over_at = r.over_at, checksum = r.checksum, body = r.body, \
                             data = CASE WHEN i.data = r.data THEN i.data ELSE r.data END, last = coalesce(r.last, i.last) \
                         FROM {rows} r WHERE i.id = r.id AND i.seq = r.seq - 1 AND {good} RETURNING 1"),
            ("first_line", "INSERT INTO saga_history (id, instance, prev, checksum, body) \
                            SELECT line, id, was_last, line_checksum, line_body FROM {rows} r WHERE line IS NOT NULL AND {good}"),
        ],
        counts: "SELECT saga, was_state, was_status, was_parked, -1 FROM {rows} r \
                 WHERE (was_state, was_status, was_parked) IS DISTINCT FROM (state, status, parked) AND {good} \
                 UNION ALL SELECT saga, state, status, parked, 1 FROM {rows} r \
                 WHERE (was_state, was_status, was_parked) IS DISTINCT FROM (state, status, parked) AND {good}",
    }
    starts: Starts {
        bad: "SELECT r.ord, 0, i.seq, left(i.body, 120) FROM {rows} r \
              JOIN saga_instance i ON i.saga = r.saga AND i.key = r.key",
        writes: &[
            ("start", "INSERT INTO saga_instance (id, saga, key, incarnation, status, parked, state, seq, last, over_at, checksum, body, data) \
                       SELECT id, saga, key, incarnation, status, parked, state, 1, last, over_at, checksum, body, data \
                       FROM {rows} r WHERE {good}"),
        ],
        counts: "SELECT saga, state, status, parked, 1 FROM {rows} r WHERE {good}",
    }
    touched: Touched {
        bad: "SELECT r.ord, 0, 0::int8, NULL FROM {rows} r LEFT JOIN saga_instance i ON i.id = r.id WHERE i.id IS NULL",
    }
    dedup: Dedup {
        bad: "SELECT r.ord, 1, r.at_step, CASE WHEN d.content = r.content THEN 'same' ELSE 'other' END \
              FROM {rows} r JOIN saga_dedup d ON d.consumer = r.consumer AND d.key = r.key AND d.message = r.message \
              UNION ALL SELECT ord, 1, at_step, known FROM {rows} WHERE known IS NOT NULL",
        writes: &[
            ("record", "INSERT INTO saga_dedup (consumer, key, message, content, at, shard) \
                        SELECT consumer, key, message, content, at, {shard} FROM {rows} r WHERE {good}"),
        ],
    }
    claims: Claims {
        select: "r.ord, r.at_step, coalesce(r.saga, (SELECT i.saga FROM saga_instance i WHERE i.id = r.instance)) AS saga, r.alias, \
                 r.instance, r.kept",
        bad: "SELECT r.ord, 3, r.at_step, h.key FROM {rows} r JOIN saga_alias a ON a.saga = r.saga AND a.alias = r.alias \
              LEFT JOIN saga_instance h ON h.id = a.instance WHERE a.instance <> r.instance",
        writes: &[
            ("claim", "INSERT INTO saga_alias (saga, alias, instance) \
                       SELECT saga, alias, instance FROM {rows} r WHERE kept AND {good} ORDER BY saga, alias ON CONFLICT DO NOTHING RETURNING 1"),
        ],
    }
    releases: Releases {
        select: "r.ord, coalesce(r.saga, (SELECT i.saga FROM saga_instance i WHERE i.id = r.instance)) AS saga, r.alias, r.instance",
        writes: &[
            ("release", "DELETE FROM saga_alias a USING {rows} r \
                         WHERE a.saga = r.saga AND a.alias = r.alias AND a.instance = r.instance AND {good}"),
        ],
    }
    consumed: Consumed {
        bad: "SELECT r.ord, 4, r.id, NULL FROM {rows} r LEFT JOIN saga_inbox m ON m.id = r.id WHERE r.twice OR m.id IS NULL",
        writes: &[("consume", "DELETE FROM saga_inbox m USING {rows} r WHERE m.id = r.id AND {good}")],
    }
    redriven: Redriven {
        bad: "SELECT r.ord, 5, r.id, NULL FROM {rows} r LEFT JOIN saga_dead l ON l.id = r.id WHERE r.twice OR l.id IS NULL",
        writes: &[("redrive", "DELETE FROM saga_dead l USING {rows} r WHERE l.id = r.id AND {good} RETURNING 1")],
    }
    new_tasks: NewTasks {
        bad: "SELECT r.ord, 2, r.task_seq, r.item FROM {rows} r \
              LEFT JOIN saga_item t ON t.instance = r.instance AND t.item = r.item WHERE r.twice OR t.instance IS NOT NULL",
        writes: &[
            ("add_task", "INSERT INTO saga_item (instance, item, seq, ord, body, progress, checksum) \
                          SELECT instance, item, task_seq, task_ord, body, progress, checksum FROM {rows} r WHERE kept AND {good}"),
        ],
    }
    items: Items {
        writes: &[
            ("put_item", "INSERT INTO saga_item (instance, item, seq, ord, due_at, body, progress, checksum) \
                          SELECT instance, item, task_seq, task_ord, due_at, body, progress, checksum FROM {rows} r WHERE {good} \
                          ON CONFLICT (instance, item) DO UPDATE SET due_at = excluded.due_at, body = excluded.body, \
                          progress = excluded.progress, checksum = excluded.checksum"),
        ],
    }
    progress: Progress {
        writes: &[
            ("go_on", "UPDATE saga_item t SET progress = r.progress, checksum = (t.checksum & -4294967296) | r.checksum \
                       FROM {rows} r WHERE t.instance = r.instance AND t.item = r.item AND {good}"),
        ],
    }
    gone_items: GoneItems {
        writes: &[
            ("drop_item", "DELETE FROM saga_item t USING {rows} r \
                           WHERE t.instance = r.instance AND t.item = r.item AND {good}"),
        ],
    }
    lines: Lines {
        writes: &[
            ("line", "INSERT INTO saga_history (id, instance, prev, checksum, body) \
                      SELECT id, instance, prev, checksum, body FROM {rows} r WHERE {good}"),
        ],
    }
    gone_labels: GoneLabels {
        writes: &[
            ("drop_label", "DELETE FROM saga_label l USING {rows} r \
                            WHERE l.name = r.name AND l.value = r.value AND l.instance = r.instance AND {good}"),
        ],
    }
    new_labels: NewLabels {
        writes: &[
            ("add_label", "INSERT INTO saga_label (name, value, instance) \
                           SELECT name, value, instance FROM {rows} r WHERE {good} ON CONFLICT DO NOTHING"),
        ],
    }
    mail: NewMail {
        writes: &[
            ("locked", "{lock}"),
            ("counter", "{last}"),
            ("send", "INSERT INTO saga_inbox (id, consumer, key, kind, message, body) \
                      SELECT counter.inbox - (SELECT max(n) FROM {rows}) + n, consumer, key, kind, message, body \
                      FROM {rows} r, counter WHERE {good}"),
        ],
    }
    posts: Posts {
        writes: &[
            ("post", "INSERT INTO saga_arrival (shard, consumer, key, kind, message, body) \
                      SELECT shard, consumer, key, kind, message, body FROM {rows} r WHERE {good} ORDER BY n"),
        ],
    }
    new_deliveries: NewDeliveries {
        writes: &[
            ("deliver", "INSERT INTO saga_delivery (id, consumer, key, message, named, body, progress) \
                         SELECT id, consumer, key, message, named, body, progress FROM {rows} r WHERE {good}"),
        ],
    }
    delivery_progress: DeliveryProgress {
        writes: &[
            ("attempt", "UPDATE saga_delivery d SET progress = r.progress FROM {rows} r WHERE d.id = r.id AND {good}"),
        ],
    }
    gone_deliveries: GoneDeliveries {
        writes: &[("delivered", "DELETE FROM saga_delivery d USING {rows} r WHERE d.id = r.id AND {good}")],
    }
    letters: Letters {
        writes: &[
            ("count_letter", "UPDATE saga_dead l SET times = least(l.times + r.times, 4294967295), at = r.at FROM {rows} r \
                              WHERE r.conflict AND {good} AND l.id = {same} AND {stays} RETURNING r.id"),
            ("bury", "INSERT INTO saga_dead (id, consumer, key, kind, message, reason, times, at, body) \
                      SELECT id, consumer, key, kind, message, reason, times, at, body FROM {rows} r \
                      WHERE {good} AND id NOT IN (SELECT id FROM count_letter) AND NOT {goes}"),
        ],
    }
    new_pauses: NewPauses {
        writes: &[
            ("pause", "INSERT INTO saga_pause (kind, name, body) SELECT kind, name, body FROM {rows} r WHERE {good} \
                       ON CONFLICT DO NOTHING"),
        ],
    }
    gone_pauses: GonePauses {
        writes: &[
            ("resume", "DELETE FROM saga_pause p USING {rows} r WHERE p.kind = r.kind AND p.name = r.name AND {good}"),
        ],
    }
    audit: NewAudit {
        writes: &[
            ("audited", "INSERT INTO saga_audit (id, consumer, key, request, body, link) \
                         SELECT id, consumer, key, request, body, link FROM {rows} r WHERE {good}"),
        ],
    }
}

/// The oldest letter that counts the conflicts under the id of the letter `r`.
const SAME_CONFLICT: &str = "(SELECT min(o.id) FROM saga_dead o WHERE o.consumer = r.consumer AND o.key = r.key \
                             AND o.message = r.message AND o.reason = 'id-conflict')";

/// The writes that must have found or added all their rows. The lease holders of several shards claim aliases and remove dead
/// letters, so another one can be faster after the look of this statement.
const COUNTED: [(&str, &str, &str); 3] = [
    ("updates", "advance", ""),
    (
        "claims",
        "claim",
        " AND r.kept AND NOT EXISTS (SELECT FROM saga_alias a WHERE a.saga = r.saga AND a.alias = r.alias)",
    ),
    ("redriven", "redrive", ""),
];

/// The parameters before those of the rows: epoch, generation and number of the statement.
const FIRST: usize = 3;

/// Returns the statement for a set of kinds.
pub(super) fn text(set: u32, shard: ShardId) -> String {
    let (lock, last) = numbers_of_inbox_rows(&inbox_sequence(shard), "(SELECT max(n) FROM {rows})");
    let number = shard.number();
    let parts: Vec<&Part> =
        PARTS.iter().enumerate().filter(|(n, _)| set & (1 << n) != 0).map(|(_, part)| part).collect();
    let looks = parts.iter().any(|part| !part.bad.is_empty());
    let has = |name: &str| parts.iter().any(|part| part.name == name);
    let fill = |text: &str, part: &Part| {
        let good = if looks { "r.ord NOT IN (SELECT ord FROM bad)" } else { "true" };
        // A letter that counts a conflict and is removed by the same step is only removed.
        let (stays, goes) = match has("redriven") {
            true => (
                "l.id NOT IN (SELECT id FROM r_redriven)",
                "(r.conflict AND coalesce({same} IN (SELECT id FROM r_redriven), false))",
            ),
            false => ("true", "false"),
        };
        let text = text.replace("{lock}", &lock).replace("{last}", &last);
        let text = text.replace("{shard}", &number.to_string());
        let text = text.replace("{stays}", stays).replace("{goes}", goes).replace("{same}", SAME_CONFLICT);
        text.replace("{rows}", &format!("r_{}", part.name)).replace("{good}", good)
    };
    let mut sql = format!(
        "WITH fence AS MATERIALIZED (SELECT 1 FROM saga_lease WHERE epoch = $1 AND gen = $2 AND shard = {number} FOR SHARE)"
    );
    let mut param = FIRST;
    for part in &parts {
        // Writing to a string does not fail.
        let _ = write!(sql, ",\n r_{} AS MATERIALIZED (SELECT {} FROM unnest(", part.name, part.select);
        for (n, (_, kind)) in part.columns.iter().enumerate() {
            param += 1;
            let _ = write!(sql, "{}${param}::{kind}[]", if n == 0 { "" } else { ", " });
        }
        let names: Vec<&str> = part.columns.iter().map(|(name, _)| *name).collect();
        let _ = write!(sql, ") AS r({})", names.join(", "));
        if part.name == "updates" {
            sql.push_str(" LEFT JOIN saga_instance i ON i.id = r.id");
        }
        sql.push(')');
    }
    if looks {
        let bad: Vec<String> =
            parts.iter().filter(|part| !part.bad.is_empty()).map(|part| fill(part.bad, part)).collect();
        let _ = write!(
            sql,
            ",\n bad (ord, kind, number, detail) AS MATERIALIZED ({})",
            bad.join("\n  UNION ALL ")
        );
    }
    for part in &parts {
        for (name, write) in part.writes {
            let _ = write!(sql, ",\n {name} AS ({})", fill(write, part));
        }
    }
    let counts: Vec<String> =
        parts.iter().filter(|part| !part.counts.is_empty()).map(|part| fill(part.counts, part)).collect();
    if !counts.is_empty() {
        let _ = write!(
            sql,
            ",\n counted AS (INSERT INTO saga_count_change (shard, epoch, number, saga, state, status, parked, change) \
             SELECT {number}, $1, $3, saga, state, status, parked, sum(change) FROM ({}) AS m (saga, state, status, parked, change) \
             GROUP BY saga, state, status, parked HAVING sum(change) <> 0)",
            counts.join("\n  UNION ALL ")
        );
    }
    let inbox = if has("mail") { "(SELECT inbox FROM counter)" } else { "NULL::int8" };
    let bad = if looks {
        "(SELECT json_agg(json_build_array(ord, kind, number, detail)) FROM bad)"
    } else {
        "NULL::json"
    };
    let _ = write!(
        sql,
        ",\n batch AS (INSERT INTO saga_batch (epoch, number, inbox, bad) SELECT $1, $3, {inbox}, {bad}::text FROM fence RETURNING 1),\
         \n old AS (DELETE FROM saga_batch WHERE epoch = $1 AND number = $3 - 16)"
    );
    let mut all_written = String::new();
    for (part, write, wanted) in COUNTED.iter().filter(|(part, ..)| has(part)) {
        let _ = write!(
            all_written,
            " AND (SELECT count(*) FROM {write}) = (SELECT count(*) FROM r_{part} r WHERE r.ord NOT IN (SELECT ord FROM bad){wanted})"
        );
    }
    let _ = write!(
        sql,
        "\nSELECT {CONDITION}, {CONDITION}, (1 / (CASE WHEN (SELECT count(*) FROM batch) = 1{all_written} THEN 1 ELSE 0 END))::int8, NULL::text"
    );
    if looks {
        sql.push_str(" UNION ALL SELECT ord, kind, number, detail FROM bad");
    }
    if has("mail") {
        let _ = write!(sql, " UNION ALL SELECT {INBOX}, {INBOX}, inbox, NULL FROM counter");
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::Schema;

    /// The settings of the connection that commits.
    const SETTINGS: &str = super::super::SETTINGS;

    /// Prepares the statement of a set, and returns its plan for unknown arrays.
    async fn plan(client: &tokio_postgres::Client, set: u32) -> Vec<String> {
        let columns = PARTS.iter().enumerate().filter(|(n, _)| set & (1 << n) != 0);
        let count = columns.map(|(_, part)| part.columns.len()).sum::<usize>();
        let sql = text(set, ShardId::WHOLE);
        client
            .batch_execute(&format!("PREPARE s AS {sql}"))
            .await
            .unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        let params = ["1"; FIRST].into_iter().chain(std::iter::repeat_n("NULL", count)).collect::<Vec<_>>();
        let explain = format!("EXPLAIN (COSTS OFF) EXECUTE s({})", params.join(", "));
        let rows = client.query(&explain, &[]).await.unwrap();
        client.batch_execute("DEALLOCATE s").await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[test]
    fn a_commit_updates_no_row_that_all_commits_share() {
        // Each version of such a row stays while another session has an old snapshot, and each commit reads all of them.
        let all = text((1 << PARTS.len()) - 1, ShardId::WHOLE);
        let updated: Vec<&str> =
            all.split("UPDATE ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        // `SET` belongs to an item that replaces one of its instance.
        let allowed = ["saga_instance", "saga_item", "SET", "saga_delivery", "saga_dead"];
        assert!(updated.iter().all(|table| allowed.contains(table)), "{updated:?}");
        assert_eq!(all.matches("DO UPDATE SET").count(), 1, "of the items");
    }

    #[test]
    fn every_statement_is_prepared_and_finds_its_rows_by_an_index() {
        let Some(schema) = Schema::new() else { return };
        let store = schema.open(schema.options());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = store.plain_client().await;
            client.batch_execute(SETTINGS).await.unwrap();
            let all = (1 << PARTS.len()) - 1;
            let pairs = (0..PARTS.len()).flat_map(|one| (0..one).map(move |other| 1 << one | 1 << other));
            for set in (0..PARTS.len()).map(|n| 1 << n).chain(pairs).chain([0, all]) {
                let plan = plan(&client, set).await;
                // Tables with one row, or with a few rows of the lease.
                let small = ["saga_lease", "saga_batch"];
                for (at, line) in plan.iter().enumerate() {
                    let is_small = small.iter().any(|table| line.contains(table));
                    let is_index = line.contains("Index") && line.contains("Scan") && line.contains(" saga_");
                    // The condition is among the lines below.
                    let is_found = plan[at + 1..].iter().take(2).any(|line| line.contains("Index Cond"));
                    let reads_all = line.contains("Seq Scan on saga_") || is_index && !is_found;
                    assert!(
                        is_small || !reads_all,
                        "{line}\n{}\n{}",
                        text(set, ShardId::WHOLE),
                        plan.join("\n")
                    );
                }
            }
        });
        drop(store);
    }
}
