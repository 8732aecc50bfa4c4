//! The contents of a [`MemoryStore`](super::MemoryStore), and the effect of a batch on them.
//!
//! Owns: the checks and the writes of a step. Does not own: the lock around the contents (the parent module). The
//! checks change nothing. The writes cannot fail. A step is therefore all or nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::super::{
    Address, AliasChange, AuditId, AuditLink, AuditRow, Batch, Committed, ConsumerRow, DeadId, DeadLetter,
    DedupRecord, Delivery, DeliveryChange, DeliveryId, HistoryEntry, HistoryRow, InboxId, InstanceChange,
    Lease, Mail, Meeting, NameOf, Node, Obligation, ObligationChange, Pause, PauseChange, PauseOf, Purged,
    RowId, Seen, ShardId, Step, StepOutcome, StoreError, Task, TaskChange, TaskId, TimerChange, TimerRow,
};
use crate::definition::StoredDefinition;
use crate::message::{MessageId, Name, Timestamp};

#[derive(Default)]
pub(super) struct Model {
    /// The newest epoch of all shards.
    pub(super) epoch: u64,
    /// One for each shard.
    pub(super) tenures: Vec<Tenure>,
    /// Mail for another shard than the one of its writer, in order. The owner moves it into the inbox.
    pub(super) arrivals: Vec<Mail>,
    /// The processes that share the shards, by name.
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) instances: BTreeMap<RowId, Kept>,
    pub(super) rows: BTreeMap<Address, RowId>,
    /// The holder of each alias.
    pub(super) aliases: BTreeMap<Address, RowId>,
    pub(super) inbox: BTreeMap<InboxId, Mail>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    pub(super) dedup: BTreeMap<(Address, MessageId), DedupRecord>,
    pub(super) dead: BTreeMap<DeadId, DeadLetter>,
    pub(super) consumers: BTreeSet<ConsumerRow>,
    /// By saga and version.
    pub(super) definitions: BTreeMap<(String, u32), StoredDefinition>,
    /// The present name of each retired name. The key is kind, saga and retired name.
    pub(super) retired: BTreeMap<(NameOf, String, String), String>,
    pub(super) pauses: BTreeMap<PauseOf, Pause>,
    pub(super) audit: Vec<AuditRow>,
    pub(super) damaged: BTreeSet<Address>,
    last_row: i64,
    last_line: i64,
    last_mail: i64,
    last_delivery: i64,
    last_dead: i64,
}

/// The lease of a shard.
#[derive(Default)]
pub(super) struct Tenure {
    pub(super) epoch: u64,
    pub(super) held: bool,
    pub(super) running: bool,
    pub(super) unclean: u64,
    pub(super) owner: String,
    /// Others have delivered rows since the last look.
    pub(super) delivered: bool,
    /// The last batch of this epoch with its answer. A repeated batch gets the same answer.
    pub(super) last_batch: Option<(u64, Vec<StepOutcome>)>,
}

/// An instance with all its rows.
pub(super) struct Kept {
    pub(super) change: InstanceChange,
    /// The number of its newest history line.
    pub(super) last: Option<i64>,
    pub(super) history: Vec<HistoryRow>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) timers: BTreeMap<Name, TimerRow>,
    pub(super) obligations: BTreeMap<TaskId, Obligation>,
}

/// Returns at most `limit` entries behind `after` that belong to the reader.
pub(super) fn behind<K: Ord + Copy, V: Clone>(
    map: &BTreeMap<K, V>,
    after: K,
    limit: usize,
    belongs: impl Fn(&V) -> bool,
) -> Vec<(K, V)> {
    use std::ops::Bound::{Excluded, Unbounded};
    let rows = map.range((Excluded(after), Unbounded)).filter(|(_, value)| belongs(value));
    rows.take(limit).map(|(id, value)| (*id, value.clone())).collect()
}

fn next(counter: &mut i64) -> i64 {
    *counter += 1;
    *counter
}

impl Model {
    pub(super) fn with_shards(of: u16) -> Self {
        Self { tenures: (0..of).map(|_| Tenure::default()).collect(), ..Self::default() }
    }

    pub(super) fn tenure(&mut self, shard: ShardId) -> &mut Tenure {
        &mut self.tenures[usize::from(shard.number())]
    }

    pub(super) fn fence(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let tenure = self.tenure(lease.shard);
        if tenure.held && tenure.epoch == lease.epoch {
            Ok(())
        } else {
            Err(StoreError::Fenced { epoch: lease.epoch })
        }
    }

