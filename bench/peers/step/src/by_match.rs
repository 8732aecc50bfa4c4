//! The order by a hand-written `match`: the state, the data, and everything that has to be done after a step.

use serde::Serialize;

use crate::{Event, Order};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    Paying,
    Shipping,
    Telling,
    Done,
    Cancelled,
}

#[derive(Debug, Serialize)]
pub enum Command {
    Pay { order: String, cents: u64 },
    Ship { order: String },
    Tell { order: String },
}

#[derive(Debug, Serialize)]
pub enum Undo {
    Void { order: String },
    Refund { order: String },
}

/// One order in memory.
#[derive(Debug)]
pub struct Machine {
    pub state: State,
    pub order: Option<Order>,
    pub commands: Vec<Command>,
    pub undos: Vec<Undo>,
    pub history: Vec<(State, State)>,
    pub timer: Option<u64>,
}

impl Machine {
    pub fn new() -> Self {
        let (commands, undos, history) = (Vec::new(), Vec::new(), Vec::new());
        Self { state: State::New, order: None, commands, undos, history, timer: None }
    }

    /// Only the transition.
    pub fn next(state: State, event: &Event) -> State {
        match (state, event) {
            (State::New, Event::Placed { .. }) => State::Paying,
            (State::Paying, Event::Paid { .. }) => State::Shipping,
            (State::Paying, Event::TimedOut) => State::Cancelled,
            (State::Shipping, Event::Shipped { .. }) => State::Telling,
            (State::Telling, Event::Told) => State::Done,
            (state, _) => state,
        }
    }

    /// The whole step, without encoding.
    pub fn step(&mut self, event: Event) {
        let from = self.state;
        self.state = Self::next(from, &event);
        match (event, &mut self.order) {
            (Event::Placed { order }, none @ None) => {
                let placed = none.insert(Order::new(order));
                self.commands.push(Command::Pay { order: placed.id.clone(), cents: placed.cents });
                self.undos.push(Undo::Void { order: placed.id.clone() });
                self.timer = Some(900_000);
            }
            (Event::Paid { payment }, Some(order)) => {
                order.payment = Some(payment);
                self.undos.clear();
                self.undos.push(Undo::Refund { order: order.id.clone() });
                self.commands.push(Command::Ship { order: order.id.clone() });
                self.timer = None;
            }
            (Event::Shipped { label }, Some(order)) => {
                order.label = Some(label);
                self.commands.push(Command::Tell { order: order.id.clone() });
            }
            (Event::Told, _) => self.undos.clear(),
            _ => {}
        }
        self.history.push((from, self.state));
    }

    /// Encodes the command of the step and what is owed, and reads the data back, as each step of the saga does.
    pub fn keep(&mut self) -> [String; 3] {
        let json = |value: &Option<Order>| serde_json::to_string(value).expect("an order is JSON");
        let data = json(&self.order);
        self.order = serde_json::from_str(&data).expect("it was an order");
        let command = serde_json::to_string(&self.commands.last()).expect("a command is JSON");
        let owed = serde_json::to_string(&self.undos.last()).expect("an undo is JSON");
        [data, command, owed]
    }
}
