use saga::prelude::*;

#[derive(Saga)]
#[saga(name = "s", version = 1, data(Data), actions(Actions))]
#[initially(when(Started, run(start), send(Pay), transition_to(A)))]
#[unhandled(reject)]
pub enum State {
    #[compensate_with(Void)]
    #[during(when(PaidUp, transition_to(B)), when(Go, stay), when(Stop, stay))]
    A,
    #[terminal]
    B,
}

#[derive(Serialize, Deserialize)]
pub struct Data {
    id: String,
}

#[derive(Serialize, Deserialize)]
pub struct Paid {
    id: u64,
}

impl Actions for Data {
    fn start(event: &Started, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.id.clone() })
    }
    fn pay(&self, _: &Started, _: &mut Context) -> Pay {
        Pay { id: self.id.clone() }
    }
    fn void(&self, _: &mut Context) -> Void {
        Void { id: self.id.clone() }
    }
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "started", key(id))]
pub struct Started {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "go", key(id))]
pub struct Go {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "stop", key(id))]
pub struct Stop {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "done")]
pub struct PaidUp {}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "pay", replies(PaidUp))]
pub struct Pay {
    id: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "void")]
pub struct Void {
    id: String,
}


fn main() {
    println!("{}", State::definition().mermaid());
}
