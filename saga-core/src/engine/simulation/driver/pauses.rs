//! Pauses of sagas and handlers: who pauses what, and what must not happen meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use super::{Driver, Seen, now};
use crate::engine::{Answer, Attempt, Claim, Disposition, In, StoreVerb, Ticket};
use crate::machine::Operator;
use crate::message::MessageId;
use crate::store::{Address, AuditFilter, AuditFrom, AuditLink, HistoryKind, Inspect, Mail, PauseOf, Store};

/// What is known of the pauses.
#[derive(Default)]
pub(super) struct Pauses {
    /// Paused for certain: the pause was answered, and nobody has asked to end it.
    certain: BTreeSet<PauseOf>,
    asked: BTreeMap<Ticket, StoreVerb>,
    /// Events that were published while their saga was paused for certain.
    events: BTreeMap<Ticket, BTreeSet<String>>,
    requests: u64,
    pauses: u64,
    elsewhere: u64,
    resumes: u64,
    waiting_events: u64,
}

impl Driver {
    fn pausable(&mut self) -> PauseOf {
        let names = [
            PauseOf::Saga("order".to_owned()),
            PauseOf::Saga("thanks".to_owned()),
            PauseOf::Saga("batch".to_owned()),
            PauseOf::Handler("payment.make".to_owned()),
            PauseOf::Handler("mail".to_owned()),
        ];
        names[self.random.below(5)].clone()
    }

    /// Somebody pauses or resumes something, here or in another process.
    pub(super) fn somebody_pauses(&mut self) {
        let of = self.pausable();
        let resume = self.random.one_in(2);
        self.pause_or_resume(of, resume);
    }

    /// Ends one of the pauses, if there is any.
    pub(super) fn resume_one(&mut self) -> bool {
        let first = now(self.store.pauses()).expect("read").into_iter().next();
        first.map(|pause| self.pause_or_resume(pause.of, true)).is_some()
    }

    fn pause_or_resume(&mut self, of: PauseOf, resume: bool) {
        let verb = if resume {
            self.pauses.certain.remove(&of);
            // An event that is held in memory may be taken after the pause.
            for paused in self.pauses.events.values_mut() {
                paused.remove(of.name());
            }
            StoreVerb::Resume(of)
        } else {
            StoreVerb::Pause(of)
        };
        let operator = Operator::new("op").because("a change of the clock");
        if !self.world.calm && self.random.one_in(3) {
            self.pauses.requests += 1;
            let request = MessageId::new(format!("request-{}", self.pauses.requests)).expect("a good id");
            if matches!(verb, StoreVerb::Pause(_)) {
                self.pauses.elsewhere += 1;
            }
            let mail = Mail::store_verb(verb, operator, request, self.now.wall);
            return self.deliver(vec![mail]);
        }
        let unit = self.any_unit();
        let ticket = self.ticket(unit, "");
        self.pauses.asked.insert(ticket, verb.clone());
        self.handle(unit, In::Operate { verb, operator, ticket, claim: Claim::default() });
    }

    /// A start reads the pauses, and requests of other processes may still end them.
    pub(super) fn start_with_pauses(&mut self, gone: &BTreeSet<Ticket>) -> Vec<PauseOf> {
        self.pauses.asked.retain(|ticket, _| !gone.contains(ticket));
        self.pauses.events.retain(|ticket, _| !gone.contains(ticket));
        let paused: Vec<PauseOf> =
            now(self.store.pauses()).expect("read").into_iter().map(|pause| pause.of).collect();
        self.pauses.certain = if self.resume_is_asked() || self.units.len() > 1 {
            BTreeSet::new()
        } else {
            paused.iter().cloned().collect()
        };
        paused
    }

    fn resume_is_asked(&self) -> bool {
        let inbox = now(self.store.inbox(Default::default(), usize::MAX)).expect("read");
        inbox.iter().any(|(_, mail)| mail.message.name == "resume")
    }

    /// Nothing starts that is paused.
    pub(super) fn check_paused(&self, attempt: &Attempt) {
        let of = |of: &PauseOf| match of {
            PauseOf::Saga(saga) => attempt.of.saga == *saga,
            PauseOf::Handler(name) => *attempt.message.name == **name || attempt.of.saga == *name,
            // No attempt is of a consumer that this build does not have.
            PauseOf::Consumer(_) => false,
        };
        let paused = self.pauses.certain.iter().find(|it| of(it));
        assert!(paused.is_none(), "{} of {} starts although {paused:?}", attempt.message.name, attempt.of);
    }

    /// An event for several sagas is about to be published.
    pub(super) fn publishes(&mut self, ticket: Ticket, consumers: &[String]) {
        let paused =
            consumers.iter().filter(|saga| self.pauses.certain.contains(&PauseOf::Saga((*saga).clone())));
        let paused: BTreeSet<String> = paused.cloned().collect();
        if !paused.is_empty() {
            self.pauses.events.insert(ticket, paused);
        }
    }

    pub(super) fn pause_answered(&mut self, ticket: Ticket, answer: &Answer) {
        if let (Some(verb), Answer::Verb(answer)) = (self.pauses.asked.remove(&ticket), answer) {
            match verb {
                StoreVerb::Pause(of) if answer.is_ok() => {
                    self.pauses.pauses += 1;
                    // A request of another process may end the pause at any time.
                    let later = StoreVerb::Resume(of.clone());
                    let later = self.pauses.asked.values().any(|asked| *asked == later);
                    // Another unit may not have heard of it yet.
                    if !later && !self.resume_is_asked() && self.units.len() == 1 {
                        self.pauses.certain.insert(of);
                    }
                }
                StoreVerb::Resume(_) => self.pauses.resumes += u64::from(answer.is_ok()),
                _ => {}
            }
        }
        if let (Some(paused), Answer::Published(consumers)) = (self.pauses.events.remove(&ticket), answer) {
            for (to, answer) in consumers {
                let applied = matches!(answer, Ok(Disposition::Applied | Disposition::Deferred));
                assert!(!applied || !paused.contains(&*to.saga), "{to} took an event while it was paused");
                self.pauses.waiting_events += 1;
            }
        }
    }

    /// The audit is whole: its chain, and one row for each verb in the history.
    pub(super) fn audit_is_whole(&self, orders: &[Address], seen: &mut Seen) {
        let all = AuditFilter { from: AuditFrom::default(), limit: usize::MAX, ..AuditFilter::default() };
        let rows = now(self.store.audit(&all)).expect("read");
        let mut link = AuditLink::FIRST;
        for row in &rows {
            assert!(row.follows(&link), "{row:?}");
            link = row.link;
        }
        seen.audited += rows.len() as u64;
        seen.pauses += self.pauses.pauses;
        seen.paused_elsewhere += self.pauses.elsewhere;
        seen.resumes += self.pauses.resumes;
        seen.paused_events += self.pauses.waiting_events;
        for order in orders {
            let history = now(self.store.history(order, 100_000)).expect("read");
            for verb in ["abort", "retry", "skip", "resolve", "fire", "postpone"] {
                let lines = history.iter().map(|line| &line.entry);
                let kept = lines.filter(|line| line.kind == HistoryKind::Verb && line.name == verb).count();
                let mine = rows.iter().map(|row| &row.entry).filter(|it| it.to.as_ref() == Some(order));
                let mine = mine.filter(|it| it.verb == verb && it.declined.is_none()).count();
                assert_eq!(kept, mine, "`{verb}` of {order} is in the history and in the audit");
            }
        }
    }
}
