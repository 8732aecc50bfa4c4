//! The errors user code returns: from actions and from handlers.

use std::fmt;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What an action returns; `?` turns any error into an [`ActionError`].
pub type Result<T, E = ActionError> = std::result::Result<T, E>;

/// An action could not decide. Nothing of the step happens and the instance is parked (rule R8).
///
/// It does not implement [`std::error::Error`] itself, so that `?` can convert from every error that does.
pub struct ActionError(BoxError);

impl<E: Into<BoxError>> From<E> for ActionError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(&*self.0, f)
    }
}

impl fmt::Debug for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why an attempt of a handler did not answer.
///
/// Any `?` makes it [`Indeterminate`](HandlerErrorKind::Indeterminate): nobody knows whether the call had its effect, so it is
/// tried again with the same idempotency key. Saying that there was no effect takes an explicit
/// [`refused`](Self::refused).
pub struct HandlerError {
    kind: HandlerErrorKind,
    source: BoxError,
}

/// What a [`HandlerError`] claims about the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerErrorKind {
    /// The effect may or may not have happened.
    Indeterminate,
    /// *This attempt* surely had no effect and another would not either. Counts as `failed` only when no earlier
    /// attempt was indeterminate; otherwise the command is `unknown` (rule R17).
    Refused,
    /// The handler has looked the key up: no attempt ever had an effect.
    RefusedForGood,
    /// The command cannot be read by this build, so nothing was called.
    Unreadable,
    /// It was called and has answered, but the answer cannot be stored.
    BadReply,
}

impl HandlerError {
    /// This attempt surely had no effect; do not try again. The command is `failed` only when no earlier attempt was
    /// indeterminate, otherwise it is `unknown` (rule R17).
    pub fn refused(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::Refused, source: reason.into() }
    }

    /// No attempt with this idempotency key ever had an effect, because the outside world was asked; do not try again.
    pub fn refused_for_good(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::RefusedForGood, source: reason.into() }
    }

    /// This build cannot read what was sent.
    #[cfg(feature = "routing-slip")]
    pub(crate) fn unreadable(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::Unreadable, source: reason.into() }
    }

    /// The answer cannot be stored.
    #[cfg(feature = "routing-slip")]
    pub(crate) fn bad_reply(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::BadReply, source: reason.into() }
    }

    /// What it claims about the effect.
    pub fn kind(&self) -> HandlerErrorKind {
        self.kind
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { kind: HandlerErrorKind::Indeterminate, source: error.into() }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(&*self.source, f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

/// An error with its causes, each once: these texts end in rows that people read.
fn write_chain(error: &(dyn std::error::Error + 'static), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(cause) = source {
        write!(f, ": {cause}")?;
        source = cause.source();
    }
    Ok(())
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "without a message"
    }
}
