//! Requests for instances of other processes: mail for their shards, and looks at the store for the answer.
//!
//! Owns: the way of an event, a verb and a wait to another process. Does not own: the way to a unit of this process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Sharing;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::calling::{IN_TRANSACTION, NotAnswered, Patience};
use crate::dispatcher::error::InstanceError;
use crate::dispatcher::mailbox::Mailbox;
use crate::engine::{Accepted, Answer, Consumer, Disposition, In, StoreVerb, Until};
use crate::machine::{DeclinedReason, Operator, VerbRecord};
use crate::message::{MessageId, chain};
use crate::store::{Address, AuditFilter, Loaded, Mail, MailKind, ShardId, Snapshot, StoreError};

/// The first and the longest interval between two looks for an answer of another process.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// How many waiting rows are read to see whether one of them can start an instance.
const WAITING: usize = 100;

/// The intervals between looks for an answer.
struct Looks(Duration);

impl Looks {
    const fn new() -> Self {
        Self(LOOKS.0)
    }

    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LOOKS.1);
        now
    }
}

impl Dispatcher {
    /// Publishes an event here or to another process. A unit that ends meanwhile has not taken the event, so it goes on to the
    /// next owner.
    pub(in crate::dispatcher) async fn publish_shared(
        &self,
        sharing: &Sharing,
        event: Accepted,
        patience: Patience,
    ) -> Result<Answer, NotAnswered> {
        let to: Vec<Address> = event
            .consumers
            .iter()
            .map(|(consumer, key)| Address::new(consumer.name().to_string(), key.clone()))
            .collect();
        let since = self.clock.now().mono;
        let here = to.iter().find_map(|to| sharing.mailbox_of(to));
        if let Some(mailbox) = here {
            let again = again(&event);
            let asked = self.call(&mailbox, patience, true, move |ticket, claim| In::Publish {
                event: Accepted { claim, ..event },
                ticket,
            });
            let answer = asked.await;
            if !self.has_gone_away(&answer) {
                return answer;
            }
            return self.deliver(sharing, again, to, (patience, since)).await;
        }
        self.deliver(sharing, event, to, (patience, since)).await
    }

    /// Returns whether the engine that was asked has stopped without an effect, while this process goes on. Another process has
    /// the shard then, or nobody.
    pub(in crate::dispatcher) fn has_gone_away(&self, answer: &Result<Answer, NotAnswered>) -> bool {
        matches!(answer, Ok(Answer::Stopped) | Err(NotAnswered::Stopped))
            && self.line.sharing().is_some_and(|sharing| !sharing.is_stopping())
    }

    /// Returns the engine of this process that has all these instances. `None` if there is no such engine.
    pub(in crate::dispatcher) fn one_engine_of(&self, addresses: &[Address]) -> Option<Mailbox> {
        let first = addresses.first()?;
        if let Some(sharing) = self.line.sharing() {
            let shard = |to: &Address| ShardId::of_address(to, sharing.of);
            // The holder of an alias can be in another shard.
            let is_elsewhere = |to: &Address| shard(to) != shard(first) || self.is_away(to);
            if addresses.iter().any(is_elsewhere) {
                return None;
            }
        }
        self.line.of(first)
    }

