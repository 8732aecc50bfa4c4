//! One node: it shares the shards of the store with the others, until its standard input ends.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::Anything;
use crate::bank::{Bank, Trouble};
use crate::options::NodeOptions;
use crate::shop::Shop;

/// What a node says on its standard output when its shards have changed, with their numbers behind it.
pub const RUNS: &str = "runs the shards";

/// How often a node looks whether its shards have changed.
const LOOK: Duration = Duration::from_millis(20);

/// Runs until the standard input ends.
pub async fn run(options: &NodeOptions) -> Result<(), Anything> {
    let trouble = Trouble { seed: options.seed, decline: 10, label_refused: 20, flaky: 20 };
    let shop = Shop::new(Bank::open(&options.bank, trouble)?, Duration::from_millis(2));
    let mut stop = std::pin::pin!(async {
        let _ = tokio::io::stdin().read(&mut [0]).await;
    });
    let store = crate::store(&options.config, options.ttl, None).await?;
    let dispatcher = shop.dispatcher(store).owner(&options.name).build(options.build).join().await?;
    let mut last = None;
    loop {
        let nodes = dispatcher.nodes().ok_or("it has joined")?;
        let own: Vec<String> = nodes.own().iter().map(ToString::to_string).collect();
        let own = own.join(" ");
        if last.as_ref() != Some(&own) {
            println!("{RUNS} {own}");
            last = Some(own);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = &mut stop => {
                dispatcher.shutdown(Duration::from_secs(10)).await?;
                println!("{RUNS}");
                return Ok(());
            }
        }
    }
}
