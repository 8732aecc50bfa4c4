//! The connection that commits, and the steps of the lease holder.
//!
//! Owns: the order of the statements of a batch, and the result of a statement whose answer was lost (rule R30). Does not
//! own: the SQL of a statement (`statement`), or the taking of the lease (`lease`).
//!
//! After an error that leaves the result open, the connection is dropped. The next call opens a new one and gives the lease
//! a new generation there. This waits for the statement in flight, and no later one of the old connection can be written.
//! Then the number of the newest statement says whether it was written.

mod answer;
mod counts;
mod items;
mod numbers;
mod plan;
mod rows;
mod statement;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use saga_core::message::chain;
use saga_core::store::{AuditLink, Batch, Lease, ShardId, Step, StepOutcome, StoreError};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

use crate::connection::{Role, Server};
use crate::error::{Kind, kind, of_store, said, unavailable};
use crate::lease::{Heart, Observed};
use crate::options::Durability;
use crate::schema;
use crate::shard::{inbox_sequence, number};
use crate::store::{Base, PATIENCE};
use answer::Answer;
pub(crate) use numbers::Numbers;
use plan::{Added, Plan, Sent};

/// The most steps in one statement.
const STEPS: usize = 1_024;
/// The most prepared statements. A load has a few dozen sets of kinds.
const STATEMENTS: usize = 128;

#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) server: Arc<Server>,
    /// The shard that this committer takes the lease of.
    pub(crate) shard: ShardId,
    /// The secret name of this handle in the row of the lease.
    pub(crate) holder: Uuid,
    pub(crate) session: Option<Session>,
    pub(crate) held: Option<Held>,
    /// The epoch that another process has ended, until the next lease.
    pub(crate) lost: Option<u64>,
    pub(crate) observed: Option<Observed>,
    pub(crate) inbox: Arc<Inbox>,
}

/// What this process knows about the numbers of inbox rows.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The newest row for which the dispatcher was woken, or which it wrote itself behind that one.
    pub(crate) woken: AtomicI64,
    /// The highest number that this process has seen.
    pub(crate) highest: AtomicI64,
    /// The server has lost what it had answered. This is known until the next lease.
    pub(crate) rewound: AtomicBool,
}

impl Inbox {
    /// The dispatcher has written `count` rows up to this one. Rows of others before them still wake it.
    fn wrote(&self, last: i64, count: i64) {
        self.saw(last);
        let _ = self.woken.compare_exchange(last - count, last, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn saw(&self, number: i64) {
        self.highest.fetch_max(number, Ordering::Relaxed);
    }

    /// Forgets what the server had before.
    pub(crate) fn forget(&self) {
        self.rewound.store(false, Ordering::Relaxed);
        self.highest.store(0, Ordering::Relaxed);
    }
}

/// A connection with its prepared statements.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The process of the server and its start, to end the session if the network has lost it.
    process: (i32, String),
    statements: HashMap<u32, Statement>,
}

/// The lease of this process.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) epoch: i64,
    /// The secret name of the handle in the row of the lease.
    holder: Uuid,
    /// The timeline of the server, as far as the server says it. A replica that takes the place of the server has another one.
    timeline: Option<String>,
    /// The last generation that was asked for. A usable connection has it.
    pub(crate) generation: i32,
    /// The process of the server with the connection that was dropped last.
    stale: Option<(i32, String)>,
    pub(crate) heart: Heart,
    /// The numbers of the sagas.
    sagas: HashMap<String, i32>,
    numbers: Numbers,
    /// The number of the last statement.
    number: i64,
    /// The last statement with its changes in the counts, of this lease.
    folded: Option<i64>,
    link: AuditLink,
    answered: Option<Answered>,
    open: Option<Open>,
}

/// A batch with its outcomes. A repeated batch gets the same outcomes (rule R32).
#[derive(Debug)]
struct Answered {
    number: u64,
    outcomes: Vec<StepOutcome>,
}

