//! Parts of the library that register sagas and handlers of their own when a dispatcher starts.
//!
//! Owns: when they are asked. Does not own: any of them; the dispatcher knows none by name.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use super::Dispatcher;
use super::builder::DispatcherBuilder;
use super::error::StartError;

/// What an extension does after the start.
pub(crate) type Started<'a> = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>>;

/// Something that a dispatcher runs with, configured by methods that it adds to the builder.
pub(crate) trait Extension: Any + Send + Sync {
    /// Registers what it needs. Everything that the application has registered is there.
    ///
    /// # Errors
    /// What is wrong with its settings.
    fn register(&mut self, builder: DispatcherBuilder) -> Result<DispatcherBuilder, StartError>;

    /// The dispatcher runs.
    fn started<'a>(&'a self, dispatcher: &'a Dispatcher) -> Started<'a> {
        let _ = dispatcher;
        Box::pin(async { Ok(()) })
    }
}

/// The extensions of a dispatcher, one of each type, in the order in which they were added.
#[derive(Default)]
pub(super) struct Extensions(Vec<Box<dyn Extension>>);

impl Extensions {
    /// The extension of this type, which is added if it is not there.
    #[cfg_attr(not(any(feature = "recurring", feature = "routing-slip")), allow(dead_code))] // Nobody has one.
    pub(super) fn get<E: Extension + Default>(&mut self) -> &mut E {
        let found = self.0.iter().position(|extension| (&**extension as &dyn Any).is::<E>());
        let at = found.unwrap_or_else(|| {
            self.0.push(Box::new(E::default()));
            self.0.len() - 1
        });
        let found = (&mut *self.0[at] as &mut dyn Any).downcast_mut();
        // It was found by its type, or made of it.
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
