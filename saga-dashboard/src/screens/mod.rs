//! The screens. Each of them answers one question in words before it shows a number.
//!
//! Owns: what a request needs to become a page. Does not own: the frame of a page (`page`), or decisions (`verbs`).

mod about;
mod attention;
mod audit;
mod dead;
mod handlers;
mod instance;
mod instances;
mod letter;
mod operate;
mod overview;
mod sagas;
mod schedules;
mod subscribers;
mod timeline;
mod timers;

pub(crate) use about::about;
pub(crate) use attention::attention;
pub(crate) use audit::audit;
pub(crate) use dead::dead_letters;
pub(crate) use handlers::{Of as HandlersOf, handlers, page as handlers_page};
pub(crate) use instance::{Of, Said, instance, page as instance_page};
pub(crate) use instances::{Filter, instances};
pub(crate) use letter::{Of as LetterOf, letter, page as letter_page};
pub(crate) use overview::overview;
pub(crate) use sagas::sagas;
pub(crate) use schedules::schedules;
pub(crate) use subscribers::subscribers;
pub(crate) use timers::timers;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use saga_core::definition::StoredDefinition;
use saga_core::message::{Timestamp, chain};
use saga_core::store::{
    DeadId, InstanceCount, InstanceView, Pause, PauseOf, Problems, Redacted, Status, StoreError,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::Dashboard;
use crate::guard::Base;
use crate::page::{Badges, Frame, bare};
use crate::parts::empty;
use crate::preferences::Preferences;
use crate::saved::{self, SavedFilter};
use crate::session::{Role, Session};
use crate::source::Opened;

/// The most dead letters that are counted for the navigation.
const LETTERS: usize = 100;

/// A request for a page.
pub(crate) struct Screen {
    pub(crate) dashboard: Arc<Dashboard>,
    pub(crate) base: Base,
    pub(crate) session: Session,
    preferences: Preferences,
    /// The filters that the browser has saved.
    pub(crate) filters: Vec<SavedFilter>,
    here: String,
    live: bool,
    /// The place of the page among those that are read.
    _place: OwnedSemaphorePermit,
    pub(crate) now: Timestamp,
}

impl FromRequestParts<Arc<Dashboard>> for Screen {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Dashboard>) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let Ok(base) = Base::from_request_parts(parts, state).await;
        let place = Arc::clone(&state.pages).acquire_owned().await;
        let place = place.map_err(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())?;
        Ok(Self {
            dashboard: Arc::clone(state),
            base,
            session,
            preferences: Preferences::of(&parts.headers),
            filters: saved::filters(&parts.headers),
            // The address of a form is no page to return to.
            here: match parts.uri.path_and_query() {
                Some(here) if parts.method == Method::GET => here.to_string(),
                _ => "/".to_owned(),
            },
            live: parts.method == Method::GET,
            _place: place,
            now: Timestamp::now(),
        })
    }
}

/// Why there is no page.
pub(crate) enum NoPage {
    Store(StoreError),
    Stopped,
    NotFound(String),
    Bad(String),
}

impl From<StoreError> for NoPage {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The numbers of a store that every page shows.
pub(crate) struct Numbers {
    pub(crate) counts: Vec<InstanceCount>,
    pub(crate) badges: Badges,
    /// The definitions of the store, in order of saga and version.
    pub(crate) definitions: Vec<StoredDefinition>,
    /// The paused sagas and handlers.
    pub(crate) pauses: Vec<Pause>,
}

impl Numbers {
    /// Returns the variant of the state of an instance, because people know the names in the source. Returns the stored name
    /// if no definition has the state.
    pub(crate) fn variant<'a>(&'a self, view: &'a InstanceView) -> &'a str {
        self.variant_of(&view.address.saga, &view.state)
    }

    /// Returns the variant of a state of a saga, or the stored name.
    pub(crate) fn variant_of<'a>(&'a self, saga: &str, state: &'a str) -> &'a str {
        let mut newest_first = self.definitions.iter().rev().filter(|known| known.saga == saga);
        newest_first.find_map(|known| known.state(state)).map_or(state, |state| &state.variant)
    }

    /// Returns the number of the instances that meet the condition.
    pub(crate) fn of(&self, is: impl Fn(&InstanceCount) -> bool) -> u64 {
        self.counts.iter().filter(|count| is(count)).map(|count| count.instances).sum()
    }
}

pub(crate) fn is_active(count: &InstanceCount) -> bool {
    count.status.is_none_or(|status| !status.is_over())
}

pub(crate) fn has(count: &InstanceCount, status: Status) -> bool {
    count.status == Some(status)
}

impl Screen {
    /// Returns whether the person may decide here.
    pub(crate) fn decides(&self) -> bool {
        self.session.decides(&self.dashboard.options)
    }

