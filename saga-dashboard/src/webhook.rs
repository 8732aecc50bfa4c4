//! The webhook: each notice of a dispatcher is posted to an address, as JSON.
//!
//! Owns: the JSON, the requests and their repetitions. Does not own: which notices there are, or the leaving out of
//! repeated ones (`DispatcherBuilder::on_attention`).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use saga_core::dispatcher::{Attention, Notice};
use saga_core::message::{chain, visible};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::options::secret;
use crate::text::instance_address;

/// The most notices that wait for their request. Further ones are counted.
const WAITING: usize = 100;
/// The most characters of a sentence, because chats refuse long texts.
const LONGEST: usize = 2_000;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The waits before a request is repeated.
const RETRIES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// Posts each notice of a dispatcher as JSON to an address, for a chat or a pager.
///
/// ```no_run
/// # fn attach(builder: saga_core::dispatcher::DispatcherBuilder) -> Result<(), saga_dashboard::WebhookError> {
/// use saga_dashboard::Webhook;
///
/// let webhook = Webhook::new("https://hooks.example.com/services/T1/B2")?
///     .header("authorization", "Bearer 4f1c")?
///     .name("orders")
///     .dashboard("https://ops.example.com/saga")
///     .escape_for_slack();
/// let (callback, posts) = webhook.start()?;
/// let builder = builder.on_attention(callback);
/// // After the end of the dispatcher, wait for the last notices: `posts.finish(Duration::from_secs(10)).await`.
/// # let _ = (builder, posts);
/// # Ok(()) }
/// ```
///
/// The object has these fields: `id` (the same in a repeated request), `name`, `kind`, `text`, `saga` (or the subscriber or
/// handler), `key`, `reason`, `left_out` ([`Notice::left_out`]), `lost` (the number of notices that were given up before this
/// one) and `link`. A text without a value is left out. `text` is one sentence of at most 2,000
/// characters, and the link. An incoming webhook of Slack shows it. It holds texts of errors, which come from handlers.
///
/// A request that fails, takes longer than 10 seconds, or is answered with `408`, `429` or `5xx` is repeated after 1, 5, 30
/// and 120 seconds. Another answer than `2xx` is final. The log has a warning for each notice that is given up. Redirects are
/// not followed. Notices are posted one after another, and at most 100 wait. They are not durable: a process that dies
/// loses those that wait. [`Posts::finish`] waits for them at the end of a process. [`Inspect`](saga_core::store::Inspect) has what waits for a person.
pub struct Webhook {
    uri: Uri,
    headers: HeaderMap,
    name: String,
    dashboard: Option<String>,
    retries: Vec<Duration>,
    slack: bool,
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The address is not usable. The text does not repeat the address, which may hold a secret.
    #[error("the address of the webhook {0}")]
    Address(&'static str),
    /// A header is not usable. The text does not repeat the value, which may hold a secret.
    #[error("the header `{name}` of the webhook {why}")]
    Header {
        /// The name of the header.
        name: String,
        /// The reason.
        why: &'static str,
    },
    /// TLS cannot be used.
    #[error(
        "the webhook cannot use TLS: {0}; install the root certificates of the system (`ca-certificates`), or set SSL_CERT_FILE"
    )]
    Tls(String),
    /// There is no tokio runtime.
    #[error("the webhook needs a tokio runtime: call `start` within one")]
    NoRuntime,
}

