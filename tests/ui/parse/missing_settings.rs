use saga::prelude::*;

#[derive(Saga)]
#[saga(name = "s", version = 1)]
#[initially(when(Started, run(start), transition_to(A)))]
#[unhandled(reject)]
pub enum State {
    #[during(when(Go, transition_to(B)), when(Stop, stay))]
    A,
    #[terminal]
    B,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "go", key(id))]
pub struct Go {
    id: String,
}

fn main() {}