    pub(super) fn commit(&mut self, batch: &Batch, shard: ShardId) -> Vec<StepOutcome> {
        if let Some((number, outcomes)) = &self.tenure(shard).last_batch {
            if *number == batch.number {
                return outcomes.clone();
            }
            if *number > batch.number {
                let reason =
                    format!("batch {} came after batch {number}; batch numbers must rise", batch.number);
                return vec![StepOutcome::Refused(reason); batch.steps.len()];
            }
        }
        let outcomes: Vec<StepOutcome> = batch.steps.iter().map(|step| self.step(step, shard)).collect();
        self.tenure(shard).last_batch = Some((batch.number, outcomes.clone()));
        outcomes
    }

    fn step(&mut self, step: &Step, shard: ShardId) -> StepOutcome {
        match self.judge(step, shard) {
            Ok(()) => StepOutcome::Committed(self.write(step, shard)),
            Err(outcome) => outcome,
        }
    }

    /// Checks whether the step can be written.
    ///
    /// The instance is checked before the deduplication records. A repeated step is therefore `Repeated`, not a
    /// duplicate of itself. The deduplication records are checked before the rest. A duplicate is therefore a
    /// duplicate, whatever else the step holds.
    fn judge(&self, step: &Step, shard: ShardId) -> Result<(), StepOutcome> {
        if let Some(reason) = step.contradiction() {
            return Err(StepOutcome::Refused(reason.to_owned()));
        }
        if let Some(foreign) = step.foreign(shard) {
            return Err(StepOutcome::Refused(foreign));
        }
        let there = match (step.row, &step.instance) {
            (Some(row), _) => Some(self.instances.get(&row).ok_or(StepOutcome::Conflict)?),
            (None, Some(change)) => self.rows.get(&change.address).and_then(|row| self.instances.get(row)),
            (None, None) => None,
        };
        if let (Some(there), Some(change)) = (there, &step.instance) {
            let same = there.change.incarnation == change.incarnation;
            if same && (there.change.seq, there.change.step) == (change.seq, change.step) {
                return Err(StepOutcome::Repeated);
            }
            if step.row.is_none() || !same || there.change.seq.checked_add(1) != Some(change.seq) {
                return Err(StepOutcome::Conflict);
            }
        }
        let mut set = BTreeMap::new();
        for dedup_record in &step.dedup {
            let key = (dedup_record.to.clone(), dedup_record.id.clone());
            let there = self
                .dedup
                .get(&key)
                .map(|dedup_record| dedup_record.content)
                .or_else(|| set.get(&key).copied());
            match there {
                Some(content) if content == dedup_record.content => return Err(StepOutcome::Duplicate),
                Some(_) => return Err(StepOutcome::IdConflict),
                None => drop(set.insert(key, dedup_record.content)),
            }
        }
        // The effect of earlier changes of this step on the open tasks.
        let mut open: HashMap<TaskId, bool> = HashMap::new();
        for change in &step.tasks {
            match change {
                TaskChange::Add(task) => {
                    let is_open = |id| there.is_some_and(|there| there.tasks.contains_key(&id));
                    let TaskId { seq, ord } = task.id;
                    if open.insert(task.id, true).unwrap_or_else(|| is_open(task.id)) {
                        return Err(StepOutcome::Refused(format!("task {seq}.{ord} already exists")));
                    }
                }
                TaskChange::Finish(id) => drop(open.insert(*id, false)),
                TaskChange::Progress(..) => {}
            }
        }
        self.judge_claims(step)?;
        let mut used = HashSet::new();
        if step.consumed.iter().any(|id| !self.inbox.contains_key(id) || !used.insert(id)) {
            return Err(StepOutcome::Duplicate);
        }
        let mut gone = HashSet::new();
        if let Some(id) = step.redriven.iter().find(|id| !self.dead.contains_key(id) || !gone.insert(**id)) {
            return Err(StepOutcome::Refused(Step::no_letter(*id)));
        }
        Ok(())
    }

    fn judge_claims(&self, step: &Step) -> Result<(), StepOutcome> {
        let saga = match (step.row, &step.instance) {
            (Some(row), _) => self.instances.get(&row).map(|kept| &kept.change.address.saga),
            (None, change) => change.as_ref().map(|change| &change.address.saga),
        };
        let Some(saga) = saga else { return Ok(()) };
        for change in &step.aliases {
            let AliasChange::Claim(alias) = change else { continue };
            let holder = self.aliases.get(&Address::new(saga.clone(), alias.clone()));
            if let Some(holder) = holder.filter(|holder| step.row != Some(**holder)) {
                let by = self.instances[holder].change.key();
                return Err(StepOutcome::AliasTaken { alias: alias.clone(), by });
            }
        }
        Ok(())
    }