/// A batch with some of its statements.
#[derive(Debug)]
struct Open {
    number: u64,
    outcomes: Vec<StepOutcome>,
    /// The steps before this one are sent one by one, because one of them is refused by the server.
    alone: usize,
    /// The next step has failed a condition once. Another shard may have been faster, which a second look shows.
    again: bool,
    doubt: Option<Doubt>,
}

/// A statement whose answer was lost.
#[derive(Debug)]
struct Doubt {
    number: i64,
    sent: Vec<Sent>,
    link: Option<AuditLink>,
}

impl Session {
    /// Runs the statement of a set of kinds.
    async fn run(
        &mut self,
        (set, shard): (u32, ShardId),
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Answer, Error> {
        if self.statements.len() >= STATEMENTS && !self.statements.contains_key(&set) {
            self.statements.clear();
        }
        let statement = match self.statements.get(&set) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(&statement::text(set, shard)).await?;
                self.statements.insert(set, statement.clone());
                statement
            }
        };
        Answer::read(&self.client.query(&statement, params).await?)
    }
}

impl Held {
    pub(crate) fn new(
        epoch: i64,
        numbers: Numbers,
        link: AuditLink,
        sagas: HashMap<String, i32>,
        (holder, timeline): (Uuid, Option<String>),
        heart: Heart,
    ) -> Self {
        Self {
            epoch,
            holder,
            timeline,
            generation: 0,
            stale: None,
            heart,
            sagas,
            numbers,
            number: 0,
            folded: None,
            link,
            answered: None,
            open: None,
        }
    }

    /// Takes over the outcomes of a written statement.
    fn written(&mut self, Doubt { number, sent, link }: Doubt, answer: Answer, inbox: &Inbox) {
        if answer.inbox > 0 {
            inbox.wrote(answer.inbox, answer::mails(&sent));
        }
        if let Some(open) = &mut self.open {
            open.again = false;
        }
        let outcomes = answer.outcomes(sent);
        // A step with audit rows is the last one of its statement.
        if let (Some(link), Some(StepOutcome::Committed(_))) = (link, outcomes.last()) {
            self.link = link;
        }
        self.number = number;
        if let Some(open) = &mut self.open {
            open.outcomes.extend(outcomes);
        }
    }

    /// Returns the reason why the step cannot be sent at all.
    fn refusal(&self, step: &Step) -> Option<String> {
        let saga = step.instance.as_ref().map(|change| &*change.address.saga);
        if saga.is_some_and(|saga| !self.sagas.contains_key(saga)) {
            return Some("the server refuses the name of the saga".to_owned());
        }
        let is_large = plan::needs(step) > numbers::BLOCK;
        is_large.then(|| format!("the step has more than {} rows", numbers::BLOCK))
    }

    /// Reads the numbers of the sagas again after a rename.
    pub(crate) fn set_sagas(&mut self, sagas: HashMap<String, i32>) {
        self.sagas = sagas;
    }
}

impl Committer {
    pub(crate) fn new(base: &Base, shard: ShardId, inbox: Arc<Inbox>) -> Self {
        let (server, holder) = (Arc::clone(&base.server), base.holder);
        Self { server, shard, holder, session: None, held: None, lost: None, observed: None, inbox }
    }

