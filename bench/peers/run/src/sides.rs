//! The sides: where they are, what makes them durable, and what they leave out.

/// One side with one set of settings.
#[derive(Debug)]
pub struct Side {
    /// As the table shows it.
    pub name: &'static str,
    /// The package in `bench/peers`, and its program without `peer-`.
    pub folder: &'static str,
    /// The crate whose version the lock file holds.
    pub package: &'static str,
    /// The third argument of the program.
    pub variant: &'static str,
    /// What is on the disk when, in this variant. The numbers of fsyncs were counted with strace.
    pub durability: &'static str,
    /// What this side does not do, so that a reader can weigh its figures.
    pub leaves_out: &'static str,
}

impl Side {
    /// Whether this is the side that the others are compared with.
    pub fn is_ours(&self) -> bool {
        self.folder == "saga"
    }
}

const CANO: &str = "The order lives in memory only, and a restart does not find unfinished runs. \
    No events, no dispatcher, no list of runs. The log of a run is deleted at its end. \
    It blocks a runtime thread for each fsync, so two runs proceed on two cores and the others wait; \
    its latencies are those of the runs under way.";

const DURARE: &str = "No undo owed before an effect: an undo is code of the user. No events in this job. \
    A new build does not pick up the work of an old one by default.";

const DURUST: &str =
    "No undo owed before an effect. No call that waits for a result: this side is told in-process.";

const APALIS: &str = "A job queue: no undo, no instance to look up, and each step is a new job. \
    The latency ends when the last step runs, before its result is stored.";

/// All sides in the order of the table. The first is this library.
pub const SIDES: &[Side] = &[
    Side {
        name: "saga",
        folder: "saga",
        package: "saga-rs",
        variant: "",
        durability: "fsync per group of commits (SQLite FULL): 4 a saga at 1, 0.03 at 256",
        leaves_out: "Nothing of the job: each event is recorded once, and each undo is owed before its effect. \
            One process owns the file, while durare, durust and Restate let several share the work.",
    },
    Side {
        name: "cano, plain steps",
        folder: "cano",
        package: "cano",
        variant: "plain",
        durability: "fsync per step (redb): 6 a saga; names of states only",
        leaves_out: CANO,
    },
    Side {
        name: "cano, two undoable steps",
        folder: "cano",
        package: "cano",
        variant: "undo",
        durability: "fsync per step and per output (redb): 8 a saga",
        leaves_out: "As above. The undo is known to the store after the effect, not before it.",
    },
    Side {
        name: "durare, as shipped",
        folder: "durare",
        package: "durare",
        variant: "normal",
        durability: "**no fsync per commit** (SQLite NORMAL)",
        leaves_out: DURARE,
    },
    Side {
        name: "durare, FULL",
        folder: "durare",
        package: "durare",
        variant: "full",
        durability: "fsync per commit (SQLite FULL): 6 a saga",
        leaves_out: "As above.",
    },
    Side {
        name: "durust, `Worker::run`",
        folder: "durust",
        package: "durust",
        variant: "run",
        durability: "fsync per commit (SQLite FULL): 20 a saga at 1, 16 at 256",
        leaves_out: DURUST,
    },
    Side {
        name: "durust, drained",
        folder: "durust",
        package: "durust",
        variant: "drain",
        durability: "fsync per commit (SQLite FULL), as above",
        leaves_out: "As above. Its worker is driven without any pause, which no deployment does.",
    },
    Side {
        name: "duroxide",
        folder: "duroxide",
        package: "duroxide",
        variant: "",
        durability: "**no fsync per commit** (SQLite NORMAL)",
        leaves_out: "No undo owed before an effect. Its provider offers no way to ask for FULL.",
    },
    Side {
        name: "apalis, as `setup`",
        folder: "apalis",
        package: "apalis-sqlite",
        variant: "setup",
        durability: "**no fsync at all** (SQLite OFF)",
        leaves_out: APALIS,
    },
    Side {
        name: "apalis, FULL",
        folder: "apalis",
        package: "apalis-sqlite",
        variant: "full",
        durability: "fsync per commit (SQLite FULL): 12 a saga at 1, 4 at 256",
        leaves_out: "As above.",
    },
    Side {
        name: "steno",
        folder: "steno",
        package: "steno",
        variant: "",
        durability: "**not durable** (its only store keeps nothing)",
        leaves_out: "Nothing is stored, so this is the cost of its graph and its tasks alone.",
    },
    Side {
        name: "Restate",
        folder: "restate",
        package: "restate-sdk",
        variant: "",
        durability: "as the server is configured",
        leaves_out: "A server of its own process: its CPU, memory and writes are not counted here.",
    },
];