    fn change_aliases(&mut self, row: RowId, changes: &[AliasChange]) {
        let Some(kept) = self.instances.get(&row) else { return };
        for change in changes {
            let (AliasChange::Claim(alias) | AliasChange::Release(alias)) = change;
            let alias = Address::new(kept.change.address.saga.clone(), alias.clone());
            if matches!(change, AliasChange::Claim(_)) {
                self.aliases.insert(alias, row);
            } else if self.aliases.get(&alias) == Some(&row) {
                self.aliases.remove(&alias);
            }
        }
    }

    fn write(&mut self, step: &Step, shard: ShardId) -> Committed {
        let mut committed = Committed::default();
        let row = match (step.row, &step.instance) {
            (Some(row), _) => Some(row),
            (None, Some(change)) => {
                let row = self.create(change);
                committed.row = Some(row);
                Some(row)
            }
            (None, None) => None,
        };
        if let Some(kept) = row.and_then(|row| self.instances.get_mut(&row)) {
            kept.write(step);
            if step.instance.is_some() && !step.history.is_empty() {
                kept.last = Some(next(&mut self.last_line));
            }
        }
        if let Some(row) = row {
            self.change_aliases(row, &step.aliases);
        }
        for id in &step.consumed {
            self.inbox.remove(id);
        }
        committed.mail = step.mail.iter().map(|mail| self.add_mail(mail.clone(), shard)).collect();
        for change in &step.deliveries {
            match change {
                DeliveryChange::Add(delivery) => {
                    let id = DeliveryId(next(&mut self.last_delivery));
                    self.deliveries.insert(id, delivery.clone());
                    committed.deliveries.push(id);
                }
                DeliveryChange::Progress(id, progress) => {
                    if let Some(delivery) = self.deliveries.get_mut(id) {
                        delivery.progress = progress.clone();
                    }
                }
                DeliveryChange::Finish(id) => drop(self.deliveries.remove(id)),
            }
        }
        for dedup_record in &step.dedup {
            self.dedup.insert((dedup_record.to.clone(), dedup_record.id.clone()), dedup_record.clone());
        }
        for letter in &step.dead {
            self.add_letter(letter);
        }
        for id in &step.redriven {
            self.dead.remove(id);
        }
        for change in &step.pauses {
            match change {
                PauseChange::Pause(pause) => {
                    self.pauses.entry(pause.of.clone()).or_insert_with(|| pause.clone());
                }
                PauseChange::Resume(of) => drop(self.pauses.remove(of)),
            }
        }
        for entry in &step.audit {
            let (id, before) = self.audit.last().map_or((0, AuditLink::FIRST), |row| (row.id.0, row.link));
            let link = before.next(entry);
            self.audit.push(AuditRow { id: AuditId(id + 1), entry: entry.clone(), link, chain: 0 });
        }
        committed
    }

    fn create(&mut self, change: &InstanceChange) -> RowId {
        let row = RowId(next(&mut self.last_row));
        self.rows.insert(change.address.clone(), row);
        self.instances.insert(
            row,
            Kept {
                change: change.clone(),
                last: None,
                history: Vec::new(),
                tasks: BTreeMap::new(),
                timers: BTreeMap::new(),
                obligations: BTreeMap::new(),
            },
        );
        row
    }

    pub(super) fn meeting(&self) -> Meeting {
        let seen = |node: &Node| Seen { what: node.clone(), silent: Duration::ZERO };
        let owner = |tenure: &Tenure| {
            tenure.held.then(|| Seen { what: tenure.owner.clone(), silent: Duration::ZERO })
        };
        let retired = self.pauses.keys().filter_map(|of| match of {
            PauseOf::Consumer(name) => Some(name.clone()),
            _ => None,
        });
        Meeting {
            nodes: self.nodes.values().map(seen).collect(),
            owners: self.tenures.iter().map(owner).collect(),
            ttl: Duration::ZERO,
            consumers: self.consumers.len() as u64,
            retired: retired.collect(),
        }
    }

    /// Adds mail of a writer with the lease of `shard`. Mail for another shard waits for the owner of that shard.
    fn add_mail(&mut self, mail: Mail, shard: ShardId) -> InboxId {
        if shard.owns(&mail.to) {
            return self.file_mail(mail);
        }
        self.tenure(ShardId::of_address(&mail.to, shard.of())).delivered = true;
        self.arrivals.push(mail);
        InboxId(0)
    }

