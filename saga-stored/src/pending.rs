//! The column `pending`: the pending items of an instance as one JSON object.
//!
//! Each item begins a line, and the progress of a task is a line of its own. No item contains another line end. An item
//! is therefore found, added and removed without a parse:
//!
//! ```text
//! {
//! "task.3.0":{"kind":"command","name":"payment.make","version":1,"payload":{},"visit":2,
//! "progress":{"stage":"ready","since":1,"epoch":1,"armed":1}},
//! "timer.timeout":{"due":9,"armed":1,"visit":2}
//! }
//! ```

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::item::{ItemText, Items, TASK};
use super::json::Text;

/// The text without items.
pub const NONE: &str = "{}";

const END: &str = "\n}";
const PROGRESS: &str = "\n\"progress\":";

/// Returns whether a task is in the text.
pub fn has_task(text: &str) -> bool {
    lines(text).any(|at| text[at..].strip_prefix("\n\"").is_some_and(|line| line.starts_with(TASK)))
}

/// Returns whether the item `name` is in the text.
pub fn has(text: &str, name: &str) -> bool {
    find(text, name).is_some()
}

/// Returns the JSON of the item `name`.
pub fn get<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let item = find(text, name)?;
    Some(value(&text[item], name))
}

/// Adds an item that is not in the text.
pub fn add(text: &mut String, item: &ItemText) {
    if text.len() > NONE.len() {
        text.truncate(text.len() - END.len());
        text.push(',');
    } else {
        text.truncate(1);
    }
    text.push_str("\n\"");
    text.push_str(&item.name);
    text.push_str("\":");
    text.push_str(&item.body);
    if item.is_task() {
        text.push(',');
        text.push_str(PROGRESS);
        text.push_str(&item.progress);
        text.push('}');
    }
    text.push_str(END);
}

/// Removes the item `name`. Returns `false` if the item is not in the text.
pub fn remove(text: &mut String, name: &str) -> bool {
    let Some(Range { mut start, end }) = find(text, name) else { return false };
    let last = text.len() - END.len() == end;
    // The comma belongs to the line before the last item, and to the line of any other item.
    if last && start > 1 {
        start -= 1;
    }
    text.replace_range(start..end, "");
    if text.len() == 1 + END.len() {
        text.clear();
        text.push_str(NONE);
    }
    true
}

/// Replaces the progress of the task `name`. Returns `false` if the task is not in the text.
pub fn set_progress(text: &mut String, name: &str, progress: &str) -> bool {
    let Some(item) = find(text, name) else { return false };
    let Some(line) = lines(&text[item.clone()]).nth(1) else { return false };
    let start = item.start + line + PROGRESS.len();
    let end = item.start + text[item].trim_end_matches(',').len() - 1;
    text.replace_range(start..end, progress);
    true
}

/// Returns the name, the JSON without the progress, and the progress of each item.
pub fn items(text: &str) -> impl Iterator<Item = (&str, String, Option<&str>)> {
    let mut rest = text.strip_prefix('{').and_then(|text| text.strip_suffix(END)).unwrap_or_default();
    std::iter::from_fn(move || {
        let start = rest.strip_prefix("\n\"")?;
        let name = &start[..end_of_string(start)?];
        let end = end_of_item(rest);
        let value = value(&rest[..end], name);
        rest = &rest[end..];
        Some(match value.split_once(PROGRESS) {
            Some((body, progress)) => {
                (name, format!("{}}}", &body[..body.len() - 1]), Some(&progress[..progress.len() - 1]))
            }
            None => (name, value.to_owned(), None),
        })
    })
}

/// Reads all items of the text.
///
/// # Errors
/// The text is not the JSON of pending items.
pub fn read(text: &str) -> serde_json::Result<Items> {
    let mut items: ReadItems = serde_json::from_str(text)?;
    items.0.sort();
    Ok(items.0)
}

/// Returns the range of an item, from its line end to the next one.
fn find(text: &str, name: &str) -> Option<Range<usize>> {
    let is_item = |at: &usize| {
        let rest = text[*at..].strip_prefix("\n\"").and_then(|line| line.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with("\":"))
    };
    let start = lines(text).find(is_item)?;
    Some(start..start + end_of_item(&text[start..]))
}

/// Returns the places of all line ends.
fn lines(text: &str) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'\n', text.as_bytes())
}

/// Returns the length of the item at the beginning of `text`: up to the line end before the next item.
fn end_of_item(text: &str) -> usize {
    let line = |from: usize| {
        memchr::memchr(b'\n', &text.as_bytes()[from..]).map_or(text.len(), |length| from + length)
    };
    let end = line(1);
    if text.as_bytes()[end..].starts_with(PROGRESS.as_bytes()) { line(end + 1) } else { end }
}

