use saga::prelude::*;

#[derive(Saga)]
#[saga(name = "s", version = 1, data(Data), actions(Actions))]
#[initially(when(Started, run(start), transition_to(A)))]
#[unhandled(reject)]
pub enum State {
    #[on_leave(run(note), publish(Announced))]
    #[during(when(Go, guard(ready), send(Tell, each), transition_to(C)), when(Go, reenter), when(Stop, run(count), stay))]
    A,
    #[on_enter(run(touch), send(Tell, with(tell_once)))]
    #[during(when(Go, run(keep), transition_to(D)), when(Stop, transition_to(B)))]
    C,
    #[during(when(Go, run(bump), stay), when(Stop, run(renew), reenter), timeout(hours = 1, minutes = 30, transition_to(B)))]
    D(Paid),
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
    fn ready(&self, event: &Go, cx: &Context) -> bool {
        event.id == self.id && cx.key() == self.id
    }
    fn tell(&self, event: &Go, _: &mut Context) -> Vec<Tell> {
        vec![Tell { id: event.id.clone() }]
    }
    fn tell_once(&self, _: &mut Context) -> Tell {
        Tell { id: self.id.clone() }
    }
    fn announced(&self, _: &mut Context) -> Announced {
        Announced { id: self.id.clone() }
    }
    fn note(&mut self, _: &mut Context) -> ActionResult<()> {
        Ok(())
    }
    fn count(&mut self, _: &Stop, _: &mut Context) -> ActionResult<()> {
        Ok(())
    }
    fn touch(&mut self, _: &mut Context) -> ActionResult<()> {
        Ok(())
    }
    fn bump(&mut self, state: &mut Paid, _: &Go, _: &mut Context) -> ActionResult<()> {
        state.id += 1;
        Ok(())
    }
    fn renew(&mut self, from: &Paid, _: &Stop, _: &mut Context) -> ActionResult<Paid> {
        Ok(Paid { id: from.id + 1 })
    }
    fn keep(&mut self, _: &Go, _: &mut Context) -> ActionResult<Paid> {
        Ok(Paid { id: 1 })
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

#[derive(Command, Serialize, Deserialize)]
#[command(name = "tell", best_effort)]
pub struct Tell {
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "announced", key(id))]
pub struct Announced {
    id: String,
}


fn main() {
    println!("{}", State::definition().mermaid());
}