    /// Adds mail of a writer without a lease.
    pub(super) fn deliver(&mut self, mail: Mail) -> InboxId {
        let of = u16::try_from(self.tenures.len()).unwrap_or(ShardId::MAX);
        let shard = ShardId::of_address(&mail.to, of);
        self.tenure(shard).delivered = true;
        if shard.is_whole() {
            return self.file_mail(mail);
        }
        self.arrivals.push(mail);
        InboxId(0)
    }

    /// Moves the arrivals of a shard into the inbox.
    pub(super) fn collect_arrivals(&mut self, shard: ShardId) {
        for mail in self.arrivals.extract_if(.., |mail| shard.owns(&mail.to)).collect::<Vec<_>>() {
            self.file_mail(mail);
        }
    }

    /// Reads the inbox with the arrivals, which get their numbers later.
    pub(super) fn whole_inbox(&self, after: InboxId, limit: usize) -> Vec<(InboxId, Mail)> {
        let arrivals = (self.last_mail + 1..).map(InboxId).zip(self.arrivals.iter().cloned());
        let arrivals = arrivals.filter(|(id, _)| *id > after);
        behind(&self.inbox, after, limit, |_| true).into_iter().chain(arrivals).take(limit).collect()
    }

    fn file_mail(&mut self, mail: Mail) -> InboxId {
        let id = InboxId(next(&mut self.last_mail));
        self.inbox.insert(id, mail);
        id
    }

    fn add_letter(&mut self, letter: &DeadLetter) {
        if letter.is_conflict()
            && let Some(kept) = self.dead.values_mut().find(|kept| kept.counts(letter))
        {
            kept.times = kept.times.saturating_add(letter.times);
            kept.at = letter.at;
            return;
        }
        self.dead.insert(DeadId(next(&mut self.last_dead)), letter.clone());
    }

    pub(super) fn purge(
        &mut self,
        before: Timestamp,
        limit: usize,
        shard: ShardId,
    ) -> Result<Purged, StoreError> {
        if !self.tenure(shard).held {
            return Err(StoreError::Fenced { epoch: 0 });
        }
        let old = |kept: &Kept| {
            kept.change.status.is_over() && kept.change.changed_at < before && kept.tasks.is_empty()
        };
        let mut rows: Vec<(Timestamp, RowId)> = self
            .instances
            .iter()
            .filter(|(_, kept)| shard.owns(&kept.change.address) && old(kept))
            .map(|(row, kept)| (kept.change.changed_at, *row))
            .collect();
        rows.sort();
        rows.truncate(limit);
        for kept in rows.iter().filter_map(|(_, row)| self.instances.remove(row)) {
            self.rows.remove(&kept.change.address);
        }
        self.aliases.retain(|_, row| self.instances.contains_key(row));
        let mut dedup_records: Vec<_> = self
            .dedup
            .iter()
            .filter(|(_, dedup_record)| shard.owns(&dedup_record.to) && dedup_record.at < before)
            .map(|(key, dedup_record)| (dedup_record.at, key.clone()))
            .collect();
        dedup_records.sort();
        dedup_records.truncate(limit);
        for (_, key) in &dedup_records {
            self.dedup.remove(key);
        }
        Ok(Purged { instances: rows.len(), dedup: dedup_records.len() })
    }
}

impl Kept {
    fn write(&mut self, step: &Step) {
        if let Some(change) = &step.instance {
            let fixed = (self.change.address.clone(), self.change.created_at);
            self.change = change.clone();
            (self.change.address, self.change.created_at) = fixed;
            self.history.extend(
                step.history
                    .iter()
                    .map(|entry: &HistoryEntry| HistoryRow { seq: change.seq, entry: entry.clone() }),
            );
        }
        for change in &step.tasks {
            match change {
                TaskChange::Add(task) => drop(self.tasks.insert(task.id, task.clone())),
                TaskChange::Progress(id, progress) => {
                    if let Some(task) = self.tasks.get_mut(id) {
                        task.progress = progress.clone();
                    }
                }
                TaskChange::Finish(id) => drop(self.tasks.remove(id)),
            }
        }
        for change in &step.timers {
            match change {
                TimerChange::Set(timer) => drop(self.timers.insert(timer.name.clone(), timer.clone())),
                TimerChange::Clear(name) => drop(self.timers.remove(name)),
            }
        }
        for change in &step.obligations {
            match change {
                ObligationChange::Put(owed) => drop(self.obligations.insert(owed.id, owed.clone())),
                ObligationChange::Drop(id) => drop(self.obligations.remove(id)),
            }
        }
    }
}
