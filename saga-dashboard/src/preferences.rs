//! How a browser wants its pages: the theme, and the keys.
//!
//! Owns: two cookies without personal data. Does not own: sessions (`session`).

use axum::Form;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::guard::Base;
use crate::session::{cookie, inside, with_cookie};

const THEME: &str = "saga_theme";
const KEYS: &str = "saga_keys";

/// The choices of a browser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preferences {
    /// `light`, `dark`, or the theme of the system.
    pub(crate) theme: Option<&'static str>,
    /// Whether single letters lead to screens. A person who speaks to the browser turns them off (WCAG 2.1.4).
    pub(crate) keys: bool,
}

impl Preferences {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let theme = match cookie(headers, THEME) {
            Some("light") => Some("light"),
            Some("dark") => Some("dark"),
            _ => None,
        };
        Self { theme, keys: cookie(headers, KEYS) != Some("off") }
    }
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    theme: Option<String>,
    #[serde(default)]
    keys: Option<String>,
    /// The page to return to, below the dashboard.
    #[serde(default)]
    to: String,
}

/// Keeps one choice in the browser.
pub(crate) async fn keep(base: Base, Form(Choice { theme, keys, to }): Form<Choice>) -> Response {
    let (name, value) = match (theme.as_deref(), keys.as_deref()) {
        (Some("light"), _) => (THEME, "light"),
        (Some("dark"), _) => (THEME, "dark"),
        (Some(_), _) => (THEME, "auto"),
        (None, Some("off")) => (KEYS, "off"),
        (None, _) => (KEYS, "on"),
    };
    let kept = format!("{name}={value}; HttpOnly; SameSite=Strict; Max-Age=31536000; Path={}", base.to("/"));
    with_cookie(Redirect::to(&base.to(inside(&to))).into_response(), &kept)
}
