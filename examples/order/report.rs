//! The end of the day: what became of the orders, and whether the books balance.

use std::time::Duration;

use saga::store::HistoryRow;
use saga::{Dispatcher, Position};
use serde::Serialize;

use crate::bank::Ledger;
use crate::saga::{OrderPlaced, OrderState};

/// The figures of the last line; money in cents.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Orders in the file.
    pub orders: u64,
    /// Paid and shipped.
    pub completed: u64,
    /// Not paid.
    pub payment_failed: u64,
    /// Undone.
    pub cancelled: u64,
    /// Waiting for a person.
    pub parked: u64,
    /// Money taken.
    pub charged: u64,
    /// Money given back.
    pub refunded: u64,
    /// Money kept.
    pub kept: u64,
    /// Steps committed in this run.
    pub steps: u64,
    /// How long the run took.
    pub seconds: f64,
}

/// Figures, what is wrong, and one order that was compensated.
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// One sentence for each thing that is wrong.
    pub wrong: Vec<String>,
    /// The number and history of an order that was compensated.
    pub compensated: Option<(String, Vec<HistoryRow>)>,
}

/// Compares what the sagas say with what the bank's file says, order by order.
pub async fn draw_up(
    dispatcher: &Dispatcher,
    orders: &[OrderPlaced],
    ledger: &Ledger,
) -> Result<Report, Box<dyn std::error::Error>> {
    let mut figures = Figures { orders: orders.len() as u64, ..Figures::default() };
    let mut wrong = Vec::new();
    let mut example = None;
    let nothing = crate::bank::Account::default();
    for order in orders {
        let id = &order.order;
        let account = ledger.orders.get(id).unwrap_or(&nothing);
        let Some(instance) = dispatcher.instance::<OrderState>(id).await? else {
            wrong.push(format!("order {id} is not there"));
            continue;
        };
        figures.charged += account.charged;
        figures.refunded += account.refunded;
        if account.keys.len() != 1 {
            wrong.push(format!("order {id} was charged under {} keys", account.keys.len()));
        }
        let (charged, refunded) = match &instance.position {
            Position::In(OrderState::Completed) => {
                figures.completed += 1;
                (instance.data.cents, 0)
            }
            Position::In(OrderState::PaymentFailed) => {
                figures.payment_failed += 1;
                (account.charged, account.charged)
            }
            Position::In(OrderState::Cancelled) => {
                figures.cancelled += 1;
                example.get_or_insert_with(|| id.clone());
                (account.charged, account.charged)
            }
            Position::Parked { reason, detail, .. } => {
                figures.parked += 1;
                wrong.push(format!("order {id} waits for a person: {reason}: {detail}"));
                continue;
            }
            position => {
                wrong.push(format!("order {id} is not settled: {position:?}"));
                continue;
            }
        };
        if (account.charged, account.refunded) != (charged, refunded) {
            wrong.push(format!(
                "order {id} is {:?}, but {} cents were charged and {} given back",
                instance.position, account.charged, account.refunded
            ));
        }
    }
    figures.kept = figures.charged.saturating_sub(figures.refunded);
    let compensated = match example {
        Some(id) => {
            let history = dispatcher.history::<OrderState>(&id).await?;
            Some((id, history))
        }
        None => None,
    };
    Ok(Report { figures, wrong, compensated })
}

impl Report {
    /// Prints the table, the history, and what is wrong.
    pub fn print(&self, json: bool) -> Result<(), serde_json::Error> {
        let figures = &self.figures;
        let line = |what: &str, n: u64| println!("  {what:<24}{n:>12}");
        let money = |what: &str, cents: u64| println!("  {what:<24}{:>9}.{:02}", cents / 100, cents % 100);
        println!("\n{} orders", figures.orders);
        line("completed", figures.completed);
        line("payment failed", figures.payment_failed);
        line("cancelled with refund", figures.cancelled);
        line("parked", figures.parked);
        money("charged", figures.charged);
        money("refunded", figures.refunded);
        money("kept", figures.kept);
        let rate = Duration::try_from_secs_f64(figures.seconds)
            .map_or(0.0, |t| figures.steps as f64 / t.as_secs_f64());
        println!("  {:<24}{rate:>12.0}", "steps per second");
        if let Some((id, history)) = &self.compensated {
            println!("\nWhat happened to order {id}");
            for row in history {
                let entry = &row.entry;
                let mut text =
                    format!("  {:>3}  {}  {:<9} {:<20}", row.seq, entry.at, entry.kind, entry.name);
                if entry.from != entry.to {
                    text = format!(
                        "{text} {} -> {}",
                        if entry.from.is_empty() { "start" } else { &entry.from },
                        entry.to
                    );
                }
                if let Some(note) = &entry.note {
                    text = format!("{text} ({note})");
                }
                println!("{}", text.trim_end());
            }
        }
        if self.wrong.is_empty() {
            println!("\nEvery order is settled, and the books balance.");
        } else {
            println!("\n{} things are wrong:", self.wrong.len());
            for wrong in self.wrong.iter().take(20) {
                println!("  {wrong}");
            }
        }
        if json {
            println!("{}", serde_json::to_string(figures)?);
        }
        Ok(())
    }
}
