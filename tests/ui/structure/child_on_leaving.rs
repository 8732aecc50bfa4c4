use saga::prelude::*;

#[derive(Saga)]
#[saga(name = "child", version = 1, data(Small), actions(SmallActions))]
#[initially(when(Born, run(begin), transition_to(Growing)))]
#[unhandled(ignore)]
pub enum Child {
    #[during(when(Grown, transition_to(Adult)))]
    Growing,
    #[terminal]
    Adult,
}

#[derive(Serialize, Deserialize)]
pub struct Small {}

impl SmallActions for Small {
    fn begin(_: &Born, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

#[derive(Saga)]
#[saga(name = "s", version = 1, data(Data), actions(Actions))]
#[initially(when(Started, run(start), start(Child), transition_to(A)))]
#[unhandled(ignore)]
pub enum State {
    #[during(
        when(all_finished(Child), transition_to(B))
    )]
    #[on_leave(start(Child, with(another), detached))]
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
    fn child(&self, _: &Started, _: &mut Context) -> Born {
        Born { id: self.id.clone() }
    }
    fn another(&self, _: &mut Context) -> Born {
        Born { id: self.id.clone() }
    }
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "started", key(id))]
pub struct Started {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "stop", key(id))]
pub struct Stop {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "born", key(id))]
pub struct Born {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "grown", key(id))]
pub struct Grown {
    id: String,
}

fn main() {
    println!("{}", State::definition().mermaid());
}
