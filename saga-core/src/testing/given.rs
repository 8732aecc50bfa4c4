//! A test of one instance: given an instance and an input, check its output.

use crate::message::Alias;
use crate::store::{DeadLetterReason, IgnoredReason};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::definition::End;
use crate::machine::{
    AttemptState, ChildEnd, ChildNews, Decision, Effect, EventIn, EventOf, Input, Instance, JOIN,
    MessageRecord, Position, Program, RejectedClaim, ReportRecord, Resolution, Saga, StartRecord,
    StepContext, Typed, TypedLive, Verb, VerbRecord, all_finished,
};
use crate::message::{
    Command, Event, Id, Incarnation, Key, Message, Name, Payload, PayloadLimits, Timestamp,
};
use crate::store::{
    Address, Changes, HistoryEntry, MailKind, Status, TaskChange, TaskId, TaskKind, TaskStage,
};

/// One instance under test.
///
/// The test kit runs no commands. The test supplies each outcome: [`when`](Self::when) for a reply, and otherwise
/// [`failed`](Self::failed), [`unknown`](Self::unknown) or [`done`](Self::done). Undo commands succeed automatically,
/// unless [`holding_undos`](Self::holding_undos) is set.
///
/// A command that is open at a turn counts as begun with an indeterminate outcome, so its undo runs.
/// [`not_begun`](Self::not_begun) and [`still_running`](Self::still_running) change this default.
///
/// After each step, the state and the data are written to JSON and read back, as in a store.
///
/// # Panics
/// Every method panics with the reason when the test requests something impossible. An example is the reply to a
/// command that was not sent.
#[derive(Debug)]
#[must_use = "check the state, the sent commands or the obligations"]
pub struct Given<S: Saga> {
    program: Arc<Typed<S>>,
    instance: Option<Instance>,
    /// The waiting events, each with the visit that deferred it.
    waiting: VecDeque<(Input, Option<u32>)>,
    now: Timestamp,
    steps: u64,
    hold_undos: bool,
    begun: BTreeMap<&'static str, AttemptState>,
    rejected_claims: Vec<RejectedClaim>,
    sent: Vec<Message>,
    published: Vec<Message>,
    started: Vec<Message>,
    aborted: Vec<String>,
    history: Vec<HistoryEntry>,
    dead: Vec<GivenDeadLetter>,
    last: Option<Effect>,
}

impl<S: Saga> Given<S> {
    /// Creates an instance that `event` has just started, at 2026-01-01T00:00:00Z, with the key `test`.
    #[track_caller]
    pub fn started<E: EventOf<S>>(event: E) -> Self {
        Self::started_as("test", event)
    }

    /// Creates an instance like [`started`](Self::started), with this key.
    #[track_caller]
    pub fn started_as<E: EventOf<S>>(key: &str, event: E) -> Self {
        let key = Key::new(key).unwrap_or_else(|error| panic!("{error}"));
        let mut given = Self {
            program: Arc::new(Typed::new()),
            instance: None,
            waiting: VecDeque::new(),
            now: Timestamp::from_millis(1_767_225_600_000),
            steps: 0,
            hold_undos: false,
            begun: BTreeMap::new(),
            rejected_claims: Vec::new(),
            sent: Vec::new(),
            published: Vec::new(),
            started: Vec::new(),
            aborted: Vec::new(),
            history: Vec::new(),
            dead: Vec::new(),
            last: None,
        };
        // A new instance has no task.
        let attempts = |_: &crate::store::Task| AttemptState::NotBegun;
        let at = context(given.now, given.steps, &attempts);
        let program: Arc<dyn Program> = given.program.clone();
        let address = Address::new(S::NAME, key);
        match Instance::start(&program, address, Incarnation::from_u128(1), &event_in(&event), &[], at) {
            Ok((instance, decision)) => {
                given.instance = Some(instance);
                given.keep(decision);
                given.settle();
            }
            Err(not) => panic!("`{}` did not start `{}`: {} ({})", E::NAME, S::NAME, not.detail, not.reason),
        }
        given
    }

    /// Delivers `event`. The event answers the oldest open command that declares it as a reply, if such a command
    /// exists.
    #[track_caller]
    pub fn when<E: EventOf<S>>(mut self, event: E) -> Self {
        let answered = self.open(TaskKind::Command, |command| {
            let definition = S::definition();
            definition
                .command(command)
                .is_some_and(|index| definition.commands[index].replies.contains(&E::NAME))
        });
        match answered {
            Some(task) => {
                let reply = MessageRecord::from(&event_in(&event).message);
                self.take(Input::Report(task, ReportRecord::Replied(Some(reply))));
            }
            None if !E::KEYED => panic!("`{}` has no key and is not a reply of an open command", E::NAME),
            None => self.take(Input::Event(event_in(&event))),
        }
        self
    }

