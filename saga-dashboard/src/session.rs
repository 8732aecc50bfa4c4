//! Log-in with a token, and sessions.
//!
//! Owns: the cookie of a session, and the limit of failed attempts. Does not own: the decision about a request (`guard`),
//! and the appearance of the pages (`preferences`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;

use crate::Dashboard;
use crate::guard::{Base, is_loopback};
use crate::options::{Options, secret};
use crate::page::bare;

/// The beginning of the name of the cookie of a session.
const COOKIE: &str = "saga_session_";
/// The length of a session.
const LENGTH: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions at a time. The oldest one ends for a new one.
const MOST: usize = 1_000;
/// The failed attempts in a minute, after which the log-in waits.
const FAILURES: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads, and sees no payloads.
    Viewer,
    /// Reads and decides.
    Operator,
}

/// The session of a request.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) role: Role,
    /// Stands in each form, and proves that a page of the dashboard has sent it. Empty for a request with a token.
    pub(crate) proof: String,
    /// The name of the person, if a proxy has said it.
    pub(crate) user: Option<String>,
}

impl Session {
    /// Returns whether the person may decide on this dashboard.
    pub(crate) fn decides(&self, options: &Options) -> bool {
        self.role == Role::Operator && !options.read_only
    }
}

pub(crate) struct Sessions {
    known: Mutex<Known>,
    /// The name of the cookie. A browser sends a cookie to all ports of a host, so each dashboard has its own name.
    cookie: String,
}

impl Default for Sessions {
    fn default() -> Self {
        let cookie = format!("{COOKIE}{}", &secret()[..8]);
        Self { known: Mutex::default(), cookie }
    }
}

#[derive(Default)]
struct Known {
    sessions: HashMap<String, (Session, Instant)>,
    failures: u32,
    since: Option<Instant>,
    /// The invitation of the options was used.
    invited: bool,
}

impl Sessions {
    fn state(&self) -> MutexGuard<'_, Known> {
        // No code panics while it holds the lock, so a poisoned lock still holds valid state.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session of the cookie.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let id = cookie(headers, &self.cookie)?;
        let state = self.state();
        let (session, began) = state.sessions.get(id)?;
        (began.elapsed() < LENGTH).then(|| session.clone())
    }

    fn begin(&self, role: Role) -> String {
        let (id, mut state) = (secret(), self.state());
        state.sessions.retain(|_, (_, began)| began.elapsed() < LENGTH);
        if state.sessions.len() >= MOST {
            let oldest = state.sessions.iter().min_by_key(|(_, (_, began))| *began).map(|(id, _)| id.clone());
            oldest.and_then(|id| state.sessions.remove(&id));
        }
        state.sessions.insert(id.clone(), (Session { role, proof: secret(), user: None }, Instant::now()));
        id
    }

    fn end(&self, headers: &HeaderMap) {
        if let Some(id) = cookie(headers, &self.cookie) {
            self.state().sessions.remove(id);
        }
    }

    /// Returns the role of a token. A wrong token counts as a failure. `Err` after too many failures.
    pub(crate) fn role(&self, dashboard: &Dashboard, token: &str) -> Result<Option<Role>, TooMany> {
        let mut state = self.state();
        if state.since.is_some_and(|since| since.elapsed() >= MINUTE) {
            (state.failures, state.since) = (0, None);
        }
        let options = &dashboard.options;
        if options.operator.is(token) {
            return Ok(Some(Role::Operator));
        }
        if !state.invited && options.invitation.as_ref().is_some_and(|code| code.is(token)) {
            state.invited = true;
            return Ok(Some(Role::Operator));
        }
        if options.viewer.as_ref().is_some_and(|viewer| viewer.is(token)) {
            return Ok(Some(Role::Viewer));
        }
        if state.failures >= FAILURES {
            return Err(TooMany);
        }
        state.failures += 1;
        state.since.get_or_insert_with(Instant::now);
        Ok(None)
    }
}

/// Too many wrong tokens within a minute.
pub(crate) struct TooMany;

/// Returns the value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[derive(Deserialize)]
pub(crate) struct Back {
    /// The page to return to, below the dashboard.
    #[serde(default)]
    to: String,
    /// An invitation. The page sends it when the person clicks, because a request to read changes nothing.
    #[serde(default)]
    code: String,
}

