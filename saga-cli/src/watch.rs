//! The same verb again and again.
//!
//! Owns: when the output is shown again. Does not own: the verbs.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Result;
use saga_core::store::StoreError;

use crate::args::{Format, Verb};
use crate::output::{Output, Written};
use crate::source::Source;
use crate::{Ended, closed, verbs};

/// The interval of the looks at the store.
const LOOK: Duration = Duration::from_secs(1);
/// Moves to the first line and clears the terminal.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// Shows the output of the verb whenever it differs from the one before. A terminal is cleared first, and another reader
/// gets one output after the other. Ends when the object is not found, or when the reader closes the output.
pub(crate) async fn watch(verb: &Verb, store: &Source, reveal: bool, format: Format) -> Result<Ended> {
    let mut shown = Written::default();
    loop {
        let mut written = Written::default();
        let mut output = Output::new(format, &mut written);
        let ended = match verbs::run(verb, store, reveal, &mut output).await {
            Ok(ended) => ended,
            Err(error) if error.downcast_ref::<StoreError>().is_some_and(StoreError::is_temporary) => {
                output.note(format!("saga: {error:#}; trying again"));
                Ended::Well
            }
            Err(error) => return Err(error),
        };
        if written != shown {
            if std::io::stdout().is_terminal() && closed(std::io::stdout().write_all(CLEAR))? {
                return Ok(Ended::Well);
            }
            if closed(written.print())? {
                return Ok(Ended::Well);
            }
            shown = written;
        }
        if ended != Ended::Well {
            return Ok(ended);
        }
        tokio::time::sleep(LOOK).await;
    }
}
