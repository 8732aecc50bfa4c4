//! The filters that a person has saved in the browser.
//!
//! Owns: the cookie, and its limits. Does not own: the meaning of a filter, which is the query of the list of instances. The
//! server keeps nothing, and another browser does not see the filters.

use axum::Form;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::guard::{Base, is_loopback};
use crate::session::{cookie, inside, with_cookie};
use crate::text::encode;

const COOKIE: &str = "saga_filters";
/// The most filters.
const MOST: usize = 12;
/// The most characters of a name.
const NAME: usize = 40;
/// The most bytes of the cookie. Browsers keep 4,096.
const BYTES: usize = 3_500;

/// A filter with its name. The query begins with `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedFilter {
    pub(crate) name: String,
    pub(crate) query: String,
}

/// Returns the filters of a browser. A cookie that cannot be read is none.
pub(crate) fn filters(headers: &HeaderMap) -> Vec<SavedFilter> {
    cookie(headers, COOKIE).map(parse).unwrap_or_default()
}

fn parse(text: &str) -> Vec<SavedFilter> {
    let uri: Option<Uri> = format!("/?{text}").parse().ok();
    let pairs = uri.and_then(|uri| Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    let pairs = pairs.map(|Query(pairs)| pairs).unwrap_or_default();
    let filter = |(name, query): (String, String)| {
        let fits = !name.is_empty() && inside(&format!("/instances{query}")).len() > 1;
        fits.then_some(SavedFilter { name, query })
    };
    pairs.into_iter().filter_map(filter).take(MOST).collect()
}

fn written(filters: &[SavedFilter]) -> String {
    let pairs: Vec<String> =
        filters.iter().map(|filter| format!("{}={}", encode(&filter.name), encode(&filter.query))).collect();
    pairs.join("&")
}

#[derive(Deserialize)]
pub(crate) struct Change {
    /// The name of the filter to save.
    #[serde(default)]
    name: String,
    /// The query of the list, which begins with `?`.
    #[serde(default)]
    query: String,
    /// The name of the filter to forget.
    #[serde(default)]
    forget: String,
}

/// Saves or forgets a filter, and leads back to the list.
pub(crate) async fn keep(base: Base, headers: HeaderMap, Form(change): Form<Change>) -> Response {
    let mut filters = filters(&headers);
    let name = change.name.trim();
    filters.retain(|filter| filter.name != change.forget && filter.name != name);
    let list = format!("/instances{}", change.query);
    let list = inside(&list);
    if !name.is_empty() {
        if name.chars().count() > NAME {
            return refused(&format!("the name of a filter has at most {NAME} characters"));
        }
        if filters.len() >= MOST {
            return refused(&format!("a browser keeps at most {MOST} filters; remove one first"));
        }
        filters.push(SavedFilter { name: name.to_owned(), query: change.query.clone() });
    }
    let text = written(&filters);
    if text.len() > BYTES {
        return refused("the filters are too long for the browser; remove one first");
    }
    // As for the session: a filter can name a customer.
    let secure = if is_loopback(&headers) { "" } else { "; Secure" };
    let kept = format!(
        "{COOKIE}={text}; HttpOnly; SameSite=Strict{secure}; Max-Age=31536000; Path={}",
        base.to("/")
    );
    with_cookie(Redirect::to(&base.to(list)).into_response(), &kept)
}

fn refused(why: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, why.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_back_and_hostile_cookies_are_none() {
        let filter = |name: &str, query: &str| SavedFilter { name: name.to_owned(), query: query.to_owned() };
        let filters = [filter("late & lost; ä", "?status=parked&key=A%2F1"), filter("all", "")];
        assert_eq!(parse(&written(&filters)), filters);
        assert_eq!(parse("\u{7f}%%%"), []);
        assert_eq!(parse("x=%0d%0aset-cookie"), [], "a line end is no address");
        let many = (0..20).map(|n| filter(&n.to_string(), "?a=b")).collect::<Vec<_>>();
        assert_eq!(parse(&written(&many)).len(), MOST);
    }
}