    /// Puts an event down for the owners of its shards.
    async fn deliver(
        &self,
        sharing: &Sharing,
        event: Accepted,
        to: Vec<Address>,
        (patience, since): (Patience, Duration),
    ) -> Result<Answer, NotAnswered> {
        if sharing.is_stopping() {
            return Err(NotAnswered::Stopped);
        }
        if self.store.is_held_here() {
            return Err(NotAnswered::NotDone(IN_TRANSACTION.to_owned()));
        }
        let now = self.clock.now().wall;
        // A repetition of the call to the store is recognised by the id.
        let id = event.id.unwrap_or_else(MessageId::unique);
        let retired = sharing.seen.borrow().meeting.retired.clone();
        let mut mails = Vec::with_capacity(to.len());
        for ((consumer, _), to) in event.consumers.iter().zip(to) {
            if retired.iter().any(|name| *name == *to.saga) {
                continue;
            }
            let kind = match consumer {
                Consumer::Saga(_) => MailKind::Event,
                Consumer::Subscriber(_) => MailKind::Delivery,
            };
            let mail = Mail::new(to, kind, event.message.clone(), now);
            mails.push(Mail { id: Some(id.clone()), trace: event.trace, ..mail });
        }
        if mails.is_empty() {
            return Ok(Answer::Published(Vec::new()));
        }
        let queued = mails.iter().map(|mail| (mail.to.clone(), Ok(Disposition::Queued))).collect();
        let limit = patience.limit.unwrap_or(self.limits.call);
        let tried = AtomicBool::new(false);
        let delivered = async {
            // The same limit as for events of this process (`max_in_flight_publishes`).
            let Ok(_place) = self.shared.admission.acquire().await else { return Err(NotAnswered::Stopped) };
            let mut looks = Looks::new();
            loop {
                if let (true, Some(why)) = (patience.fail_fast, self.unavailable()) {
                    return Err(match tried.load(Ordering::Relaxed) {
                        true => NotAnswered::Unknown(why),
                        false => NotAnswered::NotDone(why),
                    });
                }
                let was_tried = tried.swap(true, Ordering::Relaxed);
                match self.store.deliver(mails.clone()).await {
                    Ok(_) => return Ok(Answer::Published(queued)),
                    Err(error) if error.is_temporary() && !patience.fail_fast => {
                        tracing::warn!(error = %chain(&error), "the store is not available; the call waits for the store");
                        self.clock.sleep(looks.next()).await;
                    }
                    // An earlier try may have reached the store.
                    Err(error) if error.is_temporary() || was_tried => {
                        return Err(NotAnswered::Unknown(chain(&error).to_string()));
                    }
                    Err(error) => return Err(NotAnswered::NotDone(chain(&error).to_string())),
                }
            }
        };
        tokio::select! {
            biased;
            delivered = delivered => delivered,
            () = self.rest_of_limit(patience.limit, since) => {
                let why = self.because(format!("the store did not answer within {limit:?}"));
                Err(match tried.load(Ordering::Relaxed) {
                    true => NotAnswered::Unknown(why),
                    false => NotAnswered::NotDone(why),
                })
            }
        }
    }

    /// Requests a verb on an instance of another process, and waits for its answer in the audit.
    pub(in crate::dispatcher) async fn decide_away(
        &self,
        address: Address,
        mut verb: VerbRecord,
        since: Duration,
    ) -> Result<(), InstanceError> {
        let request = MessageId::unique();
        verb.request = Some(request.to_string());
        self.ask_away(Mail::of_verb(address, &verb, self.clock.now().wall), request, since).await
    }

    /// Requests a verb on the store from another process.
    pub(in crate::dispatcher) async fn operate_away(
        &self,
        verb: StoreVerb,
        operator: Operator,
        since: Duration,
    ) -> Result<(), InstanceError> {
        let request = MessageId::unique();
        let mail = Mail::store_verb(verb, operator, request.clone(), self.clock.now().wall);
        self.ask_away(mail, request, since).await
    }

    async fn ask_away(&self, mail: Mail, request: MessageId, since: Duration) -> Result<(), InstanceError> {
        if self.store.is_held_here() {
            return Err(NotAnswered::NotDone(IN_TRANSACTION.to_owned()).into());
        }
        let answered = async {
            self.store.deliver(vec![mail]).await?;
            let filter = AuditFilter { request: Some(request), limit: 1, ..AuditFilter::default() };
            let mut looks = Looks::new();
            loop {
                if let Some(row) = self.store.audit(&filter).await?.pop() {
                    return Ok::<_, StoreError>(row.entry.declined);
                }
                self.clock.sleep(looks.next()).await;
            }
        };
        tokio::select! {
            biased;
            answered = answered => match answered {
                Ok(None) => Ok(()),
                Ok(Some(why)) => Err(InstanceError::Declined(DeclinedReason::Refused { why })),
                // The verb may be stored all the same.
                Err(error) if error.is_temporary() => Err(NotAnswered::Unknown(chain(&error).to_string()).into()),
                Err(error) => Err(InstanceError::Store(error)),
            },
            () = self.rest_of_limit(None, since) => {
                let why = format!(
                    "no process has applied it within {:?}; it is stored, and is applied when its shard has an owner",
                    self.limits.call
                );
                Err(NotAnswered::Unknown(self.because(why)).into())
            }
        }
    }

