//! The rows of one statement, as arrays: one for each column.
//!
//! Owns: the names and types of the columns. Does not own: the statement (`statement`), or the reading of a step (`plan`).

use std::borrow::Cow;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// A text of the batch, or one that was made for the row.
pub(super) type Text<'b> = Cow<'b, str>;

/// Rows of one kind.
pub(super) trait Columns {
    /// The names and the SQL types of the columns.
    const COLUMNS: &'static [(&'static str, &'static str)];

    fn is_empty(&self) -> bool;

    fn params<'p>(&'p self, params: &mut Vec<&'p (dyn ToSql + Sync)>);
}

/// Defines rows with one array for each column. `ord` is the place of the step in the statement.
macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $sql:literal),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            pub(super) struct $name<'b> {
                pub(super) ord: Vec<i32>,
                $(pub(super) $field: Vec<$type>,)+
                of: std::marker::PhantomData<&'b ()>,
            }

            impl Columns for $name<'_> {
                const COLUMNS: &'static [(&'static str, &'static str)] =
                    &[("ord", "int4"), $((stringify!($field), $sql)),+];

                fn is_empty(&self) -> bool {
                    self.ord.is_empty()
                }

                fn params<'p>(&'p self, params: &mut Vec<&'p (dyn ToSql + Sync)>) {
                    params.push(&self.ord);
                    $(params.push(&self.$field);)+
                }
            }
        )+
    };
}

