//! One node: it stands by, takes over, runs the sagas, and stands by again when it has lost the right to run them.

use std::time::Duration;

use saga::error::{StartError, StoreError};
use tokio::io::AsyncReadExt;

use crate::Anything;
use crate::bank::{Bank, Trouble};
use crate::options::NodeOptions;
use crate::shop::Shop;

/// What a node says on its standard output, one line each.
pub const STANDS_BY: &str = "stands by";
pub const RUNS: &str = "runs the sagas";
pub const LOST: &str = "does not run them any more";

/// Runs until the standard input ends.
pub async fn run(options: &NodeOptions) -> Result<(), Anything> {
    let trouble = Trouble { seed: options.seed, decline: 10, label_refused: 20, flaky: 20 };
    let shop = Shop::new(Bank::open(&options.bank, trouble)?, Duration::from_millis(2));
    let mut stop = std::pin::pin!(async {
        let _ = tokio::io::stdin().read(&mut [0]).await;
    });
    loop {
        let store = crate::store(&options.config, options.ttl).await?;
        let waiting = shop.dispatcher(store).owner(&options.name).stand_by().await?;
        println!("{STANDS_BY}");
        let dispatcher = tokio::select! {
            started = waiting.takes_over() => match started {
                Ok(dispatcher) => dispatcher,
                // Another node was faster, or this one was frozen while it took over.
                Err(StartError::Store(StoreError::Fenced { .. } | StoreError::Owned { .. })) => continue,
                Err(error) => return Err(error.into()),
            },
            () = &mut stop => return Ok(()),
        };
        println!("{RUNS}");
        tokio::select! {
            why = dispatcher.stopped() => println!("{LOST}: {why}"),
            () = &mut stop => {
                dispatcher.shutdown(Duration::from_secs(10)).await?;
                return Ok(());
            }
        }
    }
}
