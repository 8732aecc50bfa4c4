//! Laws of labels.

use super::fixtures::{Driver, change, create, labelled, next, ok, time};
use super::{Address, Subject};
use crate::message::{Key, LabelValue};
use crate::store::{
    InstanceChange, InstanceFilter, InstanceOrder, LabelCondition, NameOf, RetiredName, Status, Step, Store,
};

fn at(saga: &'static str, key: &str) -> Address {
    Address::new(saga, Key::new(key).expect("laws use good keys"))
}

fn text(text: &str) -> Option<LabelValue> {
    Some(LabelValue::text(text))
}

/// Returns the keys of the instances with a label, in the order of their creation.
async fn found(store: &dyn Store, condition: &str) -> Vec<String> {
    let labels = vec![condition.parse::<LabelCondition>().expect("laws use good conditions")];
    let mut all = Vec::new();
    for order in [InstanceOrder::Created, InstanceOrder::Key] {
        let filter = InstanceFilter { labels: labels.clone(), order, ..InstanceFilter::default() };
        let page = ok(store.instances(&filter).await);
        all.push(page.instances.iter().map(|view| view.address.key.text().to_owned()).collect::<Vec<_>>());
    }
    let mut by_key = all[0].clone();
    by_key.sort();
    all[1].sort();
    assert_eq!(by_key, all[1], "the order does not decide about the condition");
    all.remove(0)
}

/// Labels follow each step: the new value is found, and the earlier one is not. A text and an integer are both found by
/// their text, in all sagas.
pub async fn an_instance_is_found_by_its_present_labels<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let first = labelled(create(&at("order", "a")), "customer", text("42"));
    let first = labelled(first, "total", Some(LabelValue::Integer(7)));
    let row = driver.created(first.clone()).await;
    driver.created(labelled(create(&at("invoice", "b")), "customer", Some(LabelValue::Integer(42)))).await;
    driver.created(create(&at("order", "c"))).await;
    assert_eq!(driver.snapshot(&at("order", "a")).await.instance.labels, change(&first).labels);
    assert_eq!(found(&*driver.store, "customer=42").await, ["a", "b"]);
    assert_eq!(found(&*driver.store, "customer=042").await, [""; 0]);
    assert_eq!(found(&*driver.store, "total>=7").await, ["a"]);
    assert_eq!(found(&*driver.store, "customer^=4").await, ["a", "b"]);

    let moved = labelled(next(row, &change(&first)), "customer", text("C-7"));
    driver.committed(moved.clone()).await;
    assert_eq!(found(&*driver.store, "customer=42").await, ["b"]);
    assert_eq!(found(&*driver.store, "customer=C-7").await, ["a"]);
    assert_eq!(found(&*driver.store, "total=7").await, ["a"]);
    let view = &ok(driver.store.instances(&InstanceFilter::default()).await).instances[0];
    assert_eq!(view.labels, change(&moved).labels);

    let gone = labelled(next(row, &change(&moved)), "customer", None);
    driver.committed(gone).await;
    assert_eq!(found(&*driver.store, "customer=C-7").await, [""; 0]);
    assert_eq!(found(&*driver.store, "total=7").await, ["a"]);
}

/// A refused step changes no label. A purge removes the labels, and a later instance may have the same ones.
pub async fn labels_go_with_their_instance<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut ended = labelled(create(&at("order", "a")), "customer", text("C-7"));
    ended.instance = Some(InstanceChange { status: Status::Completed, ..change(&ended) });
    let row = driver.created(ended.clone()).await;
    let mut behind = labelled(next(row, &change(&ended)), "customer", text("C-8"));
    behind.instance.as_mut().expect("a change").seq = 9;
    driver.commit(vec![behind]).await;
    assert_eq!(found(&*driver.store, "customer=C-8").await, [""; 0]);
    assert_eq!(found(&*driver.store, "customer=C-7").await, ["a"]);
    assert_eq!(ok(driver.store.purge(time(1_000_000), 10).await).instances, 1);
    assert_eq!(found(&*driver.store, "customer=C-7").await, [""; 0]);
    driver.created(create(&at("order", "b"))).await;
    assert_eq!(found(&*driver.store, "customer=C-7").await, [""; 0]);
    driver.created(labelled(create(&at("order", "a")), "customer", text("C-7"))).await;
    assert_eq!(found(&*driver.store, "customer=C-7").await, ["a"]);
}

/// An instance keeps its labels when its saga gets another name, also the name of a saga that exists.
pub async fn labels_follow_a_renamed_saga<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    driver.created(labelled(create(&at("order", "a")), "customer", text("C-7"))).await;
    driver.created(labelled(create(&at("invoice", "b")), "customer", text("C-7"))).await;
    let name = RetiredName {
        what: NameOf::Saga,
        saga: String::new(),
        was: "order".to_owned(),
        name: "invoice".to_owned(),
    };
    ok(driver.store.rename(&[name]).await);
    let filter = InstanceFilter {
        saga: Some("invoice".to_owned()),
        labels: vec![LabelCondition::equal("customer", "C-7")],
        ..InstanceFilter::default()
    };
    assert_eq!(ok(driver.store.instances(&filter).await).instances.len(), 2);
}

/// A long text is found by its whole text, although a label keeps only its begin.
pub async fn a_long_label_is_found_by_its_text<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let long = "é'\"\n".repeat(100);
    let step: Step = labelled(create(&at("order", "a")), "note", text(&long));
    driver.created(step).await;
    assert_eq!(found(&*driver.store, &format!("note={long}")).await, ["a"]);
    assert_eq!(found(&*driver.store, "note=é'\"").await, [""; 0]);
}
