//! Operators' verbs (rules R15, R16) and crashes. A process dies by any commit after a verb. If the verb was answered, its
//! whole effect is there; otherwise all of it or none is. No restart and no mended build changes what was decided.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[path = "support/faulty.rs"]
mod faulty;

use saga::HistoryKind;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faulty::{Faulty, Side};
use saga::error::InstanceError;
use saga::prelude::*;
use saga::sqlite::Durability;
use saga::store::{Address, Inspect};
use saga::testing::ManualClock;
use saga::{Dispatcher, Finished, Key, Operator, OperatorVerb, Position, Resolved, SqliteStore};

/// The deals whose actions and handlers succeed from now on, as in a mended build. Every run has a deal of its own.
static MENDED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn is_mended(deal: &str) -> bool {
    MENDED.lock().unwrap().contains(deal)
}

fn mend(deal: &str) {
    MENDED.lock().unwrap().insert(deal.to_owned());
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "deal", version = 1, data(Deal), actions(DealActions), on_abort(CalledOff))]
#[initially(when(Opened, run(open), transition_to(Open)))]
#[during_any(when(Cancelled, compensate, transition_to(CalledOff)))]
#[unhandled(reject)]
pub enum DealState {
    #[during(
        when(Pushed, run(push), stay),
        when(Noted, run(note), stay),
        when(AskWanted, send(Ask), stay),
        when(Answered, run(keep), stay),
        when(failed(Ask), park),
        when(TellWanted, send(Tell), stay),
        when(failed(Tell), park),
        when(BookWanted, send(Book, undo(Unbook)), stay),
        when(HelpWanted, start(HelperState, with(helper)), stay),
        when(finished(HelperState), run(helped), stay),
        when(WaitWanted, transition_to(Waiting)),
        when(QuietWanted, send(Ask, with(ask_quietly)), transition_to(Quiet))
    )]
    Open,
    #[during(when(failed(Ask), park), when(Noted, run(note), transition_to(Open)), defer(Answered))]
    Quiet,
    #[during(timeout(minutes = 1, run(ring), transition_to(Open)))]
    Waiting,
    #[terminal(failure)]
    CalledOff,
}

/// How often each row has run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deal {
    pushes: u32,
    notes: u32,
    kept: u32,
    helped: u32,
    rings: u32,
}

/// Fails unless the deal is mended.
fn works(deal: &str) -> ActionResult<()> {
    if is_mended(deal) { Ok(()) } else { Err("it is not mended".into()) }
}

impl DealActions for Deal {
    fn open(_: &Opened, _: &mut Context) -> ActionResult<Self> {
        Ok(Self::default())
    }
    fn push(&mut self, _: &Pushed, cx: &mut Context) -> ActionResult<()> {
        works(cx.key())?;
        self.pushes += 1;
        Ok(())
    }
    fn note(&mut self, _: &Noted, _: &mut Context) -> ActionResult<()> {
        self.notes += 1;
        Ok(())
    }
    fn keep(&mut self, _: &Answered, _: &mut Context) -> ActionResult<()> {
        self.kept += 1;
        Ok(())
    }
    fn helped(&mut self, _: &Finished<HelperState>, cx: &mut Context) -> ActionResult<()> {
        works(cx.key())?;
        self.helped += 1;
        Ok(())
    }
    fn ring(&mut self, cx: &mut Context) -> ActionResult<()> {
        works(cx.key())?;
        self.rings += 1;
        Ok(())
    }
    fn ask(&self, _: &AskWanted, _: &mut Context) -> Ask {
        Ask {}
    }
    fn ask_quietly(&self, _: &QuietWanted, _: &mut Context) -> Ask {
        Ask {}
    }
    fn tell(&self, _: &TellWanted, _: &mut Context) -> Tell {
        Tell {}
    }
    fn book(&self, _: &BookWanted, _: &mut Context) -> Book {
        Book {}
    }
    fn unbook(&self, _: &Book, _: &mut Context) -> Unbook {
        Unbook {}
    }
    fn helper(&self, _: &HelpWanted, cx: &mut Context) -> HelperAsked {
        HelperAsked { deal: format!("{}-helper", cx.key()) }
    }
}