    /// Commits the steps of a batch. See [`Store::commit`](saga_core::store::Store::commit).
    pub(crate) async fn commit(
        &mut self,
        lease: &Lease,
        batch: &Batch,
    ) -> Result<Vec<StepOutcome>, StoreError> {
        self.holding(lease)?;
        self.ready().await?;
        let held = self.holding(lease)?;
        match &held.answered {
            Some(answered) if answered.number == batch.number => return Ok(answered.outcomes.clone()),
            Some(answered) if answered.number > batch.number => {
                let reason = format!(
                    "batch {} came after batch {}; batch numbers must rise",
                    batch.number, answered.number
                );
                return Ok(vec![StepOutcome::Refused(reason); batch.steps.len()]);
            }
            _ => {}
        }
        if held.open.as_ref().is_none_or(|open| open.number != batch.number) {
            held.open = Some(Open {
                number: batch.number,
                outcomes: Vec::new(),
                alone: 0,
                again: false,
                doubt: None,
            });
        }
        self.name_sagas(lease, batch).await?;
        while self.next_statement(lease, batch).await? {}
        let held = self.holding(lease)?;
        let outcomes = held.open.take().map(|open| open.outcomes).unwrap_or_default();
        held.answered = Some(Answered { number: batch.number, outcomes: outcomes.clone() });
        // The batch is written, whatever becomes of the counts.
        if let (Some(session), Some(held)) = (&self.session, &mut self.held)
            && let Err(error) = counts::fold(&session.client, held, self.shard).await
        {
            tracing::warn!(error = %chain(&error), "changes of the counts are not folded; trying again");
            self.drop_session(error);
        }
        Ok(outcomes)
    }

    /// Gives a number to each new saga.
    async fn name_sagas(&mut self, lease: &Lease, batch: &Batch) -> Result<(), StoreError> {
        let held = self.holding(lease)?;
        let names = batch.steps.iter().filter_map(|step| step.instance.as_ref());
        let new: Vec<&str> = names
            .map(|change| &*change.address.saga)
            .filter(|name| !held.sagas.contains_key(*name))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        const ADD: &str =
            "INSERT INTO saga_name (name) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING";
        let client = self.client()?;
        let refused = |error: &Error| kind(error) == Kind::Step;
        let named = async {
            match client.execute(ADD, &[&new]).await {
                // A name that the server refuses gets no number, and its steps are refused. The others get theirs.
                Err(error) if refused(&error) => {
                    for name in &new {
                        match client.execute(ADD, &[&[*name].as_slice()]).await {
                            Err(error) if !refused(&error) => return Err(error),
                            _ => {}
                        }
                    }
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            sagas(client).await
        };
        match named.await {
            Ok(sagas) => self.holding(lease)?.sagas = sagas,
            Err(error) => return Err(self.drop_session(error)),
        }
        Ok(())
    }

    /// Sends the next statement of the open batch. Returns `false` at the end of the batch.
    async fn next_statement(&mut self, lease: &Lease, batch: &Batch) -> Result<bool, StoreError> {
        let held = self.holding(lease)?;
        let Some(open) = &held.open else { return Ok(false) };
        let from = open.outcomes.len();
        let alone = open.alone;
        let Some(first) = batch.steps.get(from) else { return Ok(false) };
        let needs = plan::needs(first);
        if needs > held.numbers.left() && needs <= numbers::BLOCK {
            self.next_block(lease).await?;
        }
        let (inbox, shard) = (Arc::clone(&self.inbox), self.shard);
        let held = self.holding(lease)?;
        let most = if from < alone { 1 } else { STEPS };
        let mut plan = Plan::new(shard);
        for step in batch.steps[from..].iter().take(most) {
            if let Some(refused) = held.refusal(step) {
                if plan.is_empty() {
                    plan.sent.push(Sent::Known(StepOutcome::Refused(refused)));
                }
                break;
            }
            if plan::needs(step) > held.numbers.left() {
                break;
            }
            match plan.add(step, &mut held.numbers, &held.sagas, held.link) {
                Added::Yes => {}
                Added::Last | Added::No => break,
            }
        }
        let Plan { rows, sent, link, .. } = plan;
        let (epoch, generation, number) = (held.epoch, held.generation, held.number + 1);
        let count = sent.len();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&epoch, &generation, &number];
        let set = statement::params(&rows, &mut params);
        if set == 0 && sent.iter().all(|sent| matches!(sent, Sent::Known(_))) {
            let doubt = Doubt { number: held.number, sent, link: None };
            held.written(doubt, Answer::default(), &inbox);
            return Ok(true);
        }
        // The result is open from here on, also if this thread panics.
        if let Some(open) = &mut held.open {
            open.doubt = Some(Doubt { number, sent, link });
        }
        let Some(mut session) = self.session.take() else { return Err(self.no_session()) };
        let answer = tokio::time::timeout(PATIENCE, session.run((set, shard), &params)).await;
        self.session = Some(session);
        match answer {
            Err(_) => Err(self.silent()),
            Ok(Ok(answer)) => {
                let held = self.holding(lease)?;
                if let Some(doubt) = held.open.as_mut().and_then(|open| open.doubt.take()) {
                    held.written(doubt, answer, &inbox);
                }
                Ok(true)
            }
            Ok(Err(error)) => self.not_written(lease, error, count).await,
        }
    }

    /// Handles an error of a statement with `count` steps.
    async fn not_written(&mut self, lease: &Lease, error: Error, count: usize) -> Result<bool, StoreError> {
        let kind = kind(&error);
        if !matches!(kind, Kind::Step | Kind::Condition) {
            return Err(self.drop_session(error));
        }
        // The server has written nothing.
        if kind == Kind::Condition {
            let (epoch, generation) = (self.holding(lease)?.epoch, self.holding(lease)?.generation);
            const HOLDS: &str = "SELECT 1 FROM saga_lease WHERE epoch = $1 AND gen = $2";
            match self.client()?.query_opt(HOLDS, &[&epoch, &generation]).await {
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.lost(lease.epoch)),
                Err(error) => return Err(self.drop_session(error)),
            }
        }
        let held = self.holding(lease)?;
        if let Some(open) = &mut held.open {
            open.doubt = None;
            if count > 1 {
                open.alone = open.outcomes.len() + count;
            } else if kind == Kind::Condition && !std::mem::replace(&mut open.again, true) {
                // The same step once more.
            } else {
                open.again = false;
                open.outcomes.push(match kind {
                    Kind::Condition => StepOutcome::Conflict,
                    _ => StepOutcome::Refused(said(&error)),
                });
            }
        }
        Ok(true)
    }

