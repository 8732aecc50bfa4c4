//! The screens of the dashboard in Chromium: no script error, no foreign request, no dialog, whatever the store holds.
//!
//! Without a ChromeDriver these tests are skipped with a line that says how to have it. `SAGA_REQUIRE_BROWSER=1` makes that
//! a failure.

#![allow(missing_docs)]

#[path = "../../../saga-dashboard/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use saga::Position;
use saga::{Operator, PauseOf};
use saga_dashboard::{Options, Source};
use support::{OPERATOR, OrderState, Placed, Shop};

/// How long a page may take to show a change. It only bounds a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ChromeDriver, which ends with this value.
struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    /// Returns `None` if there is no ChromeDriver.
    fn start() -> Option<Self> {
        let started =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                assert!(
                    std::env::var_os("SAGA_REQUIRE_BROWSER").is_none(),
                    "chromedriver cannot be started: {error}"
                );
                // Not through `eprintln!`, which the test harness keeps back.
                static SAID: Once = Once::new();
                SAID.call_once(|| {
                    let line = "skipped: no browser tests, because there is no chromedriver; install chromium and chromium-driver";
                    let _ = writeln!(std::io::stderr(), "{line}");
                });
                return None;
            }
        };
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ChromeDriver was started successfully on port ")?
                .trim_end_matches('.')
                .parse()
                .ok()
        });
        Some(Self { process, port: port.expect("chromedriver says its port") })
    }

    async fn browser(&self, more: &[&str]) -> Client {
        let mut args = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1440,1000",
        ];
        args.extend(more);
        let wanted = serde_json::json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let serde_json::Value::Object(wanted) = wanted else { unreachable!("it is an object") };
        let driver = format!("http://127.0.0.1:{}", self.port);
        ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&driver)
            .await
            .expect("Chromium starts")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A test that has failed has left its browser open. The driver closes every browser when it is asked to end.
        let _ = self.ask_to_end();
        // An ended process is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    fn ask_to_end(&self) -> std::io::Result<()> {
        let mut driver = TcpStream::connect(("127.0.0.1", self.port))?;
        driver.set_read_timeout(Some(PATIENCE))?;
        write!(driver, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        driver.read_to_end(&mut Vec::new()).map(drop)
    }
}

/// The log of the browser: errors of scripts, and violations of the policy.
#[derive(Debug)]
struct Log;

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base_url: &url::Url, session_id: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/se/log", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some("{\"type\":\"browser\"}".to_owned()))
    }
}

/// A dashboard on a port of its own.
async fn serve(shop: &Shop, options: Options) -> SocketAddr {
    let router = saga_dashboard::router(Source::dispatcher(&shop.dispatcher), options);
    let app = axum::Router::new().nest("/saga", router);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(tokio::spawn(async move { axum::serve(listener, app).await }));
    address
}

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'";
const NOTE: &str = "</pre></title><script>alert(2)</script>\u{202e}";

/// An instance with a hostile key.
const INSTANCE: &str = "/saga/instance?saga=order&key=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%27";

/// The screens, each with the name of its pictures.
const SCREENS: [(&str, &str); 15] = [
    ("/saga", "overview"),
    ("/saga/instances", "instances"),
    ("/saga/instances?status=parked", "parked"),
    ("/saga/attention", "attention"),
    ("/saga/dead", "dead"),
    ("/saga/letter?id=1&verb=edit", "letter"),
    ("/saga/timers", "timers"),
    ("/saga/schedules", "schedules"),
    ("/saga/handlers?kind=handler&name=pay&verb=resume", "handlers"),
    ("/saga/sagas", "sagas"),
    ("/saga/subscribers", "subscribers"),
    ("/saga/audit", "audit"),
    ("/saga/about", "about"),
    ("/saga/nothing", "nothing"),
    (INSTANCE, "instance"),
];

/// The rules of accessibility that a page has to keep: WCAG 2.2, levels A and AA.
const AXE_RUN: &str = "const done = arguments[arguments.length - 1];
    axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(
        (found) => done(found.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html).join(' | '))),
        (error) => done([String(error)]));";

