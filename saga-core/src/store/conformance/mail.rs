//! Laws of the inbox, of deliveries and of dead letters.

use crate::store::DeadLetterReason;
use std::future::poll_fn;
use std::task::Poll;

use super::Subject;
use super::fixtures::{Driver, address, create, delivery, mail, ok, payload, task, time};
use crate::message::{MessageId, TraceContext};
use crate::store::{
    Address, DeadId, DeadLetter, Delivery, DeliveryChange, DeliveryId, DeliveryRow, InboxId, Mail, MailKind,
    Step, StepOutcome, Task, TaskChange, TaskId,
};

/// Rows are read page by page in the order of their insertion. The writer of a row makes no difference.
pub async fn the_inbox_keeps_its_order<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    let mut given = ok(driver.store.deliver(vec![mail(&to, "1"), mail(&to, "2")]).await);
    let step = Step { mail: vec![mail(&to, "3"), mail(&to, "4")], ..Step::default() };
    given.extend(driver.committed(step).await.mail);
    given.extend(ok(driver.store.deliver(vec![mail(&to, "5")]).await));
    let mut seen = Vec::new();
    loop {
        let page = ok(driver.store.inbox(seen.last().map_or(InboxId(0), |(id, _)| *id), 2).await);
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(
        seen.iter().map(|(_, mail)| &*mail.message.name).collect::<Vec<_>>(),
        ["1", "2", "3", "4", "5"]
    );
    assert_eq!(seen.iter().map(|(id, _)| *id).collect::<Vec<_>>(), given);
}

/// Inbox numbers are a cursor. A later row always has a higher number, even after the removal of all earlier rows.
pub async fn inbox_numbers_are_never_used_again<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    let mut last = InboxId(0);
    for _ in 0..3 {
        let ids = ok(driver.store.deliver(vec![mail(&to, "m")]).await);
        assert!(ids[0] > last);
        last = ids[0];
        driver.committed(Step { consumed: ids, ..Step::default() }).await;
        assert!(ok(driver.store.inbox(InboxId(0), 1).await).is_empty());
    }
}

/// Consumed rows are removed and new rows are added in the commit of the step.
pub async fn mail_of_a_step_is_consumed_and_added_with_it<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    let old = ok(driver.store.deliver(vec![mail(&to, "old"), mail(&to, "kept")]).await);
    let mut step = create(&to);
    step.consumed = vec![old[0]];
    step.mail = vec![mail(&to, "new")];
    let new = driver.committed(step).await.mail;
    let inbox = ok(driver.store.inbox(InboxId(0), 10).await);
    assert_eq!(inbox.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [old[1], new[0]]);
}

/// The second step with the same inbox row is a duplicate and writes nothing.
pub async fn what_lies_in_the_inbox_is_used_up_once<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    let ids = ok(driver.store.deliver(vec![mail(&to, "once")]).await);
    driver.committed(Step { consumed: ids.clone(), ..Step::default() }).await;
    let step = Step { consumed: ids, ..create(&to) };
    assert_eq!(driver.one(step).await, StepOutcome::Duplicate);
    assert_eq!(ok(driver.store.instance(&to).await), None);
}

/// A delivery is reported once, by `woken` or by `pulse`.
pub async fn a_delivery_of_mail_wakes_somebody<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    assert!(!ok(driver.store.pulse().await));
    ok(driver.store.deliver(vec![mail(&address("a"), "m")]).await);
    let mut woken = driver.store.woken();
    let at_once = poll_fn(|cx| Poll::Ready(woken.as_mut().poll(cx).is_ready())).await;
    assert!(at_once || ok(driver.store.pulse().await));
    ok(driver.store.pulse().await);
    assert!(!ok(driver.store.pulse().await));
}

