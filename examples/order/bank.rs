//! The outside world: a bank and a carrier, and the file in which they remember every call.
//!
//! Owns: idempotency as a good counterparty offers it, and deterministic trouble. Does not own: anything of the saga;
//! it is never inside the saga's transaction, and what it has written is its truth after any crash.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

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

/// One call, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// What was asked for: `charge`, `void`, `refund`, `label` or `unlabel`.
    pub op: String,
    /// The idempotency key.
    pub key: String,
    /// The order.
    pub order: String,
    /// The amount asked for, in cents.
    pub amount: u64,
    /// Which attempt the caller says it is.
    pub attempt: u32,
    /// What the caller was told, or was not.
    pub outcome: String,
    /// The cents that this very call moved.
    pub moved: u64,
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done.
    Done,
    /// It will not be done.
    No,
    /// Nothing: the line went dead.
    Nothing(&'static str),
}

/// The bank and the carrier.
pub struct Bank {
    trouble: Trouble,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    file: Option<File>,
    /// The final answer to each key: done or not.
    answers: HashMap<String, bool>,
    /// How often a key has been called without effect.
    failures: HashMap<String, u64>,
    /// The money taken for each order and not given back.
    captured: HashMap<String, u64>,
    /// Orders whose payment must never be taken any more.
    dead: HashSet<String>,
}

impl Bank {
    /// Opens the file and reads back what has happened.
    pub fn open(path: &Path, trouble: Trouble) -> io::Result<Self> {
        let mut books = Books::default();
        let mut ends_well = true;
        if let Ok(file) = File::open(path) {
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                ends_well = line.ends_with(b"\n");
                // What was cut off by the end of a process was never answered to anybody.
                if let Ok(call) = serde_json::from_slice::<Call>(&line) {
                    books.remember(&call);
                }
                line.clear();
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !ends_well {
            file.write_all(b"\n")?;
        }
        books.file = Some(file);
        Ok(Self { trouble, books: Mutex::new(books) })
    }

    /// One call. What it changed is in the file before anybody is told.
    pub fn call(&self, op: &str, key: &str, order: &str, amount: u64, attempt: u32) -> io::Result<Told> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, moved) = self.decide(&books, op, key, order, amount);
        let call = Call {
            op: op.to_owned(),
            key: key.to_owned(),
            order: order.to_owned(),
            amount,
            attempt,
            outcome: outcome.to_owned(),
            moved,
        };
        let before = books.answers.get(key).copied();
        let mut line = serde_json::to_vec(&call)?;
        line.push(b'\n');
        if let Some(file) = &mut books.file {
            file.write_all(&line)?;
        }
        books.remember(&call);
        Ok(match outcome {
            "done" => Told::Done,
            "declined" | "refused" => Told::No,
            "repeat" if before == Some(true) => Told::Done,
            "repeat" => Told::No,
            "lost" => Told::Nothing("the answer was lost"),
            _ => Told::Nothing("the line is dead"),
        })
    }

    /// What this call comes to, and the cents it moves.
    fn decide(&self, books: &Books, op: &str, key: &str, order: &str, amount: u64) -> (&'static str, u64) {
        if books.answers.contains_key(key) {
            return ("repeat", 0);
        }
        let failed = books.failures.get(key).copied().unwrap_or(0);
        let flaky = self.chance(order, op, "flaky") < self.trouble.flaky;
        let loses = self.chance(order, op, "loses") < 50;
        if flaky && !loses && failed < 1 + self.chance(order, op, "times") % 2 {
            return ("unavailable", 0);
        }
        let (refusal, moved) = match op {
            "charge" if books.dead.contains(order) => (Some("refused"), 0),
            "charge" if self.chance(order, op, "decline") < self.trouble.decline => (Some("declined"), 0),
            "charge" => (None, amount),
            "void" | "refund" => (None, books.captured.get(order).copied().unwrap_or(0)),
            "label" if self.chance(order, op, "refuse") < self.trouble.label_refused => (Some("refused"), 0),
            _ => (None, 0),
        };
        match refusal {
            Some(refusal) => (refusal, 0),
            None if flaky && loses => ("lost", moved),
            None => ("done", moved),
        }
    }

    /// A number from 0 to 99 that is the same for the same order, call and seed.
    fn chance(&self, order: &str, op: &str, what: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.trouble.seed, order, op, what).hash(&mut hasher);
        hasher.finish() % 100
    }
}