/// The source of the checker `axe-core`. `SAGA_AXE` has its path. No crate has the checker, so `.ci/run` fetches it.
fn axe() -> Option<String> {
    let Some(path) = std::env::var_os("SAGA_AXE") else {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            let line = "skipped: no check of accessibility, because SAGA_AXE does not name an axe.min.js of axe-core";
            let _ = writeln!(std::io::stderr(), "{line}");
        });
        return None;
    };
    Some(
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("SAGA_AXE={}: {error}", path.display())),
    )
}

/// A browser that has logged in, and its dashboard.
struct Session {
    client: Client,
    at: SocketAddr,
}

impl Session {
    async fn open(driver: &Driver, at: SocketAddr, more: &[&str]) -> Self {
        let client = driver.browser(more).await;
        let session = Self { client, at };
        session.go("/saga").await;
        session.fill("input[name=token]", OPERATOR).await;
        session.click("main button").await;
        session.see("h1", "Overview").await;
        session
    }

    async fn go(&self, path: &str) {
        self.client.goto(&format!("http://{}{path}", self.at)).await.expect("the page is read");
    }

    async fn fill(&self, css: &str, text: &str) {
        let field =
            self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.send_keys(text).await.expect("it is a field");
    }

    async fn click(&self, css: &str) {
        let element =
            self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Waits until an element has this text.
    async fn see(&self, css: &str, text: &str) {
        let script = "return [...document.querySelectorAll(arguments[0])].some(e => e.textContent.includes(arguments[1]))";
        let seen = async {
            loop {
                let found = self.client.execute(script, vec![css.into(), text.into()]).await;
                if found.is_ok_and(|found| found == true) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            panic!("{css} never had {text}: {}", self.client.source().await.unwrap_or_default());
        }
    }

    /// No script failed, the policy was kept, and nothing came from elsewhere.
    async fn assert_clean(&self, path: &str) {
        let log = self.client.issue_cmd(Log).await.expect("the log can be read");
        // A page that is not there is answered with 404, which the browser logs.
        let of_status = |line: &serde_json::Value| {
            line["message"].as_str().is_some_and(|text| text.contains("status of"))
        };
        let lines: Vec<_> = log.as_array().into_iter().flatten().filter(|line| !of_status(line)).collect();
        assert!(lines.is_empty(), "{path}: {lines:?}");
        let script = "return performance.getEntriesByType('resource').map(e => e.name)";
        let loaded = self.client.execute(script, Vec::new()).await.expect("no dialog is open");
        for url in loaded.as_array().into_iter().flatten().filter_map(|url| url.as_str()) {
            assert!(url.starts_with(&format!("http://{}/saga", self.at)), "{path} has loaded {url}");
        }
    }

    /// Returns the rules of accessibility that the page breaks. `axe` is the source of the checker.
    async fn broken_rules(&self, axe: &str) -> Vec<String> {
        self.client.execute(axe, Vec::new()).await.expect("axe-core is a script");
        let found = self.client.execute_async(AXE_RUN, Vec::new()).await.expect("axe-core has run");
        serde_json::from_value(found).expect("it is a list of texts")
    }

    async fn choose_theme(&self, theme: &str) {
        self.click(&format!("button[value={theme}]")).await;
        self.see(&format!("html[data-theme={theme}] h1"), "").await;
    }

    async fn keep_screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).expect("the folder for screenshots");
        // ChromeDriver sometimes refuses a picture while a page settles. A dialog fails all the time.
        let picture = async {
            loop {
                match self.client.screenshot().await {
                    Ok(picture) => break picture,
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        };
        let picture = tokio::time::timeout(PATIENCE, picture).await.expect("no dialog is open");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("the screenshot can be written");
    }
}

/// A shop that has a row for each screen, with text that attacks the page.
async fn hostile_shop() -> Shop {
    // A leap day, so that the schedule stays without a run.
    let nightly = |_| Placed { order: HOSTILE.to_owned(), note: NOTE.to_owned() };
    let shop =
        Shop::built(NOTE, |builder| builder.recurring(HOSTILE, "0 3 29 2 * Europe/Berlin", nightly)).await;
    shop.parked(HOSTILE, NOTE).await;
    shop.parked("A-1", "for ann").await;
    shop.letter(&format!("{HOSTILE}2"), NOTE).await;
    let operator = || Operator::new(HOSTILE).because(NOTE);
    shop.dispatcher.pause(PauseOf::Handler("pay".to_owned()), operator()).await.unwrap();
    shop.dispatcher.pause(PauseOf::Saga("order".to_owned()), operator()).await.unwrap();
    shop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_screen_is_clean_with_hostile_text() {
    let Some(driver) = Driver::start() else { return };
    let shop = hostile_shop().await;
    let at = serve(&shop, Shop::options().name(HOSTILE)).await;
    let session = Session::open(&driver, at, &[]).await;
    let verbs = ["retry", "resolve", "skip", "fire", "postpone", "abort"];
    let forms = verbs.map(|verb| format!("{INSTANCE}&verb={verb}"));
    for path in SCREENS.map(|(path, _)| path).into_iter().chain(forms.iter().map(|form| &**form)) {
        session.go(path).await;
        session.assert_clean(path).await;
    }
    for (size, suffix) in [((1440, 1000), ""), ((1120, 900), "-tablet"), ((400, 900), "-phone")] {
        session.client.set_window_size(size.0, size.1).await.unwrap();
        for (path, name) in SCREENS {
            session.go(path).await;
            session.keep_screenshot(&format!("{name}{suffix}")).await;
            let fits =
                "return document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1";
            let fits = session.client.execute(fits, Vec::new()).await.unwrap();
            assert_eq!(fits, true, "{path} is wider than its window of {} pixels", size.0);
        }
    }
    session.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_screen_is_accessible_in_both_themes() {
    let Some(driver) = Driver::start() else { return };
    let Some(axe) = axe() else { return };
    let shop = hostile_shop().await;
    let at = serve(&shop, Shop::options()).await;
    let session = Session::open(&driver, at, &[]).await;
    let form = format!("{INSTANCE}&verb=abort");
    let mut broken = Vec::new();
    for theme in ["light", "dark"] {
        session.go("/saga").await;
        session.choose_theme(theme).await;
        for path in SCREENS.map(|(path, _)| path).into_iter().chain([&*form]) {
            session.go(path).await;
            let rules = session.broken_rules(&axe).await;
            broken.extend(rules.into_iter().map(|rule| format!("{path} in the {theme} theme: {rule}")));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    session.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_is_a_form_with_the_key_and_the_reason() {
    let Some(driver) = Driver::start() else { return };
    let shop = Shop::open().await;
    shop.parked("A-1", "for ann").await;
    let at = serve(&shop, Shop::options()).await;
    let session = Session::open(&driver, at, &[]).await;
    session.go("/saga/instances").await;
    session.click("td.title a").await;
    session.see("h1", "A-1").await;
    session.click(".verbs .btn-danger").await;
    session.see(".decide", "arrive in Cancelled").await;
    session.fill("input[name=who]", "ann").await;
    session.fill("textarea[name=why]", "the customer has called").await;
    session.fill("input[name=confirm]", "A-1").await;
    session.click(".decide button").await;
    session.see(".note-done", "Abort is done.").await;
    session.see(".who", "Cancelled").await;
    session.see(".hist", "the customer has called").await;
    assert_eq!(shop.position("A-1").await, Position::In(OrderState::Cancelled));
    session.assert_clean("the abort").await;
    session.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticked_instances_are_decided_after_a_preview() {
    let Some(driver) = Driver::start() else { return };
    let shop = Shop::open().await;
    for order in ["A-1", "A-2", "A-3"] {
        shop.parked(order, "").await;
    }
    let at = serve(&shop, Shop::options()).await;
    let session = Session::open(&driver, at, &[]).await;
    session.go("/saga/instances?sort=key").await;
    session.click("tbody tr:nth-child(1) input").await;
    session.click("tbody tr:nth-child(3) input").await;
    session.click("button[value=skip]").await;
    session.see(".decide", "Skip 2\u{a0}instances").await;
    session.fill("input[name=who]", "ann").await;
    session.fill("textarea[name=why]", "they are paid in cash").await;
    session.click(".decide button").await;
    session.see("[role=status]", "2\u{a0}instances took it.").await;
    session.go("/saga/instances?status=parked").await;
    session.see("tbody", "A-2").await;
    session.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_follows_the_store_without_a_reload() {
    let Some(driver) = Driver::start() else { return };
    let shop = Shop::open().await;
    let at = serve(&shop, Shop::options()).await;
    let session = Session::open(&driver, at, &[]).await;
    session.see("[data-say]", "Live").await;
    // Without its regular look, the page knows of a change by the stream alone.
    let marked = "window.samePage = true; for (let n = 0; n < 1000; n++) clearInterval(n)";
    session.client.execute(marked, Vec::new()).await.unwrap();
    shop.parked("A-1", "").await;
    session.see("[data-live=activity]", "A-1").await;
    session.see("[data-live=attention]", "no money").await;
    let same = session.client.execute("return window.samePage === true", Vec::new()).await.unwrap();
    assert_eq!(same, true, "the page was not loaded again");
    session.assert_clean("a live page").await;
    session.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lead_to_the_screens_and_decide_nothing() {
    let Some(driver) = Driver::start() else { return };
    let shop = Shop::open().await;
    shop.parked("A-1", "").await;
    let at = serve(&shop, Shop::options()).await;
    let session = Session::open(&driver, at, &[]).await;
    for (keys, title) in [("gi", "Instances"), ("ga", "Attention"), ("gt", "Timers"), ("go", "Overview")] {
        session.fill("body", keys).await;
        session.see("title", &format!("{title} · saga")).await;
        // The script of the next page listens before the next keys.
        session.see("[data-say]", "Live").await;
    }
    session.fill("body", "gi").await;
    session.see("title", "Instances · saga").await;
    session.see("[data-say]", "Live").await;
    session.fill("body", "jx").await;
    let ticked = "return document.querySelectorAll('input:checked').length";
    assert_eq!(session.client.execute(ticked, Vec::new()).await.unwrap(), 1);
    assert!(matches!(shop.position("A-1").await, Position::Parked { .. }));
    session.fill("body", "?").await;
    session.click("button[name=keys]").await;
    session.see("html[data-keys=off] .keys", "Single keys are off.").await;
    session.see("[data-say]", "Live").await;
    session.fill("body", "go").await;
    session.see("html[data-keys=off] h1", "Instances").await;
    session.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_without_a_script() {
    let Some(driver) = Driver::start() else { return };
    let shop = Shop::open().await;
    shop.parked("A-1", "for ann").await;
    let (press, mut pressed) = tokio::sync::watch::channel(0);
    let options = Shop::options().button("Press", "Counts.", move || press.send_modify(|times| *times += 1));
    let at = serve(&shop, options).await;
    let client = driver.browser(&["--blink-settings=scriptEnabled=false"]).await;
    // A click returns before the next page is there.
    let find = async |css: &str| {
        let found = client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    };
    client.goto(&format!("http://{at}/saga/instance?saga=order&key=A-1")).await.unwrap();
    find("input[name=token]").await.send_keys(OPERATOR).await.unwrap();
    find("main.bare button").await.click().await.unwrap();
    let sentence = find(".sentence").await.text().await.unwrap();
    assert!(sentence.starts_with("Has waited for a person"), "it is the page that was asked for: {sentence}");
    assert!(find("[data-say]").await.text().await.unwrap().contains("As of now"));
    find(".rail .btn-danger").await.click().await.unwrap();
    let once = pressed.wait_for(|times| *times == 1);
    drop(tokio::time::timeout(PATIENCE, once).await.expect("the button was pressed"));
    find("[data-live=figures]").await;
    find("button[value=dark]").await.click().await.unwrap();
    find("html[data-theme=dark]").await;
    client.close().await.unwrap();
}
