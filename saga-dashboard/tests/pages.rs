//! Each screen answers its question, with any text in the store, and each verb does what its form says.

#![allow(missing_docs)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{StatusCode, header};
use saga::Position;
use saga::store::{ConsumerRow, Maintain, MemoryStore};
use saga::testing::ManualClock;
use support::{Browser, Noted, OPERATOR, OrderState, PIN, Shop, VIEWER};

async fn shop() -> (Shop, Browser) {
    let shop = Shop::open().await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    (shop, browser)
}

#[tokio::test]
async fn an_empty_store_says_what_to_do() {
    let (_shop, browser) = shop().await;
    for (path, says) in [
        ("/saga", "No instance has been started."),
        ("/saga/instances", "No instance meets the conditions"),
        ("/saga/attention", "All is well"),
        ("/saga/dead", "No dead letters"),
        ("/saga/timers", "No timer is set"),
        ("/saga/schedules", "No schedule is registered"),
    ] {
        let page = browser.get(path).await;
        assert!(page.status == StatusCode::OK && page.text.contains(says), "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn the_screens_show_a_parked_order() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "for ann").await;
    for (path, says) in [
        ("/saga", &["1\u{a0}thing</b> waits for a person", "no money", ">Paying</text>"][..]),
        (
            "/saga/instances",
            &["A-1", "Paying, parked", "a person: the row has <code>park</code>", "1\u{a0}instance"],
        ),
        ("/saga/instances?status=active&key=A", &["A-1", "key begins with"]),
        ("/saga/attention", &["1\u{a0}cause", "no money", "Decide about them"]),
        ("/saga/timers", &["A-1", "in 23\u{a0}h"]),
        ("/saga/sagas", &["Where an order is.", "owes void", "timeout 1d", "cents: u32"]),
        ("/saga/subscribers", &["placed", "order"]),
        ("/saga/about", &["applied by the dispatcher in this process", "running"]),
        (
            "/saga/instance?saga=order&key=A-1",
            &[
                "Has waited for a person",
                "for ann",
                "held for a person",
                "started the instance",
                "idle time shortened",
            ],
        ),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for text in says {
            assert!(page.text.contains(text), "{path} lacks {text}: {}", page.text);
        }
    }
}

#[tokio::test]
async fn labels_are_columns_and_lead_to_the_instances_with_the_same_one() {
    let shop = Shop::open().await;
    let options = Shop::options().link("Customer", "https://crm.example/{note}").link("None", "/x/{none}");
    let browser = shop.dashboard_with(options).log_in(OPERATOR).await;
    shop.parked("A-1", "for ann").await;
    shop.parked("A-2", "for bea").await;
    let page = browser.get("/saga/instances?saga=order").await.text;
    for text in [">note</th>", ">size</th>", "label=note%3Dfor%20ann", "label=size%3D7"] {
        assert!(page.contains(text), "{text} is missing: {page}");
    }
    let page = browser.get("/saga/instances?label=note%3Dfor%20ann%20%26%20size%3E%3D7").await.text;
    assert!(page.contains("A-1") && !page.contains("A-2"), "{page}");
    let page = browser.get("/saga/instances?label=size%3D8").await.text;
    assert!(page.contains("No instance meets the conditions"), "{page}");
    let page = browser.get("/saga/instances?label=size").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("is not a condition on a label"), "{}", page.text);
    let page = browser.get("/saga/instance?saga=order&key=A-1").await.text;
    assert!(page.contains("https://crm.example/for%20ann") && !page.contains("/x/"), "{page}");
}

#[tokio::test]
async fn a_schedule_has_its_times_and_its_runs() {
    let clock = saga::testing::ManualClock::default();
    let store = saga::store::MemoryStore::new();
    let dispatcher = saga::Dispatcher::builder(store)
        .saga::<OrderState>()
        .handler::<support::Pay>(support::Idle)
        .handler::<support::Void>(support::Idle)
        .recurring("nightly <b>", "0 3 * * * Europe/Berlin", |_| support::Placed {
            order: "N-1".to_owned(),
            note: String::new(),
        })
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    clock.idle().await;
    clock.advance(std::time::Duration::from_secs(86_400));
    clock.idle().await;
    let router = saga_dashboard::router(saga_dashboard::Source::dispatcher(&dispatcher), Shop::options());
    let browser = Browser::of(router).log_in(OPERATOR).await;
    let page = browser.get("/saga/schedules").await.text;
    for text in ["nightly &lt;b&gt;", "0 3 * * * Europe/Berlin", "waiting", ">1</td>", "key=N-1"] {
        assert!(page.contains(text), "{text} is missing: {page}");
    }
    dispatcher.kill().await;
}

/// Stored text never becomes a tag, an attribute or a direction of text.
#[tokio::test]
async fn hostile_text_is_only_text() {
    let evil = "</title><script>alert(1)</script>\"onmouseover=\"alert(2)\u{202e}";
    let shop = Shop::with_error(evil).await;
    let browser = shop.dashboard_with(Shop::options().name(evil)).log_in(OPERATOR).await;
    let key = "<img src=x onerror=alert(3)>\"&'";
    shop.parked(key, evil).await;
    let of = "/saga/instance?saga=order&key=%3Cimg%20src%3Dx%20onerror%3Dalert(3)%3E%22%26%27";
    let pages = [
        "/saga",
        "/saga/instances",
        "/saga/attention",
        "/saga/timers",
        "/saga/schedules",
        of,
        "/saga/instances?key=%22%3E%3Cb%3E",
    ];
    for path in
        pages.into_iter().chain([&*format!("{of}&verb=abort"), &format!("{of}&verb=retry&done=%3Cb%3E")])
    {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        for forbidden in ["<script>", "<img", "\"onmouseover", "\u{202e}", "<b>\"", "=\"&'"] {
            assert!(!page.text.contains(forbidden), "{path} has {forbidden}");
        }
        assert_eq!(page.text.matches("<script").count(), 1, "only the script of the dashboard");
    }
    assert!(browser.get(of).await.text.contains("&lt;img src=x onerror=alert(3)&gt;"));
}

#[tokio::test]
async fn a_wrong_address_has_a_page_that_says_so() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    for (path, status, says) in [
        ("/saga/instance?saga=order&key=none", StatusCode::NOT_FOUND, "order has no instance none."),
        ("/saga/instance?saga=order&key=", StatusCode::BAD_REQUEST, "The key is not valid"),
        ("/saga/instances?status=waiting", StatusCode::BAD_REQUEST, "`waiting` is no status"),
        ("/saga/instances?after=nowhere", StatusCode::BAD_REQUEST, "not a position"),
        ("/saga/instances?sort=luck", StatusCode::BAD_REQUEST, "no order"),
        ("/saga/elsewhere", StatusCode::NOT_FOUND, "no such page"),
    ] {
        let page = browser.get(path).await;
        assert!(page.status == status && page.text.contains(says), "{path}: {} {}", page.status, page.text);
    }
}

