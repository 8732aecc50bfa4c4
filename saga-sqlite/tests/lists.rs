//! Lists of many instances: a page examines a limited number of them, and damage hides no other line.

mod support;

use std::sync::Arc;

use saga_core::message::{Key, LabelValue};
use saga_core::store::conformance::{Driver, create, labelled, payload, task, time};
use saga_core::store::{
    Address, DeadId, DeadLetter, DeadLetterFilter, DeadLetterReason, Inspect, InstanceFilter, InstanceOrder,
    InstanceView, MailKind, PageFrom, Position, Step, TaskChange, TimeRange,
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

/// A store with so many dead letters. Each tenth is for another consumer, and the last one has another detail.
async fn letters(dir: &Dir, count: i64) -> SqliteStore {
    let store = SqliteStore::open(dir.db()).unwrap();
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let letter = |n: i64| {
        let consumer = if n % 10 == 0 { "mail" } else { "order" };
        let to = Address::new(consumer, Key::new(format!("key-{n:05}")).unwrap());
        let reason = if n % 2 == 0 { DeadLetterReason::Unhandled } else { DeadLetterReason::Skipped };
        let detail = if n == count { "connection RESET".to_owned() } else { "no row takes it".to_owned() };
        DeadLetter { detail, ..DeadLetter::new(to, MailKind::Event, task(1, 0).command, reason, time(n)) }
    };
    driver.commit(vec![Step { dead: (1..=count).map(letter).collect(), ..Step::default() }]).await;
    store
}

/// Reads all pages. Returns the numbers of the letters and of the pages.
async fn letter_pages(store: &SqliteStore, mut filter: DeadLetterFilter) -> (Vec<i64>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = filter.page(store).await.unwrap();
        pages += 1;
        found.extend(page.rows.iter().map(|row| row.id.0));
        if page.more.is_none() {
            return (found, pages);
        }
        filter.after = page.more;
    }
}

#[tokio::test]
async fn dead_letters_are_listed_by_each_condition() {
    let dir = Dir::new();
    let store = letters(&dir, 30).await;
    let found = async |change: fn(&mut DeadLetterFilter)| {
        let mut filter = DeadLetterFilter::default();
        change(&mut filter);
        letter_pages(&store, filter).await.0
    };
    assert_eq!(found(|_| {}).await, (1..=30).collect::<Vec<_>>());
    assert_eq!(found(|filter| filter.consumer = Some("mail".to_owned())).await, [10, 20, 30]);
    assert_eq!(found(|filter| filter.reason = Some(DeadLetterReason::Skipped)).await.len(), 15);
    assert!(found(|filter| filter.message = Some("another".to_owned())).await.is_empty());
    assert_eq!(
        found(|filter| filter.key_prefix = Some("key-0002".to_owned())).await,
        (20..=29).collect::<Vec<_>>()
    );
    assert_eq!(found(|filter| filter.detail = Some("Connection r".to_owned())).await, [30]);
    let range = |filter: &mut DeadLetterFilter| {
        filter.at = TimeRange { from: Some(time(5)), until: Some(time(7)) };
    };
    assert_eq!(found(range).await, [5, 6]);
    assert_eq!(found(|filter| filter.after = Some(DeadId(28))).await, [29, 30]);
}

#[tokio::test]
async fn a_page_of_dead_letters_is_limited_and_looks_at_a_limited_number() {
    let dir = Dir::new();
    let store = letters(&dir, 5_200).await;
    let mut filter = DeadLetterFilter::default();
    let first = filter.page(&store).await.unwrap();
    assert_eq!((first.rows.len(), first.more), (50, Some(DeadId(50))));
    filter.limit = 1_000;
    assert_eq!(filter.page(&store).await.unwrap().rows.len(), 200);
    assert_eq!(letter_pages(&store, filter.clone()).await, ((1..=5_200).collect(), 26));
    filter.detail = Some("reset".to_owned());
    assert_eq!(letter_pages(&store, filter).await, (vec![5_200], 2), "the first page finds none and says so");
}