    /// The oldest open `C` certainly had no effect and is not tried again.
    #[track_caller]
    pub fn failed<C: Command>(self, reason: &str) -> Self {
        self.ended::<C>(ReportRecord::Refused { attempts: 1, reason: reason.to_owned() })
    }

    /// The oldest open `C` has an indeterminate outcome.
    #[track_caller]
    pub fn unknown<C: Command>(self, reason: &str) -> Self {
        self.ended::<C>(ReportRecord::Unknown { attempts: 1, reason: reason.to_owned() })
    }

    /// The oldest open `C`, a command without replies or an undo, is done.
    #[track_caller]
    pub fn done<C: Command>(self) -> Self {
        self.ended::<C>(ReportRecord::Replied(None))
    }

    /// The child `key` of the saga `C` has ended in `state`. A `state` that is no end means that the child was aborted.
    #[track_caller]
    pub fn child_finished<C: Saga>(self, key: &str, state: C, data: C::Data) -> Self {
        let found = &C::definition().states[state.__index()];
        let end = match found.end {
            Some(End::Completed) => ChildEnd::Completed,
            Some(End::Failed) => ChildEnd::Failed,
            None => ChildEnd::Aborted,
        };
        let state_name = Name::Borrowed(found.name);
        let payload = state.__encode().unwrap_or_else(|error| panic!("the state {error}"));
        let data = Payload::encode(&data).unwrap_or_else(|error| panic!("the data {error}"));
        self.child_reports::<C>(
            key,
            ChildNews::Ended { end, state: state_name, payload, data, version: C::VERSION },
        )
    }

    /// The child `key` of the saga `C` is parked and waits for an operator.
    #[track_caller]
    pub fn child_parked<C: Saga>(self, key: &str, why: &str) -> Self {
        self.child_reports::<C>(key, ChildNews::Parked(why.to_owned()))
    }

    /// The child `key` of the saga `C` could not be started.
    #[track_caller]
    pub fn child_not_started<C: Saga>(self, key: &str, why: &str) -> Self {
        self.child_reports::<C>(key, ChildNews::NotStarted(why.to_owned()))
    }

    #[track_caller]
    fn child_reports<C: Saga>(mut self, key: &str, news: ChildNews) -> Self {
        let children = self.instance().children();
        let found =
            children.iter().find(|(_, saga, found, started)| *started && saga == C::NAME && found == key);
        let Some((task, ..)) = found else {
            let open: Vec<_> = children.iter().map(|(_, saga, key, _)| format!("{saga} `{key}`")).collect();
            panic!("{} `{key}` is not a started open child; open children: {}", C::NAME, open.join(", "));
        };
        let report = self.instance().report_of_child(key, news);
        self.take(Input::Report(*task, report));
        self
    }

    #[track_caller]
    fn ended<C: Command>(mut self, report: ReportRecord) -> Self {
        let task = self.open(TaskKind::Undo, |name| name == C::NAME);
        let Some(task) = task.or_else(|| self.open(TaskKind::Command, |name| name == C::NAME)) else {
            panic!("`{}` is not open; open tasks: {}", C::NAME, self.open_names());
        };
        self.take(Input::Report(task, report));
        self
    }

    /// Advances the virtual time by `duration`. Timers fire in the order of their due times, with the clock at that
    /// time. A timer set by another timer also fires when it is due within `duration`.
    ///
    /// # Panics
    /// When more than 1,000 timers fire, because the timers then set each other without end.
    #[track_caller]
    pub fn elapsed(mut self, duration: Duration) -> Self {
        let until = self.now.plus(duration);
        let mut fired = 0;
        while let Some((due, name, visit)) = self.next_timer().filter(|(due, ..)| *due <= until) {
            fired += 1;
            assert!(fired <= 1000, "more than 1,000 timers fired; timer `{name}` fires without end");
            self.now = self.now.max(due);
            let before = self.steps;
            self.take(Input::Timer { name, visit, due });
            if self.steps == before || self.instance().is_parked() {
                break;
            }
        }
        self.now = until;
        self
    }