columns! {
    /// Later steps of instances. The first history line of the step is part of the row, because its predecessor is known to
    /// the table alone.
    Updates {
        id: i64 = "int8",
        seq: i64 = "int8",
        incarnation: Uuid = "uuid",
        status: i16 = "int2",
        parked: bool = "bool",
        state: Text<'b> = "text",
        over_at: Option<i64> = "int8",
        checksum: i64 = "int8",
        body: String = "text",
        data: Option<Text<'b>> = "text",
        last: Option<i64> = "int8",
        line: Option<i64> = "int8",
        line_checksum: Option<i64> = "int8",
        line_body: Option<String> = "text",
    }
    /// First steps of instances.
    Starts {
        id: i64 = "int8",
        saga: i32 = "int4",
        key: Text<'b> = "text",
        incarnation: Uuid = "uuid",
        status: i16 = "int2",
        parked: bool = "bool",
        state: Text<'b> = "text",
        over_at: Option<i64> = "int8",
        checksum: i64 = "int8",
        body: String = "text",
        data: Option<Text<'b>> = "text",
        last: Option<i64> = "int8",
    }
    /// Instances that a step only touches.
    Touched { id: i64 = "int8" }
    /// Message ids. `known` says how an id relates to an earlier one of the same step.
    Dedup {
        at_step: i64 = "int8",
        known: Option<Text<'b>> = "text",
        consumer: Text<'b> = "text",
        key: Text<'b> = "text",
        message: Text<'b> = "text",
        content: i64 = "int8",
        at: i64 = "int8",
    }
    /// Claimed aliases. `saga` is null for a step that does not change its instance.
    Claims {
        at_step: i64 = "int8",
        saga: Option<i32> = "int4",
        alias: Text<'b> = "text",
        instance: i64 = "int8",
        kept: bool = "bool",
    }
    Releases {
        saga: Option<i32> = "int4",
        alias: Text<'b> = "text",
        instance: i64 = "int8",
    }
    /// Used inbox rows. `twice`: the step uses the row twice.
    Consumed { id: i64 = "int8", twice: bool = "bool" }
    /// Dead letters to remove. `twice`: the step removes the letter twice.
    Redriven { id: i64 = "int8", twice: bool = "bool" }
    /// New tasks. `twice`: the step adds the task twice. `kept`: the step does not finish the task as well.
    NewTasks {
        twice: bool = "bool",
        kept: bool = "bool",
        instance: i64 = "int8",
        item: String = "text",
        task_seq: i64 = "int8",
        task_ord: i64 = "int8",
        body: String = "text",
        progress: String = "text",
        checksum: i64 = "int8",
    }
    /// Obligations, timers and aliases, and tasks in the place of a finished one. They replace an item with the same name.
    Items {
        instance: i64 = "int8",
        item: String = "text",
        task_seq: Option<i64> = "int8",
        task_ord: Option<i64> = "int8",
        due_at: Option<i64> = "int8",
        body: String = "text",
        progress: Option<String> = "text",
        checksum: i64 = "int8",
    }
    Progress {
        instance: i64 = "int8",
        item: String = "text",
        progress: String = "text",
        checksum: i64 = "int8",
    }
    GoneItems { instance: i64 = "int8", item: String = "text" }
    /// History lines whose predecessor is known.
    Lines {
        id: i64 = "int8",
        instance: i64 = "int8",
        prev: Option<i64> = "int8",
        checksum: i64 = "int8",
        body: String = "text",
    }
    GoneLabels { name: Text<'b> = "text", value: String = "text", instance: i64 = "int8" }
    NewLabels { name: Text<'b> = "text", value: String = "text", instance: i64 = "int8" }
    NewMail {
        n: i64 = "int8",
        consumer: Text<'b> = "text",
        key: Text<'b> = "text",
        kind: Text<'b> = "text",
        message: Option<Text<'b>> = "text",
        body: String = "text",
    }
    /// Mail for another shard.
    Posts {
        shard: i16 = "int2",
        n: i64 = "int8",
        consumer: Text<'b> = "text",
        key: Text<'b> = "text",
        kind: Text<'b> = "text",
        message: Option<Text<'b>> = "text",
        body: String = "text",
    }
    NewDeliveries {
        id: i64 = "int8",
        consumer: Text<'b> = "text",
        key: Text<'b> = "text",
        message: Text<'b> = "text",
        named: bool = "bool",
        body: String = "text",
        progress: String = "text",
    }
    DeliveryProgress { id: i64 = "int8", progress: String = "text" }
    GoneDeliveries { id: i64 = "int8" }
    Letters {
        id: i64 = "int8",
        consumer: Text<'b> = "text",
        key: Text<'b> = "text",
        kind: Text<'b> = "text",
        message: Option<Text<'b>> = "text",
        reason: Text<'b> = "text",
        times: i64 = "int8",
        at: i64 = "int8",
        body: String = "text",
        conflict: bool = "bool",
    }
    NewPauses { kind: Text<'b> = "text", name: Text<'b> = "text", body: String = "text" }
    GonePauses { kind: Text<'b> = "text", name: Text<'b> = "text" }
    NewAudit {
        id: i64 = "int8",
        consumer: Option<Text<'b>> = "text",
        key: Option<Text<'b>> = "text",
        request: Option<Text<'b>> = "text",
        body: String = "text",
        link: Vec<u8> = "bytea",
    }
}

/// All rows of one statement.
#[derive(Debug, Default)]
pub(super) struct Rows<'b> {
    pub(super) updates: Updates<'b>,
    pub(super) starts: Starts<'b>,
    pub(super) touched: Touched<'b>,
    pub(super) dedup: Dedup<'b>,
    pub(super) claims: Claims<'b>,
    pub(super) releases: Releases<'b>,
    pub(super) consumed: Consumed<'b>,
    pub(super) redriven: Redriven<'b>,
    pub(super) new_tasks: NewTasks<'b>,
    pub(super) items: Items<'b>,
    pub(super) progress: Progress<'b>,
    pub(super) gone_items: GoneItems<'b>,
    pub(super) lines: Lines<'b>,
    pub(super) gone_labels: GoneLabels<'b>,
    pub(super) new_labels: NewLabels<'b>,
    pub(super) mail: NewMail<'b>,
    pub(super) posts: Posts<'b>,
    pub(super) new_deliveries: NewDeliveries<'b>,
    pub(super) delivery_progress: DeliveryProgress<'b>,
    pub(super) gone_deliveries: GoneDeliveries<'b>,
    pub(super) letters: Letters<'b>,
    pub(super) new_pauses: NewPauses<'b>,
    pub(super) gone_pauses: GonePauses<'b>,
    pub(super) audit: NewAudit<'b>,
}
