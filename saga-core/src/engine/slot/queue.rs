//! The queue of one instance, in order, with counts for frequent checks.

use std::collections::VecDeque;
use std::collections::vec_deque::{Iter, IterMut};

use super::Item;
use crate::machine::Input;

#[derive(Debug, Default)]
pub(in crate::engine) struct Queue {
    items: VecDeque<Item>,
    events: usize,
    verbs: usize,
}

impl Queue {
    /// The size of the buffer in bytes.
    pub(in crate::engine) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<Item>()
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.items.len()
    }

    pub(in crate::engine) fn events(&self) -> usize {
        self.events
    }

    /// The position of the first verb of an operator.
    pub(in crate::engine) fn first_verb(&self) -> Option<usize> {
        let is_verb = |item: &Item| matches!(item.what, Input::Verb(_));
        if self.verbs == 0 { None } else { self.items.iter().position(is_verb) }
    }

    /// The position of the first item that is not an event.
    pub(in crate::engine) fn first_other(&self) -> Option<usize> {
        if self.events == self.items.len() {
            None
        } else {
            self.items.iter().position(|item| !item.is_event())
        }
    }

    pub(in crate::engine) fn get(&self, at: usize) -> Option<&Item> {
        self.items.get(at)
    }

    pub(in crate::engine) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(in crate::engine) fn iter(&self) -> Iter<'_, Item> {
        self.items.iter()
    }

    /// For notes on items only. The counts require that an item never changes its kind.
    pub(in crate::engine) fn iter_mut(&mut self) -> IterMut<'_, Item> {
        self.items.iter_mut()
    }

    pub(in crate::engine) fn push_back(&mut self, item: Item) {
        self.count(&item);
        if self.items.is_empty() {
            // Most queues hold one item. `push_back` alone would make room for four.
            self.items.reserve_exact(1);
        }
        self.items.push_back(item);
    }

    pub(in crate::engine) fn push_front(&mut self, item: Item) {
        self.count(&item);
        self.items.push_front(item);
    }

    pub(in crate::engine) fn pop_front(&mut self) -> Option<Item> {
        let item = self.items.pop_front();
        self.uncount(item)
    }

    pub(in crate::engine) fn remove(&mut self, at: usize) -> Option<Item> {
        let item = self.items.remove(at);
        self.uncount(item)
    }

    pub(in crate::engine) fn retain(&mut self, keep: impl FnMut(&Item) -> bool) {
        let mut items = std::mem::take(self).items;
        items.retain(keep);
        items.into_iter().for_each(|item| self.push_back(item));
    }

    /// Takes all items, in order.
    pub(in crate::engine) fn take(&mut self) -> VecDeque<Item> {
        std::mem::take(self).items
    }

    fn count(&mut self, item: &Item) {
        self.events += usize::from(item.is_event());
        self.verbs += usize::from(matches!(item.what, Input::Verb(_)));
    }

    fn uncount(&mut self, item: Option<Item>) -> Option<Item> {
        if let Some(item) = &item {
            self.events -= usize::from(item.is_event());
            self.verbs -= usize::from(matches!(item.what, Input::Verb(_)));
        }
        if self.items.is_empty() {
            // Most queues are empty most of the time, and an empty buffer is larger than many instances.
            self.items = VecDeque::new();
        }
        item
    }
}

impl FromIterator<Item> for Queue {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let mut queue = Self::default();
        items.into_iter().for_each(|item| queue.push_back(item));
        queue
    }
}
