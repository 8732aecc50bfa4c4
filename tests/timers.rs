//! Timers of every kind (rule R7): fixed, from a method, repeating, and the deadline of the whole saga.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::time::Duration;

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Clock, Dispatcher, Position, Tick};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "lesson", version = 1, data(Lesson), actions(LessonActions))]
#[initially(when(Booked, run(book), transition_to(Waiting)))]
#[deadline(hours = 48, compensate, transition_to(Forgotten))]
#[unhandled(reject)]
pub enum LessonState {
    #[during(
        timeout(after(patience), run(begin), transition_to(Running)),
        every(hours = 1, times = 3, guard(is_quiet), stay),
        every(hours = 1, times = 3, run(remind), send(Ring), stay)
    )]
    Waiting,
    #[compensate_with(Refund)]
    #[during(
        timeout(at(ends), waive(Refund), transition_to(Over)),
        every(minutes = 10, name = "tick", run(count), stay),
        when(Extended, run(extend), reenter)
    )]
    Running(Plan),
    #[terminal]
    Over,
    #[terminal(failure)]
    Forgotten,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    patience_minutes: u64,
    reminders: Vec<u32>,
    ticks: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    ends: Timestamp,
}

impl LessonActions for Lesson {
    fn book(event: &Booked, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { patience_minutes: event.patience_minutes, reminders: Vec::new(), ticks: 0 })
    }
    fn patience(&self, _: &mut Context) -> Duration {
        u32::try_from(self.patience_minutes).unwrap() * MINUTE
    }
    fn begin(&mut self, cx: &mut Context) -> ActionResult<Plan> {
        Ok(Plan { ends: cx.now().plus(45 * MINUTE) })
    }
    fn is_quiet(&self, event: &Tick, _: &Context) -> bool {
        event.nth == 2
    }
    fn remind(&mut self, event: &Tick, _: &mut Context) -> ActionResult<()> {
        assert_eq!(event.of, Some(3));
        self.reminders.push(event.nth);
        Ok(())
    }
    fn ends(&self, state: &Plan, _: &mut Context) -> Timestamp {
        state.ends
    }
    fn count(&mut self, _: &mut Plan, event: &Tick, _: &mut Context) -> ActionResult<()> {
        self.ticks += 1;
        assert_eq!((event.nth, event.of), (self.ticks, None));
        Ok(())
    }
    fn extend(&mut self, from: &Plan, _: &Extended, _: &mut Context) -> ActionResult<Plan> {
        self.ticks = 0;
        Ok(Plan { ends: from.ends.plus(45 * MINUTE) })
    }
    fn ring(&self, event: &Tick, _: &mut Context) -> Ring {
        Ring { nth: event.nth }
    }
    fn refund(&self, _: &Plan, _: &mut Context) -> Refund {
        Refund {}
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "booked", key(lesson))]
pub struct Booked {
    lesson: String,
    patience_minutes: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "extended", key(lesson))]
pub struct Extended {
    lesson: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ring", best_effort)]
pub struct Ring {
    nth: u32,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "refund")]
pub struct Refund {}

fn booked(patience_minutes: u64) -> Given<LessonState> {
    Given::started(Booked { lesson: "1".to_owned(), patience_minutes })
}

fn extended() -> Extended {
    Extended { lesson: "1".to_owned() }
}

#[test]
fn r07_a_timer_asks_its_method_once_on_entering() {
    let lesson = booked(30);
    assert!(lesson.timers().contains(&("patience", 30 * MINUTE)), "{:?}", lesson.timers());
    let lesson = lesson.elapsed(29 * MINUTE);
    assert_eq!(lesson.state(), &LessonState::Waiting);
    let lesson = lesson.elapsed(MINUTE);
    assert!(matches!(lesson.state(), LessonState::Running(_)));
    assert!(lesson.timers().contains(&("ends", 45 * MINUTE)), "{:?}", lesson.timers());
    let lesson = lesson.elapsed(44 * MINUTE).when(extended());
    assert!(lesson.timers().contains(&("ends", 46 * MINUTE)), "a new visit asks again");
    let over = lesson.elapsed(46 * MINUTE);
    assert_eq!(over.state(), &LessonState::Over);
    assert!(over.obligations().is_empty());
    assert!(over.history().iter().any(|line| line.starts_with("waived ")), "{:?}", over.history());
}

#[test]
fn r07_every_fires_so_many_times_and_its_rows_are_tried_top_down() {
    let lesson = booked(10 * 60).elapsed(9 * HOUR);
    assert_eq!(lesson.data().reminders, [1, 3], "the second was quiet, and counted");
    assert_eq!(lesson.sent::<Ring>(), [Ring { nth: 1 }, Ring { nth: 3 }]);
    assert!(!lesson.timers().iter().any(|(name, _)| name.starts_with("every")), "{:?}", lesson.timers());
}

