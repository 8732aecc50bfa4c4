//! Lists of many instances: a page examines a limited number of them, and damage hides no other line.

mod support;

use std::sync::Arc;

use saga_core::message::Key;
use saga_core::store::conformance::{Driver, create, task, time};
use saga_core::store::{
    Address, Inspect, InstanceFilter, InstanceOrder, InstanceView, PageFrom, Step, TaskChange,
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
