//! The settings of a dashboard.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderName;
use subtle::ConstantTimeEq;

use crate::text::encode;

/// The secret that opens the dashboard. Its `Debug` form shows nothing of it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The fewest characters of a token.
    pub const SHORTEST: usize = 16;

    /// Returns a new token of 256 random bits. Show it to the person who may open the dashboard.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    pub fn random() -> Self {
        Self(secret())
    }

    /// Returns the token of an environment variable, without space around it. `None` if the variable is not set or has fewer
    /// than [`SHORTEST`](Self::SHORTEST) characters.
    pub fn from_env(variable: &str) -> Option<Self> {
        Self::new(std::env::var(variable).ok()?)
    }

    /// Returns the token with this text, without space around it. `None` for fewer than [`SHORTEST`](Self::SHORTEST)
    /// characters.
    pub fn new(text: impl AsRef<str>) -> Option<Self> {
        let text = text.as_ref().trim();
        (text.len() >= Self::SHORTEST).then(|| Self(text.to_owned()))
    }

    /// Returns the text of the token, to show it to a person.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on the text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Returns 256 random bits as text.
pub(crate) fn secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The settings of a dashboard.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) operator: Token,
    pub(crate) viewer: Option<Token>,
    pub(crate) hosts: Vec<String>,
    pub(crate) user_header: Option<HeaderName>,
    pub(crate) name: String,
    pub(crate) read_only: bool,
    pub(crate) invitation: Option<Token>,
    pub(crate) button: Option<Button>,
    pub(crate) links: Vec<Link>,
    pub(crate) reveal: bool,
}

/// A link of the application on the page of each instance.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    address: String,
}

impl Link {
    /// Returns the address with the values in their places. `None` if a place has no value.
    pub(crate) fn to(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let (mut to, mut rest) = (String::new(), &*self.address);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            to += before;
            to += &encode(&value(name)?);
            rest = after;
        }
        Some(to + rest)
    }
}

/// A button of the application.
#[derive(Clone)]
pub(crate) struct Button {
    pub(crate) label: String,
    pub(crate) explanation: String,
    pub(crate) press: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Button {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Button").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Options {
    /// The settings of a dashboard that `operator` opens. This token may read everything and decide.
    pub fn new(operator: Token) -> Self {
        Self {
            operator,
            viewer: None,
            hosts: Vec::new(),
            user_header: None,
            name: String::new(),
            read_only: false,
            invitation: None,
            button: None,
            links: Vec::new(),
            reveal: false,
        }
    }

    /// Adds a token that may read and not decide. It does not see payloads and labels. It does see the texts of errors, which can quote
    /// values.
    #[must_use]
    pub fn viewer(mut self, token: Token) -> Self {
        self.viewer = Some(token);
        self
    }

    /// Accepts requests to this host besides `localhost`, `127.0.0.1` and `[::1]`, such as `orders.example.com`. The port
    /// does not matter. A request to any other host is refused, because a foreign page could have led the browser here.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Takes the name of the person from this header of a request with a token, such as `x-auth-request-user`. A proxy with
    /// single sign-on adds both. The audit then keeps this name, and no form asks for one.
    ///
    /// The proxy must remove the header from what a browser sends. A decision with a token and without the header is refused,
    /// and so is a request with two such headers. A person who has logged in with the token itself still types the name.
    ///
    /// ```
    /// use axum::http::HeaderName;
    /// use saga_dashboard::{Options, Token};
    ///
    /// let options = Options::new(Token::random())
    ///     .host("orders.example.com")
    ///     .user_header(HeaderName::from_static("x-auth-request-user"));
    /// ```
    #[must_use]
    pub fn user_header(mut self, name: HeaderName) -> Self {
        self.user_header = Some(name);
        self
    }

    /// The name of the store, in the corner of each page.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Returns a code that opens the dashboard once, as an operator. It is for a link to `/log-in?code=` and the code. The page
    /// behind the link asks for one click.
    pub fn invite(&mut self) -> String {
        let code = secret();
        self.invitation = Some(Token(code.clone()));
        code
    }

    /// Adds a button of the application to the corner of each page. `press` runs for each click of an operator. It must return
    /// soon.
    #[must_use]
    pub fn button(
        mut self,
        label: impl Into<String>,
        explanation: impl Into<String>,
        press: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let press = Arc::new(press);
        self.button = Some(Button { label: label.into(), explanation: explanation.into(), press });
        self
    }

    /// Adds a link to the page of each instance. In the address, `{saga}`, `{key}` and the name of a label stand for their
    /// values, which are escaped. An instance without such a label has no link.
    ///
    /// # Panics
    /// If the address begins with neither `https://`, `http://` nor `/`.
    ///
    /// ```
    /// use saga_dashboard::{Options, Token};
    ///
    /// let options = Options::new(Token::random()).link("Customer", "https://crm.example.com/customers/{customer}");
    /// ```
    #[must_use]
    pub fn link(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        let (name, address) = (name.into(), address.into());
        let is_page = ["https://", "http://", "/"].iter().any(|begin| address.starts_with(begin));
        assert!(
            is_page,
            "the address of the link `{name}` begins with neither `https://`, `http://` nor `/`"
        );
        self.links.push(Link { name, address });
        self
    }

    /// Shows redacted values to operators: places in `redact(..)` and each [`Sensitive`](saga_core::message::Sensitive). Without
    /// this, they are `***` for everybody.
    #[must_use]
    pub fn reveal(mut self) -> Self {
        self.reveal = true;
        self
    }

    /// Leaves out every route that decides.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_all_its_values_or_is_left_out() {
        let value = |name: &str| (name == "key").then(|| "a/b ?".to_owned());
        let to = |address: &str| Link { name: String::new(), address: address.to_owned() }.to(value);
        assert_eq!(to("/orders/{key}?x=1"), Some("/orders/a%2Fb%20%3F?x=1".to_owned()));
        assert_eq!(to("/orders"), Some("/orders".to_owned()));
        assert_eq!(to("/orders/{customer}"), None);
        assert_eq!(to("/orders/{key"), None);
    }
}
