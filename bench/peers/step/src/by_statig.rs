//! The order in `statig`, with the same data and the same lists as the `match`.

use statig::blocking::IntoStateMachineExt as _;
use statig::prelude::*;

use crate::by_match::{Command, Undo};
use crate::{Event, Order};

#[derive(Debug, Default)]
pub struct Shop {
    order: Option<Order>,
    commands: Vec<Command>,
    undos: Vec<Undo>,
    history: Vec<&'static str>,
    timer: Option<u64>,
}

#[state_machine(initial = "State::fresh()")]
impl Shop {
    #[state]
    fn fresh(&mut self, event: &Event) -> Outcome<State> {
        let Event::Placed { order } = event else { return Super };
        let order = self.order.insert(Order::new(order.clone()));
        self.commands.push(Command::Pay { order: order.id.clone(), cents: order.cents });
        self.undos.push(Undo::Void { order: order.id.clone() });
        self.timer = Some(900_000);
        self.history.push("paying");
        Transition(State::paying())
    }

    #[state]
    fn paying(&mut self, event: &Event) -> Outcome<State> {
        let (Event::Paid { payment }, Some(order)) = (event, &mut self.order) else { return Super };
        order.payment = Some(*payment);
        self.undos.clear();
        self.undos.push(Undo::Refund { order: order.id.clone() });
        self.commands.push(Command::Ship { order: order.id.clone() });
        self.timer = None;
        self.history.push("shipping");
        Transition(State::shipping())
    }

    #[state]
    fn shipping(&mut self, event: &Event) -> Outcome<State> {
        let (Event::Shipped { label }, Some(order)) = (event, &mut self.order) else { return Super };
        order.label = Some(label.clone());
        self.commands.push(Command::Tell { order: order.id.clone() });
        self.history.push("telling");
        Transition(State::telling())
    }

    #[state]
    fn telling(&mut self, event: &Event) -> Outcome<State> {
        let Event::Told = event else { return Super };
        self.undos.clear();
        self.history.push("done");
        Transition(State::done())
    }

    #[state]
    fn done(event: &Event) -> Outcome<State> {
        let _ = event;
        Super
    }
}

/// Runs one order. Returns the number of commands.
pub fn run(events: [Event; 4]) -> usize {
    let mut machine = Shop::default().state_machine();
    for event in &events {
        machine.handle(event);
    }
    machine.inner().commands.len() + machine.inner().history.len()
}