#[test]
fn r07_every_counts_anew_in_each_visit() {
    let lesson = booked(0).elapsed(MINUTE).elapsed(25 * MINUTE);
    assert_eq!(lesson.data().ticks, 2);
    let lesson = lesson.when(extended());
    assert!(lesson.timers().contains(&("tick", 10 * MINUTE)), "{:?}", lesson.timers());
    assert_eq!(lesson.elapsed(30 * MINUTE).data().ticks, 3);
}

#[test]
fn r07_the_deadline_counts_from_the_start_over_all_visits() {
    let lesson = booked(60).elapsed(47 * HOUR);
    assert_eq!(lesson.state(), &LessonState::Over, "over before the deadline, which is gone with it");
    assert!(lesson.timers().is_empty());

    let mut lesson = booked(0).elapsed(MINUTE);
    for _ in 0..70 {
        lesson = lesson.when(extended());
    }
    let lesson = lesson.elapsed(48 * HOUR);
    assert_eq!(lesson.state(), &LessonState::Forgotten);
    assert_eq!(lesson.sent::<Refund>().len(), 71, "what each visit owes is undone first");
    assert!(lesson.timers().is_empty());
}

#[tokio::test]
async fn r07_every_fires_once_for_any_number_of_missed_periods() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let open = async || {
        Dispatcher::builder(store.clone())
            .saga::<LessonState>()
            .handler::<Ring>(Deaf)
            .handler::<Refund>(Deaf)
            .clock(clock.clone())
            .start()
            .await
            .unwrap()
    };
    let dispatcher = open().await;
    dispatcher.publish(Booked { lesson: "1".to_owned(), patience_minutes: 0 }).await.unwrap();
    let ticks = async |dispatcher: &Dispatcher| {
        let lesson = dispatcher.instance::<LessonState>("1").await.unwrap().unwrap();
        (
            lesson.data.ticks,
            lesson.timers.into_iter().find(|timer| timer.name == "tick").map(|timer| timer.due),
        )
    };
    clock.idle().await;
    let entered = ticks(&dispatcher).await.1.unwrap().minus(10 * MINUTE);
    dispatcher.kill().await;
    clock.advance(34 * MINUTE);
    let dispatcher = open().await;
    clock.idle().await;
    let (ticked, due) = ticks(&dispatcher).await;
    assert_eq!((ticked, due), (1, Some(entered.plus(40 * MINUTE))), "once, and the beat is kept");
    assert!(matches!(
        dispatcher.instance::<LessonState>("1").await.unwrap().unwrap().position,
        Position::In(LessonState::Running(_))
    ));
    assert!(clock.now().wall < entered.plus(40 * MINUTE));
    dispatcher.shutdown(MINUTE).await.unwrap();
}

/// Two timers are due at the same time, and the first leads out of the state.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "race", version = 1, data(Race), actions(RaceActions))]
#[initially(when(Off, run(go), transition_to(Running)))]
#[unhandled(reject)]
pub enum RaceState {
    #[during(
        timeout(minutes = 1, name = "first", transition_to(Won)),
        timeout(minutes = 1, name = "second", transition_to(Lost))
    )]
    Running,
    #[terminal]
    Won,
    #[terminal]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Race {}

impl RaceActions for Race {
    fn go(_: &Off, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "off", key(race))]
pub struct Off {
    race: String,
}

#[tokio::test]
async fn r07_a_timer_whose_visit_is_over_when_its_turn_comes_is_counted_and_no_error() {
    let clock = ManualClock::default();
    let builder = Dispatcher::builder(MemoryStore::new()).saga::<RaceState>().clock(clock.clone());
    let dispatcher = builder.start().await.unwrap();
    dispatcher.publish(Off { race: "1".to_owned() }).await.unwrap();
    clock.advance(MINUTE);
    assert_eq!(dispatcher.settled::<RaceState>("1").await.unwrap(), Position::In(RaceState::Won));
    // The counts for people are renewed once a second.
    clock.advance(Duration::from_secs(1));
    clock.idle().await;
    assert_eq!(dispatcher.counters().stale_timers, 1);
    assert_eq!(dispatcher.history::<RaceState>("1").await.unwrap().len(), 2, "it leaves no line");
}

struct Deaf;

impl Handler<Ring> for Deaf {
    async fn handle(&self, _: Ring, _: &HandlerContext) -> HandlerResult<Ring> {
        Ok(Done.into())
    }
}

impl Handler<Refund> for Deaf {
    async fn handle(&self, _: Refund, _: &HandlerContext) -> HandlerResult<Refund> {
        Ok(Done.into())
    }
}