impl Webhook {
    /// Returns a webhook for this address, which begins with `https://` or `http://`.
    ///
    /// # Errors
    /// [`WebhookError::Address`] for another scheme, no host, or a user name in the address.
    pub fn new(url: &str) -> Result<Self, WebhookError> {
        const NO_URL: WebhookError =
            WebhookError::Address("must be a URL with a host that begins with `https://` or `http://`");
        let uri: Uri = url.parse().map_err(|_| NO_URL)?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err(NO_URL);
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                return Err(WebhookError::Address(
                    "holds a user name, which is not sent; use `header(\"authorization\", ..)`",
                ));
            }
            Some(authority) if !authority.host().is_empty() => {}
            _ => return Err(NO_URL),
        }
        Ok(Self {
            uri,
            headers: HeaderMap::new(),
            name: String::new(),
            dashboard: None,
            retries: RETRIES.to_vec(),
            slack: false,
        })
    }

    /// Sends this header with each request. The same name replaces an earlier value.
    ///
    /// # Errors
    /// [`WebhookError::Header`] for a name or a value that HTTP does not allow, and for a header that the client sets.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, WebhookError> {
        let refuse = |why| WebhookError::Header { name: visible(name).to_string(), why };
        let header: HeaderName = name.parse().map_err(|_| refuse("has a name that HTTP does not allow"))?;
        if ["content-length", "content-type", "host", "transfer-encoding", "connection"]
            .contains(&header.as_str())
        {
            return Err(refuse("is set by the client"));
        }
        let mut value: HeaderValue =
            value.parse().map_err(|_| refuse("has a value that HTTP does not allow"))?;
        value.set_sensitive(true);
        self.headers.insert(header, value);
        Ok(self)
    }

    /// Names the application: the field `name`, and the beginning of `text`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Links each notice to the dashboard at this address, such as `https://ops.example.com/saga`.
    #[must_use]
    pub fn dashboard(mut self, url: impl Into<String>) -> Self {
        let mut url = url.into();
        url.truncate(url.trim_end_matches('/').len());
        self.dashboard = Some(url);
        self
    }

    /// Sets the waits before a request is repeated. The number of waits is the number of repetitions, at most 100.
    #[must_use]
    pub fn retries(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
        self.retries = waits.into_iter().take(100).collect();
        self
    }

    /// Writes `&`, `<` and `>` of `text` as `&amp;`, `&lt;` and `&gt;`, as Slack asks for. Without that, the text of an error
    /// could call everybody in a channel.
    #[must_use]
    pub fn escape_for_slack(mut self) -> Self {
        self.slack = true;
        self
    }

    /// Starts the task that posts notices. Returns the callback for
    /// [`on_attention`](saga_core::dispatcher::DispatcherBuilder::on_attention), and a handle to wait for the last notices. The
    /// task ends when the callback has been dropped and no notice waits. The runtime must live as long as the dispatcher.
    ///
    /// # Errors
    /// [`WebhookError::NoRuntime`] outside of a tokio runtime, [`WebhookError::Tls`] if an `https` address is used on a
    /// system without root certificates.
    pub fn start(self) -> Result<(impl Fn(Notice) + Send + Sync + 'static, Posts), WebhookError> {
        let runtime = Handle::try_current().map_err(|_| WebhookError::NoRuntime)?;
        let client = self.client()?;
        // One more place, for the notice that the dispatcher has stopped.
        let (to, mut notices) = mpsc::channel(WAITING + 1);
        let task = runtime.spawn(async move {
            let mut lost = 0;
            while let Some(Waiting { notice, lost_before }) = notices.recv().await {
                lost += lost_before;
                if self.post(&client, &notice, lost).await {
                    lost = 0;
                } else {
                    lost += 1;
                }
            }
        });
        let full = AtomicU64::new(0);
        let callback = move |notice: Notice| {
            let kind = notice.what.kind();
            if to.capacity() <= 1 && !to.is_closed() && !matches!(notice.what, Attention::Stopped { .. }) {
                full.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(kind, "the webhook is too slow; a notice is left out");
                return;
            }
            let lost_before = full.swap(0, Ordering::Relaxed);
            if to.try_send(Waiting { notice, lost_before }).is_err() {
                full.fetch_add(lost_before + 1, Ordering::Relaxed);
                tracing::warn!(
                    kind,
                    "a notice is left out: the runtime of the webhook has ended, or the webhook is too slow"
                );
            }
        };
        Ok((callback, Posts { task }))
    }

    fn client(&self) -> Result<Poster, WebhookError> {
        let refuse = |error: &dyn fmt::Display| WebhookError::Tls(error.to_string());
        // Named, because a process with two providers has no default one.
        let provider = rustls::crypto::ring::default_provider();
        let connector = if self.uri.scheme_str() == Some("https") {
            HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(provider)
                .map_err(|error| refuse(&error))?
        } else {
            // Without TLS no certificate is needed, and none may be there.
            let tls = ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(|error| refuse(&error))?;
            HttpsConnectorBuilder::new()
                .with_tls_config(tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
        };
        Ok(Client::builder(TokioExecutor::new()).build(connector.https_or_http().enable_http1().build()))
    }

    /// Returns whether the notice has been accepted. Otherwise the log says why not.
    async fn post(&self, client: &Poster, notice: &Notice, lost: u64) -> bool {
        let body = Bytes::from(self.body(notice, lost));
        let mut waits = self.retries.iter();
        let why = loop {
            let (why, again) = match tokio::time::timeout(PATIENCE, client.request(self.request(&body))).await
            {
                Ok(Ok(answer)) if answer.status().is_success() => return true,
                Ok(Ok(answer)) => (format!("the answer is {}", answer.status()), is_passing(answer.status())),
                Ok(Err(error)) => (chain(&error).to_string(), true),
                Err(_) => (format!("no answer within {} s", PATIENCE.as_secs()), true),
            };
            match waits.next() {
                Some(wait) if again => tokio::time::sleep(*wait).await,
                _ => break why,
            }
        };
        // The address may hold a secret, so that only its host is written.
        let host = self.uri.host().unwrap_or_default();
        tracing::warn!(host, kind = notice.what.kind(), why, "the webhook has not taken a notice");
        false
    }

    fn request(&self, body: &Bytes) -> Request<Body> {
        let mut request = Request::new(Body::from(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    fn body(&self, notice: &Notice, lost: u64) -> Vec<u8> {
        let Notice { what, left_out, .. } = notice;
        let (of, page) = match what {
            Attention::Parked { instance, .. } | Attention::Overdue { instance, .. } => {
                (Some(instance), instance_address(instance, &[]))
            }
            Attention::DeadLetter { to, .. } => (Some(to), "/dead".to_owned()),
            Attention::BreakerOpen { .. } => (None, "/handlers".to_owned()),
            _ => (None, String::new()),
        };
        let link = self.dashboard.as_ref().map(|dashboard| format!("{dashboard}{page}"));
        let json = Json {
            id: secret(),
            name: &self.name,
            kind: what.kind(),
            text: self.text(notice, lost, link.as_deref()),
            saga: what.of(),
            key: of.map(|of| of.key.text()),
            reason: &what.reason(),
            left_out: *left_out,
            lost,
            link: link.as_deref(),
        };
        serde_json::to_vec(&json).expect("texts and numbers are JSON")
    }

    fn text(&self, Notice { what, left_out, .. }: &Notice, lost: u64, link: Option<&str>) -> String {
        let mut text = match &*self.name {
            "" => String::new(),
            name => format!("[{}] ", visible(name)),
        };
        text += &visible(&what.to_string());
        if *left_out > 0 {
            text += &format!(" (more of this kind: {left_out})");
        }
        if lost > 0 {
            text += &format!(" (lost before this one: {lost})");
        }
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        if let Some(link) = link {
            text += "\n";
            text += link;
        }
        if self.slack { text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") } else { text }
    }
}

/// Without the path, the query and the values of headers, which may be secrets.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.uri.host()).finish_non_exhaustive()
    }
}

/// The notices of a [`Webhook`] that are on their way.
#[derive(Debug)]
pub struct Posts {
    task: JoinHandle<()>,
}

impl Posts {
    /// Waits until all notices have been posted or given up, and at most for this time. Returns whether none was left.
    ///
    /// Call it after the end of the dispatcher, which drops the callback. If the future is dropped, the notices go on.
    pub async fn finish(self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.task).await.is_ok_and(|ended| ended.is_ok())
    }
}

type Poster = Client<HttpsConnector<HttpConnector>, Body>;

struct Waiting {
    notice: Notice,
    /// The notices that were left out before this one, because too many waited.
    lost_before: u64,
}

#[derive(Serialize)]
struct Json<'a> {
    id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    kind: &'a str,
    text: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    saga: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    left_out: u64,
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
}

/// Returns whether the same request may succeed later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}