impl Books {
    fn remember(&mut self, call: &Call) {
        match call.outcome.as_str() {
            "unavailable" => {
                *self.failures.entry(call.key.clone()).or_default() += 1;
                return;
            }
            "repeat" => return,
            outcome => {
                let done = matches!(outcome, "done" | "lost");
                self.answers.insert(call.key.clone(), done);
                if !done {
                    return;
                }
            }
        }
        match call.op.as_str() {
            "charge" => drop(self.captured.insert(call.order.clone(), call.moved)),
            "void" | "refund" => {
                self.captured.remove(&call.order);
                // Paid back or never seen: a charge that comes later than its own undo must find nothing to do.
                self.dead.insert(call.order.clone());
            }
            _ => {}
        }
    }
}

/// What the file says happened, for the books.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Per order: the cents charged and paid back, and the keys of its charges.
    pub orders: HashMap<String, Account>,
}

/// One order's money.
#[derive(Debug, Default)]
pub struct Account {
    /// Cents taken.
    pub charged: u64,
    /// Cents paid back.
    pub refunded: u64,
    /// The keys under which it was charged.
    pub keys: HashSet<String>,
}

impl Ledger {
    /// Reads the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut ledger = Self::default();
        for line in BufReader::new(File::open(path)?).lines() {
            let Ok(call) = serde_json::from_str::<Call>(&line?) else { continue };
            let account = ledger.orders.entry(call.order).or_default();
            match call.op.as_str() {
                "charge" => {
                    account.charged += call.moved;
                    account.keys.insert(call.key);
                }
                "void" | "refund" => account.refunded += call.moved,
                _ => {}
            }
        }
        Ok(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Trouble = Trouble { seed: 1, decline: 0, label_refused: 0, flaky: 0 };

    fn calls(path: &Path) -> Vec<(String, u64)> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Call>(line).ok())
            .map(|c| (c.outcome, c.moved))
            .collect()
    }

    #[test]
    fn a_key_takes_effect_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let charge = |bank: Bank| bank.call("charge", "k", "o", 500, 1).unwrap();
        assert_eq!(charge(Bank::open(&path, CALM).unwrap()), Told::Done);
        assert_eq!(charge(Bank::open(&path, CALM).unwrap()), Told::Done);
        assert_eq!(calls(&path), [("done".to_owned(), 500), ("repeat".to_owned(), 0)]);
    }

    #[test]
    fn a_void_pays_back_what_was_captured_and_kills_what_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let bank = Bank::open(&path, CALM).unwrap();
        bank.call("charge", "k1", "a", 500, 1).unwrap();
        bank.call("void", "k2", "a", 500, 1).unwrap();
        bank.call("void", "k3", "b", 700, 1).unwrap();
        assert_eq!(bank.call("charge", "k4", "b", 700, 1).unwrap(), Told::No);
        let moved: Vec<u64> = calls(&path).into_iter().map(|(_, moved)| moved).collect();
        assert_eq!(moved, [500, 500, 0, 0]);
    }

    #[test]
    fn a_flaky_call_answers_in_the_end_and_takes_effect_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let bank = Bank::open(&path, Trouble { flaky: 100, ..CALM }).unwrap();
        for order in 0..50 {
            let (key, order) = (format!("k{order}"), format!("o{order}"));
            let tries =
                (1..10).find(|&n| bank.call("charge", &key, &order, 10, n).unwrap() == Told::Done).unwrap();
            assert!((2..=3).contains(&tries), "{tries}");
        }
        assert_eq!(calls(&path).iter().map(|(_, moved)| moved).sum::<u64>(), 500);
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_closed_and_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        Bank::open(&path, CALM).unwrap().call("charge", "k", "o", 5, 1).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"op\":\"cha");
        std::fs::write(&path, text).unwrap();
        Bank::open(&path, CALM).unwrap().call("charge", "k", "o", 5, 2).unwrap();
        assert_eq!(calls(&path), [("done".to_owned(), 5), ("repeat".to_owned(), 0)]);
    }
}
