//! Errors: each cause stands in a chain once, and each error says whether something was stored and whether to try again.

#![allow(missing_docs)]

use std::error::Error;
use std::io;
use std::time::Duration;

use saga::DeclinedReason;
use saga::error::{
    AskError, HandlerError, InstanceError, KeyError, PayloadError, PublishError, ReceiptError, ShutdownError,
    SlipError, StartError, StoreError, TransactionError, chain,
};
use saga::{Key, MessageId};

/// What the chain of an error reads, with no text in it twice.
#[track_caller]
fn reads(error: &(dyn Error + 'static), text: &str) {
    assert_eq!(chain(error).to_string(), text);
    let mut links = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        links.push(cause.to_string());
        next = cause.source();
    }
    for (at, link) in links.iter().enumerate() {
        for cause in &links[at + 1..] {
            assert!(!link.contains(cause.as_str()), "`{link}` repeats its cause `{cause}`");
        }
    }
}

fn locked() -> StoreError {
    StoreError::Unavailable { store: "orders.db".to_owned(), source: "database is locked".into() }
}

fn no_key() -> KeyError {
    Key::new("").unwrap_err()
}

#[test]
fn an_error_of_a_store_names_it_once() {
    reads(&locked(), "orders.db is not available: database is locked");
    let full = StoreError::Full { store: "orders.db".to_owned(), source: "no room".into() };
    reads(&full, "orders.db is full: no room");
}

#[test]
fn an_error_of_a_start_ends_with_the_first_cause() {
    reads(&StartError::Store(locked()), "cannot start: orders.db is not available: database is locked");
    let late = StartError::NotAvailable { within: Duration::from_secs(30), source: locked() };
    let text =
        "cannot start: the store was not available for 30s: orders.db is not available: database is locked";
    reads(&late, text);
    let thread = StartError::Thread(io::Error::other("no memory"));
    reads(&thread, "cannot start: the thread of the dispatcher could not be created: no memory");
}

#[test]
fn an_error_of_publishing_names_the_event_and_the_cause() {
    let key = PublishError::Key { event: "order.placed", consumer: "order".to_owned(), source: no_key() };
    let text = "event `order.placed` has no usable key for `order`: \
                the key is empty; a key must have at least one character";
    reads(&key, text);
    let large = PublishError::Payload { event: "order.placed", source: PayloadError::TooLarge { limit: 9 } };
    let text = "event `order.placed` cannot be stored: \
                is longer than the limit of 9 bytes of JSON; send a reference instead of the content";
    reads(&large, text);
    reads(&ReceiptError::Event(large), text);
}

#[test]
fn errors_that_pass_another_one_on_add_nothing() {
    reads(&InstanceError::Store(locked()), "orders.db is not available: database is locked");
    reads(
        &AskError::Instance(InstanceError::Store(locked())),
        "orders.db is not available: database is locked",
    );
    reads(&ReceiptError::Store(locked()), "orders.db is not available: database is locked");
    reads(&AskError::Publish(PublishError::Stopped), "the dispatcher has stopped");
}

#[test]
fn an_error_of_stopping_ends_with_the_first_cause() {
    let text = "the lease could not be released: orders.db is not available: database is locked";
    reads(&ShutdownError::Store(locked()), text);
}

#[test]
fn an_error_of_a_transaction_names_the_event_and_the_cause() {
    let key = TransactionError::Key { event: "order.placed", source: no_key() };
    let text =
        "event `order.placed` has no usable key: the key is empty; a key must have at least one character";
    reads(&key, text);
    reads(&TransactionError::Store(locked()), "orders.db is not available: database is locked");
    reads(&TransactionError::Application("no stock".into()), "no stock");
}

#[test]
fn an_error_of_a_slip_names_the_command_and_the_cause() {
    let large = SlipError::Payload { command: "book", source: PayloadError::TooDeep { limit: 64 } };
    reads(&large, "command `book` cannot be stored: nests deeper than the limit of 64 levels");
}

/// A handler answers with `?`, and the whole chain goes into a row that people read.
#[test]
fn an_error_of_a_handler_holds_the_whole_chain() {
    let error = HandlerError::from(StartError::Store(locked()));
    assert_eq!(error.to_string(), "cannot start: orders.db is not available: database is locked");
}

#[test]
fn an_error_of_publishing_says_whether_the_event_was_stored() {
    let why = String::new;
    let not_stored = PublishError::NotStored { why: why() };
    assert_eq!((not_stored.was_stored(), not_stored.is_retryable()), (Some(false), true));
    let unknown = PublishError::Unknown { id: None, why: why() };
    assert_eq!((unknown.was_stored(), unknown.is_retryable()), (None, true));
    let conflict = PublishError::IdConflict { id: MessageId::new("1").unwrap() };
    assert_eq!((conflict.was_stored(), conflict.is_retryable()), (Some(true), false), "as a dead letter");
    let no_consumer = PublishError::NoConsumer { event: "order.placed" };
    assert_eq!((no_consumer.was_stored(), no_consumer.is_retryable()), (Some(false), false));
}

#[test]
fn an_error_of_a_verb_says_whether_the_verb_was_done() {
    let not_done = InstanceError::NotDone { why: String::new() };
    assert_eq!((not_done.was_done(), not_done.is_retryable()), (Some(false), true));
    let unknown = InstanceError::Unknown { why: String::new() };
    assert_eq!((unknown.was_done(), unknown.is_retryable()), (None, true));
    let declined = InstanceError::Declined(DeclinedReason::NoKey);
    assert_eq!((declined.was_done(), declined.is_retryable()), (Some(false), false));
    assert!(InstanceError::Store(locked()).is_retryable());
}
