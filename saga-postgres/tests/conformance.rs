//! The laws of a store, held against PostgreSQL.

mod support;

use std::sync::Arc;

use saga_core::store::conformance::Subject;
use saga_core::store::{Address, Store};
use support::Schema;

impl Subject for Schema {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.open(self.options()))
    }

    /// Changes one letter of the row, as a disk might.
    fn damage(&self, address: &Address) -> bool {
        let (schema, saga, key) = (self.clone(), address.saga.to_string(), address.key.text().to_owned());
        let damaged = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let sql = "UPDATE saga_instance SET body = replace(body, '\"data\":', '\"dbta\":')
                     WHERE saga = (SELECT id FROM saga_name WHERE name = $1) AND key = $2";
                schema.client().await.execute(sql, &[&saga, &key]).await.expect("the row is there")
            })
        });
        damaged.join().expect("no panic") == 1
    }
}

mod shards {
    use saga_core::store::conformance::{SHARDS, Subject};
    use saga_core::store::{Address, Store};

    use super::{Arc, Schema};

    struct Divided(Schema);

    impl Subject for Divided {
        fn open(&self) -> Arc<dyn Store> {
            Arc::new(self.0.open(self.0.options().shards(SHARDS)))
        }

        fn damage(&self, address: &Address) -> bool {
            self.0.damage(address)
        }
    }

    saga_core::conformance!(shards: match Schema::new() {
        Some(schema) => Divided(schema),
        None => return,
    });
}

saga_core::conformance!(match Schema::new() {
    Some(schema) => schema,
    None => return,
});
