//! A shop with orders, and requests to its dashboard without a network.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each test file uses its own part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use saga::Sensitive;
use saga::prelude::*;
use saga::store::MemoryStore;
use saga::{Dispatcher, DispatcherBuilder, Done, Position};
use saga_dashboard::{Options, Source, Token};
use tower::ServiceExt;

/// A value that no page shows.
pub const PIN: &str = "0000-secret";

/// Where an order is.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(
    name = "order",
    version = 1,
    data(Order),
    actions(OrderActions),
    label(note, size),
    history(changes),
    on_abort(Cancelled)
)]
#[initially(when(Placed, run(place), send(Pay, undo(Void)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(Paid, not_owed(Void), transition_to(Done_)),
        when(Noted, stay),
        when(any(failed(Pay), unknown(Pay)), park),
        timeout(days = 1, compensate, transition_to(Cancelled))
    )]
    Paying,
    #[terminal]
    Done_,
    #[terminal(failure)]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub note: String,
    pub size: u32,
    pub pin: Sensitive<String>,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { note: event.note.clone(), size: 7, pin: PIN.to_owned().into() })
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay {}
    }
    fn void(&self, _: &Pay, _: &mut Context) -> Void {
        Void {}
    }
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    pub order: String,
    pub note: String,
}
#[derive(saga::Event, Clone, Debug, Default, Serialize, Deserialize)]
#[event(name = "noted", key(order))]
pub struct Noted {
    pub order: String,
    pub text: String,
    #[serde(default)]
    pub pin: Sensitive<String>,
}
#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "paid")]
pub struct Paid {
    pub cents: u32,
}
#[derive(saga::Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "pay", replies(Paid))]
pub struct Pay {}
#[derive(saga::Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "void")]
pub struct Void {}

/// Never answers.
pub struct Idle;

impl Handler<Pay> for Idle {
    async fn handle(&self, _: Pay, cx: &HandlerContext) -> HandlerResult<Pay> {
        cx.cancelled().await;
        Err("stopped".into())
    }
}

impl Handler<Void> for Idle {
    async fn handle(&self, _: Void, cx: &HandlerContext) -> HandlerResult<Void> {
        cx.cancelled().await;
        Err("stopped".into())
    }
}

struct Bank {
    mended: Arc<AtomicBool>,
    error: String,
}

impl Handler<Pay> for Bank {
    async fn handle(&self, _: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        if self.mended.load(Ordering::SeqCst) {
            Ok(Paid { cents: 1 }.into())
        } else {
            Err(HandlerError::refused_for_good(self.error.clone()))
        }
    }
}
impl Handler<Void> for Bank {
    async fn handle(&self, _: Void, _: &HandlerContext) -> HandlerResult<Void> {
        Ok(Done.into())
    }
}

pub const OPERATOR: &str = "operator-token-0123456789";
pub const VIEWER: &str = "viewer-token-0123456789";

/// A shop whose bank refuses until it is mended.
pub struct Shop {
    pub dispatcher: Dispatcher,
    pub mended: Arc<AtomicBool>,
}

impl Shop {
    pub async fn open() -> Self {
        Self::with_error("no money").await
    }

    pub async fn with_error(error: &str) -> Self {
        Self::built(error, |builder| builder).await
    }

    /// A shop with more on its dispatcher.
    pub async fn built(error: &str, more: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder) -> Self {
        Self::on(MemoryStore::new(), error, more).await
    }

    /// A shop on a store that an earlier release may have used.
    pub async fn on(
        store: MemoryStore,
        error: &str,
        more: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder,
    ) -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let bank = || Bank { mended: Arc::clone(&mended), error: error.to_owned() };
        let builder = Dispatcher::builder(store).saga::<OrderState>();
        let builder = builder.handler::<Pay>(bank()).handler::<Void>(bank());
        let dispatcher = more(builder).start().await.unwrap();
        Self { dispatcher, mended }
    }

    /// Places an order, which is parked over its payment.
    pub async fn parked(&self, order: &str, note: &str) {
        self.dispatcher.publish(Placed { order: order.to_owned(), note: note.to_owned() }).await.unwrap();
        let position = self.position(order).await;
        assert!(matches!(position, Position::Parked { .. }), "{position:?}");
    }

    pub async fn place(&self, order: &str) {
        self.dispatcher.publish(Placed { order: order.to_owned(), note: String::new() }).await.unwrap();
    }

    /// Sends a note to an order that does not exist. Returns the number of the dead letter.
    pub async fn letter(&self, order: &str, text: &str) -> String {
        let noted = Noted { order: order.to_owned(), text: text.to_owned(), pin: PIN.to_owned().into() };
        self.dispatcher.publish(noted).await.unwrap();
        let letters = self.dispatcher.dead_letters(None).await.unwrap();
        letters.last().expect("a dead letter").id.0.to_string()
    }

    pub async fn position(&self, order: &str) -> Position<OrderState> {
        self.dispatcher.settled::<OrderState>(order).await.unwrap()
    }

    pub fn options() -> Options {
        Options::new(Token::new(OPERATOR).unwrap()).viewer(Token::new(VIEWER).unwrap()).name("shop")
    }

    pub fn dashboard(&self) -> Browser {
        self.dashboard_with(Self::options())
    }

    pub fn dashboard_with(&self, options: Options) -> Browser {
        let router = saga_dashboard::router(Source::dispatcher(&self.dispatcher), options);
        Browser::of(router)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&marker).unwrap_or_else(|| panic!("no {name} in {}", self.text));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// What a browser does.
#[derive(Clone)]
pub struct Browser {
    router: Router,
    pub cookie: Option<String>,
}

impl Browser {
    /// A browser for the dashboard of these routes.
    pub fn of(router: Router) -> Self {
        Self { router: Router::new().nest("/saga", router), cookie: None }
    }

    pub async fn log_in(mut self, token: &str) -> Self {
        let answer = self.post("/saga/log-in", &[("token", token)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = answer.header(header::SET_COOKIE);
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        self
    }

    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let builder = Request::builder().method(method).uri(path).header(header::HOST, "localhost:7242");
        let builder = builder.header(header::ACCEPT, "text/html");
        match &self.cookie {
            Some(cookie) => builder.header(header::COOKIE, cookie),
            None => builder,
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub fn form(&self, path: &str) -> axum::http::request::Builder {
        self.request(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.form(path).body(Body::from(encoded(fields))).unwrap()).await
    }

    /// Sends a form, and reads the page to which the answer leads. Returns its path as well.
    #[allow(dead_code)] // Not every test binary follows a form.
    pub async fn follow(&self, path: &str, fields: &[(&str, &str)]) -> (String, Answer) {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let to = answer.header(header::LOCATION).to_owned();
        let page = self.get(&to).await;
        (to, page)
    }
}

pub fn encoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}
