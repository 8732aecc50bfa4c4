//! An order is invoiced: reserve the stock, create the invoice, mail it. Each is a command of its own, so each is
//! tried, counted and repaired on its own. The invoice system refuses to create an invoice twice; when an answer got
//! lost and the second call says `already exists`, the handler reads that as the success it is. The mail is a best
//! effort: whatever happens to it, the order stays fulfilled, and a mail that could not be sent lies with the dead
//! letters.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "invoice", version = 1, data(Order), actions(InvoiceActions))]
#[initially(when(
    OrderConfirmed,
    run(confirm),
    send(ReserveStock, undo(ReleaseStock)),
    transition_to(Reserving)
))]
#[unhandled(reject)]
pub enum InvoiceState {
    #[during(
        when(StockReserved, send(CreateInvoice), transition_to(Invoicing)),
        when(any(OutOfStock, failed(ReserveStock)), not_owed(ReleaseStock), transition_to(Rejected)),
        when(unknown(ReserveStock), compensate, transition_to(Rejected))
    )]
    Reserving,

    #[during(
        when(InvoiceCreated, not_owed(ReleaseStock), send(MailInvoice), transition_to(Fulfilled)),
        when(failed(CreateInvoice), compensate, transition_to(Rejected)),
        when(unknown(CreateInvoice), park)
    )]
    Invoicing,

    #[terminal]
    Fulfilled,
    #[terminal(failure)]
    Rejected,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    article: String,
    count: u32,
}

impl InvoiceActions for Order {
    fn confirm(event: &OrderConfirmed, _: &mut Context) -> ActionResult<Self> {
        Ok(Order { id: event.order.clone(), article: event.article.clone(), count: event.count })
    }

    fn reserve_stock(&self, _: &OrderConfirmed, _: &mut Context) -> ReserveStock {
        ReserveStock { order: self.id.clone(), article: self.article.clone(), count: self.count }
    }

    fn release_stock(&self, command: &ReserveStock, _: &mut Context) -> ReleaseStock {
        ReleaseStock { order: command.order.clone() }
    }

    fn create_invoice(&self, _: &StockReserved, _: &mut Context) -> CreateInvoice {
        CreateInvoice { order: self.id.clone() }
    }

    fn mail_invoice(&self, event: &InvoiceCreated, _: &mut Context) -> MailInvoice {
        MailInvoice { order: self.id.clone(), invoice: event.invoice }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.confirmed", key(order))]
pub struct OrderConfirmed {
    order: String,
    article: String,
    count: u32,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "stock.reserve", replies(StockReserved, OutOfStock))]
pub struct ReserveStock {
    order: String,
    article: String,
    count: u32,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "stock.reserved")]
pub struct StockReserved {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "stock.out")]
pub struct OutOfStock {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "stock.release")]
pub struct ReleaseStock {
    order: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "invoice.create", replies(InvoiceCreated))]
pub struct CreateInvoice {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "invoice.created")]
pub struct InvoiceCreated {
    invoice: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "invoice.mail", best_effort)]
pub struct MailInvoice {
    order: String,
    invoice: u64,
}

// The outside world, and handlers that call it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::{Dispatcher, Policy, SqliteStore};

/// An invoice system as one meets them: it refuses a second invoice for an order, and its answers get lost.
#[derive(Clone, Default)]
struct Invoices(Arc<Mutex<BTreeMap<String, u64>>>);

enum CannotInvoice {
    AlreadyExists { invoice: u64 },
    CustomerUnknown,
    NoAnswer,
}

impl Invoices {
    fn create(&self, order: &str) -> Result<u64, CannotInvoice> {
        if order == "no-customer" {
            return Err(CannotInvoice::CustomerUnknown);
        }
        let mut invoices = self.0.lock().unwrap();
        if let Some(&invoice) = invoices.get(order) {
            return Err(CannotInvoice::AlreadyExists { invoice });
        }
        let invoice = 100 + invoices.len() as u64;
        invoices.insert(order.to_owned(), invoice);
        match order {
            "lost-answer" => Err(CannotInvoice::NoAnswer),
            _ => Ok(invoice),
        }
    }
}

impl Handler<CreateInvoice> for Invoices {
    async fn handle(&self, command: CreateInvoice, cx: &HandlerContext) -> HandlerResult<CreateInvoice> {
        let attempt = cx.attempt();
        match self.create(&command.order) {
            Ok(invoice) => {
                println!("    attempt {attempt}: invoice {invoice} created");
                Ok(InvoiceCreated { invoice }.into())
            }
            // Only this saga creates invoices for its orders, so an earlier attempt has made this one.
            Err(CannotInvoice::AlreadyExists { invoice }) => {
                println!("    attempt {attempt}: invoice {invoice} exists already");
                Ok(InvoiceCreated { invoice }.into())
            }
            Err(CannotInvoice::CustomerUnknown) => Err(HandlerError::refused("the customer is not known")),
            Err(CannotInvoice::NoAnswer) => {
                println!("    attempt {attempt}: no answer");
                Err("no answer from the invoice system".into())
            }
        }
    }
}

struct Stock;

