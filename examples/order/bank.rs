//! The outside world: a bank and a carrier, and the file in which they remember every call.
//!
//! Owns: idempotency as a good counterparty offers it, and deterministic trouble. Does not own: anything of the saga;
//! it is never inside the saga's transaction, and what it has written is its truth after any crash.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::ledger::{Call, Calls, Op, Told};

/// How often, in percent of the orders, something goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// The seed of all of it.
    pub seed: u64,
    /// The bank declines the payment.
    pub decline: u64,
    /// The carrier refuses the label.
    pub label_refused: u64,
    /// A call fails at first: its answer is lost, or it has no effect, half and half.
    pub flaky: u64,
}

/// What the caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is done.
    Yes,
    /// It will not be done.
    No,
    /// Nothing, whatever its outcome.
    Nothing,
}

/// The bank and the carrier.
#[derive(Debug)]
pub struct Bank {
    trouble: Trouble,
    books: Mutex<Books>,
}

/// What they know, and the file they know it from.
#[derive(Debug)]
struct Books {
    file: File,
    /// How much of the file is known. Other processes write to it as well.
    known: u64,
    /// Whether the file ends within a line.
    torn: bool,
    /// The answer to each key that has one, for ever.
    answers: HashMap<String, Heard>,
    /// How often a key without an answer has been called.
    failures: HashMap<String, u64>,
    /// The money taken for each order and not given back.
    captured: HashMap<String, u64>,
    /// Orders whose payment has been called off: it must never be taken any more.
    called_off: HashSet<String>,
}

impl Bank {
    /// Opens the file and reads back what has happened.
    pub fn open(path: &Path, trouble: Trouble) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let books = Books {
            file,
            known: 0,
            torn: false,
            answers: HashMap::new(),
            failures: HashMap::new(),
            captured: HashMap::new(),
            called_off: HashSet::new(),
        };
        Ok(Self { trouble, books: Mutex::new(books) })
    }

    /// One call. What it changes is in the file before anybody hears of it.
    pub fn call(&self, op: Op, key: &str, order: &str, amount: u64, attempt: u32) -> io::Result<Heard> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        // One call at a time, of all processes. The lock ends with its process.
        books.file.lock()?;
        let heard = books.catch_up().and_then(|()| self.answer(&mut books, op, key, order, amount, attempt));
        books.file.unlock()?;
        heard
    }

    fn answer(
        &self,
        books: &mut Books,
        op: Op,
        key: &str,
        order: &str,
        amount: u64,
        attempt: u32,
    ) -> io::Result<Heard> {
        let (outcome, moved) = self.decide(books, op, key, order, amount);
        let call = Call { op, key: key.into(), order: order.into(), amount, attempt, outcome, moved };
        books.write(&call)?;
        books.remember(&call);
        Ok(match outcome {
            Told::Lost | Told::Unavailable => Heard::Nothing,
            _ => books.answers.get(key).copied().unwrap_or(Heard::Nothing),
        })
    }

    /// What this call comes to, and the cents it moves.
    fn decide(&self, books: &Books, op: Op, key: &str, order: &str, amount: u64) -> (Told, u64) {
        if books.answers.contains_key(key) {
            return (Told::Repeat, 0);
        }
        let flaky = self.chance(order, op, "flaky") < self.trouble.flaky;
        let loses = self.chance(order, op, "loses") < 50;
        let failures = books.failures.get(key).copied().unwrap_or(0);
        if flaky && !loses && failures < 1 + self.chance(order, op, "failures") % 2 {
            return (Told::Unavailable, 0);
        }
        let moved = match op {
            Op::Charge if books.called_off.contains(order) => return (Told::Refused, 0),
            Op::Charge if self.chance(order, op, "declined") < self.trouble.decline => {
                return (Told::Declined, 0);
            }
            Op::Label if self.chance(order, op, "refused") < self.trouble.label_refused => {
                return (Told::Refused, 0);
            }
            Op::Charge => amount,
            Op::Void | Op::Refund => books.captured.get(order).copied().unwrap_or(0),
            Op::Label | Op::Unlabel => 0,
        };
        (if flaky && loses { Told::Lost } else { Told::Done }, moved)
    }

    /// A number from 0 to 99 that depends on nothing but the seed, the order, the call and what is asked.
    fn chance(&self, order: &str, op: Op, what: &str) -> u64 {
        // Its keys are fixed, unlike those of `RandomState`.
        let mut hasher = DefaultHasher::new();
        (self.trouble.seed, order, op, what).hash(&mut hasher);
        hasher.finish() % 100
    }
}

impl Books {
    /// Reads what other processes have written.
    fn catch_up(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() <= self.known {
            return Ok(());
        }
        let Calls { calls, torn } = Calls::read_from(&self.file, self.known)?;
        for call in &calls {
            self.remember(call);
        }
        self.torn = torn;
        self.known = self.file.metadata()?.len();
        Ok(())
    }

