use saga::prelude::*;

#[derive(Saga)]
#[saga(name = "s", version = 1, data(Data), actions(Actions), history())]
#[initially(when(Started, run(start), transition_to(A)))]
#[unhandled(reject)]
pub enum State {
    #[during(
        when(Go, stay),
        when(Stop, transition_to(B))
    )]
    A,
    #[terminal]
    B,
}

#[derive(Serialize, Deserialize)]
pub struct Data {
    id: String,
}

impl Actions for Data {
    fn start(event: &Started, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.id.clone() })
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

fn main() {
    println!("{}", State::definition().mermaid());
}
