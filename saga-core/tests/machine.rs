//! The rules of deciding, owing and undoing, on the pure machine: no store, no runtime, no time.

mod support;

use saga_core::machine::Position;
use saga_core::store::IgnoredReason;
use saga_core::testing::{Given, minutes, seconds};
use support::*;

type Order = Given<OrderState>;

fn paid() -> Order {
    Order::started(placed("1")).when(PaymentCompleted { payment: 99 })
}

#[test]
fn r01_a_starting_event_for_a_running_instance_is_already_started() {
    let order = Order::started(placed("1")).when(placed("1"));
    assert_eq!(order.ignored(), Some(IgnoredReason::AlreadyStarted));
    assert_eq!(order.state(), &OrderState::AwaitingPayment);
}

#[test]
fn r01_an_unhandled_event_follows_the_policy() {
    let order = paid().when(LabelCreated {}).when(cancel("1"));
    assert_eq!(order.ignored(), Some(IgnoredReason::Ended));
}

#[test]
fn r02_during_any_stands_for_every_state_that_is_not_an_end() {
    assert_eq!(Order::started(placed("1")).when(cancel("1")).state(), &OrderState::Cancelled);
    assert_eq!(paid().when(cancel("1")).state(), &OrderState::Cancelled);
}

#[test]
fn r03_an_outcome_without_a_row_parks() {
    let order = paid().unknown::<CreateShippingLabel>("no answer");
    assert_eq!(order.parked().unwrap(), "the row has `park`: unknown(CreateShippingLabel): no answer");
    assert_eq!(
        order.obligations(),
        ["label.void", "payment.refund"],
        "nothing is given up while a person decides"
    );
}

#[test]
fn r07_a_timer_fires_once_at_its_time_and_not_before() {
    let order = Order::started(placed("1")).elapsed(minutes(15) - seconds(1));
    assert_eq!(order.state(), &OrderState::AwaitingPayment);
    assert_eq!(order.timers(), [("15m", seconds(1))]);
    let order = order.elapsed(seconds(1));
    assert_eq!(order.state(), &OrderState::Cancelled);
    assert_eq!(order.sent::<VoidPayment>().len(), 1);
}

#[test]
fn r07_leaving_the_visit_cancels_its_timers() {
    let order = paid().elapsed(minutes(60));
    assert!(matches!(order.state(), OrderState::AwaitingShipment(_)));
    assert!(order.timers().is_empty());
}

#[test]
fn r08_an_error_in_an_action_changes_nothing_and_parks() {
    for (how, why) in [("err", "nudged the wrong way"), ("panic", "panicked: nudged too hard")] {
        let order = Order::started(placed("1")).when(nudge("1", how));
        assert_eq!(order.parked().unwrap(), format!("an action failed: Nudged: {why}"));
        assert_eq!(order.data().nudges, 0);
        let order = order.when(nudge("1", "gently"));
        assert_eq!(order.data().nudges, 0, "what comes later waits behind it");
        let order = order.skip();
        assert_eq!((order.data().nudges, order.parked()), (1, None));
    }
}

#[test]
fn r08_retry_repeats_exactly_what_failed() {
    let order = Order::started(placed("1")).when(nudge("1", "err")).retry();
    assert!(order.parked().is_some(), "it fails again");
}

#[test]
fn r10_what_is_owed_is_stacked_with_the_command_and_on_entering() {
    let order = Order::started(placed("1"));
    assert_eq!(order.obligations(), ["payment.void"]);
    let order = order.when(PaymentCompleted { payment: 99 });
    assert_eq!(order.obligations(), ["label.void", "payment.refund"]);
}

#[test]
fn r10_a_refused_command_drops_its_own_undo() {
    let order = Order::started(placed("1")).failed::<MakePayment>("no such card");
    assert_eq!(order.state(), &OrderState::PaymentFailed);
    assert!(order.sent::<VoidPayment>().is_empty());
    let order = paid().failed::<CreateShippingLabel>("no such street");
    assert_eq!(order.sent::<RefundPayment>(), [RefundPayment { payment: 99 }]);
    assert!(order.sent::<VoidLabel>().is_empty(), "a label that surely was not made is not voided");
}

#[test]
fn r10_a_plain_end_releases_what_is_left_and_says_so() {
    let order = paid().when(LabelCreated {});
    assert_eq!(order.state(), &OrderState::Completed);
    assert!(order.obligations().is_empty());
    assert!(
        order.history().last().unwrap().ends_with("(released: payment.refund, label.void)"),
        "{:?}",
        order.history()
    );
    assert_eq!(order.published::<OrderCompleted>().len(), 1);
}