    /// From now on, undo commands wait for [`done`](Self::done) or [`failed`](Self::failed).
    pub fn holding_undos(mut self) -> Self {
        self.hold_undos = true;
        self
    }

    /// An open `C` counts as never begun at a turn. The command is withdrawn, and its undo is no obligation.
    pub fn not_begun<C: Command>(mut self) -> Self {
        self.begun.insert(C::NAME, AttemptState::NotBegun);
        self
    }

    /// An open `C` counts as running at a turn. The undos wait until the test supplies its outcome.
    pub fn still_running<C: Command>(mut self) -> Self {
        self.begun.insert(C::NAME, AttemptState::Running);
        self
    }

    /// From now on, another instance with the key `by` holds the alias `alias`. A claim of this alias parks this
    /// instance.
    #[track_caller]
    pub fn alias_taken(mut self, alias: &str, by: &str) -> Self {
        let alias = Alias::new(alias).unwrap_or_else(|error| panic!("{error}"));
        self.rejected_claims.push(RejectedClaim { alias, by: by.to_owned() });
        self
    }

    /// From now on, no other instance holds the alias `alias`.
    pub fn alias_free(mut self, alias: &str) -> Self {
        self.rejected_claims.retain(|taken| taken.alias.as_str() != alias);
        self
    }

    /// An operator aborts the instance.
    #[track_caller]
    pub fn abort(self, why: &str) -> Self {
        self.verb(Verb::Abort, why)
    }

    /// An operator makes a parked instance repeat the failed work.
    #[track_caller]
    pub fn retry(self) -> Self {
        self.verb(Verb::Retry, "test")
    }

    /// An operator makes a parked instance continue without the failed work.
    #[track_caller]
    pub fn skip(self) -> Self {
        self.verb(Verb::Skip, "test")
    }

    /// An operator supplies the reply of the command over which the instance is parked.
    #[track_caller]
    pub fn resolve<E: EventOf<S>>(self, reply: E) -> Self {
        let reply = MessageRecord::from(&event_in(&reply).message);
        self.verb(Verb::Resolve(Resolution::Replied(reply)), "test")
    }

    /// An operator states that the command over which the instance is parked is done.
    #[track_caller]
    pub fn resolve_done(self) -> Self {
        self.verb(Verb::Resolve(Resolution::Done), "test")
    }

    /// An operator states that the command over which the instance is parked certainly had no effect.
    #[track_caller]
    pub fn resolve_refused(self) -> Self {
        self.verb(Verb::Resolve(Resolution::Refused), "test")
    }

    #[track_caller]
    fn verb(mut self, verb: Verb, why: &str) -> Self {
        let record = VerbRecord {
            verb,
            by: "test".to_owned(),
            why: why.to_owned(),
            seq: None,
            created: None,
            parent: None,
            request: None,
        };
        let decision = self.decide(&Input::Verb(record));
        if let Effect::Declined(why) = &decision.effect {
            panic!("the verb was declined: {why}");
        }
        self.settle();
        self
    }

    // Results.

    /// Returns the current state. During compensation, returns the state that the instance is leaving.
    #[track_caller]
    pub fn state(&self) -> &S {
        &self.typed().state
    }

    /// Returns the saga data.
    #[track_caller]
    pub fn data(&self) -> &S::Data {
        &self.typed().data
    }