#[tokio::test]
async fn a_list_is_paged_in_both_directions() {
    let (shop, browser) = shop().await;
    for n in 0..120 {
        shop.parked(&format!("A-{n:03}"), "").await;
    }
    let keys = |text: &str| {
        let cells = text.split("<td class=\"title key\">").skip(1);
        cells.map(|cell| cell.split("title=\"").nth(1).unwrap()[..5].to_owned()).collect::<Vec<_>>()
    };
    let link = |text: &str, rel: &str| {
        let (before, _) = text.split_once(&format!("\" rel=\"{rel}\""))?;
        Some(before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&"))
    };
    let first = browser.get("/saga/instances?sort=key").await.text;
    let second = browser.get(&link(&first, "next").unwrap()).await.text;
    let third = browser.get(&link(&second, "next").unwrap()).await.text;
    let expected: Vec<String> = (0..120).map(|n| format!("A-{n:03}")).collect();
    assert_eq!(keys(&first), expected[..50]);
    assert_eq!(keys(&second), expected[50..100]);
    assert_eq!(keys(&third), expected[100..]);
    assert_eq!((link(&first, "prev"), link(&third, "next")), (None, None));
    let back = browser.get(&link(&third, "prev").unwrap()).await.text;
    assert_eq!(keys(&back), expected[50..100]);
}

/// A shop whose clock the test moves.
async fn timed_shop() -> (Shop, Browser, ManualClock) {
    let clock = ManualClock::default();
    let shop = Shop::built("no money", |builder| builder.clock(clock.clone())).await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    (shop, browser, clock)
}

async fn decide(browser: &Browser, key: &str, verb: &str, more: &[(&str, &str)]) -> support::Answer {
    let page = browser.get(&format!("/saga/instance?saga=order&key={key}&verb={verb}")).await;
    assert!(page.text.contains("What would happen"), "{}", page.text);
    let (proof, seq) = (page.field("proof"), page.field("seq"));
    let fields = [
        ("proof", &*proof),
        ("saga", "order"),
        ("key", key),
        ("seq", &seq),
        ("verb", verb),
        ("who", "ann"),
        ("why", "she knows"),
    ];
    browser.post("/saga/decide", &[&fields[..], more].concat()).await
}

#[tokio::test]
async fn a_retry_goes_on_with_the_order() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    shop.mended.store(true, Ordering::SeqCst);
    let answer = decide(&browser, "A-1", "retry", &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let page = browser.get(answer.header(header::LOCATION)).await;
    assert!(page.text.contains("Retry is done."), "{}", page.text);
    assert!(page.text.contains("she knows") && page.text.contains("by <span class=\"id\">ann</span>"));
    assert_eq!(shop.position("A-1").await, Position::In(OrderState::Done_));
}

#[tokio::test]
async fn an_abort_needs_the_key_and_says_what_it_undoes() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    let page = browser.get("/saga/instance?saga=order&key=A-1&verb=abort").await;
    assert!(page.text.contains("arrive in <b>Cancelled</b>"), "{}", page.text);
    // The payment was refused, so that nothing is to be undone.
    assert!(page.text.contains("is-armed\">Abort</button>") && !page.text.contains("undo with"));
    let fire = browser.get("/saga/instance?saga=order&key=A-1&verb=fire").await;
    assert!(fire.text.contains("Timer <span class=\"id\" title=\"1d\">1d</span>"), "{}", fire.text);
    let retry = browser.get("/saga/instance?saga=order&key=A-1&verb=retry").await;
    assert!(retry.text.contains("again, under the same idempotency key"), "{}", retry.text);
    let answer = decide(&browser, "A-1", "abort", &[("confirm", "A-2")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("type the key of the instance"), "{}", answer.text);
    let answer = decide(&browser, "A-1", "abort", &[("confirm", "A-1")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(shop.position("A-1").await, Position::In(OrderState::Cancelled));
}

#[tokio::test]
async fn a_reply_is_checked_before_it_resolves_a_command() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    for (outcome, body, says) in [
        ("reply:paid", "{\"cent\":1}", "`cents` is missing; `cent` is not a field of `Paid`"),
        ("reply:paid", "{", "the body is not JSON"),
        ("reply:nothing", "{}", "`order` has no event `nothing`"),
        ("", "", "choose the outcome"),
    ] {
        let answer = decide(&browser, "A-1", "resolve", &[("outcome", outcome), ("body", body)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(says), "{outcome}: {}", answer.text);
    }
    let answer =
        decide(&browser, "A-1", "resolve", &[("outcome", "reply:paid"), ("body", "{\"cents\":7}")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(shop.position("A-1").await, Position::In(OrderState::Done_));
}

#[tokio::test]
async fn a_timer_is_postponed_and_fired() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    let fields = [("timer", "1d"), ("until", "2999-01-01T09:00")];
    let answer = decide(&browser, "A-1", "postpone", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert!(browser.get("/saga/timers").await.text.contains("2999-01-01 09:00:00 UTC"));
    let answer = decide(&browser, "A-1", "fire", &[("timer", "1d")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    // The parked order keeps the due timer until a person releases it.
    let answer = decide(&browser, "A-1", "skip", &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(shop.position("A-1").await, Position::In(OrderState::Cancelled));
}

/// Keys with space around them are other keys.
#[tokio::test]
async fn a_decision_meets_exactly_its_key() {
    let (shop, browser) = shop().await;
    for key in ["A-1", "A-1 "] {
        shop.parked(key, "").await;
    }
    shop.mended.store(true, Ordering::SeqCst);
    let answer = decide(&browser, "A-1%20", "abort", &[("confirm", "A-1 ")]).await;
    // The helper writes the encoded key into the form, which is the key of no instance.
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = browser.get("/saga/instance?saga=order&key=A-1%20&verb=abort").await;
    let (proof, seq) = (page.field("proof"), page.field("seq"));
    assert_eq!(page.field("key"), "A-1 ");
    let fields = [("proof", &*proof), ("saga", "order"), ("key", "A-1 "), ("seq", &seq), ("verb", "abort")];
    let fields = [&fields[..], &[("who", "ann"), ("why", "a test")]].concat();
    let wrong = browser.post("/saga/decide", &[&fields[..], &[("confirm", "A-1")]].concat()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let right = browser.post("/saga/decide", &[&fields[..], &[("confirm", "A-1 ")]].concat()).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "{}", right.text);
    assert_eq!(shop.position("A-1 ").await, Position::In(OrderState::Cancelled));
    assert!(matches!(shop.position("A-1").await, Position::Parked { .. }));
}

#[tokio::test]
async fn a_timer_is_not_postponed_into_the_past() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    let fields = [("timer", "1d"), ("until", "2020-01-01T09:00")];
    let answer = decide(&browser, "A-1", "postpone", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.text.contains("is not in the future") && answer.text.contains("she knows"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn an_instance_that_has_moved_on_declines() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    let page = browser.get("/saga/instance?saga=order&key=A-1&verb=skip").await;
    let (proof, seq) = (page.field("proof"), page.field("seq"));
    assert_eq!(decide(&browser, "A-1", "fire", &[("timer", "1d")]).await.status, StatusCode::SEE_OTHER);
    let fields = [("proof", &*proof), ("saga", "order"), ("key", "A-1"), ("seq", &seq), ("verb", "skip")];
    let late =
        browser.post("/saga/decide", &[&fields[..], &[("who", "bob"), ("why", "too late")]].concat()).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(
        late.text.contains("This request has changed nothing.")
            && late.text.contains("read the instance again"),
        "{}",
        late.text
    );
    assert!(matches!(shop.position("A-1").await, Position::Parked { .. }));
}

#[tokio::test]
async fn a_decision_needs_a_person_and_a_reason() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    let page = browser.get("/saga/instance?saga=order&key=A-1&verb=skip").await;
    let (proof, seq) = (page.field("proof"), page.field("seq"));
    let fields = [("proof", &*proof), ("saga", "order"), ("key", "A-1"), ("seq", &seq), ("verb", "skip")];
    for who in [[("who", ""), ("why", "a reason")], [("who", "ann"), ("why", " ")]] {
        let answer = browser.post("/saga/decide", &[&fields[..], &who].concat()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        assert!(answer.text.contains("say who decides, and why"));
    }
}

#[tokio::test]
async fn many_instances_are_shown_before_they_are_decided() {
    let (shop, browser) = shop().await;
    for order in ["A-1", "A-2", "B-1"] {
        shop.parked(order, "").await;
    }
    let list = browser.get("/saga/instances?key=A").await;
    let proof = list.field("proof");
    let all = [("proof", &*proof), ("scope", "all"), ("key", "A"), ("verb", "abort")];
    let preview = browser.post("/saga/batch", &all).await;
    assert!(preview.text.contains("<b>Abort 2\u{a0}instances</b>"), "{}", preview.text);
    assert!(!preview.text.contains("data-stream"), "the answer to a form is never read again");
    assert!(list.text.contains("data-stream"));
    assert!(!preview.text.contains("B-1") && preview.text.contains("Nothing has been written."));
    assert!(matches!(shop.position("A-1").await, Position::Parked { .. }), "nothing was done");
    let who = [("who", "ann"), ("why", "a shortcut"), ("confirmed", "yes")];
    let unseen = browser.post("/saga/batch", &[&all[..], &who].concat()).await;
    assert!(unseen.text.contains("Nothing has been written."), "all that match are shown first");

    let picks: Vec<String> = preview
        .text
        .split("name=\"pick\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    // One of them moves on in the meantime.
    assert_eq!(decide(&browser, "A-2", "fire", &[("timer", "1d")]).await.status, StatusCode::SEE_OTHER);
    let mut fields = vec![
        ("proof", &*proof),
        ("confirmed", "yes"),
        ("scope", "ticked"),
        ("verb", "abort"),
        ("who", "ann"),
        ("why", "the warehouse has burnt down"),
    ];
    fields.extend(picks.iter().map(|pick| ("pick", &**pick)));
    let (_, done) = browser.follow("/saga/batch", &fields).await;
    assert!(done.text.contains("<b>2 of 2\u{a0}instances</b>, all are decided."), "{}", done.text);
    assert!(done.text.contains("data-live=\"job\"") && done.text.contains("data-stream"), "it is read again");
    assert!(done.text.contains("1\u{a0}instance</b> took it."), "{}", done.text);
    assert!(done.text.contains("1\u{a0}instance</b> declined."), "{}", done.text);
    assert_eq!(shop.position("A-1").await, Position::In(OrderState::Cancelled));
    assert!(matches!(shop.position("B-1").await, Position::Parked { .. }));
}

#[tokio::test]
async fn a_hundred_instances_are_decided_and_then_purged() {
    let (shop, browser, clock) = timed_shop().await;
    let orders: Vec<String> = (0..100).map(|n| format!("A-{n}")).collect();
    for order in &orders {
        shop.parked(order, "").await;
    }
    for (verb, left) in [("abort", 100), ("purge", 0)] {
        let proof = browser.get("/saga/instances").await.field("proof");
        let all = [("proof", &*proof), ("scope", "all"), ("verb", verb)];
        let preview = browser.post("/saga/batch", &all).await.text;
        let picks = preview.split("name=\"pick\" value=\"").skip(1);
        let picks: Vec<&str> = picks.map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(picks.len(), 100, "{preview}");
        let mut fields = vec![("proof", &*proof), ("confirmed", "yes"), ("scope", "ticked"), ("verb", verb)];
        fields.extend([("who", "ann"), ("why", "the season is over")]);
        fields.extend(picks.iter().map(|pick| ("pick", *pick)));
        let (path, mut done) = browser.follow("/saga/batch", &fields).await;
        while !done.text.contains("all are decided") {
            tokio::task::yield_now().await;
            done = browser.get(&path).await;
        }
        assert!(done.text.contains("<b>100\u{a0}instances</b> took it."), "{}", done.text);
        clock.idle().await;
        clock.advance(Duration::from_secs(1));
        clock.idle().await;
        let counts = shop.dispatcher.store().counts().await.unwrap();
        assert_eq!(counts.iter().map(|count| count.instances).sum::<u64>(), left, "after {verb}");
    }
    assert_eq!(browser.get("/saga/batch?job=99").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_ended_instance_is_purged_and_its_audit_is_shown() {
    let (shop, browser, clock) = timed_shop().await;
    shop.parked("A-1", "").await;
    let before = browser.get("/saga/instance?saga=order&key=A-1").await.text;
    assert!(!before.contains("verb=purge"), "it has not ended: {before}");
    decide(&browser, "A-1", "abort", &[("confirm", "A-1")]).await;
    clock.idle().await;
    let form = browser.get("/saga/instance?saga=order&key=A-1&verb=purge").await.text;
    assert!(form.contains("remove the instance with its history"), "{form}");
    let unsure = decide(&browser, "A-1", "purge", &[]).await;
    assert_eq!(unsure.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unsure.text);
    let done = decide(&browser, "A-1", "purge", &[("confirm", "A-1")]).await;
    assert_eq!(done.header(header::LOCATION), "/saga/audit?saga=order&key=A-1");
    clock.advance(Duration::from_secs(1));
    clock.idle().await;
    assert_eq!(browser.get("/saga/instance?saga=order&key=A-1").await.status, StatusCode::NOT_FOUND);
    let audit = browser.get("/saga/audit?saga=order&key=A-1").await.text;
    assert!(audit.contains("purge") && audit.contains("abort"), "{audit}");
}

#[tokio::test]
async fn the_history_shows_the_changes_of_the_data() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "by noon").await;
    let page = browser.get("/saga/instance?saga=order&key=A-1").await.text;
    for shown in ["+ data.note: &quot;by noon&quot;", "+ data.size: 7", "+ data.pin: &quot;***&quot;"] {
        assert!(page.contains(&format!("<div class=\"add\">{shown}</div>")), "{shown}: {page}");
    }
    let out = page.split_once("started the instance").unwrap().1;
    assert!(out.contains("command <span class=\"id\" title=\"pay\">pay</span>"), "{out}");
    assert!(!page.contains(PIN), "a redacted value is shown: {page}");
    assert_eq!(page.matches("started the instance").count(), 1, "the changes are beside their step: {page}");
    let viewer = shop.dashboard().log_in(VIEWER).await;
    let page = viewer.get("/saga/instance?saga=order&key=A-1").await.text;
    assert!(page.contains("<div class=\"same\">data changed</div>") && !page.contains("data.note"), "{page}");
}

#[tokio::test]
async fn a_dead_letter_is_listed_with_its_body() {
    let (shop, browser) = shop().await;
    let noted = Noted { order: "A-9".to_owned(), text: "call first".to_owned(), ..Noted::default() };
    shop.dispatcher.publish(noted).await.unwrap();
    let page = browser.get("/saga/dead").await;
    assert!(page.text.contains("missing-instance") && page.text.contains("call first"), "{}", page.text);
    assert!(browser.get("/saga").await.text.contains("1<span class=\"sr\"> dead letters</span>"));
}

#[tokio::test]
async fn dead_letters_are_searched_by_their_conditions() {
    let (shop, browser) = shop().await;
    shop.letter("A-1", "call first").await;
    shop.letter("B-1", "call first").await;
    let found = browser.get("/saga/dead?key=A-&reason=missing-instance&consumer=order").await.text;
    assert!(found.contains("A-1") && !found.contains("B-1"), "{found}");
    assert!(
        found.contains("value=\"A-\"") && found.contains("value=\"missing-instance\" selected"),
        "{found}"
    );
    let none = browser.get("/saga/dead?error=nothing").await.text;
    assert!(none.contains("No dead letter meets the conditions"), "{none}");
    let bad = browser.get("/saga/dead?after=x").await;
    assert!(bad.status == StatusCode::BAD_REQUEST && bad.text.contains("is no number of a dead letter"));
}

#[tokio::test]
async fn a_dead_letter_is_delivered_again() {
    let (shop, browser) = shop().await;
    let id = shop.letter("A-1", "call first").await;
    let page = browser.get(&format!("/saga/letter?id={id}&verb=redrive")).await;
    assert!(page.text.contains("missing-instance") && page.text.contains("call first"), "{}", page.text);
    shop.place("A-1").await;
    let redrive = [
        ("proof", &*page.field("proof")),
        ("id", &id),
        ("verb", "redrive"),
        ("who", "ann"),
        ("why", "a test"),
    ];
    let answer = browser.post("/saga/operate", &redrive).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let page = browser.get(answer.header(header::LOCATION)).await;
    assert!(
        page.text.contains("is delivered again") && page.text.contains("No dead letters"),
        "{}",
        page.text
    );
    let again = browser.post("/saga/operate", &redrive).await;
    assert!(again.status == StatusCode::NOT_FOUND && again.text.contains("no dead letter"), "{}", again.text);
    let audit = browser.get("/saga/audit?who=ann").await.text;
    assert!(audit.contains("applied") && audit.contains("already redriven or discarded"), "{audit}");
}

#[tokio::test]
async fn an_edited_body_is_checked_and_kept_in_the_form() {
    let (shop, browser) = shop().await;
    let id = shop.letter("A-1", "call first").await;
    let proof = browser.get(&format!("/saga/letter?id={id}&verb=edit")).await.field("proof");
    shop.place("A-1").await;
    let edit = async |body: &str| {
        let fields = [
            ("proof", &*proof),
            ("id", &*id),
            ("verb", "edit"),
            ("who", "ann"),
            ("why", "a test"),
            ("body", body),
        ];
        browser.post("/saga/operate", &fields).await
    };
    let answer = edit("{\"order\":").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let answer = edit("{\"order\": \"A-1\"}").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("cannot have this body") && answer.text.contains("ann"), "{}", answer.text);
    let answer = edit("{\n  \"order\": \"A-1\",\n  \"text\": \"call later\"\n}").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let audit = browser.get("/saga/audit").await.text;
    assert!(audit.contains("call later") && audit.contains("call first"), "both bodies: {audit}");
}

#[tokio::test]
async fn a_redacted_value_is_on_no_page_and_a_mask_is_not_sent_back() {
    let (shop, browser) = shop().await;
    let id = shop.letter("A-1", "call first").await;
    shop.parked("A-2", "").await;
    let pages = [
        "/saga/instance?saga=order&key=A-2&verb=abort".to_owned(),
        format!("/saga/letter?id={id}&verb=edit"),
        "/saga/dead".to_owned(),
        "/saga/audit".to_owned(),
    ];
    let revealing = shop.dashboard_with(Shop::options().reveal()).log_in(OPERATOR).await;
    for (path, has_payload) in pages.iter().zip([true, true, true, false]) {
        let page = browser.get(path).await.text;
        assert!(!page.contains(PIN), "{path}: {page}");
        assert_eq!(page.contains("***"), has_payload, "{path}: {page}");
        assert_eq!(revealing.get(path).await.text.contains(PIN), has_payload, "{path}");
    }
    let proof = browser.get(&pages[1]).await.field("proof");
    let body = "{\"order\":\"A-1\",\"text\":\"\",\"pin\":\"***\"}";
    let fields = [
        ("proof", &*proof),
        ("id", &*id),
        ("verb", "edit"),
        ("who", "ann"),
        ("why", "a test"),
        ("body", body),
    ];
    let answer = browser.post("/saga/operate", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.text.contains("at `pin`, which is redacted") || answer.text.contains("<code>pin</code>"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_saga_and_a_handler_are_paused_and_resumed() {
    let (shop, browser) = shop().await;
    for (kind, name) in [("saga", "order"), ("handler", "pay")] {
        let page = browser.get(&format!("/saga/handlers?kind={kind}&name={name}&verb=pause")).await;
        let proof = page.field("proof");
        let verb = async |verb: &str| {
            let fields = [
                ("proof", &*proof),
                ("kind", kind),
                ("name", name),
                ("verb", verb),
                ("who", "ann"),
                ("why", "the bank is down"),
            ];
            browser.post("/saga/operate", &fields).await
        };
        let answer = verb("pause").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let page = browser.get(answer.header(header::LOCATION)).await;
        assert!(page.text.contains("the bank is down") && page.text.contains("Resume…"), "{}", page.text);
        assert!(browser.get("/saga").await.text.contains("1\u{a0}pause"));
        let again = verb("pause").await;
        assert!(again.status == StatusCode::CONFLICT && again.text.contains("is paused already"));
        let answer = verb("resume").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    }
    assert!(shop.dispatcher.store().pauses().await.unwrap().is_empty());
    let audit = browser.get("/saga/audit").await.text;
    assert_eq!(audit.matches(">applied<").count(), 4, "{audit}");
}

#[tokio::test]
async fn a_consumer_without_a_release_is_retired_and_resumed() {
    let store = MemoryStore::new();
    let (event, consumer) = ("placed".to_owned(), "mailer".to_owned());
    store.register(&[ConsumerRow { event, consumer, subscriber: true }]).await.unwrap();
    let shop = Shop::on(store, "no money", |builder| builder).await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    let page = browser.get("/saga/subscribers").await.text;
    assert_eq!(page.matches("Retire…").count(), 1, "this build has the saga: {page}");
    let form = "/saga/handlers?kind=consumer&name=mailer&verb=pause";
    assert!(page.contains("kind=consumer&amp;name=mailer&amp;verb=pause"), "{page}");
    let page = browser.get(form).await;
    assert!(page.text.contains("Its waiting events become dead letters"), "{}", page.text);
    let proof = page.field("proof");
    let verb = async |verb: &str| {
        let of = [
            ("kind", "consumer"),
            ("name", "mailer"),
            ("verb", verb),
            ("who", "ann"),
            ("why", "it has gone"),
        ];
        browser.post("/saga/operate", &[&[("proof", &*proof)][..], &of].concat()).await
    };
    assert_eq!(verb("pause").await.status, StatusCode::SEE_OTHER);
    let page = browser.get("/saga/subscribers").await.text;
    assert!(page.contains("retired") && page.contains("Resume…"), "{page}");
    assert!(!browser.get("/saga").await.text.contains("1\u{a0}pause"), "a retirement needs no attention");
    let again = verb("pause").await;
    assert!(
        again.status == StatusCode::CONFLICT && again.text.contains("is retired already"),
        "{}",
        again.text
    );
    assert_eq!(verb("resume").await.status, StatusCode::SEE_OTHER);
    assert!(shop.dispatcher.store().pauses().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stopped_dispatcher_is_said_and_nothing_hangs() {
    let (shop, browser) = shop().await;
    shop.parked("A-1", "").await;
    let page = browser.get("/saga/instance?saga=order&key=A-1&verb=skip").await;
    let (proof, seq) = (page.field("proof"), page.field("seq"));
    shop.dispatcher.clone().shutdown(std::time::Duration::ZERO).await.unwrap();
    assert!(browser.get("/saga/about").await.text.contains("stopped"));
    let fields = [("proof", &*proof), ("saga", "order"), ("key", "A-1"), ("seq", &seq), ("verb", "skip")];
    let answer =
        browser.post("/saga/decide", &[&fields[..], &[("who", "ann"), ("why", "a test")]].concat()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(shop);
    let page = browser.get("/saga").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text.contains("The dispatcher of this dashboard has ended."), "{}", page.text);
}

#[tokio::test]
async fn the_theme_is_kept_in_the_browser() {
    let (_shop, mut browser) = shop().await;
    let answer = browser.post("/saga/prefer", &[("theme", "dark"), ("to", "/instances?key=a")]).await;
    assert_eq!(answer.header(header::LOCATION), "/saga/instances?key=a");
    let theme = answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    browser.cookie = Some(format!("{}; {theme}", browser.cookie.unwrap()));
    assert!(browser.get("/saga").await.text.contains("<html lang=\"en\" data-theme=\"dark\">"));
}

#[tokio::test]
async fn single_keys_can_be_turned_off() {
    let (_shop, mut browser) = shop().await;
    assert!(browser.get("/saga").await.text.contains("Single keys are on."));
    let answer = browser.post("/saga/prefer", &[("keys", "off"), ("to", "/dead")]).await;
    assert_eq!(answer.header(header::LOCATION), "/saga/dead");
    let keys = answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    browser.cookie = Some(format!("{}; {keys}", browser.cookie.unwrap()));
    let page = browser.get("/saga").await.text;
    assert!(page.contains("<html lang=\"en\" data-keys=\"off\">"), "{page}");
    assert!(page.contains("Single keys are off."), "{page}");
}

/// The links of all pages, followed from the first one.
#[tokio::test]
async fn every_link_leads_to_a_page() {
    let (shop, browser) = shop().await;
    for order in ["A-1", "B & <1>"] {
        shop.parked(order, "").await;
    }
    let noted = Noted { order: "A-9".to_owned(), ..Noted::default() };
    shop.dispatcher.publish(noted).await.unwrap();
    let (mut known, mut next) = (std::collections::BTreeSet::new(), vec!["/saga".to_owned()]);
    while let Some(path) = next.pop() {
        if !known.insert(path.clone()) || path == "/saga/events" {
            continue;
        }
        let page = browser.get(&path).await;
        let missing = path.contains("A-9") && page.status == StatusCode::NOT_FOUND;
        assert!(page.status == StatusCode::OK || missing, "{path}: {}", page.status);
        let links = page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let inside = links.filter(|link| link.starts_with("/saga"));
        next.extend(inside.map(|link| link.replace("&amp;", "&")));
    }
    assert!(known.len() > 30, "{known:?}");
}

/// Takes no event.
struct Deaf;

impl saga::Subscriber<Noted> for Deaf {
    async fn handle(&self, _: Noted, _: &saga::HandlerContext) -> Result<(), saga::prelude::HandlerError> {
        Err("the post office is closed".into())
    }
}

#[tokio::test]
async fn open_deliveries_are_listed_with_their_errors() {
    let clock = ManualClock::default();
    let subscribed = |builder: saga::DispatcherBuilder| {
        builder.clock(clock.clone()).subscriber::<Noted>("post", Deaf).subscriber::<Noted>("till", Deaf)
    };
    let shop = Shop::built("no money", subscribed).await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    let none = browser.get("/saga/subscribers").await.text;
    assert!(none.contains("No open delivery"), "{none}");
    let noted = Noted { order: "A-1".to_owned(), text: "call first".to_owned(), pin: PIN.to_owned().into() };
    shop.dispatcher.publish(noted).await.unwrap();
    // The consumers act after the answer. Several attempts fail until one has to wait.
    clock.idle().await;
    let page = browser.get("/saga/subscribers?consumer=post&tries=failing").await.text;
    let (consumers, open) = page.split_once("Open deliveries").unwrap();
    assert_eq!(consumers.matches("1, oldest ").count(), 2, "one for each subscriber: {consumers}");
    assert!(open.contains("the post office is closed") && open.contains("call first"), "{open}");
    assert_eq!(open.matches("<td class=\"title\">").count(), 1, "{open}");
    assert!(!open.contains(PIN), "a redacted value is shown: {open}");
    let other = browser.get("/saga/subscribers?key=B-").await.text;
    assert!(other.contains("No open delivery"), "{other}");
    assert_eq!(browser.get("/saga/subscribers?after=x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_filter_is_saved_in_the_browser_and_forgotten_again() {
    let (shop, mut browser) = shop().await;
    shop.parked("A-1", "").await;
    let list = browser.get("/saga/instances?status=parked&key=A").await.text;
    assert!(list.contains("Name of this filter"), "{list}");
    assert!(!browser.get("/saga/instances").await.text.contains("Name of this filter"), "all is no filter");
    let session = browser.cookie.clone().unwrap();
    let saved =
        browser.post("/saga/filters", &[("name", " late <b> "), ("query", "?status=parked&key=A")]).await;
    assert_eq!(saved.header(header::LOCATION), "/saga/instances?status=parked&key=A");
    let cookie = saved.header(header::SET_COOKIE);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    browser.cookie = Some(format!("{session}; {}", cookie.split(';').next().unwrap()));
    let list = browser.get("/saga/instances").await.text;
    assert!(list.contains("href=\"/saga/instances?status=parked&amp;key=A\""), "{list}");
    assert!(list.contains("late &lt;b&gt;") && !list.contains("late <b>"), "{list}");
    let forgotten = browser.post("/saga/filters", &[("forget", "late <b>"), ("query", "")]).await;
    assert!(forgotten.header(header::SET_COOKIE).starts_with("saga_filters=;"), "{forgotten:?}");
    let long = browser.post("/saga/filters", &[("name", &*"n".repeat(41)), ("query", "?key=A")]).await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
}
