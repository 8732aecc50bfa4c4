//! Laws of aliases (rule R35).

use super::fixtures::{Driver, address, change, create, dedup_record, next, ok, time};
use super::{Address, Subject};
use crate::message::{Alias, Key};
use crate::store::{AliasChange, InstanceChange, Loaded, Status, Step, StepOutcome};

fn alias(text: &str) -> Alias {
    Alias::new(text).expect("laws use good aliases")
}

fn claim(text: &str) -> AliasChange {
    AliasChange::Claim(alias(text))
}

fn release(text: &str) -> AliasChange {
    AliasChange::Release(alias(text))
}

fn claiming(key: &str, aliases: &[&str]) -> Step {
    Step { aliases: aliases.iter().map(|alias| claim(alias)).collect(), ..create(&address(key)) }
}

async fn owner(driver: &Driver, saga: &'static str, text: &str) -> Option<String> {
    let asked = [Address::new(saga, alias(text))];
    match ok(driver.store.load(&asked).await).remove(0) {
        Some(Loaded::Alias(key)) => Some(key.to_string()),
        None => None,
        Some(found) => panic!("an alias must not lead to {found:?}"),
    }
}

/// `load` and the reads for people both find the instance by its alias. A key and an alias with the same text are
/// different.
pub async fn an_alias_leads_to_the_instance_that_has_claimed_it<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    driver.created(claiming("a", &["z", "b"])).await;
    assert_eq!(driver.snapshot(&address("a")).await.aliases, [alias("b"), alias("z")]);
    driver.created(create(&address("b"))).await;
    assert_eq!(owner(&driver, "order", "b").await.as_deref(), Some("a"));
    assert_eq!(owner(&driver, "order", "a").await, None);
    let found = ok(driver.store.instance(&Address::new("order", alias("z"))).await);
    assert_eq!(found.map(|found| found.instance.address), Some(address("a")));
    assert!(driver.snapshot(&address("b")).await.aliases.is_empty());
}

/// A step with a taken alias writes nothing. An instance may claim its own alias again. Sagas have separate aliases.
pub async fn an_alias_is_claimed_by_one_instance_of_a_saga<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let first = claiming("a", &["x"]);
    let row = driver.created(first.clone()).await;
    let taken = StepOutcome::AliasTaken { alias: alias("x"), by: Key::new("a").expect("a good key") };
    assert_eq!(driver.one(claiming("b", &["y", "x"])).await, taken);
    assert!(ok(driver.store.load(&[address("b")]).await)[0].is_none());
    assert_eq!(owner(&driver, "order", "y").await, None);
    let other = Address::new("invoice", Key::new("b").expect("a good key"));
    driver.created(Step { aliases: vec![claim("x")], ..create(&other) }).await;
    assert_eq!(owner(&driver, "invoice", "x").await.as_deref(), Some("b"));
    let again = Step { aliases: vec![claim("x"), claim("y")], ..next(row, &change(&first)) };
    driver.committed(again).await;
    assert_eq!(driver.snapshot(&address("a")).await.aliases, [alias("x"), alias("y")]);
    // The same holds within one batch.
    let batch = vec![claiming("c", &["w"]), claiming("d", &["w"])];
    let outcomes = driver.commit(batch).await;
    assert!(
        matches!(&outcomes[..], [StepOutcome::Committed(_), StepOutcome::AliasTaken { .. }]),
        "{outcomes:?}"
    );
}

/// Only the holder can release an alias. Alias changes apply in the order of the step.
pub async fn an_alias_that_is_given_up_is_free<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let (a, b) = (claiming("a", &["x"]), create(&address("b")));
    let (row_a, row_b) = (driver.created(a.clone()).await, driver.created(b.clone()).await);
    let not_its_own = Step { aliases: vec![release("x"), release("none")], ..next(row_b, &change(&b)) };
    driver.committed(not_its_own.clone()).await;
    assert_eq!(owner(&driver, "order", "x").await.as_deref(), Some("a"));
    let given_up = Step { aliases: vec![release("x"), claim("y")], ..next(row_a, &change(&a)) };
    driver.committed(given_up).await;
    assert_eq!(owner(&driver, "order", "x").await, None);
    let step = Step { aliases: vec![claim("x")], ..next(row_b, &change(&not_its_own)) };
    driver.committed(step).await;
    assert_eq!(owner(&driver, "order", "x").await.as_deref(), Some("b"));
    assert_eq!(driver.snapshot(&address("a")).await.aliases, [alias("y")]);
}

/// An ended instance keeps its aliases until its removal.
pub async fn a_purged_instance_gives_its_aliases_up<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut ended = claiming("a", &["x"]);
    ended.instance = Some(InstanceChange { status: Status::Completed, ..change(&ended) });
    driver.created(ended).await;
    assert_eq!(owner(&driver, "order", "x").await.as_deref(), Some("a"));
    let taken = driver.one(claiming("b", &["x"])).await;
    assert!(matches!(taken, StepOutcome::AliasTaken { .. }), "{taken:?}");
    assert_eq!(ok(driver.store.purge(time(1_000_000), 10).await).instances, 1);
    assert_eq!(owner(&driver, "order", "x").await, None);
    driver.created(claiming("b", &["x"])).await;
}

/// A repeated message is a duplicate, even if its alias is taken in the meantime.
pub async fn a_duplicate_is_called_that_before_its_claims_are_looked_at<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let first = Step { dedup: vec![dedup_record(&address("b"), "m", 1, 1)], ..claiming("a", &["x"]) };
    driver.created(first).await;
    let again = Step { dedup: vec![dedup_record(&address("b"), "m", 1, 2)], ..claiming("b", &["x"]) };
    assert_eq!(driver.one(again).await, StepOutcome::Duplicate);
    let other = Step { dedup: vec![dedup_record(&address("b"), "n", 1, 2)], ..claiming("b", &["x"]) };
    assert!(matches!(driver.one(other).await, StepOutcome::AliasTaken { .. }));
    let fresh = Step { dedup: vec![dedup_record(&address("b"), "n", 1, 3)], ..claiming("b", &["y"]) };
    driver.created(fresh).await;
}