/// The page that asks for the token.
pub(crate) async fn page(base: Base, Query(back): Query<Back>) -> Response {
    if back.code.is_empty() {
        return form(&base, &back.to, None).into_response();
    }
    let body = html! {
        h1 { "saga" }
        p.muted { "This link opens the dashboard once." }
        form.form method="post" action=(base.to("/log-in")) {
            input type="hidden" name="token" value=(back.code);
            button.btn.btn-main autofocus { "Open the dashboard" }
        }
    };
    bare(&base, "Open", &body).into_response()
}

fn form(base: &Base, to: &str, wrong: Option<&str>) -> maud::Markup {
    bare(
        base,
        "Log in",
        &html! {
            h1 { "Log in" }
            p.muted { "The token is in the log of the program that serves this dashboard, or in its configuration." }
            @if let Some(wrong) = wrong { p.note.note-parked role="alert" { (wrong) } }
            form.form method="post" action=(base.to("/log-in")) {
                input type="hidden" name="to" value=(to);
                // Programs that keep passwords file the token under a name.
                input type="text" name="username" value="saga" autocomplete="username" hidden;
                label { "Token" input.field.id type="password" name="token" required autofocus autocomplete="current-password"; }
                button.btn.btn-main { "Log in" }
            }
        },
    )
}

#[derive(Deserialize)]
pub(crate) struct LogIn {
    token: String,
    #[serde(default)]
    to: String,
}

pub(crate) async fn log_in(
    State(dashboard): State<Arc<Dashboard>>,
    base: Base,
    headers: HeaderMap,
    Form(LogIn { token, to }): Form<LogIn>,
) -> Response {
    let role = match dashboard.sessions.role(&dashboard, token.trim()) {
        Ok(Some(role)) => role,
        Ok(None) => {
            let wrong = "This is not the token. A link opens the dashboard once.";
            return (StatusCode::UNAUTHORIZED, form(&base, &to, Some(wrong))).into_response();
        }
        Err(TooMany) => {
            let wrong = "There were too many wrong tokens. Wait a minute.";
            return (StatusCode::TOO_MANY_REQUESTS, form(&base, &to, Some(wrong))).into_response();
        }
    };
    let id = dashboard.sessions.begin(role);
    let name = &dashboard.sessions.cookie;
    // A form from another host than this machine has come over TLS, because the browser has named its site.
    let secure = if is_loopback(&headers) { "" } else { "; Secure" };
    let cookie = format!("{name}={id}; HttpOnly; SameSite=Strict{secure}; Path={}", base.to("/"));
    with_cookie(Redirect::to(&base.to(inside(&to))).into_response(), &cookie)
}

pub(crate) async fn log_out(
    State(dashboard): State<Arc<Dashboard>>,
    base: Base,
    headers: HeaderMap,
) -> Response {
    dashboard.sessions.end(&headers);
    let name = &dashboard.sessions.cookie;
    let cookie = format!("{name}=; HttpOnly; SameSite=Strict; Max-Age=0; Path={}", base.to("/"));
    with_cookie(Redirect::to(&base.to("/log-in")).into_response(), &cookie)
}

/// Returns a path below the dashboard. An address elsewhere becomes the first page.
pub(crate) fn inside(to: &str) -> &str {
    // A browser leaves out tabs and line ends, and takes a backslash for a slash.
    let plain = to.starts_with('/')
        && !to.starts_with("//")
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain { to } else { "/" }
}

pub(crate) fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_leads_only_to_pages_of_the_dashboard() {
        for to in
            ["", "//elsewhere", "https://elsewhere", "/\\elsewhere", "/a\r\nb", "/ä", "/\t/elsewhere", "/a b"]
        {
            assert_eq!(inside(to), "/", "{to}");
        }
        assert_eq!(inside("/instance?saga=a&key=b"), "/instance?saga=a&key=b");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers
            .insert(header::COOKIE, HeaderValue::from_static("a=1; saga_session_1=xyz; saga_session_12=2"));
        assert_eq!(cookie(&headers, "saga_session_1"), Some("xyz"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