/// Ends as soon as it begins.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "helper", version = 1, data(Helper), actions(HelperActions))]
#[initially(when(HelperAsked, run(begin), transition_to(Gone)))]
pub enum HelperState {
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Helper {}

impl HelperActions for Helper {
    fn begin(_: &HelperAsked, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(deal))]
        pub struct $name { deal: String }
    )*};
}
events! {
    Opened "opened" Pushed "pushed" Noted "noted" AskWanted "ask-wanted" TellWanted "tell-wanted"
    BookWanted "book-wanted" HelpWanted "help-wanted" WaitWanted "wait-wanted" QuietWanted "quiet-wanted" Cancelled "cancelled"
    HelperAsked "helper-asked"
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "answered")]
pub struct Answered {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ask", replies(Answered))]
pub struct Ask {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "tell")]
pub struct Tell {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "book")]
pub struct Book {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "unbook")]
pub struct Unbook {}

/// Refuses everything but to book, until the deal is mended; counts every call.
#[derive(Clone, Default)]
struct World(Arc<Mutex<u32>>);

impl World {
    fn calls(&self) -> u32 {
        *self.0.lock().unwrap()
    }

    fn call(&self, works: bool) -> Result<(), HandlerError> {
        *self.0.lock().unwrap() += 1;
        if works { Ok(()) } else { Err(HandlerError::refused("it is not mended")) }
    }
}

impl Handler<Ask> for World {
    async fn handle(&self, _: Ask, cx: &HandlerContext) -> HandlerResult<Ask> {
        self.call(is_mended(cx.instance()))?;
        Ok(Answered {}.into())
    }
}

impl Handler<Tell> for World {
    async fn handle(&self, _: Tell, cx: &HandlerContext) -> HandlerResult<Tell> {
        self.call(is_mended(cx.instance()))?;
        Ok(Done.into())
    }
}

impl Handler<Book> for World {
    async fn handle(&self, _: Book, _: &HandlerContext) -> HandlerResult<Book> {
        self.call(true)?;
        Ok(Done.into())
    }
}

impl Handler<Unbook> for World {
    async fn handle(&self, _: Unbook, cx: &HandlerContext) -> HandlerResult<Unbook> {
        self.call(is_mended(cx.instance()))?;
        Ok(Done.into())
    }
}

/// What the verb is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// The deal is parked over an event whose action fails.
    Event,
    /// The same, with an undo owed.
    EventWithDebt,
    /// Over the report of a child.
    Report,
    /// Over a timer.
    Timer,
    /// It is not parked, and waits for a timer.
    SetTimer,
    /// Over a command that has replies.
    Ask,
    /// The same, in a state that defers the reply.
    QuietAsk,
    /// Over one that has none.
    Tell,
    /// Over an undo.
    Undo,
    /// It is not parked, and owes an undo.
    Debt,
    /// It is not parked, and an event for it is a dead letter.
    Letter,
}

/// What the operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Skip,
    Retry,
    Reply,
    Done,
    Refused,
    Abort,
    Redrive,
    Fire,
}

impl Word {
    /// The verb as others may ask for it.
    fn elsewhere(self) -> Option<OperatorVerb> {
        match self {
            Self::Skip => Some(OperatorVerb::Skip),
            Self::Retry => Some(OperatorVerb::Retry),
            Self::Abort => Some(OperatorVerb::Abort),
            Self::Reply => Some(OperatorVerb::Resolve(Resolved::reply(&Answered {}).unwrap())),
            Self::Done => Some(OperatorVerb::Resolve(Resolved::done())),
            Self::Refused => Some(OperatorVerb::Resolve(Resolved::refused())),
            Self::Fire => Some(OperatorVerb::Fire { timer: "1m".to_owned() }),
            Self::Redrive => None,
        }
    }

    /// Whether it makes something run that would fail again, so that the deal is mended before.
    fn runs_something(self) -> bool {
        matches!(self, Self::Retry | Self::Abort | Self::Fire)
    }
}