    async fn next_block(&mut self, lease: &Lease) -> Result<(), StoreError> {
        match self.client()?.query_one(NEXT_BLOCK, &[]).await.and_then(|row| row.try_get(0)) {
            Ok(block) => {
                self.holding(lease)?.numbers = Numbers::block(block);
                Ok(())
            }
            Err(error) => Err(self.drop_session(error)),
        }
    }

    /// Makes the connection usable, and finds the result of a statement whose answer was lost.
    pub(crate) async fn ready(&mut self) -> Result<(), StoreError> {
        // Without a lease, nothing in memory is compared with the server.
        if self.held.is_some() && self.inbox.rewound.load(Ordering::Relaxed) {
            return Err(rewound(&self.server, LOST));
        }
        if self.session.as_ref().is_some_and(|session| session.client.is_closed()) {
            self.end_session();
        }
        if self.session.is_some() {
            return Ok(());
        }
        let client = self.server.connect(Role::Commit, None).await?;
        let of = |error| of_store(&self.server.name, error);
        client.batch_execute(SETTINGS).await.map_err(of)?;
        schema::check_session(&self.server, &client).await?;
        const PROCESS: &str =
            "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = client.query_one(PROCESS, &[]).await.map_err(of)?;
        let process = (row.try_get(0).map_err(of)?, row.try_get(1).map_err(of)?);
        if let Some(held) = &mut self.held {
            if let Some((pid, began)) = &held.stale {
                // The number of a process is used again. Without the right to end it, the next statement waits for it.
                const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                   WHERE pid = $1 AND backend_start::text = $2";
                let _ = client.execute(END, &[pid, began]).await;
            }
            let settled = settle(&self.server, &client, held, (self.shard, &self.inbox)).await;
            if matches!(settled, Err(StoreError::Rewound { .. })) {
                self.inbox.rewound.store(true, Ordering::Relaxed);
            }
            if !settled? {
                let epoch = held.epoch.cast_unsigned();
                return Err(self.lost(epoch));
            }
            held.stale = None;
        }
        self.session = Some(Session { client, process, statements: HashMap::new() });
        Ok(())
    }

