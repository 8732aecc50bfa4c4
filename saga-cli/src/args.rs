//! The arguments: verbs, options and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use saga_core::machine::{Operator, OperatorVerb};
use saga_core::message::Timestamp;
use saga_core::store::{
    DeadLetterFilter, InstanceFilter, InstanceOrder, PageFrom, PauseOf, Position, Status,
};

use crate::conditions::{Conditions, Deliveries, LetterConditions, time};

/// Shows the instances of a saga store, and decides what waits for a person.
///
/// Exit codes: 0 all is well, 1 the store cannot be used, 2 wrong usage, 3 not found, 4 the instance has declined the verb, 5
/// not yet: the dispatcher has not applied the verb, or the wait is over, 6 damage was found.
#[derive(Debug, Parser)]
#[command(name = "saga", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The SQLite file of the store.
    #[arg(long, env = "SAGA_DB", value_name = "FILE", global = true)]
    pub(crate) db: Option<PathBuf>,
    /// The PostgreSQL database of the store, such as `host=localhost user=shop dbname=shop`. A password is better in SAGA_POSTGRES,
    /// because other users of the machine can see arguments.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "SAGA_POSTGRES", value_name = "CONFIG", global = true, hide_env_values = true)]
    pub(crate) postgres: Option<String>,
    /// The schema of the store in PostgreSQL.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "SAGA_SCHEMA", value_name = "NAME", default_value = "saga", global = true)]
    pub(crate) schema: String,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Table, global = true)]
    pub(crate) output: Format,
    /// Shows the output again when it has changed, until Ctrl-C. For the verbs that read.
    #[arg(long, global = true)]
    pub(crate) watch: bool,
    /// Shows redacted values, which are `***` otherwise.
    #[arg(long, global = true)]
    pub(crate) reveal: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    Table,
    /// One JSON value.
    Json,
    /// One JSON value in each line.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists instances.
    Ls(Ls),
    /// Shows one instance: state, data, open commands, obligations and timers.
    Show(Of),
    /// Shows the history of one instance, oldest line first.
    Trace(Trace),
    /// Counts the instances of each saga, state and status.
    Count {
        /// Only this saga.
        #[arg(long)]
        saga: Option<String>,
    },
    /// Lists and shows dead letters, delivers them again, edits and discards them.
    #[command(subcommand)]
    Dead(Dead),
    /// Pauses a saga or a handler. New events wait, and nothing is lost.
    Pause(Pause),
    /// Ends the pause of a saga or a handler, or the retirement of a consumer.
    Resume(Pause),
    /// Lists the paused sagas and handlers, and the retired consumers.
    Pauses,
    /// Retires a consumer that no release has any more. Its waiting events become dead letters, and it gets no new ones.
    Retire(Retire),
    /// Lists the decisions of operators, newest first.
    Audit(Audit),
    /// Groups what waits for a person by reason and error: parked instances and dead letters.
    Problems,
    /// Lists open commands, undos and children, with their attempts and errors.
    Tasks(Tasks),
    /// Lists set timers, the next one first.
    Timers(Timers),
    /// Lists the schedules, with their next and last run.
    Schedules,
    /// Lists open deliveries of events to subscribers, with their attempts and errors.
    Deliveries(Deliveries),
    /// Shows the size of the store, its oldest work, and how much of it waits.
    Stats,
    /// Lists the processes that share the store, with their shards.
    Nodes,
    /// Lists the consumers of each event.
    Consumers,
    /// Lists the sagas that have run on the store, with their versions.
    Sagas,
    /// Draws the table of a saga.
    Graph(Graph),
    /// Repeats the work that parked an instance.
    Retry(Decide),
    /// Continues a parked instance without the work that parked it.
    Skip(Decide),
    /// Undoes everything that is owed, and ends the instance.
    Abort(Decide),
    /// Removes an ended instance with its history, before its retention is over. The audit keeps the decision.
    Purge(Decide),
    /// Supplies the outcome of the command over which an instance is parked.
    Resolve(Resolve),
    /// Makes a timer of an instance due now.
    Fire(Fire),
    /// Gives a timer of an instance another due time.
    Postpone(Postpone),
    /// Sends an event to an instance. An event that starts the saga starts it.
    Send(Send),
    /// Decides about all instances that meet the conditions.
    Batch(Batch),
    /// Waits until an instance has ended, is parked, or is in a state.
    Wait(Wait),
    /// Reads every instance with its history, and reports damage.
    Check,
    /// Shows the store in a browser.
    #[cfg(feature = "ui")]
    Ui(Ui),
    /// Runs a shop that fails and recovers, with the dashboard and a button that kills it.
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Copies the store into a new file, while the dispatcher runs.
    Backup {
        /// The new file.
        to: PathBuf,
    },
    /// The versions of the tables.
    #[command(subcommand)]
    Migrate(Migrate),
    /// Prints one instance with its history as JSON, to look at elsewhere with `import`.
    Export(Of),
    /// Writes an exported instance into a new store, the file of --db. Show it there with the other verbs. A dispatcher on the new
    /// file would run its commands again.
    Import {
        /// The exported file, or `-` for standard input.
        from: PathBuf,
    },
    /// Moves everything into another store, while no dispatcher runs on either.
    ///
    /// A move that was interrupted is run again, and goes on. Until its end, no dispatcher starts on either store. Afterwards,
    /// none starts on the old one.
    Move(Move),
    /// Prints the completions for a shell.
    Completions { shell: clap_complete::Shell },
}

