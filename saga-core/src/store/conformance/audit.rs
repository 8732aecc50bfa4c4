//! Laws of the audit and of pauses.

use super::Subject;
use super::fixtures::{Driver, address, create, ok, payload, time};
use crate::message::MessageId;
use crate::store::{
    AuditEntry, AuditFilter, AuditFrom, AuditId, AuditLink, AuditRow, ConsumerRow, DeadId, NameOf, Pause,
    PauseChange, PauseOf, RetiredName, Step, StepOutcome,
};

/// Returns the entry of a decision of `who` about the instance `key`.
fn entry(who: &str, key: &str) -> AuditEntry {
    AuditEntry {
        at: time(7),
        who: who.to_owned(),
        why: "ticket 7".to_owned(),
        verb: "retry".into(),
        to: Some(address(key)),
        object: String::new(),
        payload: None,
        declined: None,
        request: None,
    }
}

fn step(audit: Vec<AuditEntry>) -> Step {
    Step { audit, ..Step::default() }
}

fn chained(rows: &[AuditRow]) -> bool {
    let mut link = AuditLink::FIRST;
    rows.iter().all(|row| row.follows(&std::mem::replace(&mut link, row.link)))
}

/// Every entry is kept as it was written, in order, and joined to the entries before it.
pub async fn the_audit_is_a_chain_in_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let full = AuditEntry {
        object: "dead letter 3".to_owned(),
        payload: Some(payload("a")),
        declined: Some("no such letter".to_owned()),
        request: Some(MessageId::new("request-1").expect("laws use good ids")),
        ..entry("ada", "a")
    };
    let entries = [entry("ada", "a"), full, AuditEntry { to: None, ..entry("bob", "b") }];
    driver.committed(Step { audit: entries[..1].to_vec(), ..create(&address("a")) }).await;
    driver.commit(vec![step(entries[1..2].to_vec()), step(entries[2..].to_vec())]).await;
    let rows = ok(driver.store.audit(&AuditFilter::default()).await);
    assert_eq!(rows.iter().map(|row| row.entry.clone()).collect::<Vec<_>>(), entries);
    assert!(rows.is_sorted_by(|one, other| one.id < other.id));
    assert!(chained(&rows), "{rows:?}");
}

/// A step that is not written leaves no entry, and the chain goes on behind it.
pub async fn a_refused_step_leaves_no_audit<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let refused = Step { redriven: vec![DeadId(9)], ..step(vec![entry("ada", "a")]) };
    let outcomes =
        driver.commit(vec![step(vec![entry("ada", "a")]), refused, step(vec![entry("bob", "b")])]).await;
    assert!(matches!(outcomes[1], StepOutcome::Refused(_)), "{outcomes:?}");
    let rows = ok(driver.store.audit(&AuditFilter::default()).await);
    assert_eq!(rows.iter().map(|row| &*row.entry.who).collect::<Vec<_>>(), ["ada", "bob"]);
    assert!(chained(&rows), "{rows:?}");
    let again = ok(driver.again(vec![Step::default()]).await);
    assert_eq!(again, outcomes, "a batch that is sent again adds nothing");
    assert_eq!(ok(driver.store.audit(&AuditFilter::default()).await), rows);
}

/// The audit is read by instance, operator and request, from either end.
pub async fn the_audit_is_filtered_and_paged<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let request = MessageId::new("request-1").expect("laws use good ids");
    let asked = AuditEntry { request: Some(request.clone()), ..entry("bob", "b") };
    let entries = vec![entry("ada", "a"), asked, entry("ada", "b"), entry("eve", "a")];
    driver.committed(step(entries)).await;
    let all = ok(driver.store.audit(&AuditFilter::default()).await);
    let read = async |change: &dyn Fn(&mut AuditFilter)| {
        let mut filter = AuditFilter::default();
        change(&mut filter);
        let rows = ok(driver.store.audit(&filter).await);
        rows.iter().map(|row| all.iter().position(|it| it == row).expect("a row")).collect::<Vec<_>>()
    };
    assert_eq!(read(&|filter| filter.to = Some(address("a"))).await, [0, 3]);
    assert_eq!(read(&|filter| filter.who = Some("ada".to_owned())).await, [0, 2]);
    assert_eq!(read(&|filter| filter.request = Some(request.clone())).await, [1]);
    assert_eq!(read(&|filter| filter.from = AuditFrom::NEWEST).await, [3, 2, 1, 0]);
    assert_eq!(read(&|filter| (filter.from, filter.limit) = (AuditFrom::After(all[1].id), 1)).await, [2]);
    assert_eq!(read(&|filter| filter.from = AuditFrom::Before(all[1].id)).await, [0]);
    let newest_of = |filter: &mut AuditFilter| {
        (filter.to, filter.from) = (Some(address("b")), AuditFrom::Before(AuditId(i64::MAX)));
    };
    assert_eq!(read(&newest_of).await, [2, 1]);
}