    /// Waits for an instance of another process, by looks at the store. `None` if the instance is run by this process now.
    pub(in crate::dispatcher) async fn found_away(
        &self,
        sharing: &Sharing,
        address: &Address,
        until: Until,
    ) -> Result<Option<Loaded>, InstanceError> {
        let mut looks = Looks::new();
        // No event waited before the last look. A start uses up its event and creates the instance in one step.
        let mut nothing_waited = false;
        loop {
            if sharing.is_stopping() {
                return Err(InstanceError::Stopped);
            }
            let found = self.within(self.store.load(std::slice::from_ref(address))).await?.pop().flatten();
            let found = match found {
                Some(Loaded::Alias(key)) => {
                    let holder = Address::new(address.saga.clone(), key);
                    self.within(self.store.load(&[holder])).await?.pop().flatten()
                }
                found => found,
            };
            let is_over = match (&found, until) {
                (Some(Loaded::Snapshot(found)), Until::Rest) => rests(found),
                (Some(Loaded::Snapshot(found)), Until::Step(seen)) => found.instance.seq > seen,
                (Some(Loaded::Unreadable(_)), _) => true,
                (_, Until::Rest) if nothing_waited => true,
                // A waiting event may start it.
                (_, Until::Rest) => {
                    let waiting = self.within(self.store.waiting(address, WAITING)).await?;
                    // A notice only makes an engine read the holder of an alias again.
                    nothing_waited = waiting.iter().all(|(_, mail)| mail.kind == MailKind::Notice);
                    if nothing_waited {
                        continue;
                    }
                    false
                }
                (_, Until::Step(_)) => false,
            };
            if is_over {
                return Ok(found);
            }
            nothing_waited = false;
            self.clock.sleep(looks.next()).await;
        }
    }

    /// Returns whether the address belongs to a process whose engine cannot answer here.
    pub(in crate::dispatcher) fn is_away(&self, address: &Address) -> bool {
        // The holder of an alias can be in another process.
        self.line.sharing().is_some_and(|sharing| {
            address.key.is_alias() && sharing.of > 1 || sharing.mailbox_of(address).is_none()
        })
    }

    /// Waits until the shards of these consumers have taken up what lies before, as far as this process can see it.
    pub(in crate::dispatcher) async fn taken_up_away(&self, consumers: &[Address], id: &MessageId) {
        let mut looks = Looks::new();
        // An event that its instance defers also waits in the inbox, so the wait has an end.
        let end = self.clock.now().mono.saturating_add(Duration::from_secs(2));
        while self.clock.now().mono < end {
            let mut waits = false;
            for to in consumers {
                let waiting = self.store.waiting(to, 1_000).await.unwrap_or_default();
                waits |= waiting.iter().any(|(_, mail)| mail.id.as_ref() == Some(id));
            }
            if !waits {
                return;
            }
            self.clock.sleep(looks.next()).await;
        }
    }
}

/// Returns whether an instance rests, as [`Until::Rest`] says.
fn rests(found: &Snapshot) -> bool {
    found.instance.status.is_over() || found.instance.parked.is_some()
}

/// The event without its decoded value, which only one engine can have.
fn again(event: &Accepted) -> Accepted {
    Accepted {
        message: event.message.clone(),
        value: None,
        consumers: event.consumers.clone(),
        id: event.id.clone(),
        claim: crate::engine::Claim::default(),
        trace: event.trace,
    }
}
