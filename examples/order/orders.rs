//! Where orders come from: a file of one JSON object a line, or a generator.

use std::path::Path;

use crate::saga::{Item, OrderPlaced};

/// The orders that come with the example.
const BUNDLED: &str = include_str!("orders.jsonl");

/// Good orders, and what is wrong with the other lines.
#[derive(Debug, Default)]
pub struct Orders {
    /// The orders, in order.
    pub good: Vec<OrderPlaced>,
    /// One sentence for each malformed line.
    pub malformed: Vec<String>,
}

impl Orders {
    /// The bundled ones.
    pub fn bundled() -> Self {
        Self::parse("orders.jsonl", BUNDLED)
    }

    /// Those of a file.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let bytes = std::fs::read(path)?;
        Ok(Self::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes)))
    }

    /// `count` of them, made up.
    pub fn generate(count: u64) -> Self {
        let item = |n: u64, line: u64| Item { sku: format!("sku-{}", (n * 7 + line * 13) % 500), count: 1 };
        let order = |n: u64| OrderPlaced {
            order: format!("gen-{n:06}"),
            cents: 100 + (n * 7919) % 50_000,
            items: (0..=n % 5).map(|line| item(n, line)).collect(),
        };
        Self { good: (1..=count).map(order).collect(), malformed: Vec::new() }
    }

    fn parse(file: &str, text: &str) -> Self {
        let mut orders = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<OrderPlaced>(line) {
                Ok(order) => orders.good.push(order),
                Err(error) => orders.malformed.push(format!("{file}, line {}: {error}", number + 1)),
            }
        }
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_line_is_named_and_the_others_run() {
        let text = "{\"order\":\"1\",\"cents\":5,\"items\":[]}\n{\"order\":2}\n\n{\"order\":\"3\",\"cents\":5,\"items\":[]}";
        let orders = Orders::parse("x.jsonl", text);
        assert_eq!(orders.good.len(), 2);
        assert_eq!(orders.malformed.len(), 1);
        assert!(orders.malformed[0].starts_with("x.jsonl, line 2: invalid type"), "{:?}", orders.malformed);
    }

    #[test]
    fn a_thousand_orders_of_varied_size_are_bundled() {
        let orders = Orders::bundled();
        assert_eq!((orders.good.len(), orders.malformed.len()), (1_000, 0));
        let keys: std::collections::HashSet<&str> =
            orders.good.iter().map(|order| order.order.as_str()).collect();
        assert_eq!(keys.len(), 1_000);
    }
}