/// What there is to see of a deal.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    position: Position<DealState>,
    data: Deal,
    open: Vec<String>,
    owed: Vec<String>,
    timers: usize,
    /// Rows in its inbox.
    waiting: usize,
    /// Dead letters: the event and the reason.
    dead: Vec<String>,
    /// Verbs in its history.
    verbs: usize,
    /// Whether any command was called since the verb was given.
    called: bool,
}

/// A deal that goes on in this state after one verb, with nothing open and nothing called.
fn after(state: DealState) -> Seen {
    Seen {
        position: Position::In(state),
        data: Deal::default(),
        open: Vec::new(),
        owed: Vec::new(),
        timers: 0,
        waiting: 0,
        dead: Vec::new(),
        verbs: 1,
        called: false,
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// One deal in a store of its own.
struct Bench {
    deal: String,
    dir: tempfile::TempDir,
    store: SqliteStore,
    clock: ManualClock,
    world: World,
}

impl Bench {
    fn new(deal: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteStore::options().durability(Durability::Relaxed);
        let store = options.open(dir.path().join("deals.db")).unwrap();
        Self { deal, dir, store, clock: ManualClock::default(), world: World::default() }
    }

    async fn start(&self) -> (Dispatcher, Faulty) {
        let faulty = Faulty::new(self.store.clone());
        let dispatcher = Dispatcher::builder(faulty.clone())
            .saga::<DealState>()
            .saga::<HelperState>()
            .handler::<Ask>(self.world.clone())
            .handler::<Tell>(self.world.clone())
            .handler::<Book>(self.world.clone())
            .handler::<Unbook>(self.world.clone())
            .clock(self.clock.clone())
            .start()
            .await
            .unwrap();
        self.clock.idle().await;
        (dispatcher, faulty)
    }

    /// Leads to where the verb is given.
    async fn lead(&self, dispatcher: &Dispatcher, over: Over) {
        macro_rules! publish {
            ($($event:ident)*) => {{$(
                dispatcher.publish($event { deal: self.deal.clone() }).await.unwrap();
                self.clock.idle().await;
            )*}};
        }
        match over {
            Over::Event => publish!(Opened Pushed),
            Over::EventWithDebt => publish!(Opened BookWanted Pushed),
            Over::Report => publish!(Opened HelpWanted),
            Over::Timer => {
                publish!(Opened WaitWanted);
                self.clock.advance(MINUTE);
                self.clock.idle().await;
            }
            Over::SetTimer => publish!(Opened WaitWanted),
            Over::Ask => publish!(Opened AskWanted),
            Over::QuietAsk => publish!(Opened QuietWanted),
            Over::Tell => publish!(Opened TellWanted),
            Over::Undo => publish!(Opened BookWanted Cancelled),
            Over::Debt => publish!(Opened BookWanted),
            Over::Letter => publish!(Noted Opened),
        }
    }

    async fn give(&self, dispatcher: &Dispatcher, word: Word) -> Result<(), InstanceError> {
        let (deal, by, why) = (&self.deal, "ann", "she knows");
        match word {
            Word::Skip => dispatcher.skip::<DealState>(deal, Operator::new(by).because(why)).await,
            Word::Retry => dispatcher.retry::<DealState>(deal, Operator::new(by).because(why)).await,
            Word::Abort => dispatcher.abort::<DealState>(deal, Operator::new(by).because(why)).await,
            Word::Reply => {
                let reply = Resolved::reply(&Answered {}).unwrap();
                dispatcher.resolve::<DealState>(deal, reply, Operator::new(by).because(why)).await
            }
            Word::Done => {
                dispatcher.resolve::<DealState>(deal, Resolved::done(), Operator::new(by).because(why)).await
            }
            Word::Refused => {
                dispatcher
                    .resolve::<DealState>(deal, Resolved::refused(), Operator::new(by).because(why))
                    .await
            }
            Word::Fire => dispatcher.fire::<DealState>(deal, "1m", Operator::new(by).because(why)).await,
            Word::Redrive => {
                let letter = dispatcher.dead_letters(None).await?.remove(0);
                dispatcher.redrive(letter.id, Operator::new(by).because(why)).await
            }
        }
    }

    /// Asks for the verb as another process would.
    fn give_elsewhere(&self, verb: OperatorVerb) {
        let elsewhere = SqliteStore::open(self.dir.path().join("deals.db")).unwrap();
        elsewhere
            .transaction(|tx| {
                tx.operate::<DealState>(&self.deal, verb, Operator::new("ann").because("she knows"))
            })
            .unwrap();
        // It is looked for once a second.
        self.clock.advance(SECOND);
    }

    async fn seen(&self, dispatcher: &Dispatcher, calls_before: u32) -> Seen {
        let found = dispatcher.instance::<DealState>(&self.deal).await.unwrap().unwrap();
        let address = Address::new("deal", Key::new(&self.deal).unwrap());
        let history = dispatcher.history::<DealState>(&self.deal).await.unwrap();
        let letters = dispatcher.dead_letters(None).await.unwrap();
        let dead =
            letters.into_iter().map(|row| format!("{} {}", row.letter.message.name, row.letter.reason));
        Seen {
            position: found.position,
            data: found.data,
            open: found.open.into_iter().map(|open| open.command).collect(),
            owed: found.obligations,
            timers: found.timers.len(),
            waiting: self.store.waiting(&address, 100).await.unwrap().len(),
            dead: dead.collect(),
            verbs: history.iter().filter(|row| row.entry.kind == HistoryKind::Verb).count(),
            called: self.world.calls() > calls_before,
        }
    }
}

/// Gives the verb and dies by every commit that follows, before and after it; then starts again, mended. Once the verb is
/// given here, and once elsewhere where that may be.
async fn whenever_it_dies(over: Over, word: Word, whole: Seen) {
    whenever_it_dies_there(over, word, None, &whole).await;
    if let Some(verb) = word.elsewhere() {
        whenever_it_dies_there(over, word, Some(verb), &whole).await;
    }
}

async fn whenever_it_dies_there(over: Over, word: Word, elsewhere: Option<OperatorVerb>, whole: &Seen) {
    for side in [Side::Before, Side::After] {
        let mut deaths = 0;
        loop {
            let bench = Bench::new(format!("{over:?}-{word:?}-{}-{side:?}-{deaths}", elsewhere.is_some()));
            if !dies_there(&bench, over, word, elsewhere.clone(), (deaths + 1, side), whole).await {
                break;
            }
            deaths += 1;
        }
        assert!(deaths > 0, "{over:?}, {word:?}: it never died {side:?} a commit");
    }
}

/// Whether it has died by that commit.
async fn dies_there(
    bench: &Bench,
    over: Over,
    word: Word,
    elsewhere: Option<OperatorVerb>,
    (nth, side): (u64, Side),
    whole: &Seen,
) -> bool {
    let (dispatcher, faulty) = bench.start().await;
    bench.lead(&dispatcher, over).await;
    let calls = bench.world.calls();
    let before = bench.seen(&dispatcher, calls).await;
    let parked = !matches!(over, Over::Debt | Over::Letter | Over::SetTimer);
    assert_eq!(before.position.is_parked(), parked, "{}: {before:?}", bench.deal);
    if word.runs_something() {
        mend(&bench.deal);
    }
    faulty.die(nth, side);
    let answered = match elsewhere {
        // Durable in its inbox, so that it will be done.
        Some(verb) => {
            bench.give_elsewhere(verb);
            true
        }
        None => tokio::select! {
            biased;
            given = bench.give(&dispatcher, word) => {
                given.unwrap();
                true
            }
            () = faulty.died() => false,
        },
    };
    tokio::select! {
        biased;
        () = faulty.died() => {}
        () = bench.clock.idle() => {}
    }
    let died = faulty.is_dead();
    dispatcher.kill().await;

    mend(&bench.deal);
    let (dispatcher, _) = bench.start().await;
    let mut found = bench.seen(&dispatcher, calls).await;
    if found == before {
        assert!(!answered, "{}: it was answered, and nothing is left of it", bench.deal);
        // Then it can be given again.
        bench.give(&dispatcher, word).await.unwrap();
        bench.clock.idle().await;
        found = bench.seen(&dispatcher, calls).await;
    }
    assert_eq!(found, *whole, "{} (answered: {answered})", bench.deal);
    // And another start changes nothing about it.
    dispatcher.kill().await;
    let (dispatcher, _) = bench.start().await;
    assert_eq!(bench.seen(&dispatcher, calls).await, *whole, "{}, started once more", bench.deal);
    dispatcher.shutdown(MINUTE).await.unwrap();
    died
}

// Skip.

#[tokio::test]
async fn a_skipped_event_is_one_dead_letter_and_never_applied() {
    let whole = Seen { dead: vec!["pushed skipped".to_owned()], ..after(DealState::Open) };
    whenever_it_dies(Over::Event, Word::Skip, whole).await;
}

#[tokio::test]
async fn a_skipped_report_of_a_child_is_used_up_and_never_applied() {
    whenever_it_dies(Over::Report, Word::Skip, after(DealState::Open)).await;
}

#[tokio::test]
async fn a_skipped_timer_never_fires() {
    whenever_it_dies(Over::Timer, Word::Skip, after(DealState::Waiting)).await;
}

#[tokio::test]
async fn a_skipped_command_is_not_called_again() {
    whenever_it_dies(Over::Ask, Word::Skip, after(DealState::Open)).await;
}

#[tokio::test]
async fn a_skipped_undo_is_given_up_and_not_called_again() {
    whenever_it_dies(Over::Undo, Word::Skip, after(DealState::CalledOff)).await;
}

// Retry.

#[tokio::test]
async fn an_event_that_is_tried_again_is_applied_once() {
    let data = Deal { pushes: 1, ..Deal::default() };
    whenever_it_dies(Over::Event, Word::Retry, Seen { data, ..after(DealState::Open) }).await;
}

#[tokio::test]
async fn a_report_of_a_child_that_is_tried_again_is_applied_once() {
    let data = Deal { helped: 1, ..Deal::default() };
    whenever_it_dies(Over::Report, Word::Retry, Seen { data, ..after(DealState::Open) }).await;
}

#[tokio::test]
async fn a_timer_that_is_tried_again_fires_once() {
    let data = Deal { rings: 1, ..Deal::default() };
    whenever_it_dies(Over::Timer, Word::Retry, Seen { data, ..after(DealState::Open) }).await;
}

#[tokio::test]
async fn a_command_that_is_tried_again_is_called_and_answered_once() {
    let data = Deal { kept: 1, ..Deal::default() };
    whenever_it_dies(Over::Ask, Word::Retry, Seen { data, called: true, ..after(DealState::Open) }).await;
}

#[tokio::test]
async fn an_undo_that_is_tried_again_is_called_and_the_turn_arrives() {
    let whole = Seen { called: true, ..after(DealState::CalledOff) };
    whenever_it_dies(Over::Undo, Word::Retry, whole).await;
}

// Resolve.

#[tokio::test]
async fn a_command_resolved_by_a_reply_takes_it_once_and_is_not_called_again() {
    let data = Deal { kept: 1, ..Deal::default() };
    whenever_it_dies(Over::Ask, Word::Reply, Seen { data, ..after(DealState::Open) }).await;
}

/// The reply waits in the inbox, as it would if the handler had given it.
#[tokio::test]
async fn a_command_resolved_by_a_reply_that_its_state_defers_waits_with_it() {
    let whole = Seen { open: vec!["ask".to_owned()], waiting: 1, ..after(DealState::Quiet) };
    whenever_it_dies(Over::QuietAsk, Word::Reply, whole).await;

    let bench = Bench::new("quiet".to_owned());
    let (dispatcher, _) = bench.start().await;
    bench.lead(&dispatcher, Over::QuietAsk).await;
    bench.give(&dispatcher, Word::Reply).await.unwrap();
    let again = bench.give(&dispatcher, Word::Reply).await.unwrap_err().to_string();
    assert!(again.contains("not parked"), "{again}");
    dispatcher.publish(Noted { deal: bench.deal.clone() }).await.unwrap();
    bench.clock.idle().await;
    let seen = bench.seen(&dispatcher, bench.world.calls()).await;
    let data = Deal { kept: 1, notes: 1, ..Deal::default() };
    assert_eq!(seen, Seen { data, ..after(DealState::Open) });
}

#[tokio::test]
async fn a_command_resolved_as_done_is_not_called_again() {
    whenever_it_dies(Over::Tell, Word::Done, after(DealState::Open)).await;
}

#[tokio::test]
async fn a_command_resolved_as_refused_is_not_called_again() {
    whenever_it_dies(Over::Ask, Word::Refused, after(DealState::Open)).await;
}

#[tokio::test]
async fn an_undo_resolved_as_done_is_not_called_again_and_the_turn_arrives() {
    whenever_it_dies(Over::Undo, Word::Done, after(DealState::CalledOff)).await;
}

// Abort and redrive.

#[tokio::test]
async fn an_abort_undoes_what_is_owed_and_ends() {
    let whole = Seen { called: true, ..after(DealState::CalledOff) };
    whenever_it_dies(Over::Debt, Word::Abort, whole).await;
}

#[tokio::test]
async fn an_abort_of_a_parked_instance_undoes_what_is_owed_and_never_applies_its_event() {
    let whole = Seen { called: true, ..after(DealState::CalledOff) };
    whenever_it_dies(Over::EventWithDebt, Word::Abort, whole).await;
}

#[tokio::test]
async fn a_redriven_letter_is_applied_once_and_gone() {
    let data = Deal { notes: 1, ..Deal::default() };
    let whole = Seen { data, verbs: 0, ..after(DealState::Open) };
    whenever_it_dies(Over::Letter, Word::Redrive, whole).await;
}

// Timers.

#[tokio::test]
async fn r07_a_timer_that_a_person_fires_fires_once() {
    let data = Deal { rings: 1, ..Deal::default() };
    whenever_it_dies(Over::SetTimer, Word::Fire, Seen { data, ..after(DealState::Open) }).await;
}

#[tokio::test]
async fn r07_a_postponed_timer_fires_at_its_new_time() {
    let bench = Bench::new("postponed".to_owned());
    mend(&bench.deal);
    let (dispatcher, _) = bench.start().await;
    bench.lead(&dispatcher, Over::SetTimer).await;
    let set = dispatcher.instance::<DealState>(&bench.deal).await.unwrap().unwrap().timers.remove(0);
    let until = set.due.plus(10 * MINUTE);
    let ann = || Operator::new("ann").because("the customer is on holiday");
    dispatcher.postpone::<DealState>(&bench.deal, "1m", until, ann()).await.unwrap();
    let moved = dispatcher.instance::<DealState>(&bench.deal).await.unwrap().unwrap().timers.remove(0);
    assert_eq!((&*moved.name, moved.due), ("1m", until));
    bench.clock.advance(10 * MINUTE);
    bench.clock.idle().await;
    let rings = async || bench.seen(&dispatcher, 0).await.data.rings;
    assert_eq!(rings().await, 0);
    bench.clock.advance(MINUTE);
    bench.clock.idle().await;
    assert_eq!(rings().await, 1);
    let history = dispatcher.history::<DealState>(&bench.deal).await.unwrap();
    let line = history.iter().find(|line| line.entry.kind == HistoryKind::Verb).unwrap();
    assert_eq!(line.entry.name, "postpone");
    assert_eq!(
        line.entry.payload.as_ref().unwrap().as_str(),
        format!(r#"{{"timer":"1m","until":"{until}"}}"#)
    );
    let none = dispatcher.fire::<DealState>(&bench.deal, "1m", ann()).await.unwrap_err();
    assert!(none.to_string().contains("has no timer `1m`; it has none at all"), "{none}");
}