/// Every field is read back unchanged.
pub async fn mail_is_kept_as_it_was_delivered<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    let mut sent = Vec::new();
    for kind in [MailKind::Event, MailKind::Delivery, MailKind::Report, MailKind::Verb, MailKind::Start] {
        let mut mail = mail(&address("a"), "m");
        mail.kind = kind;
        sent.push(mail.clone());
        mail.id = None;
        mail.deduplicated = true;
        mail.task = Some(TaskId { seq: 4, ord: 2 });
        mail.hops = 99;
        mail.cause = Some("ops: because".into());
        mail.epoch = 12;
        sent.push(mail);
    }
    ok(driver.store.deliver(sent.clone()).await);
    let found = ok(driver.store.inbox(InboxId(0), 100).await);
    assert_eq!(found.into_iter().map(|(_, mail)| mail).collect::<Vec<_>>(), sent);
}

/// Deliveries are read in accepted order with their progress, until they are finished.
pub async fn deliveries_page_in_order_until_finished<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let add = |key| DeliveryChange::Add(delivery(key));
    let ids = driver
        .committed(Step { deliveries: vec![add("a"), add("b"), add("c")], ..Step::default() })
        .await
        .deliveries;
    assert!(ids.is_sorted() && ids.len() == 3);
    let mut late = delivery("b");
    late.progress.attempts = 3;
    late.progress.left_out = 1;
    late.progress.error = Some("no answer".to_owned());
    let gone = DeliveryId(1_000_000);
    let deliveries = vec![
        DeliveryChange::Finish(ids[0]),
        DeliveryChange::Finish(gone),
        DeliveryChange::Progress(ids[1], late.progress.clone()),
        DeliveryChange::Progress(gone, late.progress.clone()),
    ];
    driver.committed(Step { deliveries, ..Step::default() }).await;
    let row = DeliveryRow { id: ids[1], delivery: late.clone() };
    assert_eq!(ok(driver.store.open_deliveries(DeliveryId(0), 1).await), [row], "for people");
    let rest = ok(driver.store.open_deliveries(ids[1], 9).await);
    assert_eq!(rest.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[2]]);
    assert_eq!(ok(driver.store.deliveries(DeliveryId(0), 1).await), [(ids[1], late)]);
    assert_eq!(ok(driver.store.deliveries(ids[1], 9).await), [(ids[2], delivery("c"))]);
}

/// Dead letters keep their bytes until they are redriven or discarded.
pub async fn dead_letters_come_and_go<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let letter = |detail: &str, id| DeadLetter {
        to: address("a"),
        kind: MailKind::Event,
        message: mail(&address("a"), "m").message,
        id,
        hops: 3,
        trace: None,
        reason: DeadLetterReason::Unhandled,
        detail: detail.to_owned(),
        times: 1,
        at: time(8),
    };
    let first = letter("first", None);
    let second = letter(payload("second").as_str(), Some(MessageId::unique()));
    driver.committed(Step { dead: vec![first.clone(), second.clone()], ..Step::default() }).await;
    let found = ok(driver.store.dead_letters(DeadId(0), 10).await);
    assert_eq!(found.iter().map(|row| row.letter.clone()).collect::<Vec<_>>(), [first, second]);
    assert_eq!(ok(driver.store.dead_letters(found[0].id, 10).await), found[1..]);
    driver.committed(Step { redriven: vec![found[0].id], ..Step::default() }).await;
    assert_eq!(ok(driver.store.dead_letters(DeadId(0), 10).await), found[1..]);
}

/// The second removal of the same dead letter is refused and writes nothing.
pub async fn a_dead_letter_goes_once<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    let message = mail(&to, "m").message;
    let (reason, detail) = (DeadLetterReason::Unhandled, String::new());
    let letter = DeadLetter {
        to: to.clone(),
        kind: MailKind::Event,
        message,
        id: None,
        hops: 0,
        trace: None,
        reason,
        detail,
        times: 1,
        at: time(8),
    };
    driver.committed(Step { dead: vec![letter], ..Step::default() }).await;
    let found = ok(driver.store.dead_letters(DeadId(0), 10).await);
    let redrive = Step { redriven: vec![found[0].id], mail: vec![mail(&to, "again")], ..Step::default() };
    driver.committed(redrive.clone()).await;
    assert!(matches!(driver.one(redrive).await, StepOutcome::Refused(_)));
    assert_eq!(ok(driver.store.inbox(InboxId(0), 10).await).len(), 1);
}