/// Returns the length of the content of a JSON string.
fn end_of_string(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// Returns the JSON of an item with this range.
fn value<'t>(item: &'t str, name: &str) -> &'t str {
    item[2 + name.len() + 2..].trim_end_matches(',')
}

struct ReadItems(Items);

impl<'t> Deserialize<'t> for ReadItems {
    fn deserialize<D: Deserializer<'t>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ReadItems(Items::default()))
    }
}

impl<'t> Visitor<'t> for ReadItems {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the pending items")
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(name) = map.next_key::<Text<'_>>()? {
            map.next_value_seed(Item { name: &name, items: &mut self.0 })?;
        }
        Ok(self)
    }
}

/// Reads the value of one item into the items.
struct Item<'a> {
    name: &'a str,
    items: &'a mut Items,
}

impl<'t> serde::de::DeserializeSeed<'t> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<(), D::Error> {
        self.items.read(self.name, json, None)
    }
}

#[cfg(test)]
mod tests {
    use saga_core::message::Alias;
    use saga_core::store::conformance::{obligation, task, time, timer};
    use saga_core::store::{Task, TaskId, TaskStage};

    use super::*;

    fn full() -> (String, Items) {
        let mut items = Items {
            tasks: vec![task(1, 0), task(1, 1), task(11, 0)],
            timers: vec![timer("time\":{out\n", 9), timer("z", -3)],
            obligations: vec![obligation(1, 0), obligation(1, 1)],
            aliases: vec![Alias::new("task.1.0").unwrap()],
        };
        items.tasks[1].progress.stage = TaskStage::Held;
        items.tasks[1].progress.superseded = true;
        items.tasks[1].progress.error = Some("a\n\"progress\":{}".to_owned());
        items.tasks[1].progress.saved = Some("[1]".into());
        items.obligations[0].task = Some(TaskId { seq: 4, ord: 2 });
        items.obligations[1].report = Some("null".into());
        (text(&items), items)
    }

    fn text(items: &Items) -> String {
        let (mut text, mut item) = (NONE.to_owned(), ItemText::default());
        for owed in &items.obligations {
            item.set_obligation(owed);
            add(&mut text, &item);
        }
        for task in &items.tasks {
            item.set_task(task);
            add(&mut text, &item);
        }
        for timer in &items.timers {
            item.set_timer(timer);
            add(&mut text, &item);
        }
        for alias in &items.aliases {
            item.set_alias(alias);
            add(&mut text, &item);
        }
        text
    }

    #[test]
    fn items_are_read_back() {
        let (text, items) = full();
        assert_eq!(read(&text).unwrap(), items);
        assert_eq!(read(NONE).unwrap(), Items::default());
        assert!(has_task(&text) && !has_task(NONE));
    }

    #[test]
    fn each_item_is_removed_without_a_trace() {
        let (all, items) = full();
        let mut names: Vec<String> = self::items(&all).map(|(name, ..)| name.to_owned()).collect();
        assert_eq!(names.len(), 8);
        for name in &names {
            let mut text = all.clone();
            assert!(has(&text, name) && remove(&mut text, name) && !has(&text, name));
            let left = read(&text).unwrap();
            let count = left.tasks.len() + left.timers.len() + left.obligations.len() + left.aliases.len();
            assert_eq!(count, 7, "{name}");
            assert!(!remove(&mut text, name));
        }
        for _ in 0..2 {
            let mut text = all.clone();
            assert!(names.iter().all(|name| remove(&mut text, name)));
            assert_eq!(text, NONE);
            names.reverse();
        }
        assert_eq!(read(&all).unwrap(), items);
    }

    #[test]
    fn progress_is_replaced_in_its_task_alone() {
        let (all, items) = full();
        for (n, Task { id, .. }) in items.tasks.iter().enumerate() {
            let (mut text, mut item) = (all.clone(), ItemText::default());
            let mut now = items.tasks[n].clone();
            now.progress.attempts += 3;
            now.progress.due = time(77);
            item.set_progress(*id, &now.progress);
            assert!(set_progress(&mut text, &item.name, &item.progress));
            let read = read(&text).unwrap();
            assert_eq!(read.tasks[n], now);
            for (other, task) in items.tasks.iter().enumerate().filter(|(other, _)| *other != n) {
                assert_eq!(read.tasks[other], *task);
            }
        }
        let mut text = all;
        assert!(!set_progress(&mut text, "task.9.9", "{}"));
    }

    #[test]
    fn an_item_is_split_into_the_columns_of_its_own_row() {
        let (text, items) = full();
        let mut read = Items::default();
        for (name, body, progress) in self::items(&text) {
            let name: String = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            read.read(&name, &mut serde_json::Deserializer::from_str(&body), progress).unwrap();
        }
        read.sort();
        assert_eq!(read, items);
    }
}
