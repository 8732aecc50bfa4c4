//! Lists of many instances: a page examines a limited number of them, and damage hides no other line.

mod support;

use std::sync::Arc;

use saga_core::message::{Key, LabelValue};
use saga_core::store::conformance::{Driver, create, labelled, payload, task, time};
use saga_core::store::{
    Address, Inspect, InstanceFilter, InstanceOrder, InstanceView, PageFrom, Position, Step, TaskChange,
};
use saga_sqlite::SqliteStore;

use support::Dir;

const INSTANCES: u32 = 9_000;

/// A store with many instances. One of them has an error.
async fn filled(dir: &Dir) -> SqliteStore {
    let store = SqliteStore::open(dir.db()).unwrap();
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let steps: Vec<Step> = (0..INSTANCES)
        .map(|n| {
            let mut step = create(&Address::new("order", Key::new(format!("key-{n:05}")).unwrap()));
            step.instance.as_mut().unwrap().created_at = time(n.into());
            if n == INSTANCES / 2 {
                let mut failing = task(1, 0);
                failing.progress.error = Some("connection reset".to_owned());
                step.tasks = vec![TaskChange::Add(failing)];
            }
            step
        })
        .collect();
    driver.commit(steps).await;
    store
}

/// Reads all pages. Returns the lines and the number of pages.
async fn pages(store: &SqliteStore, mut filter: InstanceFilter) -> (Vec<InstanceView>, usize) {
    let (mut views, mut pages) = (Vec::new(), 0);
    loop {
        let page = store.instances(&filter).await.unwrap();
        pages += 1;
        views.extend(page.instances);
        let Some(more) = page.more else { return (views, pages) };
        filter.from = Some(PageFrom::After(more.to_string().parse().unwrap()));
    }
}

#[tokio::test]
async fn a_page_with_a_rare_condition_examines_a_limited_number_of_instances() {
    let dir = Dir::quick();
    let store = filled(&dir).await;
    for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key] {
        for descending in [false, true] {
            let mut filter = InstanceFilter::default();
            filter.error = Some("RESET".to_owned());
            (filter.order, filter.descending) = (order, descending);
            let (views, pages) = pages(&store, filter).await;
            assert_eq!(views.len(), 1, "{order:?}");
            assert_eq!(views[0].errors, ["connection reset"]);
            assert!((3..6).contains(&pages), "{order:?}: {pages} pages");
        }
    }
}

#[tokio::test]
async fn a_key_prefix_is_found_without_the_keys_before_it() {
    let dir = Dir::quick();
    let store = filled(&dir).await;
    for descending in [false, true] {
        let mut filter = InstanceFilter::default();
        filter.key_prefix = Some("key-0888".to_owned());
        (filter.order, filter.descending) = (InstanceOrder::Key, descending);
        let (views, pages) = pages(&store, filter).await;
        assert_eq!((views.len(), pages), (10, 1));
    }
}

/// A store in which half of the instances have the same label. A tenth of these have it as an integer, and a few have a
/// rare one.
async fn labelled_half(dir: &Dir) -> SqliteStore {
    let store = SqliteStore::open(dir.db()).unwrap();
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let steps = (0..4_000_i64).map(|n| {
        let step = create(&Address::new("order", Key::new(format!("key-{n:05}")).unwrap()));
        let common = if n % 20 == 0 { LabelValue::Integer(7) } else { LabelValue::text("7") };
        let step = labelled(step, "customer", (n % 2 == 0).then_some(common));
        labelled(step, "batch", Some(LabelValue::Integer(n / 10)))
    });
    driver.commit(steps.collect()).await;
    store
}