    /// Returns whether the holder of the lease has no connection, so that the next one may lead to another server.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.held.is_some() && self.session.as_ref().is_none_or(|session| session.client.is_closed())
    }

    pub(crate) fn client(&self) -> Result<&Client, StoreError> {
        self.session.as_ref().map(|session| &session.client).ok_or_else(|| self.no_session())
    }

    fn no_session(&self) -> StoreError {
        unavailable(&self.server.name, "the connection has ended; the next call opens a new one")
    }

    /// Drops the connection after an error, and returns the error of the store.
    pub(crate) fn drop_session(&mut self, error: Error) -> StoreError {
        self.end_session();
        of_store(&self.server.name, error)
    }

    /// Drops the connection of a server that does not answer.
    pub(crate) fn silent(&mut self) -> StoreError {
        self.end_session();
        unavailable(&self.server.name, "the server does not answer")
    }

    fn end_session(&mut self) {
        if let (Some(session), Some(held)) = (self.session.take(), &mut self.held) {
            held.stale = Some(session.process);
        }
    }

    pub(crate) fn holding(&mut self, lease: &Lease) -> Result<&mut Held, StoreError> {
        self.held
            .as_mut()
            .filter(|held| held.epoch.cast_unsigned() == lease.epoch)
            .ok_or(StoreError::Fenced { epoch: lease.epoch })
    }

    /// Ends the lease after another process has ended it. Nothing more is written under this lease.
    pub(crate) fn lost(&mut self, epoch: u64) -> StoreError {
        (self.held, self.lost, self.session) = (None, Some(epoch), None);
        StoreError::Fenced { epoch }
    }
}

pub(crate) use counts::READ as COUNTS;

pub(crate) const NEXT_BLOCK: &str = "SELECT nextval('saga_number')";

/// One plan serves arrays of any length.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan";