/// Where to move.
#[derive(Args, Debug)]
pub(crate) struct Move {
    /// The new SQLite file.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// The new PostgreSQL database. A password is better in SAGA_TO_POSTGRES.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "SAGA_TO_POSTGRES", value_name = "CONFIG", hide_env_values = true)]
    pub(crate) to_postgres: Option<String>,
    /// The schema in PostgreSQL.
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "NAME", default_value = "saga")]
    pub(crate) to_schema: String,
    /// Give up a move that was interrupted, so that the application starts here again.
    #[arg(long, conflicts_with = "to")]
    pub(crate) give_up: bool,
    /// Tell each portion.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

impl Verb {
    /// Returns whether the verb shows what is in the store, and ends at once.
    pub(crate) const fn shows(&self) -> bool {
        match self {
            Self::Ls(_) | Self::Show(_) | Self::Trace(_) | Self::Count { .. } | Self::Pauses => true,
            Self::Audit(_) | Self::Problems | Self::Stats | Self::Consumers | Self::Sagas | Self::Nodes => {
                true
            }
            Self::Tasks(_) | Self::Timers(_) | Self::Schedules | Self::Deliveries(_) => true,
            Self::Dead(dead) => matches!(dead, Dead::Ls { .. } | Dead::Show { .. }),
            _ => false,
        }
    }
}

/// What to know about migrations.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Shows the version of the tables, and the migrations that they need. Changes nothing.
    Status,
    /// Brings the tables to the version of this program. Stop the dispatcher of a file first. Earlier programs cannot use the store
    /// afterwards.
    Run,
}

/// The address of an instance.
#[derive(Args, Debug)]
pub(crate) struct Of {
    /// The stored name of the saga.
    pub(crate) saga: String,
    /// The key of the instance.
    pub(crate) key: String,
    /// The text is an alias and not a key.
    #[arg(long)]
    pub(crate) alias: bool,
}

/// The dashboard on the file. A decision goes through the inbox, and the dispatcher of the store applies it.
#[cfg(feature = "ui")]
#[derive(Args, Debug)]
pub(crate) struct Ui {
    /// The port on 127.0.0.1. 0 takes a free one.
    #[arg(long, default_value_t = 7242)]
    pub(crate) port: u16,
    /// Decides nothing.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Ends after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
}

#[cfg(feature = "demo")]
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// The port on 127.0.0.1. 0 takes a free one.
    #[arg(long, default_value_t = 7242)]
    pub(crate) port: u16,
    /// Ends after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// Runs the shop itself on this file. The demo starts this process.
    #[arg(long, hide = true)]
    pub(crate) worker: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Graph {
    /// The stored name of the saga.
    pub(crate) saga: String,
    /// The form of the drawing.
    #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
    pub(crate) format: GraphFormat,
    /// The version of the definition. The default is the newest one.
    #[arg(long)]
    pub(crate) version: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A Mermaid state diagram.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
    /// A drawing with its colours.
    #[cfg(feature = "ui")]
    Svg,
    /// The whole definition: states, rows, events, commands and shapes.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) of: Of,
    /// Waits for a park as well as for the end.
    #[arg(long)]
    pub(crate) parked: bool,
    /// Waits for this state. An end in another state is not what was waited for.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// The most seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) timeout: u64,
}

/// The person who decides.
#[derive(Args, Debug)]
pub(crate) struct Who {
    /// Why. The audit keeps the text.
    #[arg(long, value_name = "REASON")]
    pub(crate) because: String,
    /// Who decides. The audit keeps the name.
    #[arg(long, env = "USER", value_name = "NAME")]
    pub(crate) by: String,
    /// Does not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Who {
    /// Returns the operator.
    pub(crate) fn operator(&self) -> Operator {
        Operator::new(&self.by).because(&self.because)
    }

