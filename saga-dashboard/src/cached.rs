//! A read that many pages share for a moment.
//!
//! Owns: that the same read does not run twice at a time, and not again within a second. Does not own: the read.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long a value is taken again.
const FRESH: Duration = Duration::from_secs(1);

/// The last value of a read.
pub(crate) struct Cached<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Cached<T> {
    /// Returns the last value if it is fresh. Other callers wait while it is read.
    pub(crate) async fn get<E>(&self, read: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut kept = self.0.lock().await;
        if let Some((_, value)) = kept.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(value.clone());
        }
        let value = read().await?;
        *kept = Some((Instant::now(), value.clone()));
        Ok(value)
    }

    /// The next caller reads again.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fresh_value_is_not_read_again_and_an_error_is_not_kept() {
        let (cached, mut reads) = (Cached::default(), 0);
        for expected in [Err("no"), Ok(2), Ok(2)] {
            let found = cached
                .get(async || {
                    reads += 1;
                    if reads == 1 { Err("no") } else { Ok(reads) }
                })
                .await;
            assert_eq!(found, expected);
        }
        cached.forget().await;
        let again: Result<i32, &str> = cached.get(async || Ok(7)).await;
        assert_eq!(again, Ok(7));
    }
}
