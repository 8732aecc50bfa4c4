//! The end of the day: how the orders ended, and whether the books balance.

use std::collections::HashSet;

use saga::store::HistoryRow;
use saga::{Dispatcher, Instance, Position};
use serde::Serialize;

use crate::ledger::{Account, Ledger};
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
#[derive(Debug, Default)]
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// One sentence for each thing that is wrong.
    pub wrong: Vec<String>,
    /// The number and history of an order that was compensated.
    pub compensated: Option<(String, Vec<HistoryRow>)>,
}

impl Report {
    /// Compares what the sagas say with what the bank's file says, order by order.
    pub async fn draw_up(
        dispatcher: &Dispatcher,
        orders: &[OrderPlaced],
        ledger: &Ledger,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut report = Self { wrong: ledger.broken.clone(), ..Self::default() };
        report.figures.orders = orders.len() as u64;
        let (mut earned, nothing) = (0, Account::default());
        for OrderPlaced { order, .. } in orders {
            let account = ledger.accounts.get(order).unwrap_or(&nothing);
            report.figures.charged += account.charged;
            report.figures.refunded += account.refunded;
            match dispatcher.instance::<OrderState>(order).await? {
                None => report.wrong.push(format!("order {order} is not there")),
                Some(instance) => {
                    report.wrong.extend(judge(&instance, account));
                    earned += report.count(&instance);
                }
            }
        }
        report.figures.kept = report.figures.charged.saturating_sub(report.figures.refunded);
        if report.figures.kept != earned {
            let kept = report.figures.kept;
            report.wrong.push(format!("{kept} cents are kept, but what was sold comes to {earned}"));
        }
        // Orders of other files, of which the bank knows: they may still be under way, but not unheard of.
        let own: HashSet<&str> = orders.iter().map(|order| order.order.as_str()).collect();
        for (order, account) in ledger.accounts.iter().filter(|(order, _)| !own.contains(order.as_str())) {
            match dispatcher.instance::<OrderState>(order).await? {
                None => report.wrong.push(format!("the bank knows order {order}, but the shop does not")),
                Some(instance) if ended(&instance.position).is_some() => {
                    report.wrong.extend(judge(&instance, account));
                }
                Some(_) => {}
            }
        }
        if let Some((order, history)) = &mut report.compensated {
            *history = dispatcher.history::<OrderState>(order).await?;
        }
        Ok(report)
    }

    /// Counts an order, and returns the cents it has earned.
    fn count(&mut self, instance: &Instance<OrderState>) -> u64 {
        match &instance.position {
            Position::In(OrderState::Completed) => {
                self.figures.completed += 1;
                return instance.data.cents;
            }
            Position::In(OrderState::PaymentFailed) => self.figures.payment_failed += 1,
            Position::In(OrderState::Cancelled) => {
                self.figures.cancelled += 1;
                self.compensated.get_or_insert_with(|| (instance.key.to_string(), Vec::new()));
            }
            Position::Parked { .. } => self.figures.parked += 1,
            _ => {}
        }
        0
    }

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
        let rate = if figures.seconds > 0.0 { figures.steps as f64 / figures.seconds } else { 0.0 };
        if figures.steps > 0 {
            println!("  {:<24}{rate:>12.0}", "steps per second");
        }
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

/// Whether an order has ended, and if so, whether with a sale.
fn ended(position: &Position<OrderState>) -> Option<bool> {
    match position {
        Position::In(OrderState::Completed) => Some(true),
        Position::In(OrderState::PaymentFailed | OrderState::Cancelled) | Position::Aborted => Some(false),
        _ => None,
    }
}

/// What is wrong with an order, given its account.
fn judge(instance: &Instance<OrderState>, account: &Account) -> Vec<String> {
    let (order, position, cents) = (&instance.key, &instance.position, instance.data.cents);
    let expected = match ended(position) {
        None => return vec![format!("order {order} has not ended: {position:?}")],
        Some(true) => Account { charged: cents, labels: 1, ..Account::default() },
        Some(false) if account.charged == 0 => Account::default(),
        Some(false) => {
            Account { charged: cents, refunded: cents, paybacks: u64::from(cents > 0), ..Account::default() }
        }
    };
    let mut wrong = Vec::new();
    let keys = account.charge_keys.len();
    if keys != 1 {
        wrong.push(format!("order {order} was charged under {keys} keys"));
    }
    let facts = |a: &Account| (a.charged, a.refunded, a.paybacks, a.labels);
    if facts(account) != facts(&expected) {
        wrong.push(format!(
            "order {order} is {position:?}, but {} cents were charged, {} given back in {} calls, and {} labels \
             are in force",
            account.charged, account.refunded, account.paybacks, account.labels
        ));
    }
    wrong
}
