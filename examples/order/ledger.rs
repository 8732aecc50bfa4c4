//! What the outside world remembers: one JSON line per call, and what all of them together come to.
//!
//! Owns: the form of the file, reading it back, and each order's account. The bank writes the lines; the report
//! compares the accounts with what the sagas say.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One call, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// What was asked for.
    pub op: Op,
    /// The idempotency key.
    pub key: String,
    /// The order.
    pub order: String,
    /// The amount asked for, in cents.
    pub amount: u64,
    /// Which attempt the caller says it is.
    pub attempt: u32,
    /// What the caller was told, or was not.
    pub outcome: Told,
    /// The cents that this very call moved.
    pub moved: u64,
}

/// What can be asked of the bank and of the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Take the money.
    Charge,
    /// Leave nothing charged, whatever the outcome of the payment.
    Void,
    /// Give the money back.
    Refund,
    /// Fetch the parcel.
    Label,
    /// Leave no label in force.
    Unlabel,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// It took effect.
    Done,
    /// It took effect, and the answer got lost.
    Lost,
    /// No effect, and no answer.
    Unavailable,
    /// The bank does not take this money. Final.
    Declined,
    /// The carrier does not go there, or the payment has been called off. Final.
    Refused,
    /// The key has been seen before: the same answer, no new effect.
    Repeat,
}

impl Told {
    /// Whether this very call changed the world.
    pub fn took_effect(self) -> bool {
        matches!(self, Self::Done | Self::Lost)
    }

    /// Whether it settled what its key will be answered from now on.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Lost | Self::Declined | Self::Refused)
    }
}

/// The lines of a file, as they were found.
#[derive(Debug, Default)]
pub struct Calls {
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// Whether the file ends within a line: its writer was stopped there.
    pub torn: bool,
}

impl Calls {
    /// Reads the file; one that is not there holds nothing.
    ///
    /// A line that is no call was torn by the end of its writer, so nobody was ever answered on its strength. It is
    /// passed over; a line that lacks only its end counts.
    pub fn read(path: &Path) -> io::Result<Self> {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            file => Self::read_from(&file?, 0),
        }
    }

    /// Reads the lines from this byte on.
    pub fn read_from(mut file: &File, from: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file);
        let (mut found, mut line) = (Self::default(), Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            found.torn = !line.ends_with(b"\n");
            found.calls.extend(serde_json::from_slice::<Call>(&line).ok());
            line.clear();
        }
        Ok(found)
    }
}

/// Every order's account, and what no honest caller does.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By order.
    pub accounts: HashMap<String, Account>,
    /// One sentence for each rule that a call has broken.
    pub broken: Vec<String>,
}

/// What was done for one order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Cents taken.
    pub charged: u64,
    /// Cents given back.
    pub refunded: u64,
    /// Calls that gave money back.
    pub paybacks: u64,
    /// Labels in force.
    pub labels: u64,
    /// The keys under which it was charged.
    pub charge_keys: HashSet<String>,
}

impl Ledger {
    /// Adds up the calls.
    pub fn of(calls: &[Call]) -> Self {
        let mut ledger = Self::default();
        let mut keys: HashMap<&str, (&Call, bool)> = HashMap::new();
        for call in calls {
            let (first, settled) = keys.entry(&call.key).or_insert((call, false));
            if (first.op, &first.order, first.amount) != (call.op, &call.order, call.amount) {
                ledger.broken.push(format!("key {} of order {} means two things", call.key, call.order));
            }
            if call.outcome.is_final() && std::mem::replace(settled, true) {
                ledger.broken.push(format!("key {} of order {} was settled twice", call.key, call.order));
            }
            let account = ledger.accounts.entry(call.order.clone()).or_default();
            match call.op {
                Op::Charge => {
                    account.charged += call.moved;
                    account.charge_keys.insert(call.key.clone());
                }
                Op::Void | Op::Refund => {
                    account.refunded += call.moved;
                    account.paybacks += u64::from(call.moved > 0);
                }
                Op::Label => account.labels += u64::from(call.outcome.took_effect()),
                Op::Unlabel if call.outcome.took_effect() => account.labels = 0,
                Op::Unlabel => {}
            }
        }
        ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(op: Op, key: &str, order: &str, outcome: Told, moved: u64) -> Call {
        Call { op, key: key.into(), order: order.into(), amount: 500, attempt: 1, outcome, moved }
    }

    #[test]
    fn a_call_is_one_flat_line() {
        assert_eq!(
            serde_json::to_string(&call(Op::Charge, "k", "o", Told::Lost, 500)).unwrap(),
            r#"{"op":"charge","key":"k","order":"o","amount":500,"attempt":1,"outcome":"lost","moved":500}"#
        );
    }

    #[test]
    fn an_account_adds_up() {
        let ledger = Ledger::of(&[
            call(Op::Charge, "k1", "o", Told::Unavailable, 0),
            call(Op::Charge, "k1", "o", Told::Lost, 500),
            call(Op::Charge, "k1", "o", Told::Repeat, 0),
            call(Op::Label, "k2", "o", Told::Done, 0),
            call(Op::Refund, "k3", "o", Told::Done, 500),
            call(Op::Unlabel, "k4", "o", Told::Done, 0),
        ]);
        let keys = HashSet::from(["k1".to_owned()]);
        let account = Account { charged: 500, refunded: 500, paybacks: 1, labels: 0, charge_keys: keys };
        assert_eq!(ledger.accounts["o"], account);
        assert!(ledger.broken.is_empty());
    }

    #[test]
    fn a_key_has_one_meaning_and_one_effect() {
        let ledger = Ledger::of(&[
            call(Op::Charge, "k", "a", Told::Done, 500),
            call(Op::Charge, "k", "b", Told::Done, 500),
        ]);
        assert_eq!(
            ledger.broken,
            ["key k of order b means two things", "key k of order b was settled twice"]
        );
    }
}