    /// Opens the store for reading. Redacted values are hidden.
    pub(crate) async fn store(&self) -> Result<Opened, NoPage> {
        let store = self.dashboard.source.open().ok_or(NoPage::Stopped)?;
        if self.dashboard.options.reveal {
            return Ok(store);
        }
        Ok(Opened::Redacted(Box::new(Redacted::new(store).await?)))
    }

    /// Reads what waits for a person. Pages share one read for a moment, because it can be long.
    pub(crate) async fn problems(&self, store: &Opened) -> Result<Arc<Problems>, NoPage> {
        let read = async || Ok::<_, NoPage>(Arc::new(Problems::read(&**store).await?));
        self.dashboard.problems.get(read).await
    }

    /// Reads the numbers for the navigation.
    pub(crate) async fn numbers(&self, store: &Opened) -> Result<Numbers, NoPage> {
        let counts = store.counts().await?;
        self.dashboard.trend.note(&counts);
        let letters = async || {
            let letters = store.dead_letters(DeadId::default(), LETTERS + 1).await?;
            Ok::<_, NoPage>((letters.len().min(LETTERS) as u64, letters.len() > LETTERS))
        };
        let letters = self.dashboard.letters.get(letters).await?;
        let sum = |is: &dyn Fn(&InstanceCount) -> bool| {
            counts.iter().filter(|count| is(count)).map(|count| count.instances).sum()
        };
        let pauses = store.pauses().await?;
        let badges = Badges {
            active: sum(&is_active),
            parked: sum(&|count| count.parked),
            dead: Some(letters),
            paused: pauses.iter().filter(|pause| !matches!(pause.of, PauseOf::Consumer(_))).count() as u64,
        };
        let definitions = store.definitions().await?;
        Ok(Numbers { counts, badges, definitions, pauses })
    }

    /// Returns the page of a screen.
    pub(crate) fn page(&self, path: &str, title: &str, badges: Badges, body: &Markup) -> Markup {
        let crumbs = html! { span aria-current="page" { (title) } };
        self.page_at(path, title, badges, &crumbs, body)
    }

    pub(crate) fn page_at(
        &self,
        path: &str,
        title: &str,
        badges: Badges,
        crumbs: &Markup,
        body: &Markup,
    ) -> Markup {
        let frame = Frame {
            dashboard: &self.dashboard,
            base: &self.base,
            session: &self.session,
            preferences: self.preferences,
            here: self.here.clone(),
            badges,
            live: self.live,
        };
        frame.page(path, title, crumbs, body)
    }

    /// The field for the person who decides. Nobody is asked for a name that the proxy has said.
    pub(crate) fn ask_who(&self, written: &str) -> Markup {
        html! {
            @match &self.session.user {
                Some(user) => p { "Who: " b { (saga_core::message::visible(user)) } },
                None => label { "Who" input.field name="who" required maxlength="100" autocomplete="username" value=(written); },
            }
        }
    }

    /// Returns the answer to a request, with a page for each error.
    pub(crate) fn answer(&self, page: Result<Markup, NoPage>) -> Response {
        let (status, title, why) = match page {
            Ok(page) => return page.into_response(),
            Err(NoPage::NotFound(why)) => (StatusCode::NOT_FOUND, "Not found", why),
            Err(NoPage::Bad(why)) => (StatusCode::BAD_REQUEST, "This cannot be read", why),
            Err(NoPage::Stopped) => {
                let why = "The dispatcher of this dashboard has ended. Start the program again.";
                (StatusCode::SERVICE_UNAVAILABLE, "Stopped", why.to_owned())
            }
            Err(NoPage::Store(error)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "The store cannot be read", chain(&error).to_string())
            }
        };
        let body = html! {
            section.panel { (empty(title, &html! { (why) })) }
        };
        (status, self.page("", title, Badges::default(), &body)).into_response()
    }

    /// Returns whether the person may see payloads, and labels, which are values of payloads.
    pub(crate) fn sees_payloads(&self) -> bool {
        self.session.role == Role::Operator
    }

    /// A payload, for those who may see it.
    pub(crate) fn payload(&self, json: &str) -> Markup {
        html! {
            @if self.sees_payloads() {
                pre.diff.body { (crate::text::pretty(json).lines().map(saga_core::message::visible).collect::<Vec<_>>().join("\n")) }
            } @else {
                p.muted.small { "hidden: this token may not see payloads" }
            }
        }
    }
}

pub(crate) async fn not_found(base: Base) -> Response {
    let body = html! {
        h1 { "Not found" }
        p { "The dashboard has no such page. " a href=(base.to("/")) { "Overview" } }
    };
    (StatusCode::NOT_FOUND, bare(&base, "Not found", &body)).into_response()
}