#[test]
fn r11_a_turn_undoes_newest_first_and_then_arrives() {
    let order = paid().holding_undos().when(cancel("1"));
    assert!(matches!(order.position(), Position::Compensating { .. }));
    assert_eq!(
        (order.sent::<RefundPayment>().len(), order.sent::<VoidLabel>().len()),
        (1, 0),
        "one at a time"
    );
    let order = order.done::<RefundPayment>();
    assert_eq!(order.sent::<VoidLabel>().len(), 1);
    assert_eq!(order.obligations(), ["label.void"]);
    let order = order.done::<VoidLabel>();
    assert_eq!(order.position(), Position::In(OrderState::Cancelled));
}

#[test]
fn r11_events_wait_until_the_arrival() {
    let order = paid().holding_undos().when(cancel("1")).when(nudge("1", "gently"));
    assert_eq!(order.data().nudges, 0);
    let order = order.done::<RefundPayment>().done::<VoidLabel>();
    assert_eq!(order.ignored(), Some(IgnoredReason::Ended), "then they follow in order");
}

#[test]
fn r13_a_command_never_begun_is_withdrawn_with_its_undo() {
    let order = Order::started(placed("1")).not_begun::<MakePayment>().when(cancel("1"));
    assert_eq!(order.state(), &OrderState::Cancelled);
    assert!(order.sent::<VoidPayment>().is_empty());
}

#[test]
fn r13_the_undo_waits_for_a_running_command_and_learns_what_became_of_it() {
    let order = Order::started(placed("1")).still_running::<MakePayment>().when(cancel("1"));
    let Position::Compensating { waiting_for, .. } = order.position() else {
        panic!("{:?}", order.position())
    };
    assert_eq!(waiting_for.as_deref(), Some("payment.make"));
    let order = order.when(PaymentCompleted { payment: 7 });
    assert_eq!(order.sent::<VoidPayment>(), [VoidPayment { order: "1".into(), report: "Replied".into() }]);
    assert_eq!(order.state(), &OrderState::Cancelled, "the reply is a report, not an event");
}

#[test]
fn r13_between_attempts_counts_as_unknown() {
    let order = Order::started(placed("1")).when(cancel("1"));
    assert_eq!(order.sent::<VoidPayment>(), [VoidPayment { order: "1".into(), report: "Unknown".into() }]);
}

#[test]
fn r14_a_refused_undo_parks_and_is_tried_again_with_retry() {
    let order = paid().holding_undos().when(cancel("1")).failed::<RefundPayment>("account closed");
    assert_eq!(order.parked().unwrap(), "undo refused: `payment.refund`: account closed");
    assert_eq!(order.obligations(), ["label.void", "payment.refund"], "it is still owed");
    let order = order.retry().done::<RefundPayment>().done::<VoidLabel>();
    assert_eq!(order.state(), &OrderState::Cancelled);
}

#[test]
fn r15_abort_turns_any_instance_that_is_not_over() {
    let order = paid().abort("fraud");
    assert_eq!(order.position(), Position::Aborted);
    assert_eq!(order.sent::<RefundPayment>().len(), 1);
    let parked = paid().unknown::<CreateShippingLabel>("no answer").abort("fraud");
    assert_eq!(parked.position(), Position::Aborted);
    assert_eq!(parked.sent::<VoidLabel>().len(), 1, "the label may have been made");
}

#[test]
fn r16_resolve_supplies_the_outcome() {
    let order = paid().unknown::<CreateShippingLabel>("no answer").resolve(LabelCreated {});
    assert_eq!(order.state(), &OrderState::Completed);
    let order = paid().unknown::<CreateShippingLabel>("no answer").resolve_refused();
    assert_eq!(order.state(), &OrderState::Cancelled);
    assert!(order.sent::<VoidLabel>().is_empty(), "surely not made");
}

#[test]
fn r16_retry_of_a_command_keeps_its_key_and_what_is_owed() {
    let order = paid().unknown::<CreateShippingLabel>("no answer").retry();
    assert_eq!(order.parked(), None);
    assert_eq!(order.sent::<CreateShippingLabel>().len(), 1, "it is the same command");
    assert_eq!(order.when(LabelCreated {}).state(), &OrderState::Completed);
}
