//! The handlers: the only code that talks to the bank and the carrier.

use std::sync::Arc;
use std::time::Duration;

use saga::prelude::*;
use saga::store::Store;
use saga::{Dispatcher, DispatcherBuilder, Policy};

use crate::bank::{Bank, Heard};
use crate::ledger::Op;
use crate::saga::{
    CreateShippingLabel, LabelCreated, LabelRefused, MakePayment, OrderCancelled, OrderCompleted, OrderState,
    PaymentCompleted, PaymentDeclined, RefundPayment, VoidLabel, VoidPayment,
};

/// Orders under way at the same time.
pub const AT_ONCE: usize = 256;

/// The shop's line to the outside world.
#[derive(Clone, Debug)]
pub struct Shop {
    bank: Arc<Bank>,
    delay: Duration,
}

impl Shop {
    /// A shop whose calls take `delay` each.
    pub fn new(bank: Bank, delay: Duration) -> Self {
        Self { bank: Arc::new(bank), delay }
    }

    /// A dispatcher on this store, with everything that the shop does.
    pub fn dispatcher(&self, store: impl Store) -> DispatcherBuilder {
        // The defaults try for a day, with minutes in between; nobody watches a demonstration for so long.
        let policy = || {
            Policy::default()
                .backoff(Duration::from_millis(20), Duration::from_millis(500))
                .timeout(self.delay + Duration::from_secs(60))
                .concurrency(AT_ONCE)
        };
        Dispatcher::builder(store)
            .saga::<OrderState>()
            .handler_with::<MakePayment>(self.clone(), policy())
            .handler_with::<VoidPayment>(self.clone(), policy())
            .handler_with::<RefundPayment>(self.clone(), policy())
            .handler_with::<CreateShippingLabel>(self.clone(), policy())
            .handler_with::<VoidLabel>(self.clone(), policy())
            .subscriber::<OrderCompleted>("completed-mail", MailRoom)
            .subscriber::<OrderCancelled>("cancelled-mail", MailRoom)
    }

    /// One call. No answer is an error, and so an indeterminate outcome: the engine asks again under the same key.
    async fn call(&self, op: Op, order: &str, cents: u64, cx: &HandlerContext) -> Result<bool, HandlerError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.bank.call(op, cx.idempotency_key(), order, cents, cx.attempt())? {
            Heard::Yes => Ok(true),
            Heard::No => Ok(false),
            Heard::Nothing => Err("no answer".into()),
        }
    }
}

impl Handler<MakePayment> for Shop {
    async fn handle(&self, command: MakePayment, cx: &HandlerContext) -> HandlerResult<MakePayment> {
        Ok(match self.call(Op::Charge, &command.order, command.cents, cx).await? {
            true => PaymentCompleted { payment: format!("pay-{}", command.order) }.into(),
            false => PaymentDeclined { why: "the bank declined".to_owned() }.into(),
        })
    }
}

impl Handler<VoidPayment> for Shop {
    async fn handle(&self, command: VoidPayment, cx: &HandlerContext) -> HandlerResult<VoidPayment> {
        self.call(Op::Void, &command.order, command.cents, cx).await?;
        Ok(Done.into())
    }
}

impl Handler<RefundPayment> for Shop {
    async fn handle(&self, command: RefundPayment, cx: &HandlerContext) -> HandlerResult<RefundPayment> {
        self.call(Op::Refund, &command.order, command.cents, cx).await?;
        Ok(Done.into())
    }
}

impl Handler<CreateShippingLabel> for Shop {
    async fn handle(
        &self,
        command: CreateShippingLabel,
        cx: &HandlerContext,
    ) -> HandlerResult<CreateShippingLabel> {
        Ok(match self.call(Op::Label, &command.order, 0, cx).await? {
            true => LabelCreated { label: format!("label-{}", command.order) }.into(),
            false => LabelRefused { why: "the carrier does not go there".to_owned() }.into(),
        })
    }
}

impl Handler<VoidLabel> for Shop {
    async fn handle(&self, command: VoidLabel, cx: &HandlerContext) -> HandlerResult<VoidLabel> {
        self.call(Op::Unlabel, &command.order, 0, cx).await?;
        Ok(Done.into())
    }
}

/// The mail room: takes what is published. It has nothing to do in this story.
pub struct MailRoom;

impl Subscriber<OrderCompleted> for MailRoom {
    async fn handle(&self, _: OrderCompleted, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl Subscriber<OrderCancelled> for MailRoom {
    async fn handle(&self, _: OrderCancelled, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}