impl Handler<ReserveStock> for Stock {
    async fn handle(&self, command: ReserveStock, _: &HandlerContext) -> HandlerResult<ReserveStock> {
        if command.count > 100 {
            println!("    there are no {} of {}", command.count, command.article);
            return Ok(OutOfStock {}.into());
        }
        println!("    {} of {} reserved", command.count, command.article);
        Ok(StockReserved {}.into())
    }
}

impl Handler<ReleaseStock> for Stock {
    async fn handle(&self, command: ReleaseStock, _: &HandlerContext) -> HandlerResult<ReleaseStock> {
        println!("    the reservation of {} is released", command.order);
        Ok(Done.into())
    }
}

struct Mail;

impl Handler<MailInvoice> for Mail {
    async fn handle(&self, command: MailInvoice, _: &HandlerContext) -> HandlerResult<MailInvoice> {
        if command.order == "no-mailbox" {
            return Err("451 try again later".into());
        }
        println!("    invoice {} mailed", command.invoice);
        Ok(Done.into())
    }
}

async fn open(store: &SqliteStore, invoices: &Invoices) -> Result<Dispatcher, saga::error::StartError> {
    // A mail is not worth more than three quick attempts.
    let few = Policy::default().max_total_time(Duration::ZERO);
    Dispatcher::builder(store.clone())
        .saga::<InvoiceState>()
        .handler::<ReserveStock>(Stock)
        .handler::<ReleaseStock>(Stock)
        .handler::<CreateInvoice>(invoices.clone())
        .handler_with::<MailInvoice>(Mail, few)
        .start()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("orders.db"))?;
    let office = open(&store, &Invoices::default()).await?;
    for (order, count) in
        [("fine", 3), ("lost-answer", 3), ("no-mailbox", 3), ("too-many", 5_000), ("no-customer", 3)]
    {
        println!("order {order}");
        office.publish(OrderConfirmed { order: order.into(), article: "lamp".into(), count }).await?;
        println!("  ends {:?}", office.settled::<InvoiceState>(order).await?);
    }
    let letters = office.clone();
    office.shutdown(Duration::from_secs(10)).await?;
    for row in letters.dead_letters(None).await? {
        println!("dead letter of {}: {}", row.letter.to, row.letter.detail);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::Position;
    use saga::testing::Given;

    use super::*;

    fn confirmed(order: &str) -> OrderConfirmed {
        OrderConfirmed { order: order.into(), article: "lamp".into(), count: 3 }
    }

    fn reserving() -> Given<InvoiceState> {
        Given::started(confirmed("7"))
    }

    fn invoicing() -> Given<InvoiceState> {
        reserving().when(StockReserved {})
    }

    #[test]
    fn reserved_invoiced_and_mailed() {
        let order = invoicing().when(InvoiceCreated { invoice: 17 }).done::<MailInvoice>();
        assert_eq!(order.state(), &InvoiceState::Fulfilled);
        assert_eq!(order.sent::<MailInvoice>(), [MailInvoice { order: "7".into(), invoice: 17 }]);
        assert!(order.sent::<ReleaseStock>().is_empty());
    }

    #[test]
    fn without_stock_nothing_is_owed() {
        for order in [reserving().when(OutOfStock {}), reserving().failed::<ReserveStock>("no such article")]
        {
            assert_eq!(order.state(), &InvoiceState::Rejected);
            assert!(order.sent::<ReleaseStock>().is_empty());
        }
    }

    #[test]
    fn an_unknown_reservation_is_released() {
        let order = reserving().unknown::<ReserveStock>("no answer");
        assert_eq!(order.state(), &InvoiceState::Rejected);
        assert_eq!(order.sent::<ReleaseStock>().len(), 1);
    }

    #[test]
    fn a_refused_invoice_releases_the_stock() {
        let order = invoicing().failed::<CreateInvoice>("the customer is not known");
        assert_eq!(order.state(), &InvoiceState::Rejected);
        assert_eq!(order.sent::<ReleaseStock>(), [ReleaseStock { order: "7".into() }]);
    }

    #[test]
    fn an_invoice_nobody_knows_of_waits_for_a_person() {
        let order = invoicing().unknown::<CreateInvoice>("no answer for a day");
        assert!(order.position().is_parked());
        assert!(order.sent::<ReleaseStock>().is_empty());
        assert_eq!(order.resolve(InvoiceCreated { invoice: 17 }).state(), &InvoiceState::Fulfilled);
    }

    #[test]
    fn a_mail_never_cancels_an_order() {
        let fulfilled = || invoicing().when(InvoiceCreated { invoice: 17 });
        for order in
            [fulfilled().failed::<MailInvoice>("no mailbox"), fulfilled().unknown::<MailInvoice>("no answer")]
        {
            assert_eq!(order.state(), &InvoiceState::Fulfilled);
            assert!(order.sent::<ReleaseStock>().is_empty());
            assert_eq!(order.dead_letters().len(), 1, "a person can send it by hand");
        }
    }

    #[tokio::test]
    async fn an_invoice_that_exists_already_is_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("orders.db")).unwrap();
        let invoices = Invoices::default();
        let office = open(&store, &invoices).await.unwrap();
        office.publish(confirmed("lost-answer")).await.unwrap();
        let settled = office.settled::<InvoiceState>("lost-answer").await.unwrap();
        assert_eq!(settled, Position::In(InvoiceState::Fulfilled));
        assert_eq!(invoices.0.lock().unwrap().len(), 1);
        office.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}
