//! The wait for an instance.

use std::time::{Duration, Instant};

use anyhow::Result;
use saga_core::store::{Inspect, Snapshot};

use crate::Ended;
use crate::args::Wait;
use crate::output::Output;
use crate::verbs::{address, not_found, page};

/// The interval of the looks at the instance.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn wait(wait: &Wait, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let address = address(&wait.of)?;
    let deadline = Instant::now() + Duration::from_secs(wait.timeout);
    loop {
        let found = store.instance(&address).await?;
        let arrived = found.as_ref().is_some_and(|snapshot| is_there(wait, snapshot));
        // An ended instance never moves again.
        let stays = found.as_ref().is_some_and(|snapshot| snapshot.instance.status.is_over());
        if !arrived && !stays && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let Some(snapshot) = found else { return Ok(not_found(&wait.of)) };
        output.one(&snapshot, page)?;
        return Ok(if arrived { Ended::Well } else { Ended::NotYet });
    }
}

fn is_there(wait: &Wait, snapshot: &Snapshot) -> bool {
    let record = &snapshot.instance;
    let in_state = match &wait.state {
        Some(state) => record.state == *state,
        None => record.status.is_over(),
    };
    in_state || wait.parked && record.parked.is_some()
}