    /// Adds a line, with a single `write`, so that the end of the process leaves all of it or a torn rest without
    /// meaning.
    fn write(&mut self, call: &Call) -> io::Result<()> {
        let mut line = if self.torn { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut line, call)?;
        line.push(b'\n');
        let written = loop {
            match self.file.write(&line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => break written?,
            }
        };
        self.known += written as u64;
        if let Some(last) = line[..written].last() {
            self.torn = *last != b'\n';
        }
        // A line that lacks only its end counts, now and when it is read back.
        if written + 1 < line.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the bank's file takes no more"));
        }
        Ok(())
    }

    fn remember(&mut self, call: &Call) {
        match call.outcome {
            Told::Unavailable => *self.failures.entry(call.key.clone()).or_default() += 1,
            Told::Repeat => {}
            Told::Declined | Told::Refused => drop(self.answers.insert(call.key.clone(), Heard::No)),
            Told::Done | Told::Lost => {
                self.answers.insert(call.key.clone(), Heard::Yes);
                match call.op {
                    Op::Charge => *self.captured.entry(call.order.clone()).or_default() += call.moved,
                    Op::Void | Op::Refund => {
                        self.captured.remove(&call.order);
                        // Also when there was nothing to give back: a charge that arrives after its own undo must
                        // find a dead key.
                        self.called_off.insert(call.order.clone());
                    }
                    Op::Label | Op::Unlabel => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Trouble = Trouble { seed: 1, decline: 0, label_refused: 0, flaky: 0 };

    fn calls(path: &Path) -> Vec<(Told, u64)> {
        Calls::read(path).unwrap().calls.into_iter().map(|call| (call.outcome, call.moved)).collect()
    }

    #[test]
    fn a_key_takes_effect_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        for _ in 0..2 {
            let bank = Bank::open(&path, CALM).unwrap();
            assert_eq!(bank.call(Op::Charge, "k", "o", 500, 1).unwrap(), Heard::Yes);
        }
        assert_eq!(calls(&path), [(Told::Done, 500), (Told::Repeat, 0)]);
    }

    #[test]
    fn a_declined_payment_stays_declined() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        for trouble in [Trouble { decline: 100, ..CALM }, CALM] {
            let bank = Bank::open(&path, trouble).unwrap();
            assert_eq!(bank.call(Op::Charge, "k", "o", 500, 1).unwrap(), Heard::No);
        }
        assert_eq!(calls(&path), [(Told::Declined, 0), (Told::Repeat, 0)]);
    }

    #[test]
    fn a_void_gives_back_what_was_captured_and_kills_what_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let bank = Bank::open(&path, CALM).unwrap();
        bank.call(Op::Charge, "k1", "a", 500, 1).unwrap();
        bank.call(Op::Void, "k2", "a", 500, 1).unwrap();
        bank.call(Op::Void, "k3", "b", 700, 1).unwrap();
        let bank = Bank::open(&path, CALM).unwrap();
        assert_eq!(bank.call(Op::Charge, "k4", "b", 700, 1).unwrap(), Heard::No);
        let expected = [(Told::Done, 500), (Told::Done, 500), (Told::Done, 0), (Told::Refused, 0)];
        assert_eq!(calls(&path), expected);
    }

    #[test]
    fn a_flaky_call_answers_in_the_end_and_takes_effect_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let bank = Bank::open(&path, Trouble { flaky: 100, ..CALM }).unwrap();
        for order in 0..200 {
            let (key, order) = (format!("k{order}"), format!("o{order}"));
            let heard = |attempt| bank.call(Op::Charge, &key, &order, 10, attempt).unwrap();
            let tries = (1..10).find(|&attempt| heard(attempt) == Heard::Yes).unwrap();
            assert!((2..=3).contains(&tries), "{tries}");
        }
        let mut lost = 0;
        for (told, moved) in calls(&path) {
            lost += u64::from(told == Told::Lost);
            assert_eq!(moved, if told.took_effect() { 10 } else { 0 });
        }
        assert!((70..130).contains(&lost), "half of 200 answers are lost, not {lost}");
    }

    #[test]
    fn a_line_torn_by_a_crash_means_nothing_and_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let charge = |key| Bank::open(&path, CALM).unwrap().call(Op::Charge, key, key, 5, 1).unwrap();
        charge("k1");
        let whole = std::fs::read(&path).unwrap();
        charge("k2");
        let both = std::fs::read(&path).unwrap();
        for length in whole.len()..both.len() {
            std::fs::write(&path, &both[..length]).unwrap();
            charge("k2");
            // Without its line break the line is all there.
            let again = if length == both.len() - 1 { Told::Repeat } else { Told::Done };
            assert_eq!(calls(&path).last().unwrap().0, again, "torn at {length}");
            assert_eq!(calls(&path).iter().map(|(_, moved)| moved).sum::<u64>(), 10);
        }
    }
}
