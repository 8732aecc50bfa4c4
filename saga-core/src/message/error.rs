//! Errors of user code: of actions and of handlers.

use std::fmt;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of an action. `?` converts any error into an [`ActionError`].
pub type ActionResult<T> = Result<T, ActionError>;

/// The error of an action. Nothing of the step happens, and the instance is parked (rule [R8](crate::rules#r8)).
///
/// This type does not implement [`std::error::Error`]. `?` can therefore convert from every type that implements it.
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

/// The error of one attempt of a handler.
///
/// `?` converts any error into [`Indeterminate`](HandlerErrorKind::Indeterminate): the call may have had its effect.
/// The command is then tried again with the same idempotency key. An attempt without an effect needs an explicit
/// [`refused`](Self::refused).
pub struct HandlerError {
    kind: HandlerErrorKind,
    source: BoxError,
}

/// The claim of a [`HandlerError`] about the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerErrorKind {
    /// The effect may or may not have happened.
    Indeterminate,
    /// *This attempt* surely had no effect, and another attempt would not help. Without an earlier indeterminate
    /// attempt the command is `failed`. Otherwise the command is `unknown` (rule [R17](crate::rules#r17)).
    Refused,
    /// The handler has looked up the key. No attempt ever had an effect.
    RefusedForGood,
    /// This build cannot read the command. The handler was not called.
    Unreadable,
    /// The handler has answered, but the answer cannot be stored.
    BadReply,
}

impl HandlerError {
    /// Reports that this attempt surely had no effect. The command is not tried again.
    ///
    /// Without an earlier indeterminate attempt the command is `failed`. Otherwise the command is `unknown` (rule
    /// [R17](crate::rules#r17)).
    pub fn refused(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::Refused, source: reason.into() }
    }

    /// Reports that no attempt with this idempotency key ever had an effect. The command is not tried again. The
    /// handler must have asked the outside world first.
    pub fn refused_for_good(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::RefusedForGood, source: reason.into() }
    }

    /// Reports that this build cannot read the command.
    #[cfg(feature = "routing-slip")]
    pub(crate) fn unreadable(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::Unreadable, source: reason.into() }
    }

    /// Reports that the answer cannot be stored.
    #[cfg(feature = "routing-slip")]
    pub(crate) fn bad_reply(reason: impl Into<BoxError>) -> Self {
        Self { kind: HandlerErrorKind::BadReply, source: reason.into() }
    }

    /// Returns the claim about the effect.
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

/// Writes an error with its causes, each once. People read these texts in stored rows.
fn write_chain(error: &(dyn std::error::Error + 'static), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(cause) = source {
        write!(f, ": {cause}")?;
        source = cause.source();
    }
    Ok(())
}

/// An error with its causes in one line, each cause once. The texts of the errors of this library do not repeat their causes.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(&'a (dyn std::error::Error + 'static));

/// The error with all its causes, for a log or a screen: `cannot start: orders.db is not available: database is locked`.
pub fn chain<'a>(error: &'a (dyn std::error::Error + 'static)) -> Chain<'a> {
    Chain(error)
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(self.0, f)
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "without a message"
    }
}