    /// Returns the operator, who has seen the instance at the step `seq`.
    pub(crate) fn at_step(&self, seq: u64) -> Operator {
        self.operator().at_step(seq)
    }
}

/// A decision about one instance. It is declined if the instance has made a step since it was read.
#[derive(Args, Debug)]
pub(crate) struct Decide {
    #[command(flatten)]
    pub(crate) of: Of,
    #[command(flatten)]
    pub(crate) who: Who,
    /// The step at which the instance was seen. The default is its present step.
    #[arg(long)]
    pub(crate) step: Option<u64>,
    /// How many seconds to wait until the dispatcher has applied the verb.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,
}

/// The outcome of a command as the operator knows it.
#[derive(Args, Debug)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) decide: Decide,
    /// The command is done. For commands without replies, and for undos.
    #[arg(long, conflicts_with_all = ["refused", "reply"], required_unless_present_any = ["refused", "reply"])]
    pub(crate) done: bool,
    /// The command certainly had no effect.
    #[arg(long, conflicts_with = "reply")]
    pub(crate) refused: bool,
    /// The command was answered by this reply: a stored name.
    #[arg(long, value_name = "EVENT", requires = "body")]
    pub(crate) reply: Option<String>,
    /// The JSON of the reply.
    #[arg(long, value_name = "JSON", requires = "reply")]
    pub(crate) body: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Fire {
    #[command(flatten)]
    pub(crate) decide: Decide,
    /// The stored name of the timer, as `saga show` prints it.
    #[arg(long)]
    pub(crate) timer: String,
}

#[derive(Args, Debug)]
pub(crate) struct Postpone {
    #[command(flatten)]
    pub(crate) decide: Decide,
    /// The stored name of the timer, as `saga show` prints it.
    #[arg(long)]
    pub(crate) timer: String,
    /// The due time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Timestamp,
}

/// An event for one instance. Other consumers of the event do not get it.
#[derive(Args, Debug)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) of: Of,
    /// The stored name of the event.
    pub(crate) event: String,
    /// The JSON of the event.
    #[arg(long, value_name = "JSON")]
    pub(crate) body: String,
    /// The message id. A repetition under the same id is declined. The default is a new id.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) operate: Operate,
}

/// A decision about something else than one instance.
#[derive(Args, Debug)]
pub(crate) struct Operate {
    #[command(flatten)]
    pub(crate) who: Who,
    /// How many seconds to wait until the dispatcher has applied the verb.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,
}

/// The object of a pause.
#[derive(Args, Debug)]
pub(crate) struct Pause {
    /// The kind of the object.
    #[arg(value_enum)]
    kind: PauseKind,
    /// The stored name of the saga or the command, or the name of the subscriber.
    name: String,
    #[command(flatten)]
    pub(crate) operate: Operate,
}