    /// Returns the current position.
    #[track_caller]
    pub fn position(&self) -> Position<S> {
        let instance = self.instance();
        let tasks: Vec<_> = instance.tasks.iter().cloned().collect();
        Position::read(&instance.record, &tasks, instance.park_reason())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns whether the instance has ended.
    pub fn is_over(&self) -> bool {
        self.instance().status().is_over()
    }

    /// Returns all `C` sent so far, undos included, in order.
    #[track_caller]
    pub fn sent<C: Command>(&self) -> Vec<C> {
        decode_all(&self.sent, C::NAME)
    }

    /// Returns all `E` published so far, in order.
    #[track_caller]
    pub fn published<E: Event>(&self) -> Vec<E> {
        decode_all(&self.published, E::NAME)
    }

    /// Returns all `E` that have started children so far, in order. Detached children are included. Children that wait
    /// for a place under a `limit` are not included.
    #[track_caller]
    pub fn started_children<E: Event>(&self) -> Vec<E> {
        decode_all(&self.started, E::NAME)
    }

    /// Returns the keys of the open children of the saga `C`, oldest first. Children that wait for a place are
    /// included.
    pub fn children<C: Saga>(&self) -> Vec<String> {
        let open = self.instance().children().into_iter();
        open.filter(|(_, saga, ..)| saga == C::NAME).map(|(_, _, key, _)| key).collect()
    }

    /// Returns the keys of the children that received an abort.
    pub fn aborted_children(&self) -> &[String] {
        &self.aborted
    }

    /// Returns the stored names of the open obligations (undo commands), oldest first.
    pub fn obligations(&self) -> Vec<&str> {
        self.instance().obligations.iter().map(|obligation| &*obligation.undo).collect()
    }

    /// Returns the aliases that the instance has claimed and not given up, in text order.
    pub fn aliases(&self) -> Vec<&str> {
        self.instance().aliases.iter().map(Alias::as_str).collect()
    }

    /// Returns the timers that are set, by name, with the time left.
    pub fn timers(&self) -> Vec<(&str, Duration)> {
        self.instance().timers.iter().map(|timer| (&*timer.name, timer.due.since(self.now))).collect()
    }

    /// Returns the reason for parking, or `None` when the instance is not parked.
    pub fn parked(&self) -> Option<String> {
        self.instance().park_reason().map(|(reason, detail)| format!("{reason}: {detail}"))
    }

    /// Returns the events that became dead letters, in order.
    pub fn dead_letters(&self) -> &[GivenDeadLetter] {
        &self.dead
    }

    /// Returns the reason why the last event had no effect, or `None` when it had one.
    pub fn ignored(&self) -> Option<IgnoredReason> {
        match self.last {
            Some(Effect::Ignored(why)) => Some(why),
            _ => None,
        }
    }

    /// Returns the virtual time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the history, one line per entry.
    pub fn history(&self) -> Vec<String> {
        self.history.iter().map(line).collect()
    }

    // Implementation.

    fn instance(&self) -> &Instance {
        // The only constructor sets this value before it returns.
        self.instance.as_ref().expect("a `Given` is started")
    }

    #[track_caller]
    fn typed(&self) -> &TypedLive<S> {
        let live =
            self.instance().live().unwrap_or_else(|| panic!("state or data cannot be read back from JSON"));
        live.as_any().downcast_ref().expect("a `Given<S>` holds an instance of `S`")
    }

    fn open(&self, kind: TaskKind, is: impl Fn(&str) -> bool) -> Option<TaskId> {
        let open = |task: &&crate::store::Task| {
            task.kind == kind && task.progress.stage == TaskStage::Ready && is(&task.command.name)
        };
        self.instance().tasks.iter().find(open).map(|task| task.id)
    }

    fn open_names(&self) -> String {
        let names: Vec<_> =
            self.instance().tasks.iter().map(|task| format!("`{}`", task.command.name)).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn next_timer(&self) -> Option<(Timestamp, String, u32)> {
        let instance = self.instance();
        if instance.is_parked() || instance.status() != Status::Running {
            return None;
        }
        let timer = instance.timers.iter().min_by_key(|timer| timer.due)?;
        Some((timer.due, timer.name.to_string(), timer.visit))
    }

    /// Accepts an input like the engine. Reports and events wait while the instance is parked. Events also wait while
    /// it compensates.
    #[track_caller]
    fn take(&mut self, input: Input) {
        self.waiting.push_back((input, None));
        self.settle();
    }

    /// Applies waiting inputs until none can be applied.
    #[track_caller]
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let instance = self.instance();
            if instance.is_parked() {
                return;
            }
            let compensating = instance.status() == Status::Compensating;
            let undo = self.open(TaskKind::Undo, |_| true).filter(|_| !self.hold_undos);
            let visit = (!instance.status().is_over()).then_some(instance.record.visit);
            let waiting = self.waiting.iter().position(|(input, deferred)| {
                (deferred.is_none() || *deferred != visit)
                    && (!compensating || matches!(input, Input::Report(..)))
            });
            if let Some(undo) = undo {
                drop(self.decide(&Input::Report(undo, ReportRecord::Replied(None))));
            } else if let Some(at) = waiting {
                let (input, _) = self.waiting.remove(at).expect("the position was found above");
                let decision = self.decide(&input);
                match decision.effect {
                    Effect::Kept => self.waiting.insert(at, (input, None)),
                    Effect::Deferred => self.waiting.insert(at, (input, visit)),
                    _ => {}
                }
                self.last = Some(decision.effect);
            } else if let Some((due, name, visit)) = self.next_timer().filter(|(_, name, _)| at_once(name)) {
                drop(self.decide(&Input::Timer { name, visit, due }));
            } else if compensating && self.instance().tasks.is_empty() {
                drop(self.decide(&Input::Continue));
            } else {
                return;
            }
        }
        panic!("the instance did not settle within 10,000 steps");
    }

