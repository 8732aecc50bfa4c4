//! The data of one order.

use serde::{Deserialize, Serialize};

/// What lives as long as the order: about 300 bytes of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub customer: String,
    pub street: String,
    pub city: String,
    pub cents: u64,
    pub payment: Option<u64>,
    pub label: Option<String>,
    pub items: Vec<(String, u32)>,
}

impl Order {
    pub fn new(id: String) -> Self {
        Self {
            id,
            customer: "Augusta Ada King, Countess of Lovelace".to_owned(),
            street: "12 St James's Square".to_owned(),
            city: "London".to_owned(),
            cents: 129_900,
            payment: None,
            label: None,
            items: (0..6).map(|n| (format!("article-{n:04}"), n + 1)).collect(),
        }
    }
}