#[tokio::test]
async fn a_common_label_is_walked_in_order_and_a_rare_one_is_read_at_once() {
    let dir = Dir::quick();
    let store = labelled_half(&dir).await;
    for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key] {
        for descending in [false, true] {
            let filter = |texts: &[&str]| {
                let mut filter = InstanceFilter::default();
                filter.labels = texts.iter().map(|text| text.parse().unwrap()).collect();
                (filter.order, filter.descending, filter.limit) = (order, descending, 200);
                filter
            };
            let (mut views, _) = pages(&store, filter(&["customer=7"])).await;
            if descending {
                views.reverse();
            }
            assert_eq!(views.len(), 2_000, "{order:?}");
            assert!(views.is_sorted_by_key(|view| view.position.clone()), "{order:?}");
            assert!(views.is_sorted_by_key(|view| view.address.clone()), "{order:?}");
            for texts in [&["batch=312"][..], &["customer=7", "batch=312"]] {
                let (views, pages) = pages(&store, filter(texts)).await;
                assert_eq!((views.len(), pages), (if texts.len() == 1 { 10 } else { 5 }, 1), "{order:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_row_of_the_index_without_its_label_finds_nothing() {
    let dir = Dir::quick();
    let store = labelled_half(&dir).await;
    let db = support::application(&dir.db());
    let sql = "INSERT INTO saga_label (name, value, instance) VALUES ('customer', 'ghost', 3), ('customer', 'ghost', 99999)";
    assert_eq!(db.execute(sql, []).unwrap(), 2);
    let mut filter = InstanceFilter::default();
    filter.labels = vec!["customer=ghost".parse().unwrap()];
    assert_eq!(pages(&store, filter).await.0, []);
}

#[tokio::test]
async fn a_damaged_key_hides_no_other_and_a_position_before_the_prefix_is_no_end() {
    let dir = Dir::quick();
    let store = filled(&dir).await;
    let db = support::application(&dir.db());
    // Between two keys of the prefix.
    let sql = "UPDATE saga_instance SET key = CAST(x'6b65792d3038383835ff' AS TEXT) WHERE key = 'key-08886'";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    for (descending, before) in [(false, "key-00001"), (true, "key-08999")] {
        let mut filter = InstanceFilter::default();
        filter.key_prefix = Some("key-0888".to_owned());
        (filter.order, filter.descending) = (InstanceOrder::Key, descending);
        let address = Address::new("order", Key::new(before).unwrap());
        for from in [None, Some(PageFrom::After(Position::Address(address)))] {
            filter.from = from;
            assert_eq!(pages(&store, filter.clone()).await.0.len(), 9, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn a_wide_gap_between_the_lines_costs_no_page() {
    let dir = Dir::quick();
    let store = filled(&dir).await;
    let db = support::application(&dir.db());
    db.execute_batch(
        "UPDATE saga_history SET id = id + 1000000000000 WHERE id > 10;
         UPDATE saga_instance SET last = last + 1000000000000 WHERE last > 10;",
    )
    .unwrap();
    for descending in [false, true] {
        let mut filter = InstanceFilter::default();
        (filter.order, filter.descending, filter.limit) = (InstanceOrder::Changed, descending, 200);
        let (views, pages) = pages(&store, filter).await;
        assert_eq!(views.len() as u32, INSTANCES);
        assert!(pages < 60, "{pages} pages");
    }
}

#[tokio::test]
async fn large_rows_make_short_pages() {
    let dir = Dir::quick();
    let store = SqliteStore::open(dir.db()).unwrap();
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    for n in 0..60 {
        let mut step = create(&Address::new("order", Key::new(format!("key-{n}")).unwrap()));
        step.instance.as_mut().unwrap().payload = Some(payload(&"x".repeat(400_000)));
        driver.created(step).await;
    }
    let mut filter = InstanceFilter::default();
    filter.state = Some("none".to_owned());
    let (views, pages) = pages(&store, filter).await;
    assert_eq!(views.len(), 0);
    assert!((3..10).contains(&pages), "{pages} pages");
}

#[tokio::test]
async fn damaged_parts_of_a_row_are_empty_and_the_line_stays_visible() {
    let dir = Dir::quick();
    let store = filled(&dir).await;
    let db = support::application(&dir.db());
    for (key, change) in [
        ("key-00001", "body = 'no JSON'"),
        ("key-00002", "pending = 'no JSON'"),
        ("key-00003", "body = CAST(x'ff' AS TEXT)"),
    ] {
        let sql = format!("UPDATE saga_instance SET {change} WHERE key = '{key}'");
        assert_eq!(db.execute(&sql, []).unwrap(), 1);
    }
    for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key] {
        let mut filter = InstanceFilter::default();
        (filter.order, filter.limit) = (order, 200);
        let (views, _) = pages(&store, filter).await;
        assert_eq!(views.len() as u32, INSTANCES, "{order:?}");
        assert_eq!(views.iter().filter(|view| view.state.is_empty()).count(), 2, "{order:?}");
    }
}
