//! Who may see and do what. Every route is named here, so that a new one is closed until it is opened on purpose.

#![allow(missing_docs)]

mod support;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use saga::store::AuditFilter;
use support::{OPERATOR, Shop, VIEWER, encoded};

const READS: [&str; 16] = [
    "/saga",
    "/saga/instances",
    "/saga/instance?saga=order&key=A-1",
    "/saga/attention",
    "/saga/dead",
    "/saga/letter?id=1",
    "/saga/timers",
    "/saga/schedules",
    "/saga/handlers",
    "/saga/audit",
    "/saga/sagas",
    "/saga/subscribers",
    "/saga/about",
    "/saga/batch?job=1",
    "/saga/dashboard.js",
    "/saga/events",
];
const WRITES: [&str; 7] = [
    "/saga/decide",
    "/saga/batch",
    "/saga/operate",
    "/saga/button",
    "/saga/prefer",
    "/saga/filters",
    "/saga/log-out",
];

#[test]
fn the_list_of_routes_is_complete() {
    let source = include_str!("../src/lib.rs");
    let routes = source.match_indices(".route(\"").map(|(at, _)| source[at + 8..].split('"').next().unwrap());
    let open = ["/saga/log-in", "/saga/saga.css", "/saga/icon.svg"];
    for route in routes {
        let path = format!("/saga{}", route.trim_end_matches('/'));
        let known =
            READS.iter().chain(&WRITES).chain(&open).any(|known| known.split('?').next() == Some(&path));
        assert!(known, "{path} is in no list of this test");
    }
}

