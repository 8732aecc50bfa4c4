//! The check before every request: host, session, origin of a form, and the headers of every answer.
//!
//! Owns: who may do what. It is one layer around all routes, so that a new route is closed until it is opened here. Does
//! not own: tokens and sessions (`session`).

use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use crate::Dashboard;
use crate::page::bare;
use crate::session::{Role, Session, TooMany};

/// The routes without a session.
const OPEN: [&str; 3] = ["/log-in", "/saga.css", "/icon.svg"];
/// The routes that change something and need no decision.
const OWN: [&str; 4] = ["/log-in", "/log-out", "/prefer", "/filters"];
/// The names of this machine.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// The most characters of the name of a person.
const LONGEST_USER: usize = 100;
/// The header that a browser adds and a page cannot change.
const FETCH_SITE: &str = "sec-fetch-site";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The path at which the dashboard is mounted.
#[derive(Clone, Debug)]
pub(crate) struct Base(String);

impl Base {
    /// Returns the address of a page. `path` begins with a slash. The first page of a mounted router has no slash at its end,
    /// because axum does not route that address to the router.
    pub(crate) fn to(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(rest) if !self.0.is_empty() && (rest.is_empty() || rest.starts_with('?')) => {
                format!("{}{rest}", self.0)
            }
            _ => format!("{}{path}", self.0),
        }
    }

    fn of(original: &str, inner: &str) -> Self {
        let base = original.strip_suffix(inner).unwrap_or(original);
        Self(base.trim_end_matches('/').to_owned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
        Ok(Self::of(original.path(), parts.uri.path()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The guard puts it there for every route that is not open.
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

pub(crate) async fn guard(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(base) = Base::from_request_parts(&mut parts, &()).await;
    let mut response = match judge(&dashboard, &base, &mut parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => *refusal,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Decides about a request. `Err` is the answer to a refused one.
fn judge(dashboard: &Dashboard, base: &Base, parts: &mut Parts) -> Result<(), Box<Response>> {
    if !is_known_host(dashboard, parts) {
        let why = "This dashboard does not know the host of the request. Add the host to its options.";
        return Err(refuse(base, StatusCode::MISDIRECTED_REQUEST, why));
    }
    let path = parts.uri.path().to_owned();
    let changes = match parts.method {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => return Err(refuse(base, StatusCode::METHOD_NOT_ALLOWED, "The dashboard takes GET and POST.")),
    };
    let bearer = match bearer(&parts.headers) {
        None => None,
        Some(token) => match dashboard.sessions.role(dashboard, token) {
            Ok(Some(role)) => {
                let user = user(dashboard, &parts.headers);
                let user = user.map_err(|why| refuse(base, StatusCode::BAD_REQUEST, why))?;
                Some(Session { role, proof: String::new(), user })
            }
            Ok(None) => return Err(refuse(base, StatusCode::UNAUTHORIZED, "This is not the token.")),
            Err(TooMany) => {
                let why = "There were too many wrong tokens. Wait a minute.";
                return Err(refuse(base, StatusCode::TOO_MANY_REQUESTS, why));
            }
        },
    };
    // A program with a token names no site. A proxy may add the token to the request of a browser, which does name one.
    let own_page = match parts.headers.get(FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => bearer.is_some(),
    };
    if changes && !own_page {
        let why = "The form was not sent by a page of this dashboard. Browsers say so over HTTPS and on localhost only.";
        return Err(refuse(base, StatusCode::FORBIDDEN, why));
    }
    if OPEN.contains(&&*path) {
        return Ok(());
    }
    let Some(session) = bearer.or_else(|| dashboard.sessions.of(&parts.headers)) else {
        return Err(ask_to_log_in(base, parts, changes));
    };
    if changes && session.role != Role::Operator && !OWN.contains(&&*path) {
        return Err(refuse(base, StatusCode::FORBIDDEN, "This token may read and not decide."));
    }
    // The forms of a session from the log-in page ask for the name.
    let is_named =
        !session.proof.is_empty() || session.user.is_some() || dashboard.options.user_header.is_none();
    if changes && !is_named && !OWN.contains(&&*path) {
        let why = "The request has a token and does not name the person. The proxy has to add the header of the user.";
        return Err(refuse(base, StatusCode::FORBIDDEN, why));
    }
    parts.extensions.insert(session);
    Ok(())
}

/// Returns the person whom the proxy has named.
fn user(dashboard: &Dashboard, headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let Some(name) = &dashboard.options.user_header else { return Ok(None) };
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(
            "The request names two persons. The proxy has to remove the header that a browser sends.",
        );
    }
    let user = std::str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or_default();
    if user.is_empty() || user.chars().count() > LONGEST_USER || user.chars().any(char::is_control) {
        return Err("The header of the user is not text of 1 to 100 characters.");
    }
    Ok(Some(user.to_owned()))
}

/// A browser is led to the log-in page. Everybody else gets the plain status.
fn ask_to_log_in(base: &Base, parts: &Parts, changes: bool) -> Box<Response> {
    let accepts = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if changes || !accepts.is_some_and(|accept| accept.contains("text/html")) {
        let mut refusal = refuse(base, StatusCode::UNAUTHORIZED, "Log in first.");
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refusal;
    }
    let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    Box::new(Redirect::to(&base.to(&format!("/log-in?to={}", crate::text::encode(wanted)))).into_response())
}

fn is_known_host(dashboard: &Dashboard, parts: &Parts) -> bool {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = named.or_else(|| parts.uri.host()).map(without_port) else { return false };
    let known = LOOPBACK.into_iter().chain(dashboard.options.hosts.iter().map(|host| without_port(host)));
    known.into_iter().any(|known| known.eq_ignore_ascii_case(host))
}

/// Returns whether the request was sent to this machine by one of its own names.
pub(crate) fn is_loopback(headers: &HeaderMap) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(without_port);
    named.is_some_and(|host| LOOPBACK.iter().any(|known| known.eq_ignore_ascii_case(host)))
}

/// Cuts off the port, but not the colons of an IPv6 address.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
        _ => host,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn refuse(base: &Base, status: StatusCode, why: &str) -> Box<Response> {
    let title = status.canonical_reason().unwrap_or("Refused");
    let page =
        bare(base, title, &html! { h1 { (title) } p { (why) } p { a href=(base.to("/")) { "Overview" } } });
    Box::new((status, page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_the_path_of_the_mount() {
        for (original, inner, base) in [
            ("/saga/instances", "/instances", "/saga"),
            ("/saga", "/", "/saga"),
            ("/saga/", "/", "/saga"),
            ("/instances", "/instances", ""),
            ("/", "/", ""),
            ("/a/b/dead", "/dead", "/a/b"),
        ] {
            assert_eq!(Base::of(original, inner).to("/x"), format!("{base}/x"), "{original}");
        }
        let (mounted, alone) = (Base("/saga".to_owned()), Base(String::new()));
        assert_eq!((&*mounted.to("/"), &*mounted.to("/?saga=a")), ("/saga", "/saga?saga=a"));
        assert_eq!((&*alone.to("/"), &*alone.to("/?saga=a")), ("/", "/?saga=a"));
    }
}
