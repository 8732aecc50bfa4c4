//! The steps of one statement, and their rows.
//!
//! Owns: which steps share a statement, and how a step becomes rows. A statement sees the tables as they were before it, so
//! two steps that meet in a row, a message id or an alias need two statements. Does not own: the SQL (`statement`), or the rows
//! of pending items (`items`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saga_core::message::{Alias, InstanceName, LabelValue};
use saga_core::store::{
    AliasChange, AuditLink, Committed, DeadLetter, DedupRecord, DeliveryChange, DeliveryId, HistoryEntry,
    InstanceChange, Pause, PauseChange, RowId, ShardId, Step, StepOutcome,
};
use saga_stored::item::ItemText;
use saga_stored::{history, instance as body, item};
use uuid::Uuid;

use super::numbers::Numbers;
use super::rows::{Rows, Text};
use crate::deliver::number_of;
use crate::stored::{write_audit, write_delivery, write_letter, write_mail, write_pause};
use crate::sums;

/// The most bytes of payloads in one statement.
const BYTES: usize = 32 << 20;

/// The steps of one statement.
#[derive(Debug)]
pub(super) struct Plan<'b> {
    /// The shard of the lease.
    shard: ShardId,
    pub(super) rows: Rows<'b>,
    pub(super) sent: Vec<Sent>,
    /// The link of the last audit row, if a step has audit rows. Such a step is the last one.
    pub(super) link: Option<AuditLink>,
    meets: HashSet<Meet<'b>>,
    pub(super) bytes: usize,
    mails: i64,
    posted: i64,
    pub(super) item: ItemText,
}

/// A step on its way, with everything that its outcome needs.
#[derive(Debug)]
pub(super) enum Sent {
    /// The outcome is known without the tables.
    Known(StepOutcome),
    Sent(Box<SentStep>),
}

#[derive(Debug)]
pub(super) struct SentStep {
    /// The outcome of a step that fits, without the numbers of inbox rows.
    pub(super) committed: Committed,
    /// The first inbox row of the step among those of the statement, from 1, and their count.
    pub(super) mail: (i64, i64),
    /// The places of the mail for other shards among the mail of the step, in order. It has no number.
    pub(super) posts: Vec<usize>,
    /// The aliases that the step claims.
    pub(super) claims: Vec<Alias>,
    /// The incarnation, the step and its number, for the recognition of a repeated step.
    pub(super) identity: Option<(u128, u128, u64)>,
}

/// A place in which two steps can meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Meet<'b> {
    Row(i64),
    Address(&'b str, &'b str),
    Message(&'b str, &'b str, &'b str),
    Alias(String),
    Inbox(i64),
    Letter(i64),
    Conflicts,
    Delivery(i64),
    Pause(&'b str, &'b str),
}

/// The decision about the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The step is part of the statement.
    Yes,
    /// The step is part of the statement, and the statement is complete.
    Last,
    /// The statement is complete without the step.
    No,
}

