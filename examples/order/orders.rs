//! Where orders come from: a file of one JSON object a line, or a generator.

use std::collections::HashMap;
use std::path::Path;

use ::saga::Key;

use crate::saga::{Item, OrderPlaced};

/// The orders that come with the example.
const BUNDLED: &[u8] = include_bytes!("orders.jsonl");

/// The dearest order, in cents: whatever they are added up to fits into 64 bits.
const MAX_CENTS: u64 = 1_000_000_000_000;

/// Good orders, and what is wrong with the other lines.
#[derive(Debug, Default)]
pub struct Orders {
    /// The orders, each once, in the order of the file.
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
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self::parse(&name, &bytes))
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

    fn parse(file: &str, bytes: &[u8]) -> Self {
        let mut orders = Self::default();
        let mut known: HashMap<String, (OrderPlaced, usize)> = HashMap::new();
        for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let read = read(line).and_then(|order| match known.get(&order.order) {
                Some((first, _)) if *first == order => Ok(None),
                Some((_, line)) => {
                    Err(format!("order {} stands in line {line} with other contents", order.order))
                }
                None => Ok(Some(order)),
            });
            match read {
                Ok(Some(order)) => {
                    known.insert(order.order.clone(), (order.clone(), number));
                    orders.good.push(order);
                }
                Ok(None) => {}
                Err(error) => orders.malformed.push(format!("{file}, line {number}: {error}")),
            }
        }
        orders
    }
}

fn read(line: &[u8]) -> Result<OrderPlaced, String> {
    let order: OrderPlaced = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Key::new(&order.order).map_err(|error| format!("the number of the order: {error}"))?;
    if order.cents > MAX_CENTS {
        return Err(format!("{} cents are more than the {MAX_CENTS} this shop can take", order.cents));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let orders = Orders::parse("x.jsonl", lines.join("\n").as_bytes());
        (orders.good.into_iter().map(|order| order.order).collect(), orders.malformed)
    }

    #[test]
    fn a_malformed_line_is_named_and_the_others_run() {
        let (good, malformed) = parse(&[
            r#"{"order":"1","cents":5,"items":[]}"#,
            r#"{"order":2}"#,
            "",
            r#"{"order":"3","cents":5,"items":[]}"#,
            r#"{"order":"4","cents":-5,"items":[]}"#,
            r#"{"order":"","cents":5,"items":[]}"#,
            r#"{"order":"5","cents":18446744073709551615,"items":[]}"#,
        ]);
        assert_eq!(good, ["1", "3"]);
        let named: Vec<&str> = malformed.iter().filter_map(|text| text.split(':').next()).collect();
        assert_eq!(named, ["x.jsonl, line 2", "x.jsonl, line 5", "x.jsonl, line 6", "x.jsonl, line 7"]);
        assert!(malformed[0].starts_with("x.jsonl, line 2: invalid type"), "{malformed:?}");
    }

    #[test]
    fn bytes_that_are_no_text_make_no_order() {
        let orders = Orders::parse("x", b"{\"order\":\"\xff\",\"cents\":5,\"items\":[]}\n");
        assert_eq!((orders.good.len(), orders.malformed.len()), (0, 1));
    }

    #[test]
    fn an_order_that_stands_there_twice_is_one_order_or_a_mistake() {
        let line = r#"{"order":"1","cents":5,"items":[]}"#;
        let (good, malformed) = parse(&[line, line, r#"{"order":"1","cents":6,"items":[]}"#]);
        assert_eq!(good, ["1"]);
        assert_eq!(malformed, ["x.jsonl, line 3: order 1 stands in line 1 with other contents"]);
    }

    #[test]
    fn a_thousand_orders_of_varied_size_are_bundled() {
        let orders = Orders::bundled();
        assert_eq!((orders.good.len(), orders.malformed.len()), (1_000, 0));
        let sizes: std::collections::HashSet<usize> =
            orders.good.iter().map(|order| order.items.len()).collect();
        assert!(sizes.len() > 3, "{sizes:?}");
    }
}