#[tokio::test]
async fn nothing_is_shown_or_done_without_a_token() {
    let shop = Shop::open().await;
    shop.parked("A-1", "").await;
    let browser = shop.dashboard_with(Shop::options().button("Press", "", || panic!("it was pressed")));
    for path in READS {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.header(header::LOCATION).starts_with("/saga/log-in?to="), "{path}");
        let plain = browser.request(Method::GET, path).header(header::ACCEPT, "application/json");
        let mut request = plain.body(Body::empty()).unwrap();
        request.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
        assert_eq!(browser.send(request).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in WRITES {
        let answer = browser.post(path, &[("verb", "abort")]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let wrong = browser.post("/saga/log-in", &[("token", "guess")]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.header(header::SET_COOKIE), "");
    assert!(matches!(shop.position("A-1").await, saga::Position::Parked { .. }));
}

#[tokio::test]
async fn every_answer_has_the_policy_and_is_kept_nowhere() {
    let shop = Shop::open().await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    for path in ["/saga", "/saga/instances", "/saga/nothing", "/saga/log-in"] {
        let answer = browser.get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
        let is_attribute = |rest: &str| rest.trim_start_matches(char::is_alphabetic).starts_with('=');
        let reacts = answer.text.split(" on").skip(1).any(is_attribute);
        assert!(!answer.text.contains("style=") && !reacts, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_request_to_an_unknown_host_is_refused() {
    let shop = Shop::open().await;
    let browser = shop.dashboard_with(Shop::options().host("orders.example.com").host("b.example.com:8443"));
    for (host, expected) in [
        ("localhost", StatusCode::OK),
        ("127.0.0.1:7242", StatusCode::OK),
        ("[::1]:7242", StatusCode::OK),
        ("Orders.Example.com:443", StatusCode::OK),
        ("evil.example.com", StatusCode::MISDIRECTED_REQUEST),
        ("localhost.evil.example.com", StatusCode::MISDIRECTED_REQUEST),
        ("b.example.com:9000", StatusCode::OK),
        ("", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let mut request = browser.request(Method::GET, "/saga/log-in").body(Body::empty()).unwrap();
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        assert_eq!(browser.send(request).await.status, expected, "{host}");
    }
}

#[tokio::test]
async fn a_form_of_another_page_changes_nothing() {
    let shop = Shop::open().await;
    shop.parked("A-1", "").await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    let page = browser.get("/saga/instance?saga=order&key=A-1&verb=skip").await;
    let (proof, seq) = (page.field("proof"), page.field("seq"));
    let fields = |proof: &str| {
        let fields = [
            ("saga", "order"),
            ("key", "A-1"),
            ("verb", "skip"),
            ("seq", &seq),
            ("who", "ann"),
            ("why", "a test"),
        ];
        encoded(&[&fields[..], &[("proof", proof)]].concat())
    };
    let post = |site: Option<&'static str>, proof: &str| {
        let mut request = browser.form("/saga/decide").body(Body::from(fields(proof))).unwrap();
        request.headers_mut().remove("sec-fetch-site");
        if let Some(site) = site {
            request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        }
        browser.send(request)
    };
    for site in [None, Some("cross-site"), Some("same-site"), Some("none")] {
        assert_eq!(post(site, &proof).await.status, StatusCode::FORBIDDEN, "{site:?}");
    }
    for wrong in ["", "00", &proof[1..]] {
        assert_eq!(post(Some("same-origin"), wrong).await.status, StatusCode::FORBIDDEN);
    }
    assert!(matches!(shop.position("A-1").await, saga::Position::Parked { .. }), "nothing was done");
    assert_eq!(post(Some("same-origin"), &proof).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn only_get_and_post_are_taken() {
    let shop = Shop::open().await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let request = browser.request(method.clone(), "/saga/decide").body(Body::empty()).unwrap();
        assert_eq!(browser.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let get = browser.get("/saga/decide").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED, "a decision is never a GET");
}

#[tokio::test]
async fn a_viewer_reads_without_payloads_and_decides_nothing() {
    let shop = Shop::open().await;
    shop.parked("A-1", "the secret note").await;
    let viewer = shop.dashboard().log_in(VIEWER).await;
    let page = viewer.get("/saga/instance?saga=order&key=A-1&verb=abort").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("the secret note") && page.text.contains("may not see payloads"));
    assert!(!page.text.contains("/saga/decide"), "there is no form");
    let list = viewer.get("/saga/instances?saga=order").await.text;
    assert!(
        list.contains("A-1") && !list.contains("the secret note"),
        "labels are values of the data: {list}"
    );
    let probe = viewer.get("/saga/instances?label=note%5E%3Dthe").await;
    assert!(probe.status == StatusCode::BAD_REQUEST && !probe.text.contains("A-1"), "{}", probe.text);
    for path in ["/saga/decide", "/saga/batch", "/saga/operate"] {
        assert_eq!(viewer.post(path, &[("verb", "abort")]).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let operator = shop.dashboard().log_in(OPERATOR).await;
    assert!(operator.get("/saga/instance?saga=order&key=A-1").await.text.contains("the secret note"));
}

#[tokio::test]
async fn a_read_only_dashboard_has_no_routes_that_decide() {
    let shop = Shop::open().await;
    shop.parked("A-1", "").await;
    let pressed = Shop::options().button("Press", "", || panic!("it was pressed"));
    let browser = shop.dashboard_with(pressed.read_only()).log_in(OPERATOR).await;
    for path in ["/saga/decide", "/saga/batch", "/saga/operate", "/saga/button"] {
        assert_eq!(browser.post(path, &[("verb", "abort")]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let page = browser.get("/saga/instance?saga=order&key=A-1&verb=abort").await;
    assert!(page.status == StatusCode::OK && !page.text.contains("/saga/decide"));
}

#[tokio::test]
async fn wrong_tokens_are_limited() {
    let shop = Shop::open().await;
    let browser = shop.dashboard();
    for _ in 0..10 {
        let answer = browser.post("/saga/log-in", &[("token", "guess")]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let answer = browser.post("/saga/log-in", &[("token", "guess")]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let answer = browser.post("/saga/log-in", &[("token", OPERATOR)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "nobody locks out those who know the token");
}

#[tokio::test]
async fn a_program_uses_the_token_itself() {
    let shop = Shop::open().await;
    shop.parked("A-1", "").await;
    let browser = shop.dashboard();
    let send = |token: &'static str| {
        let body = encoded(&[
            ("saga", "order"),
            ("key", "A-1"),
            ("verb", "skip"),
            ("seq", "3"),
            ("who", "bot"),
            ("why", "a script"),
        ]);
        let request = browser.request(Method::POST, "/saga/decide").header(header::AUTHORIZATION, token);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        browser.send(request.body(Body::from(body)).unwrap())
    };
    assert_eq!(send("Bearer wrong").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(send("Bearer viewer-token-0123456789").await.status, StatusCode::FORBIDDEN);
    // A proxy may add the token to the request of a browser, and then the form must be one of the dashboard.
    for (site, expected) in [("cross-site", StatusCode::FORBIDDEN), ("same-origin", StatusCode::CONFLICT)] {
        let body = encoded(&[
            ("saga", "order"),
            ("key", "A-1"),
            ("verb", "skip"),
            ("seq", "9"),
            ("who", "bot"),
            ("why", "a script"),
        ]);
        let request = browser.request(Method::POST, "/saga/decide").header("sec-fetch-site", site);
        let request = request.header(header::AUTHORIZATION, "Bearer operator-token-0123456789");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = browser.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, expected, "{site}");
    }
    // The step is another one, so that the instance declines, after the dashboard has let the request pass.
    assert_eq!(send("Bearer operator-token-0123456789").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_person_is_the_one_whom_the_proxy_names() {
    let shop = Shop::open().await;
    let name = axum::http::HeaderName::from_static("x-user");
    let browser = shop.dashboard_with(Shop::options().user_header(name));
    let send = |method: Method, path: &'static str, users: &[&'static str]| {
        let body =
            [("verb", "pause"), ("kind", "handler"), ("name", "pay"), ("who", "eve"), ("why", "a test")];
        let mut request = browser.request(method, path).header("sec-fetch-site", "same-origin");
        for user in users {
            request = request.header("x-user", *user);
        }
        let request = request.header(header::AUTHORIZATION, format!("Bearer {OPERATOR}"));
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        browser.send(request.body(Body::from(encoded(&body))).unwrap())
    };
    let long: &'static str = "n".repeat(101).leak();
    for (users, expected) in [
        (&[][..], StatusCode::FORBIDDEN),
        (&["ann", "eve"], StatusCode::BAD_REQUEST),
        (&[" "], StatusCode::BAD_REQUEST),
        (&[long], StatusCode::BAD_REQUEST),
        (&["a\tb"], StatusCode::BAD_REQUEST),
        (&["ann"], StatusCode::SEE_OTHER),
    ] {
        let answer = send(Method::POST, "/saga/operate", users).await;
        assert_eq!(answer.status, expected, "{users:?}: {}", answer.text);
    }
    let audit = shop.dispatcher.store().audit(&AuditFilter::default()).await.unwrap();
    assert_eq!(audit.len(), 1, "a refused request decides nothing");
    assert_eq!(audit[0].entry.who, "ann", "and not the name in the form");
    let form = "/saga/handlers?kind=handler&name=pay&verb=resume";
    let page = send(Method::GET, form, &["ann"]).await.text;
    assert!(page.contains("Who: <b>ann</b>") && !page.contains("name=\"who\""), "{page}");
    let page = browser.clone().log_in(OPERATOR).await.get(form).await.text;
    assert!(page.contains("name=\"who\""), "a person with the token itself types the name");
}

#[tokio::test]
async fn an_invitation_opens_the_dashboard_once() {
    let shop = Shop::open().await;
    let mut options = Shop::options();
    let code = options.invite();
    let browser = shop.dashboard_with(options);
    let page = browser.get(&format!("/saga/log-in?code={code}")).await;
    assert!(
        page.status == StatusCode::OK && page.header(header::SET_COOKIE).is_empty(),
        "a GET opens nothing"
    );
    let first = browser.clone().log_in(&code).await;
    assert_eq!(first.get("/saga").await.status, StatusCode::OK);
    assert_eq!(browser.post("/saga/log-in", &[("token", &code)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_behind_tls_has_a_secure_cookie_of_its_own_name() {
    let shop = Shop::open().await;
    let browser = shop.dashboard_with(Shop::options().host("orders.example.com"));
    let log_in = |host: &'static str| {
        let mut request =
            browser.form("/saga/log-in").body(Body::from(encoded(&[("token", OPERATOR)]))).unwrap();
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        browser.send(request)
    };
    let (here, there) = (log_in("localhost:1").await, log_in("orders.example.com").await);
    assert!(!here.header(header::SET_COOKIE).contains("Secure"));
    assert!(there.header(header::SET_COOKIE).contains("; Secure"));
    let other = shop.dashboard().log_in(OPERATOR).await;
    let name = |cookie: &str| cookie.split('=').next().unwrap().to_owned();
    assert_ne!(name(here.header(header::SET_COOKIE)), name(other.cookie.as_ref().unwrap()));
}

#[tokio::test]
async fn a_log_out_ends_the_session() {
    let shop = Shop::open().await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    assert_eq!(browser.get("/saga").await.status, StatusCode::OK);
    assert_eq!(browser.post("/saga/log-out", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/saga").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_large_request_is_refused() {
    let shop = Shop::open().await;
    let browser = shop.dashboard().log_in(OPERATOR).await;
    let answer = browser.post("/saga/decide", &[("why", &"x".repeat(800_000))]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn a_token_shows_nothing_of_itself_and_is_long() {
    let options = Shop::options();
    assert!(!format!("{options:?}").contains(OPERATOR) && !format!("{options:?}").contains(VIEWER));
    assert!(saga_dashboard::Token::new("short").is_none());
    assert_eq!(saga_dashboard::Token::random().reveal().len(), 64);
}
