//! Parts of the library that register their own sagas and handlers when a dispatcher starts.
//!
//! Owns: the time of their calls. Does not own: any extension. The dispatcher knows no extension by name.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use super::Dispatcher;
use super::builder::DispatcherBuilder;
use super::error::StartError;

/// The work of an extension after the start.
pub(crate) type Started<'a> = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>>;

/// A part that a dispatcher runs. Methods that the part adds to the builder configure it.
pub(crate) trait Extension: Any + Send + Sync {
    /// Registers the sagas and handlers of the extension, after all registrations of the application.
    ///
    /// # Errors
    /// An error when the settings of the extension are not valid.
    fn register(&mut self, builder: DispatcherBuilder) -> Result<DispatcherBuilder, StartError>;

    /// Runs after the start of the dispatcher.
    fn started<'a>(&'a self, dispatcher: &'a Dispatcher) -> Started<'a> {
        let _ = dispatcher;
        Box::pin(async { Ok(()) })
    }
}

/// The extensions of a dispatcher, at most one of each type, in the order of their addition.
#[derive(Default)]
pub(super) struct Extensions(Vec<Box<dyn Extension>>);

impl Extensions {
    /// Returns the extension of this type, and adds it if it is missing.
    #[cfg_attr(not(any(feature = "recurring", feature = "routing-slip")), allow(dead_code))] // Only these features have extensions.
    pub(super) fn get<E: Extension + Default>(&mut self) -> &mut E {
        let found = self.0.iter().position(|extension| (&**extension as &dyn Any).is::<E>());
        let at = found.unwrap_or_else(|| {
            self.0.push(Box::new(E::default()));
            self.0.len() - 1
        });
        let found = (&mut *self.0[at] as &mut dyn Any).downcast_mut();
        // The value was found by its type or created with this type.
        found.expect("an extension has its own type")
    }

    pub(super) fn register(
        &mut self,
        mut builder: DispatcherBuilder,
    ) -> Result<DispatcherBuilder, StartError> {
        for extension in &mut self.0 {
            builder = extension.register(builder)?;
        }
        Ok(builder)
    }

    pub(super) async fn started(&self, dispatcher: &Dispatcher) -> Result<(), StartError> {
        for extension in &self.0 {
            extension.started(dispatcher).await?;
        }
        Ok(())
    }
}
