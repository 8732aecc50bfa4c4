//! A set of task ids in ascending order. Nearly all sets have one id, and such a set needs no memory of its own.

use std::collections::BTreeSet;

use crate::step::TaskId;

#[derive(Clone, Debug)]
pub(super) enum TaskSet {
    One(Option<TaskId>),
    /// Several ids. A set never returns from here.
    Many(BTreeSet<TaskId>),
}

impl Default for TaskSet {
    fn default() -> Self {
        Self::One(None)
    }
}

impl TaskSet {
    pub(super) fn insert(&mut self, id: TaskId) {
        match self {
            Self::One(one) if one.is_none_or(|one| one == id) => *one = Some(id),
            Self::One(one) => *self = Self::Many(one.iter().copied().chain([id]).collect()),
            Self::Many(ids) => drop(ids.insert(id)),
        }
    }

    /// Removes the id. Returns whether the set had it.
    pub(super) fn remove(&mut self, id: TaskId) -> bool {
        match self {
            Self::One(one) => one.take_if(|one| *one == id).is_some(),
            Self::Many(ids) => ids.remove(&id),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(one) => one.iter().len(),
            Self::Many(ids) => ids.len(),
        }
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = TaskId> + '_ {
        let (one, many) = match self {
            Self::One(one) => (*one, None),
            Self::Many(ids) => (None, Some(ids)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_in_order_whatever_its_size() {
        let id = |ord| TaskId { seq: 1, ord };
        let mut set = TaskSet::default();
        let mut expected = BTreeSet::new();
        for (add, ord) in [
            (true, 5),
            (true, 5),
            (false, 4),
            (false, 5),
            (true, 7),
            (true, 2),
            (true, 9),
            (false, 7),
            (false, 7),
        ] {
            if add {
                set.insert(id(ord));
                expected.insert(id(ord));
            } else {
                assert_eq!(set.remove(id(ord)), expected.remove(&id(ord)));
            }
            assert_eq!((set.len(), set.is_empty()), (expected.len(), expected.is_empty()));
            assert!(set.iter().eq(expected.iter().copied()));
            assert!(set.iter().rev().eq(expected.iter().rev().copied()));
        }
    }
}