    #[track_caller]
    fn decide(&mut self, input: &Input) -> Decision {
        let begun = self.begun.clone();
        let attempts = |task: &crate::store::Task| {
            begun.get(&*task.command.name).copied().unwrap_or(AttemptState::Between)
        };
        let at = context(self.now, self.steps, &attempts);
        let instance = self.instance.as_mut().expect("a `Given` is started");
        instance.rejected_claims = self.rejected_claims.clone();
        let head = instance.parked_head().filter(|_| matches!(input, Input::Verb(_)));
        let at_head = head.and_then(|head| self.waiting.iter().position(|(input, _)| head.is(input)));
        instance.head = at_head.and_then(|at| self.waiting.remove(at)).map(|(input, _)| input);
        let decision = instance.apply(input, at);
        if let (Some(head), Some(at_head)) = (instance.head.take().filter(|_| !decision.skipped), at_head) {
            self.waiting.insert(at_head, (head, None));
        }
        self.keep(decision)
    }

    /// Records the effects of a decision, like a commit.
    fn keep(&mut self, mut decision: Decision) -> Decision {
        if decision.step.instance.is_some() {
            self.steps += 1;
            if let Some(instance) = &mut self.instance {
                instance.reread();
            }
        }
        for change in &decision.step.tasks {
            if let TaskChange::Add(task) = change
                && task.kind != TaskKind::Child
            {
                self.sent.push(task.command.clone());
            }
        }
        for out in decision.outgoing.drain(..) {
            match out.kind {
                MailKind::Start => {
                    let start: StartRecord =
                        out.message.payload.decode().expect("the start record can be read");
                    self.started.push(start.event.into());
                }
                MailKind::Event => self.started.push(out.message),
                MailKind::Verb => self.aborted.push(out.to.key.to_string()),
                MailKind::Report | MailKind::Delivery | MailKind::Notice => {}
            }
        }
        self.published.extend(decision.published.drain(..).map(|published| published.message));
        self.history.append(&mut decision.step.history);
        if let Effect::Dead { reason, detail } = &decision.effect {
            self.dead.push(GivenDeadLetter { reason: reason.clone(), detail: detail.clone() });
        }
        decision
    }
}

/// An event of a [`Given`] instance that became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenDeadLetter {
    /// The reason.
    pub reason: DeadLetterReason,
    /// The reason as a text for people.
    pub detail: String,
}

/// The context of the next step of the test kit.
fn context(
    now: Timestamp,
    steps: u64,
    attempts: &dyn Fn(&crate::store::Task) -> AttemptState,
) -> StepContext<'_> {
    StepContext {
        now,
        epoch: 1,
        step: Id::from_u128(u128::from(steps) + 1),
        limits: PayloadLimits::DEFAULT,
        attempts,
        trace: None,
    }
}

/// Whether a timer fires at once after the step that set it.
fn at_once(timer: &str) -> bool {
    timer == JOIN || all_finished(timer).is_some()
}

fn event_in<E: Event>(event: &E) -> EventIn {
    let message = Message::of_event(event).unwrap_or_else(|error| panic!("`{}` {error}", E::NAME));
    EventIn { message, value: None, id: None, parent: None }
}

#[track_caller]
fn decode_all<T: serde::de::DeserializeOwned>(messages: &[Message], name: &str) -> Vec<T> {
    let of_type = messages.iter().filter(|message| message.name == name);
    of_type
        .map(|message| message.payload.decode().unwrap_or_else(|error| panic!("`{name}` {error}")))
        .collect()
}

fn line(entry: &HistoryEntry) -> String {
    let mut line = entry.kind.to_string();
    if !entry.name.is_empty() {
        line = format!("{line} {}", entry.name);
    }
    if entry.from != entry.to {
        let from = if entry.from.is_empty() { "(start)" } else { &entry.from };
        line = format!("{line}: {from} -> {}", entry.to);
    }
    if let Some(changes) = Changes::of(entry) {
        let fields = changes.fields().into_iter().map(|field| field.to_string());
        let all: Vec<String> = fields.chain(changes.out.iter().map(|out| format!("out: {out}"))).collect();
        return format!("{} {}", entry.kind, all.join("; "));
    }
    match &entry.note {
        Some(note) => format!("{line} ({note})"),
        None => line,
    }
}
