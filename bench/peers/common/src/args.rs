//! The arguments of a side: `LEVEL SECONDS [VARIANT]`.

use std::time::Duration;

use crate::Answer;

/// What one process measures.
#[derive(Clone, Debug)]
pub struct Args {
    /// How many sagas run at a time.
    pub at_a_time: usize,
    /// For how long new sagas are started.
    pub lasts: Duration,
    /// Which settings of the side, for a side that has more than one.
    pub variant: String,
}

impl Args {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    ///
    /// If the level or the seconds are missing, or no numbers.
    pub fn read() -> Answer<Self> {
        let mut args = std::env::args().skip(1);
        let (Some(level), Some(seconds)) = (args.next(), args.next()) else {
            return Err("arguments: LEVEL SECONDS [VARIANT]".into());
        };
        Ok(Self {
            at_a_time: level.parse()?,
            lasts: Duration::try_from_secs_f64(seconds.parse()?)?,
            variant: args.next().unwrap_or_default(),
        })
    }

    /// When the process ends itself. Slow sides need time for the sagas that have begun.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.lasts + Duration::from_secs(45)
    }
}