/// The numbers that a step needs.
pub(super) fn needs(step: &Step) -> i64 {
    let starts = usize::from(step.row.is_none() && step.instance.is_some());
    let count = starts + step.history.len() + step.deliveries.len() + step.dead.len() + step.audit.len();
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl<'b> Plan<'b> {
    pub(super) fn new(shard: ShardId) -> Self {
        Self {
            shard,
            rows: Rows::default(),
            sent: Vec::new(),
            link: None,
            meets: HashSet::new(),
            bytes: 0,
            mails: 0,
            posted: 0,
            item: ItemText::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Adds the next step, if it can be part of this statement.
    pub(super) fn add(
        &mut self,
        step: &'b Step,
        numbers: &mut Numbers,
        sagas: &HashMap<String, i32>,
        link: AuditLink,
    ) -> Added {
        if let Some(reason) = step.contradiction() {
            self.sent.push(Sent::Known(StepOutcome::Refused(reason.to_owned())));
            return Added::Yes;
        }
        if let Some(foreign) = step.foreign(self.shard) {
            self.sent.push(Sent::Known(StepOutcome::Refused(foreign)));
            return Added::Yes;
        }
        if !self.is_empty() && self.bytes > BYTES {
            return Added::No;
        }
        let meets = meeting(step);
        if !self.meets.is_disjoint(&meets) {
            return Added::No;
        }
        // The saga of such an alias is known to the tables alone.
        let is_alone = step.instance.is_none() && !step.aliases.is_empty();
        if is_alone && !self.is_empty() {
            return Added::No;
        }
        self.meets.extend(meets);
        match self.rows_of(step, numbers, sagas, link) {
            Ok(sent) => self.sent.push(Sent::Sent(Box::new(sent))),
            Err(why) => self.sent.push(Sent::Known(StepOutcome::Refused(why.to_string()))),
        }
        if is_alone || self.link.is_some() { Added::Last } else { Added::Yes }
    }

    fn rows_of(
        &mut self,
        step: &'b Step,
        numbers: &mut Numbers,
        sagas: &HashMap<String, i32>,
        link: AuditLink,
    ) -> serde_json::Result<SentStep> {
        // Everything that can fail is before the first row.
        let pauses = step.pauses.iter().map(|change| match change {
            PauseChange::Pause(pause) => write_pause(pause).map(Some),
            PauseChange::Resume(_) => Ok(None),
        });
        let pauses = pauses.collect::<serde_json::Result<Vec<_>>>()?;
        let audit = step.audit.iter().map(write_audit).collect::<serde_json::Result<Vec<_>>>()?;
        let ord = i32::try_from(self.sent.len()).unwrap_or(i32::MAX);
        let mut committed = Committed::default();
        let saga = step.instance.as_ref().and_then(|change| sagas.get(&*change.address.saga).copied());
        let instance = match (step.row, &step.instance) {
            (Some(row), Some(change)) => {
                self.update(ord, row.0, change, step, numbers);
                Some(row.0)
            }
            (Some(row), None) => {
                self.rows.touched.ord.push(ord);
                self.rows.touched.id.push(row.0);
                Some(row.0)
            }
            (None, Some(change)) => {
                let id = numbers.next();
                committed.row = Some(RowId(id));
                self.start(ord, id, saga.unwrap_or_default(), change, step, numbers);
                Some(id)
            }
            (None, None) => None,
        };
        if let Some(instance) = instance {
            self.items(ord, instance, step);
            self.aliases(ord, instance, saga, step);
            self.labels(ord, instance, step);
        }
        self.dedup(ord, step);
        for (at, id) in step.consumed.iter().enumerate() {
            self.rows.consumed.ord.push(ord);
            self.rows.consumed.id.push(id.0);
            self.rows.consumed.twice.push(step.consumed[..at].contains(id));
        }
        for (at, id) in step.redriven.iter().enumerate() {
            self.rows.redriven.ord.push(ord);
            self.rows.redriven.id.push(id.0);
            self.rows.redriven.twice.push(step.redriven[..at].contains(id));
        }
        let (mail, posts) = self.mail(ord, step);
        self.deliveries(ord, step, numbers, &mut committed);
        self.letters(ord, step, numbers);
        for (change, body) in step.pauses.iter().zip(pauses) {
            self.pause(ord, change, body);
        }
        self.audit(ord, step, audit, numbers, link);
        Ok(SentStep {
            committed,
            mail,
            posts,
            claims: claimed(step).cloned().collect(),
            identity: step.instance.as_ref().map(|change| {
                (change.incarnation.as_u128(), u128::from_be_bytes(change.step.to_bytes()), change.seq)
            }),
        })
    }

    fn body(&mut self, change: &'b InstanceChange) -> (String, Option<Text<'b>>) {
        let mut text = String::with_capacity(change.data.len().min(body::LARGE_DATA) + 512);
        body::write(&mut text, change);
        self.bytes += text.len() + change.data.len();
        let large = body::is_large(&change.data).then(|| Cow::Borrowed(change.data.as_str()));
        (text, large)
    }

    fn update(
        &mut self,
        ord: i32,
        id: i64,
        change: &'b InstanceChange,
        step: &'b Step,
        numbers: &mut Numbers,
    ) {
        let (text, data) = self.body(change);
        let mut last = None;
        let (mut line, mut line_checksum, mut line_body) = (None, None, None);
        for entry in &step.history {
            let (number, text) = (numbers.next(), self.line_body(change.seq, entry));
            // The first line is a part of the update.
            match last {
                None => {
                    line = Some(number);
                    line_checksum = Some(sums::line(number, id, &text));
                    line_body = Some(text);
                }
                Some(_) => self.line(ord, number, id, last, text),
            }
            last = Some(number);
        }
        let rows = &mut self.rows.updates;
        rows.ord.push(ord);
        rows.id.push(id);
        rows.seq.push(change.seq.cast_signed());
        rows.incarnation.push(Uuid::from_u128(change.incarnation.as_u128()));
        rows.status.push(body::status_number(change.status));
        rows.parked.push(change.parked.is_some());
        rows.state.push(Cow::Borrowed(&change.state));
        rows.over_at.push(over_at(change));
        rows.checksum.push(sums::instance(id, change, &text));
        rows.body.push(text);
        rows.data.push(data);
        rows.last.push(last);
        rows.line.push(line);
        rows.line_checksum.push(line_checksum);
        rows.line_body.push(line_body);
    }

    fn start(
        &mut self,
        ord: i32,
        id: i64,
        saga: i32,
        change: &'b InstanceChange,
        step: &'b Step,
        numbers: &mut Numbers,
    ) {
        let (text, data) = self.body(change);
        let mut last = None;
        for entry in &step.history {
            let (number, text) = (numbers.next(), self.line_body(change.seq, entry));
            self.line(ord, number, id, last, text);
            last = Some(number);
        }
        let rows = &mut self.rows.starts;
        rows.ord.push(ord);
        rows.id.push(id);
        rows.saga.push(saga);
        rows.key.push(Cow::Borrowed(change.address.key.stored()));
        rows.incarnation.push(Uuid::from_u128(change.incarnation.as_u128()));
        rows.status.push(body::status_number(change.status));
        rows.parked.push(change.parked.is_some());
        rows.state.push(Cow::Borrowed(&change.state));
        rows.over_at.push(over_at(change));
        rows.checksum.push(sums::instance(id, change, &text));
        rows.body.push(text);
        rows.data.push(data);
        rows.last.push(last);
    }

    fn line_body(&mut self, seq: u64, entry: &HistoryEntry) -> String {
        let mut text = String::with_capacity(160);
        history::write(&mut text, seq, entry);
        self.bytes += text.len();
        text
    }

    fn line(&mut self, ord: i32, id: i64, instance: i64, prev: Option<i64>, body: String) {
        let rows = &mut self.rows.lines;
        rows.ord.push(ord);
        rows.id.push(id);
        rows.instance.push(instance);
        rows.prev.push(prev);
        rows.checksum.push(sums::line(id, instance, &body));
        rows.body.push(body);
    }

    fn aliases(&mut self, ord: i32, instance: i64, saga: Option<i32>, step: &'b Step) {
        let ends = |alias: &Alias| {
            step.aliases.iter().rev().find_map(|change| match change {
                AliasChange::Claim(one) if one == alias => Some(true),
                AliasChange::Release(one) if one == alias => Some(false),
                _ => None,
            })
        };
        for (at, alias) in claimed(step).enumerate() {
            let rows = &mut self.rows.claims;
            rows.ord.push(ord);
            rows.at_step.push(i64::try_from(at).unwrap_or(i64::MAX));
            rows.saga.push(saga);
            rows.alias.push(Cow::Owned(InstanceName::from(alias).stored().to_owned()));
            rows.instance.push(instance);
            // An alias that the step claims twice is added once.
            let is_first = !claimed(step).take(at).any(|before| before == alias);
            rows.kept.push(is_first && ends(alias) == Some(true));
        }
        for change in &step.aliases {
            if let AliasChange::Release(alias) = change
                && ends(alias) == Some(false)
            {
                let rows = &mut self.rows.releases;
                rows.ord.push(ord);
                rows.saga.push(saga);
                rows.alias.push(Cow::Owned(InstanceName::from(alias).stored().to_owned()));
                rows.instance.push(instance);
            }
        }
    }

    fn labels(&mut self, ord: i32, instance: i64, step: &'b Step) {
        for change in &step.labels {
            // A statement that removes and adds the same row would only remove it.
            if let Some(from) = change.from.as_ref().filter(|from| change.to.as_ref() != Some(*from)) {
                let rows = &mut self.rows.gone_labels;
                rows.ord.push(ord);
                rows.name.push(Cow::Borrowed(&change.name));
                rows.value.push(label_text(from));
                rows.instance.push(instance);
            }
            if let Some(to) = &change.to {
                let rows = &mut self.rows.new_labels;
                rows.ord.push(ord);
                rows.name.push(Cow::Borrowed(&change.name));
                rows.value.push(label_text(to));
                rows.instance.push(instance);
            }
        }
    }

    fn dedup(&mut self, ord: i32, step: &'b Step) {
        for (at, record) in step.dedup.iter().enumerate() {
            let rows = &mut self.rows.dedup;
            rows.ord.push(ord);
            rows.at_step.push(i64::try_from(at).unwrap_or(i64::MAX));
            let same = step.dedup[..at].iter().find(|one| one.to == record.to && one.id == record.id);
            let known = |one: &DedupRecord| if one.content == record.content { "same" } else { "other" };
            rows.known.push(same.map(|one| Cow::Borrowed(known(one))));
            rows.consumer.push(Cow::Borrowed(&record.to.saga));
            rows.key.push(Cow::Borrowed(record.to.key.stored()));
            rows.message.push(Cow::Borrowed(record.id.as_str()));
            rows.content.push(record.content.cast_signed());
            rows.at.push(record.at.as_millis());
        }
    }

    fn mail(&mut self, ord: i32, step: &'b Step) -> ((i64, i64), Vec<usize>) {
        let (first, mut posts) = (self.mails + 1, Vec::new());
        for (at, mail) in step.mail.iter().enumerate() {
            let text = write_mail(mail);
            self.bytes += text.len();
            if !self.shard.owns(&mail.to) {
                posts.push(at);
                self.posted += 1;
                let rows = &mut self.rows.posts;
                rows.ord.push(ord);
                rows.shard.push(number_of(mail, self.shard.of()));
                rows.n.push(self.posted);
                rows.consumer.push(Cow::Borrowed(&mail.to.saga));
                rows.key.push(Cow::Borrowed(mail.to.key.stored()));
                rows.kind.push(Cow::Borrowed(mail.kind.as_str()));
                rows.message.push(mail.id.as_ref().map(|id| Cow::Borrowed(id.as_str())));
                rows.body.push(text);
                continue;
            }
            self.mails += 1;
            let rows = &mut self.rows.mail;
            rows.ord.push(ord);
            rows.n.push(self.mails);
            rows.consumer.push(Cow::Borrowed(&mail.to.saga));
            rows.key.push(Cow::Borrowed(mail.to.key.stored()));
            rows.kind.push(Cow::Borrowed(mail.kind.as_str()));
            rows.message.push(mail.id.as_ref().map(|id| Cow::Borrowed(id.as_str())));
            rows.body.push(text);
        }
        ((first, self.mails + 1 - first), posts)
    }

    fn deliveries(&mut self, ord: i32, step: &'b Step, numbers: &mut Numbers, committed: &mut Committed) {
        for (at, change) in step.deliveries.iter().enumerate() {
            match change {
                DeliveryChange::Progress(id, _) if is_superseded(step, at, *id) => {}
                DeliveryChange::Add(delivery) => {
                    let (id, text) = (numbers.next(), write_delivery(delivery));
                    self.bytes += text.len();
                    let mut progress = String::new();
                    item::write_progress(&mut progress, &delivery.progress);
                    let rows = &mut self.rows.new_deliveries;
                    rows.ord.push(ord);
                    rows.id.push(id);
                    rows.consumer.push(Cow::Borrowed(&delivery.to.saga));
                    rows.key.push(Cow::Borrowed(delivery.to.key.stored()));
                    rows.message.push(Cow::Borrowed(delivery.id.as_str()));
                    rows.named.push(delivery.named);
                    rows.body.push(text);
                    rows.progress.push(progress);
                    committed.deliveries.push(DeliveryId(id));
                }
                DeliveryChange::Progress(id, progress) => {
                    let mut text = String::new();
                    item::write_progress(&mut text, progress);
                    let rows = &mut self.rows.delivery_progress;
                    rows.ord.push(ord);
                    rows.id.push(id.0);
                    rows.progress.push(text);
                }
                DeliveryChange::Finish(id) => {
                    self.rows.gone_deliveries.ord.push(ord);
                    self.rows.gone_deliveries.id.push(id.0);
                }
            }
        }
    }

    /// Adds the dead letters. Conflicts under one id in the same step become one row.
    fn letters(&mut self, ord: i32, step: &'b Step, numbers: &mut Numbers) {
        let mut done = vec![false; step.dead.len()];
        for (at, letter) in step.dead.iter().enumerate() {
            if done[at] {
                continue;
            }
            let (mut times, mut last) = (i64::from(letter.times), letter.at);
            for (later, other) in step.dead.iter().enumerate().skip(at + 1) {
                if letter.counts(other) {
                    (times, last, done[later]) = (times.saturating_add(other.times.into()), other.at, true);
                }
            }
            let text = write_letter(letter);
            self.bytes += text.len();
            let rows = &mut self.rows.letters;
            rows.ord.push(ord);
            rows.id.push(numbers.next());
            rows.consumer.push(Cow::Borrowed(&letter.to.saga));
            rows.key.push(Cow::Borrowed(letter.to.key.stored()));
            rows.kind.push(Cow::Borrowed(letter.kind.as_str()));
            rows.message.push(letter.id.as_ref().map(|id| Cow::Borrowed(id.as_str())));
            rows.reason.push(Cow::Borrowed(letter.reason.as_str()));
            rows.times.push(times.min(u32::MAX.into()));
            rows.at.push(last.as_millis());
            rows.body.push(text);
            rows.conflict.push(letter.is_conflict());
        }
    }

    fn pause(&mut self, ord: i32, change: &'b PauseChange, body: Option<String>) {
        match (change, body) {
            (PauseChange::Pause(pause), Some(body)) => {
                let rows = &mut self.rows.new_pauses;
                rows.ord.push(ord);
                rows.kind.push(Cow::Borrowed(pause.of.kind()));
                rows.name.push(Cow::Borrowed(pause.of.name()));
                rows.body.push(body);
            }
            (PauseChange::Pause(Pause { of, .. }) | PauseChange::Resume(of), _) => {
                let rows = &mut self.rows.gone_pauses;
                rows.ord.push(ord);
                rows.kind.push(Cow::Borrowed(of.kind()));
                rows.name.push(Cow::Borrowed(of.name()));
            }
        }
    }

    fn audit(
        &mut self,
        ord: i32,
        step: &'b Step,
        bodies: Vec<String>,
        numbers: &mut Numbers,
        mut link: AuditLink,
    ) {
        for (entry, body) in step.audit.iter().zip(bodies) {
            link = link.next(entry);
            let rows = &mut self.rows.audit;
            rows.ord.push(ord);
            rows.id.push(numbers.next());
            rows.consumer.push(entry.to.as_ref().map(|to| Cow::Borrowed(&*to.saga)));
            rows.key.push(entry.to.as_ref().map(|to| Cow::Borrowed(to.key.stored())));
            rows.request.push(entry.request.as_ref().map(|request| Cow::Borrowed(request.as_str())));
            rows.body.push(body);
            rows.link.push(link.0.to_vec());
            self.link = Some(link);
        }
    }
}

/// Returns the places in which the step can meet another one.
fn meeting<'b>(step: &'b Step) -> HashSet<Meet<'b>> {
    let mut meets = HashSet::new();
    meets.extend(step.row.map(|row| Meet::Row(row.0)));
    // A start can meet a later step of the same instance.
    if let Some(change) = &step.instance {
        meets.insert(Meet::Address(&change.address.saga, change.address.key.stored()));
    }
    let message =
        |record: &'b DedupRecord| Meet::Message(&record.to.saga, record.to.key.stored(), record.id.as_str());
    meets.extend(step.dedup.iter().map(message));
    meets.extend(step.consumed.iter().map(|id| Meet::Inbox(id.0)));
    meets.extend(step.redriven.iter().map(|id| Meet::Letter(id.0)));
    if let Some(change) = &step.instance {
        for AliasChange::Claim(alias) | AliasChange::Release(alias) in &step.aliases {
            meets.insert(Meet::Alias(format!(
                "{}\n{}",
                change.address.saga,
                InstanceName::from(alias).stored()
            )));
        }
    }
    // A removed letter may be the one that counts a conflict.
    if !step.redriven.is_empty() || step.dead.iter().any(DeadLetter::is_conflict) {
        meets.insert(Meet::Conflicts);
    }
    meets.extend(step.deliveries.iter().filter_map(|change| match change {
        DeliveryChange::Progress(id, _) | DeliveryChange::Finish(id) => Some(Meet::Delivery(id.0)),
        DeliveryChange::Add(_) => None,
    }));
    meets.extend(step.pauses.iter().map(|change| match change {
        PauseChange::Pause(Pause { of, .. }) | PauseChange::Resume(of) => Meet::Pause(of.kind(), of.name()),
    }));
    meets
}

/// Returns whether the step finishes the delivery, or has a later progress for it. One statement changes a row once.
fn is_superseded(step: &Step, at: usize, id: DeliveryId) -> bool {
    step.deliveries.iter().enumerate().any(|(other, change)| match change {
        DeliveryChange::Finish(one) => *one == id,
        DeliveryChange::Progress(one, _) => *one == id && other > at,
        DeliveryChange::Add(_) => false,
    })
}

fn claimed(step: &Step) -> impl Iterator<Item = &Alias> {
    step.aliases.iter().filter_map(|change| match change {
        AliasChange::Claim(alias) => Some(alias),
        AliasChange::Release(_) => None,
    })
}

/// The value of a label as its index has it: JSON, which tells a text from an integer.
fn label_text(value: &LabelValue) -> String {
    match value {
        LabelValue::Integer(number) => number.to_string(),
        LabelValue::Text(text) => {
            let mut out = String::with_capacity(text.len() + 2);
            saga_stored::json::string(&mut out, text);
            out
        }
    }
}

fn over_at(change: &InstanceChange) -> Option<i64> {
    change.status.is_over().then_some(change.changed_at.as_millis())
}
