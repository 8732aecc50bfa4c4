//! `when_all` (rule R5) and `superseded` (rule R9).

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Dispatcher, Disposition, ParkReason, Position};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "dish", version = 1, data(Dish), actions(DishActions))]
#[initially(when(Ordered, run(order), send(Heat), transition_to(Cooking)))]
#[unhandled(ignore)]
pub enum DishState {
    #[during(
        when(Chopped, run(chop), stay),
        when(Moved, transition_to(Resting)),
        when_all(Chopped, Salted, Hot, guard(is_good), send(Heat), transition_to(Ready)),
        when_all(Chopped, Salted, Hot, transition_to(Spoilt)),
        when(Again, send(Heat), reenter),
        when(any(failed(Heat), unknown(Heat)), park),
        when(superseded(any(Hot, failed(Heat))), run(late), stay),
        ignore(superseded(unknown(Heat)))
    )]
    Cooking,
    #[during(
        when(Moved, transition_to(Shelved)),
        when_all(Hot, Chopped, Salted, compensate, transition_to(Spoilt)),
        ignore(failed(Heat), unknown(Heat))
    )]
    Resting,
    #[during(when(Moved, transition_to(Cooking)), ignore(failed(Heat), unknown(Heat)))]
    Shelved,
    #[terminal]
    Ready,
    #[terminal(failure)]
    Spoilt,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dish {
    chopped: u32,
    late: u32,
}

impl DishActions for Dish {
    fn order(_: &Ordered, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { chopped: 0, late: 0 })
    }
    fn heat(&self, _: &mut Context) -> Heat {
        Heat {}
    }
    fn chop(&mut self, _: &Chopped, _: &mut Context) -> ActionResult<()> {
        self.chopped += 1;
        Ok(())
    }
    fn is_good(&self, _: &Context) -> bool {
        self.chopped < 3
    }
    fn late(&mut self, _: &mut Context) -> ActionResult<()> {
        self.late += 1;
        Ok(())
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(by(dish)))]
        pub struct $name {}
        impl $name {
            fn dish(&self) -> String {
                "1".to_owned()
            }
        }
    )*};
}
events! { Ordered "ordered" Chopped "chopped" Salted "salted" Hot "hot" Moved "moved" Again "again" }

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "heat", replies(Hot))]
pub struct Heat {}

fn ordered() -> Given<DishState> {
    Given::started(Ordered {})
}

#[test]
fn r05_members_are_noted_in_any_order_and_the_last_one_fires() {
    let dish = ordered().when(Salted {});
    assert_eq!(dish.history().last().unwrap(), "joined salted");
    let dish = dish.when(Hot {}).when(Salted {});
    assert_eq!(dish.state(), &DishState::Cooking);
    assert_eq!(dish.sent::<Heat>().len(), 1);
    let dish = ordered().when(Chopped {}).when(Hot {}).when(Salted {});
    assert_eq!(dish.state(), &DishState::Ready);
    assert_eq!(dish.sent::<Heat>().len(), 2, "the set's own row has sent");
    assert_eq!(dish.history().last().unwrap(), "applied salted: cooking -> ready");
}

#[test]
fn r05_a_members_own_row_runs_first_and_the_set_follows() {
    let dish = ordered().when(Salted {}).when(Hot {}).when(Chopped {});
    assert_eq!(dish.data().chopped, 1);
    assert_eq!(dish.state(), &DishState::Ready);
    assert_eq!(dish.history().last().unwrap(), "applied when_all(Chopped, Salted, Hot): cooking -> ready");
    assert!(dish.timers().is_empty());
}

#[test]
fn r05_rows_of_one_set_are_tried_top_down() {
    let dish = ordered().when(Chopped {}).when(Chopped {}).when(Chopped {}).when(Hot {}).when(Salted {});
    assert_eq!(dish.state(), &DishState::Spoilt);
}

#[test]
fn r05_the_memory_is_kept_where_the_set_is_declared_and_cleared_elsewhere() {
    let resting = ordered().when(Chopped {}).when(Hot {}).when(Moved {});
    assert_eq!(resting.state(), &DishState::Resting);
    let spoilt = resting.when(Salted {});
    assert_eq!(spoilt.state(), &DishState::Spoilt, "after compensating");
    let shelved = ordered().when(Chopped {}).when(Hot {}).when(Moved {}).when(Moved {});
    let cooking = shelved.when(Moved {}).when(Salted {});
    assert_eq!(cooking.state(), &DishState::Cooking, "forgotten on the shelf");
}

#[test]
fn r05_a_new_visit_of_the_same_state_remembers_what_has_come() {
    let dish = ordered().when(Chopped {}).when(Salted {}).when(Again {});
    assert_eq!(dish.state(), &DishState::Cooking);
    let dish = dish.when(Hot {});
    assert_eq!(dish.data().late, 1, "this one answers the command of the visit before");
    assert_eq!(dish.when(Hot {}).state(), &DishState::Ready);
}

#[test]
fn r09_a_late_answer_goes_to_the_superseded_rows_only() {
    let dish = ordered().when(Again {}).when(Hot {});
    assert_eq!((dish.data().late, dish.parked()), (1, None));
    let dish = dish.when(Chopped {}).when(Salted {});
    assert_eq!(dish.state(), &DishState::Cooking, "it was not noted");
    assert_eq!(dish.when(Hot {}).state(), &DishState::Ready, "the answer to the second is");
    let dish = ordered().when(Again {}).failed::<Heat>("no gas").when(Again {}).unknown::<Heat>("no answer");
    assert_eq!((dish.data().late, dish.parked()), (1, None));
}

#[test]
fn r09_without_a_row_a_late_answer_parks() {
    let dish = ordered().when(Again {}).when(Moved {}).when(Hot {});
    let Position::Parked { reason, .. } = dish.position() else { panic!("{:?}", dish.position()) };
    assert_eq!(reason, ParkReason::Superseded);
}

struct Stove;

impl Handler<Heat> for Stove {
    async fn handle(&self, _: Heat, _: &HandlerContext) -> HandlerResult<Heat> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn r05_a_set_completed_right_before_a_crash_fires_after_it() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let open = async || {
        let builder = Dispatcher::builder(store.clone()).saga::<DishState>().handler::<Heat>(Stove);
        builder.clock(clock.clone()).start().await.unwrap()
    };
    let dispatcher = open().await;
    for event in 0..4 {
        let receipt = match event {
            0 => dispatcher.publish(Ordered {}).await,
            1 => dispatcher.publish(Salted {}).await,
            2 => dispatcher.publish(Hot {}).await,
            _ => dispatcher.publish(Chopped {}).await,
        };
        assert_eq!(receipt.unwrap().consumers[0].disposition, Disposition::Applied);
    }
    dispatcher.kill().await;
    let dispatcher = open().await;
    assert_eq!(dispatcher.settled::<DishState>("1").await.unwrap(), Position::In(DishState::Ready));
}
