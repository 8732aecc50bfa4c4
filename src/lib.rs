#![doc = include_str!("docs/manual.md")]
#![cfg_attr(
    all(feature = "macros", feature = "recurring", feature = "routing-slip", feature = "sqlite", feature = "testing"),
    doc = include_str!("docs/manual/chapters.md")
)]
#![doc = include_str!("docs/features.md")]
// On docs.rs, each item names the features that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

// In documentation it is there with any features, so that `cargo doc` of an application shows it.
#[cfg(any(
    all(doc, not(doctest)),
    all(
        feature = "macros",
        feature = "recurring",
        feature = "routing-slip",
        feature = "sqlite",
        feature = "testing"
    )
))]
pub mod manual;

#[doc(hidden)]
pub use saga_core::__private_0_1_0;
pub use saga_core::definition;
#[cfg(feature = "recurring")]
pub use saga_core::recurring;
#[cfg(feature = "routing-slip")]
pub use saga_core::routing_slip;
#[cfg(feature = "macros")]
pub use saga_macros::{Command, Event, Saga};
#[cfg(feature = "postgres")]
pub use saga_postgres::{self as postgres, PostgresStore};
#[cfg(feature = "sqlite")]
pub use saga_sqlite::{self as sqlite, SqliteStore};

// A process and its values.
pub use saga_core::Saga;
pub use saga_core::machine::{AllFinished, Child, ChildEnd, ChildParked, Context, Finished, Position};
pub use saga_core::message::{
    ActionResult, Alias, ByAlias, Command, Correlated, Done, Event, Failed, HandlerResult, Id, Incarnation,
    InstanceName, Key, Label, LabelValue, MAX_KEY_BYTES, Message, MessageId, Name, Payload, PayloadLimits,
    Report, Sensitive, Tick, Timestamp, TraceContext, Unknown,
};

// The dispatcher.
pub use saga_core::dispatcher::{
    Attention, Clock, ConsumerReceipt, Dispatcher, DispatcherBuilder, Disposition, Handler, HandlerContext,
    Health, HealthReason, HealthReport, Instance, NodeView, Nodes, Notice, OpenCommand, Proposed,
    PublishOptions, Receipt, SetTimer, StandBy, Subscriber, SystemClock, UnknownName, WeakDispatcher,
};
pub use saga_core::engine::{
    AttemptCounts, Durations, HandlerStatus, Moment, Policy, StoreVerb, Tally, Traced, TracedKind, Tracer,
};

// Operating.
pub use saga_core::machine::{
    DeclinedReason, Operator, OperatorVerb, ParkReason, Parked, ParkedOver, Preview, Resolved,
};
pub use saga_core::store::{DeadLetterReason, HistoryKind, IgnoredReason, PauseOf};

/// All errors.
pub mod error {
    pub use saga_core::dispatcher::{
        AskError, InstanceError, PublishError, ReceiptError, ShutdownError, StartError,
    };
    pub use saga_core::engine::StartProblem;
    pub use saga_core::message::{
        ActionError, BoxError, Chain, HandlerError, HandlerErrorKind, KeyError, PayloadError, TimestampError,
        TraceContextError, chain,
    };
    #[cfg(feature = "routing-slip")]
    pub use saga_core::routing_slip::SlipError;
    pub use saga_core::store::StoreError;
    #[cfg(feature = "postgres")]
    pub use saga_postgres::PrepareError;
    #[cfg(feature = "sqlite")]
    pub use saga_sqlite::TransactionError;
}

/// What code needs that runs commands or receives events.
pub mod handler {
    pub use saga_core::dispatcher::{Handler, HandlerContext, Subscriber};
    pub use saga_core::engine::Policy;
    pub use saga_core::message::{
        Done, HandlerError, HandlerErrorKind, HandlerResult, NoReply, Reply, ReplyTo,
    };
}

/// Stores: reading them, the one in memory, and what a store of your own is given and asked for.
///
/// The traits and the data of a commit are outside of semantic versioning until version 1.0.
pub mod store {
    pub use saga_core::store::{
        Address, AliasChange, AuditChains, AuditEntry, AuditFilter, AuditFrom, AuditId, AuditLink, AuditRow,
        Batch, Change, Changes, Committed, ConsumerRow, DeadId, DeadLetter, DeadLetterFilter, DeadLetterPage,
        DeadLetterReason, DeadLetterRow, DedupRecord, Delivery, DeliveryChange, DeliveryFilter, DeliveryId,
        DeliveryPage, DeliveryRow, DueTimer, FieldChange, HistoryEntry, HistoryKind, HistoryRow, ImportError,
        InboxId, Inspect, InstanceChange, InstanceCount, InstanceExport, InstanceFilter, InstanceOrder,
        InstancePage, InstanceView, LabelChange, LabelCondition, LabelConditionError, LabelTest, Labels,
        Lease, Loaded, Mail, MailKind, Maintain, Meeting, MemoryStore, NameOf, Node, Obligation,
        ObligationChange, ObligationOf, OpenTask, OutKind, PageFrom, Pause, PauseChange, PauseOf, Position,
        PositionError, Problem, ProblemKind, Problems, Purged, Redacted, Relocated, Relocation,
        RelocationError, RetiredName, RowId, ScheduleLine, Seen, ShardId, Snapshot, Status, Step,
        StepOutcome, Store, StoreError, StoreSizes, Stored, StoredName, Task, TaskChange, TaskId, TaskKind,
        TaskLine, TaskProgress, TaskStage, TimeRange, TimerChange, TimerKey, TimerLine, TimerRow, Trace,
        WentOut, WorkPage, async_trait,
    };
}

/// The test kit, see the chapter [testing](crate::manual::testing) of the manual.
#[cfg(feature = "testing")]
pub mod testing {
    pub use saga_core::conformance;
    pub use saga_core::dispatcher::{ManualClock, TestContext, TestContextBuilder};
    pub use saga_core::store::{Fault, conformance};
    pub use saga_core::testing::*;
}

#[doc = include_str!("docs/expansion.md")]
pub mod expansion {}

#[doc = include_str!("docs/what_happens_if.md")]
pub mod what_happens_if {}

#[doc = include_str!("docs/guarantees.md")]
pub mod guarantees {}

#[doc(inline)]
pub use saga_core::rules;

#[doc = include_str!("docs/glossary.md")]
pub mod glossary {}

/// What the file of a saga and the file of a handler need. No name in it is one that other crates are likely to have, but for
/// the derives of serde.
pub mod prelude {
    pub use saga_core::Saga;
    pub use saga_core::dispatcher::{Handler, HandlerContext, Subscriber};
    pub use saga_core::machine::Context;
    pub use saga_core::message::{
        ActionResult, Command, Correlated, Done, Event, HandlerError, HandlerResult, Timestamp,
    };
    #[cfg(feature = "macros")]
    pub use saga_macros::{Command, Event, Saga};
    pub use serde::{Deserialize, Serialize};
}

#[cfg(all(feature = "macros", feature = "recurring", feature = "routing-slip", feature = "testing"))]
#[doc = include_str!("docs/coming_from_masstransit.md")]
pub mod coming_from_masstransit {}
