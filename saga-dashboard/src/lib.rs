//! The dashboard of `saga`: pages that show the instances of a store, and decide what waits for a person.
//!
//! [`router`] returns an axum router. Mount it in your application, next to the dispatcher:
//!
//! ```no_run
//! # async fn mount(dispatcher: saga_core::dispatcher::Dispatcher) -> std::io::Result<()> {
//! use saga_dashboard::{Options, Source, Token};
//!
//! let token = Token::from_env("SAGA_DASHBOARD_TOKEN").unwrap_or_else(Token::random);
//! let options = Options::new(token).name("orders");
//! let dashboard = saga_dashboard::router(Source::dispatcher(&dispatcher), options);
//! let app = axum::Router::new().nest("/saga", dashboard);
//! # let _ = app;
//! # Ok(()) }
//! ```
//!
//! # Security
//! Nobody sees a page without the token, also on loopback. A request must name a known host ([`Options::host`]). Each
//! change needs a form of the dashboard itself. Pages contain no script and no style of their own, and load nothing from
//! elsewhere. Stored text is escaped in every place. [`Options::viewer`] adds a token that may read and not decide, and that
//! sees no payloads. [`Options::read_only`] leaves out the routes that decide.
//!
//! The dashboard speaks plain HTTP. Bind it to loopback, or put it behind a proxy that speaks TLS.

mod assets;
mod batch;
mod cached;
mod diagram;
mod events;
mod guard;
mod operate;
mod options;
mod page;
mod parts;
mod preferences;
mod saved;
mod screens;
mod session;
mod source;
mod text;
mod trend;
mod verbs;
#[cfg(feature = "webhook")]
mod webhook;

pub use diagram::svg;
pub use options::{Options, Token};
pub use source::{Inbox, Source};
#[cfg(feature = "webhook")]
pub use webhook::{Posts, Webhook, WebhookError};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use saga_core::store::Problems;
use tokio::sync::Semaphore;

use cached::Cached;
use session::Sessions;

/// The most bytes of a request.
const BODY: usize = 2 * 1024 * 1024;

/// The most pages that are read at a time. Others wait for their turn.
const PAGES: usize = 4;

/// What all requests share.
pub(crate) struct Dashboard {
    pub(crate) source: Source,
    pub(crate) options: Options,
    pub(crate) sessions: Sessions,
    pub(crate) streams: events::Streams,
    /// The places of pages that are read at a time. The dispatcher reads the same store.
    pub(crate) pages: Arc<Semaphore>,
    pub(crate) trend: trend::Trend,
    /// The decisions about many instances.
    pub(crate) jobs: batch::Jobs,
    pub(crate) problems: Cached<Arc<Problems>>,
    /// The number of dead letters, and whether there are more.
    pub(crate) letters: Cached<(u64, bool)>,
}

/// Returns the routes of the dashboard. They can be mounted at any path with [`Router::nest`].
///
/// Without a session or a token, every route but the log-in page and its files answers `401`, and leads a browser to the
/// log-in page.
pub fn router(source: Source, options: Options) -> Router {
    let read_only = options.read_only || !source.decides();
    let dashboard = Arc::new(Dashboard {
        source,
        options: Options { read_only, ..options },
        sessions: Sessions::default(),
        streams: events::Streams::default(),
        pages: Arc::new(Semaphore::new(PAGES)),
        trend: trend::Trend::default(),
        jobs: batch::Jobs::default(),
        problems: Cached::default(),
        letters: Cached::default(),
    });
    let mut routes = Router::new()
        .route("/", get(screens::overview))
        .route("/instances", get(screens::instances))
        .route("/instance", get(screens::instance))
        .route("/attention", get(screens::attention))
        .route("/dead", get(screens::dead_letters))
        .route("/letter", get(screens::letter))
        .route("/timers", get(screens::timers))
        .route("/schedules", get(screens::schedules))
        .route("/handlers", get(screens::handlers))
        .route("/audit", get(screens::audit))
        .route("/sagas", get(screens::sagas))
        .route("/subscribers", get(screens::subscribers))
        .route("/about", get(screens::about))
        .route("/events", get(events::stream))
        .route("/log-in", get(session::page).post(session::log_in))
        .route("/log-out", post(session::log_out))
        .route("/prefer", post(preferences::keep))
        .route("/filters", post(saved::keep))
        .route("/icon.svg", get(assets::icon))
        .route("/saga.css", get(assets::css))
        .route("/dashboard.js", get(assets::script));
    if !read_only {
        routes = routes
            .route("/decide", post(verbs::decide))
            .route("/batch", get(batch::progress).post(batch::batch))
            .route("/operate", post(operate::operate));
        if dashboard.options.button.is_some() {
            routes = routes.route("/button", post(verbs::button));
        }
    }
    routes
        .fallback(screens::not_found)
        .layer(from_fn_with_state(Arc::clone(&dashboard), guard::guard))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(dashboard)
}