/// One letter counts all conflicts under one message id. The letter keeps the first content and the last time.
///
/// Another consumer, key, id or reason has its own letter. The next conflict after the removal of the letter gets a new
/// letter.
pub async fn conflicts_under_one_id_are_counted_on_one_dead_letter<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let conflict = |to: &Address, id: &str, content: &str, times, at| DeadLetter {
        to: to.clone(),
        kind: MailKind::Event,
        message: mail(to, content).message,
        id: Some(MessageId::new(id).expect("laws use good ids")),
        hops: 0,
        trace: None,
        reason: DeadLetterReason::IdConflict,
        detail: String::new(),
        times,
        at: time(at),
    };
    let only = |letter: &DeadLetter| Step { dead: vec![letter.clone()], ..Step::default() };
    let (a, b) = (address("a"), address("b"));
    let first = conflict(&a, "1", "first", 1, 5);
    // The conflicts come in the same step, in the same batch, and in a later batch.
    let twice = vec![first.clone(), conflict(&a, "1", "second", 1, 6)];
    driver.committed(Step { dead: twice, ..Step::default() }).await;
    let batch = vec![only(&conflict(&a, "1", "third", 1, 7)), only(&conflict(&a, "1", "first", 1, 9))];
    driver.commit(batch).await;
    driver.committed(only(&conflict(&a, "1", "fifth", 3, 8))).await;
    let others = [
        conflict(&b, "1", "first", 1, 5),
        conflict(&a, "2", "first", 1, 5),
        DeadLetter { reason: DeadLetterReason::Unhandled, ..first.clone() },
        DeadLetter { id: None, ..first.clone() },
        DeadLetter { id: None, ..first.clone() },
    ];
    driver.committed(Step { dead: others.to_vec(), ..Step::default() }).await;
    let counted = DeadLetter { times: 7, at: time(8), ..first.clone() };
    let found = ok(driver.store.dead_letters(DeadId(0), 10).await);
    let kept: Vec<DeadLetter> = found.iter().map(|row| row.letter.clone()).collect();
    let mut expected = vec![counted];
    expected.extend(others);
    assert_eq!(kept, expected);
    // The count saturates.
    driver.committed(only(&conflict(&a, "1", "first", u32::MAX, 9))).await;
    assert_eq!(ok(driver.store.dead_letters(DeadId(0), 1).await)[0].letter.times, u32::MAX);
    driver.committed(Step { redriven: vec![found[0].id], ..Step::default() }).await;
    driver.committed(only(&first)).await;
    let last = ok(driver.store.dead_letters(DeadId(0), 10).await).pop().expect("there are several");
    assert_eq!(last.letter, first);
    assert!(last.id > found[5].id, "its number is new");
}

/// Instances, tasks, inbox rows, deliveries and dead letters keep the trace context of their cause.
pub async fn a_trace_context_is_kept<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let trace = |n: u64| TraceContext::new(u128::from(n) << 100 | 1, n, 0xff);
    let mut step = create(&address("a"));
    step.instance.as_mut().expect("a start").trace = trace(1);
    step.tasks = vec![TaskChange::Add(Task { trace: trace(2), ..task(1, 0) })];
    step.mail = vec![Mail { trace: trace(3), ..mail(&address("b"), "event") }];
    step.deliveries = vec![DeliveryChange::Add(Delivery { trace: trace(4), ..delivery("c") })];
    let letter = DeadLetter::new(
        address("d"),
        MailKind::Event,
        task(1, 0).command,
        DeadLetterReason::Unhandled,
        time(7),
    );
    step.dead = vec![DeadLetter { trace: trace(5), ..letter }];
    driver.created(step).await;
    let found = driver.snapshot(&address("a")).await;
    assert_eq!((found.instance.trace, found.tasks[0].trace), (trace(1), trace(2)));
    let store = &driver.store;
    assert_eq!(ok(store.inbox(InboxId(0), 9).await)[0].1.trace, trace(3));
    assert_eq!(ok(store.deliveries(DeliveryId(0), 9).await)[0].1.trace, trace(4));
    assert_eq!(ok(store.dead_letters(DeadId(0), 9).await)[0].letter.trace, trace(5));
}