/// A consumer to retire.
#[derive(Args, Debug)]
pub(crate) struct Retire {
    /// The stored name of the saga, or the name of the subscriber. `consumers` lists them.
    pub(crate) consumer: String,
    #[command(flatten)]
    pub(crate) operate: Operate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PauseKind {
    /// All instances of a saga.
    Saga,
    /// The handler of a command, or a subscriber.
    Handler,
    /// A consumer that no release has any more. Its pause retires it.
    Consumer,
}

impl Pause {
    pub(crate) fn of(&self) -> PauseOf {
        match self.kind {
            PauseKind::Saga => PauseOf::Saga(self.name.clone()),
            PauseKind::Handler => PauseOf::Handler(self.name.clone()),
            PauseKind::Consumer => PauseOf::Consumer(self.name.clone()),
        }
    }
}

/// The rows of the audit.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Only decisions about instances of this saga. Needs --key.
    #[arg(long, requires = "key")]
    pub(crate) saga: Option<String>,
    /// Only decisions about the instance with this key.
    #[arg(long, requires = "saga")]
    pub(crate) key: Option<String>,
    /// Only decisions of this operator.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Only rows before this number.
    #[arg(long, default_value_t = i64::MAX, hide_default_value = true)]
    pub(crate) before: i64,
    /// Oldest first, beginning after this number. 0 begins with the first row.
    #[arg(long, conflicts_with = "before")]
    pub(crate) after: Option<i64>,
    /// The most rows.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

/// One decision about many instances. Each instance declines it if it has made a step since it was read. A batch that was
/// interrupted is run again: it finds the instances that still meet the conditions.
#[derive(Args, Debug)]
pub(crate) struct Batch {
    /// The decision. Retry and skip are for parked instances, abort is for instances that have not ended, and purge is for
    /// ended ones.
    #[arg(value_enum)]
    pub(crate) verb: BatchVerb,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    #[command(flatten)]
    pub(crate) who: Who,
    /// The most instances.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BatchVerb {
    Retry,
    Skip,
    Abort,
    Purge,
}

impl From<BatchVerb> for OperatorVerb {
    fn from(verb: BatchVerb) -> Self {
        match verb {
            BatchVerb::Retry => Self::Retry,
            BatchVerb::Skip => Self::Skip,
            BatchVerb::Abort => Self::Abort,
            BatchVerb::Purge => Self::Purge,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) of: Of,
    /// The most lines, counted from the newest one.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// Lists dead letters, oldest first.
    Ls {
        #[command(flatten)]
        conditions: LetterConditions,
        /// Only letters after this number.
        #[arg(long)]
        after: Option<i64>,
        /// The most letters.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
    /// Shows one dead letter with its payload.
    Show {
        /// The number of the letter.
        id: i64,
    },
    /// Delivers dead letters again, and removes them.
    Redrive(Letters),
    /// Delivers one dead letter again, with another payload.
    Edit {
        /// The number of the letter.
        id: i64,
        /// The JSON to deliver instead, in the version of the letter.
        #[arg(long, value_name = "JSON")]
        body: String,
        #[command(flatten)]
        operate: Operate,
    },
    /// Removes dead letters. The audit keeps their payloads.
    Discard(Letters),
}

/// Dead letters by their numbers, or all that meet the conditions.
#[derive(Args, Debug)]
pub(crate) struct Letters {
    /// The numbers of the letters.
    #[arg(required_unless_present = "LetterConditions", conflicts_with = "LetterConditions")]
    pub(crate) ids: Vec<i64>,
    #[command(flatten)]
    conditions: LetterConditions,
    /// The most letters.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) operate: Operate,
}

/// Open work of the instances that meet the conditions.
#[derive(Args, Debug)]
pub(crate) struct Tasks {
    #[command(flatten)]
    conditions: Conditions,
    /// Only tasks with an error.
    #[arg(long)]
    pub(crate) failing: bool,
    /// The most lines.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

/// Timers of the instances that meet the conditions.
#[derive(Args, Debug)]
pub(crate) struct Timers {
    #[command(flatten)]
    conditions: Conditions,
    /// The most lines.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

impl Tasks {
    /// Returns the filters of the first pages. Without a status, tasks of instances that have not ended are listed.
    pub(crate) fn filters(&self) -> Vec<InstanceFilter> {
        let filter = self.conditions.filter();
        let of = |status| {
            let mut filter = filter.clone();
            filter.status = Some(status);
            filter
        };
        match filter.status {
            Some(_) => vec![filter],
            None => vec![of(Status::Running), of(Status::Compensating)],
        }
    }
}

impl Timers {
    /// Returns the filter of the first page, the next timer first.
    pub(crate) fn filter(&self) -> InstanceFilter {
        let mut filter = self.conditions.filter();
        filter.order = InstanceOrder::Due;
        filter
    }
}

/// A list of instances.
#[derive(Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    conditions: Conditions,
    /// The order of the list.
    #[arg(long, value_enum, default_value_t = Sort::Created)]
    sort: Sort,
    /// Lowest first. The default is highest first, except for keys and timers.
    #[arg(long, conflicts_with = "descending")]
    ascending: bool,
    /// Highest first.
    #[arg(long)]
    descending: bool,
    /// The most instances.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Only instances behind this position, as the last line of an earlier list says.
    #[arg(long, value_name = "POSITION")]
    after: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Created,
    Changed,
    Key,
    Due,
}

impl Letters {
    /// Returns the filter of the first page.
    pub(crate) fn filter(&self) -> DeadLetterFilter {
        self.conditions.filter()
    }
}

impl Ls {
    /// Returns the filter of the first page.
    pub(crate) fn filter(&self) -> InstanceFilter {
        let mut filter = self.conditions.filter();
        filter.order = match self.sort {
            Sort::Created => InstanceOrder::Created,
            Sort::Changed => InstanceOrder::Changed,
            Sort::Key => InstanceOrder::Key,
            Sort::Due => InstanceOrder::Due,
        };
        let newest_first = matches!(self.sort, Sort::Created | Sort::Changed);
        filter.descending = self.descending || newest_first && !self.ascending;
        filter.from = self.after.clone().map(PageFrom::After);
        filter
    }
}