fn pause(of: PauseOf, who: &str) -> Pause {
    Pause { of, who: who.to_owned(), why: "ticket 7".to_owned(), at: time(7) }
}

fn pauses(changes: Vec<PauseChange>) -> Step {
    Step { pauses: changes, ..Step::default() }
}

/// A pause stays as it was written until it is ended.
pub async fn a_pause_is_kept_until_its_end<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (saga, handler) = (PauseOf::Saga("order".to_owned()), PauseOf::Handler("order".to_owned()));
    let consumer = PauseOf::Consumer("order".to_owned());
    let all = [pause(saga.clone(), "ada"), pause(handler.clone(), "bob"), pause(consumer.clone(), "cid")];
    driver.committed(pauses(all.iter().cloned().map(PauseChange::Pause).collect())).await;
    driver.committed(pauses(vec![PauseChange::Pause(pause(saga.clone(), "eve"))])).await;
    let mut found = ok(driver.store.pauses().await);
    found.sort_by(|one, other| one.of.cmp(&other.of));
    assert_eq!(found, all);
    driver.committed(pauses(vec![PauseChange::Resume(saga.clone())])).await;
    driver.committed(pauses(vec![PauseChange::Resume(saga)])).await;
    let mut left = ok(driver.store.pauses().await);
    left.sort_by(|one, other| one.of.cmp(&other.of));
    assert_eq!(left, all[1..]);
    driver.committed(pauses(vec![PauseChange::Resume(handler), PauseChange::Resume(consumer)])).await;
    assert!(ok(driver.store.pauses().await).is_empty());
}

/// A consumer that is registered is no longer retired. Its saga stays paused.
pub async fn a_registered_consumer_is_no_longer_retired<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let consumer = |name: &str| PauseOf::Consumer(name.to_owned());
    let kept = [pause(PauseOf::Saga("order".to_owned()), "ada"), pause(consumer("mail"), "bob")];
    let mut all: Vec<_> = kept.iter().cloned().map(PauseChange::Pause).collect();
    all.push(PauseChange::Pause(pause(consumer("order"), "cid")));
    driver.committed(pauses(all)).await;
    let (event, consumer) = ("placed".to_owned(), "order".to_owned());
    ok(driver.store.register(&[ConsumerRow { event, consumer, subscriber: false }]).await);
    let mut found = ok(driver.store.pauses().await);
    found.sort_by(|one, other| one.of.cmp(&other.of));
    assert_eq!(found, kept);
}

/// The pause of a saga follows its name, and its retirement too.
pub async fn a_renamed_saga_stays_paused<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let of = |name: &str| PauseOf::Saga(name.to_owned());
    driver.committed(pauses(vec![PauseChange::Pause(pause(of("order"), "ada"))])).await;
    let retired = |name: &str| PauseOf::Consumer(name.to_owned());
    driver.committed(pauses(vec![PauseChange::Pause(pause(retired("tray"), "cid"))])).await;
    let (what, saga) = (NameOf::Saga, String::new());
    let name = RetiredName { what, saga, was: "tray".to_owned(), name: "basket".to_owned() };
    ok(driver.store.rename(&[name]).await);
    driver.committed(pauses(vec![PauseChange::Resume(retired("basket"))])).await;
    let name = |was: &str, name: &str| RetiredName {
        what: NameOf::Saga,
        saga: String::new(),
        was: was.to_owned(),
        name: name.to_owned(),
    };
    ok(driver.store.rename(&[name("order", "purchase")]).await);
    assert_eq!(ok(driver.store.pauses().await), [pause(of("purchase"), "ada")]);
    driver.committed(pauses(vec![PauseChange::Pause(pause(of("sale"), "eve"))])).await;
    ok(driver.store.rename(&[name("purchase", "sale")]).await);
    assert_eq!(ok(driver.store.pauses().await), [pause(of("sale"), "eve")], "of the present name");
}