/// Reads the numbers of the sagas.
pub(crate) async fn sagas(
    client: &impl tokio_postgres::GenericClient,
) -> Result<HashMap<String, i32>, Error> {
    let rows = client.query("SELECT name, id FROM saga_name", &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Returns the read of the number of the newest inbox row.
pub(crate) fn newest_inbox_row(shard: ShardId) -> String {
    format!("SELECT last_value FROM {}", inbox_sequence(shard))
}

/// Reads the timeline of the server. `None` if the server does not say it, as services without a log of their own do.
pub(crate) async fn timeline(client: &Client) -> Result<Option<String>, Error> {
    const TIMELINE: &str = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";
    const NOT_SAID: [SqlState; 3] =
        [SqlState::FEATURE_NOT_SUPPORTED, SqlState::INSUFFICIENT_PRIVILEGE, SqlState::UNDEFINED_FUNCTION];
    match client.query_one(TIMELINE, &[]).await {
        Ok(row) => row.try_get(0).map(Some),
        Err(error) if error.code().is_some_and(|code| NOT_SAID.contains(code)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives the lease a new generation, and finds the result of the last statement. Returns `false` if the lease is gone.
async fn settle(
    server: &Server,
    client: &Client,
    held: &mut Held,
    (shard, inbox): (ShardId, &Inbox),
) -> Result<bool, StoreError> {
    // A late renewal of an earlier connection has a lower number, and changes nothing.
    const RENEW: &str =
        "UPDATE saga_lease SET gen = $2 WHERE epoch = $1 AND gen < $2 AND holder = $3 AND shard = $4";
    const HOLDS: &str = "SELECT 1 FROM saga_lease WHERE epoch = $1 AND holder = $2 AND shard = $3";
    let number_of_shard = number(shard);
    const NEWEST: &str =
        "SELECT number, inbox, bad FROM saga_batch WHERE epoch = $1 ORDER BY number DESC LIMIT 1";
    let of = |error| of_store(&server.name, error);
    has_not_lost(server, client, held, (shard, inbox)).await?;
    held.generation += 1;
    let renewed = client
        .execute(RENEW, &[&held.epoch, &held.generation, &held.holder, &number_of_shard])
        .await
        .map_err(of)?;
    if renewed == 0 {
        let holds = client
            .query_opt(HOLDS, &[&held.epoch, &held.holder, &number_of_shard])
            .await
            .map_err(of)?
            .is_some();
        return if holds {
            Err(unavailable(&server.name, "the lease was renewed meanwhile"))
        } else {
            Ok(false)
        };
    }
    // The number of a saga may come from a statement that the server has lost.
    held.sagas = sagas(client).await.map_err(of)?;
    let Some(newest) = client.query_opt(NEWEST, &[&held.epoch]).await.map_err(of)? else {
        return if held.number == 0 { Ok(undo_doubt(held)) } else { Err(rewound(server, LOST)) };
    };
    let number: i64 = newest.try_get(0).map_err(of)?;
    if number < held.number {
        return Err(rewound(server, LOST));
    }
    let doubt = held.open.as_mut().and_then(|open| open.doubt.take());
    let Some(doubt) = doubt.filter(|doubt| doubt.number <= number) else { return Ok(true) };
    let (last, bad): (Option<i64>, Option<&str>) =
        (newest.try_get(1).map_err(of)?, newest.try_get(2).map_err(of)?);
    let answer = Answer::recorded(last, bad).map_err(|error| StoreError::Corrupt {
        store: server.name.clone(),
        detail: format!("the record of statement {number} cannot be read: {error}"),
    })?;
    held.written(doubt, answer, inbox);
    Ok(true)
}

/// Refuses a server that may have lost what it had answered.
///
/// The numbers alone do not show every loss. Another process can add rows after the loss, and they get the numbers of the lost
/// ones.
async fn has_not_lost(
    server: &Server,
    client: &Client,
    held: &Held,
    (shard, inbox): (ShardId, &Inbox),
) -> Result<(), StoreError> {
    let of = |error| of_store(&server.name, error);
    let now = timeline(client).await.map_err(of)?;
    if held.timeline.is_some() && now.is_some() && held.timeline != now {
        return Err(rewound(server, "another server has taken its place"));
    }
    if server.durability == Durability::Relaxed {
        const ALIVE: &str = "SELECT 1 FROM saga_alive WHERE epoch = $1";
        if client.query_opt(ALIVE, &[&held.epoch]).await.map_err(of)?.is_none() {
            return Err(rewound(server, "the server has crashed, and its commits are not durable"));
        }
    }
    let newest = newest_inbox_row(shard);
    let newest: i64 = client.query_one(&newest, &[]).await.and_then(|row| row.try_get(0)).map_err(of)?;
    if newest < inbox.highest.load(Ordering::Relaxed) {
        return Err(rewound(server, LOST));
    }
    Ok(())
}

/// Nothing was ever written under this lease.
fn undo_doubt(held: &mut Held) -> bool {
    if let Some(open) = &mut held.open {
        open.doubt = None;
    }
    true
}

/// What the numbers of a server show that has gone back in time.
pub(crate) const LOST: &str = "the server has lost commits that it had answered";

/// A server that has lost answered commits must not be written to from the memory of this process.
pub(crate) fn rewound(server: &Server, detail: impl Into<String>) -> StoreError {
    StoreError::Rewound { store: server.name.clone(), detail: detail.into() }
}
