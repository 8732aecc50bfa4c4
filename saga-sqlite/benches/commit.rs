//! How many steps become durable per second, one at a time and in batches.
//!
//! A step here is what a reply does in the middle of a saga: it moves the instance, adds a line of history, finishes
//! one task and queues another. `PRAGMA synchronous` is as in production; the disk is whatever holds the temporary
//! directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use saga_core::store::conformance::{Driver, address, create, next, task};
use saga_core::store::{InstanceChange, RowId, Step, TaskChange, TaskId};
use saga_sqlite::{Durability, SqliteStore};

const INSTANCES: usize = 4_096;

struct Bench {
    driver: Driver,
    instances: Vec<(RowId, InstanceChange)>,
    at: usize,
}

impl Bench {
    async fn new(dir: &tempfile::TempDir, durability: Durability) -> Self {
        let store = SqliteStore::options().durability(durability).open(dir.path().join("saga.db"));
        let mut driver = Driver::lease(Arc::new(store.expect("the store opens"))).await;
        let mut instances = Vec::new();
        for n in 0..INSTANCES {
            let mut step = create(&address(&format!("order-{n}")));
            step.tasks = vec![TaskChange::Add(task(1, 0))];
            let row = driver.created(step.clone()).await;
            instances.extend(step.instance.map(|change| (row, change)));
        }
        Self { driver, instances, at: 0 }
    }

    /// One step each of the next instances, round robin.
    fn batch(&mut self, steps: usize) -> Vec<Step> {
        let mut batch = Vec::with_capacity(steps);
        for _ in 0..steps {
            // A stride that visits every instance before it comes again, but not in the order of their rows.
            self.at = (self.at + 1_237) % INSTANCES;
            let (row, change) = &mut self.instances[self.at];
            let mut step = next(*row, change);
            step.tasks = vec![
                TaskChange::Finish(TaskId { seq: change.seq, ord: 0 }),
                TaskChange::Add(task(change.seq + 1, 0)),
            ];
            change.clone_from(step.instance.as_ref().expect("it changes the instance"));
            batch.push(step);
        }
        batch
    }
}

fn commits(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers starts");
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (name, durability) in [("durable", Durability::Durable), ("relaxed", Durability::Relaxed)] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut bench = runtime.block_on(Bench::new(&dir, durability));
        for steps in [1, 16, 128] {
            group.throughput(Throughput::Elements(steps as u64));
            group.bench_function(BenchmarkId::new(name, steps), |bencher| {
                bencher.iter_custom(|times| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..times {
                        let batch = bench.batch(steps);
                        let begun = Instant::now();
                        runtime.block_on(bench.driver.commit(batch));
                        spent += begun.elapsed();
                    }
                    spent
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
