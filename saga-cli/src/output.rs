//! The forms of the output: a table, one JSON value, or one JSON value in each line.
//!
//! Stored text may come from outside. No character of it controls the terminal, in any form of the output.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

pub(crate) use saga_core::message::visible as plain;

use comfy_table::{Cell, ContentArrangement, Table, presets};
use saga_core::message::is_control;
use serde::Serialize;

use crate::args::Format;

/// The longest cell of a table, in characters.
const CELL: usize = 60;

/// What a verb has written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The data, for standard output.
    data: Vec<u8>,
    /// Lines for the person, for standard error.
    notes: Vec<String>,
}

impl Written {
    /// Writes the data, and then the notes.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        let mut to = std::io::stdout();
        to.write_all(&self.data).and_then(|()| to.flush())?;
        self.notes.iter().for_each(|note| tell(note));
        Ok(())
    }
}

pub(crate) struct Output<'a> {
    format: Format,
    to: &'a mut Written,
}

impl<'a> Output<'a> {
    pub(crate) fn new(format: Format, to: &'a mut Written) -> Self {
        Self { format, to }
    }

    /// Adds a line for the person.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.to.notes.push(line.into());
    }

    /// Writes a list. `row` gives the cells of a table.
    pub(crate) fn list<T: Serialize, const N: usize>(
        &mut self,
        header: [&str; N],
        items: &[T],
        row: impl Fn(&T) -> [String; N],
    ) -> serde_json::Result<()> {
        match self.format {
            Format::Table if items.is_empty() => {}
            Format::Table => self.table(header, items.iter().map(row)),
            Format::Json => self.json(&serde_json::to_string_pretty(items)?),
            Format::Jsonl => {
                for item in items {
                    self.json(&serde_json::to_string(item)?);
                }
            }
        }
        Ok(())
    }

    /// Writes a list like [`list`](Self::list), with several rows of the table for an item.
    pub(crate) fn list_of_rows<T: Serialize, const N: usize>(
        &mut self,
        header: [&str; N],
        items: &[T],
        rows: impl Fn(&T) -> Vec<[String; N]>,
    ) -> serde_json::Result<()> {
        match self.format {
            Format::Table if !items.is_empty() => {
                self.table(header, items.iter().flat_map(rows));
                Ok(())
            }
            _ => self.list(header, items, |_| std::array::from_fn(|_| String::new())),
        }
    }

    /// Writes one value. `text` gives its form for people.
    pub(crate) fn one<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> serde_json::Result<()> {
        match self.format {
            Format::Table => self.line(&text(value)),
            Format::Json => self.json(&serde_json::to_string_pretty(value)?),
            Format::Jsonl => self.json(&serde_json::to_string(value)?),
        }
        Ok(())
    }

    /// Writes lines that another program reads. The form of the output does not change them.
    pub(crate) fn text(&mut self, text: &str) {
        let lines: Vec<_> = text.lines().map(plain).collect();
        self.line(&lines.join("\n"));
    }

    fn table<const N: usize>(&mut self, header: [&str; N], rows: impl Iterator<Item = [String; N]>) {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.map(|title| Cell::new(title.to_uppercase())));
        for row in rows {
            table.add_row(row.map(|cell| Cell::new(short(&plain(&cell)))));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.line(&table.trim_fmt());
    }

    /// Control characters are escaped in JSON. Others that a terminal interprets are escaped here.
    pub(crate) fn json(&mut self, json: &str) {
        let text: String = json.chars().map(escape_in_json).collect();
        self.line(&text);
    }

    fn line(&mut self, text: &str) {
        self.to.data.extend_from_slice(text.trim_end().as_bytes());
        self.to.data.push(b'\n');
    }
}

/// Adds a line with one field to the page of an object.
pub(crate) fn field(page: &mut String, name: &str, value: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "{name:<12} {}", plain(value));
}

/// Writes a line for the person to standard error. A closed standard error stops nothing.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn escape_in_json(c: char) -> Cow<'static, str> {
    match c {
        // Line ends are between the fields. Within a text, JSON has escaped them.
        '\n' => Cow::Borrowed("\n"),
        c if is_control(c) => Cow::Owned(format!("\\u{:04x}", u32::from(c))),
        c => Cow::Owned(c.to_string()),
    }
}

/// Returns the beginning of a long text.
fn short(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CELL) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let hostile = "a\u{1b}[31mred\u{9b}2J\u{202e}\r\n\t\u{7f}";
        let shown = plain(hostile);
        assert_eq!(shown, "a\\u{1b}[31mred\\u{9b}2J\\u{202e}\\u{d}\\u{a}\\u{9}\\u{7f}");
        let mut written = Written::default();
        Output::new(Format::Jsonl, &mut written).one(&hostile, |_| unreachable!("JSON")).unwrap();
        let written = String::from_utf8(written.data).unwrap();
        assert!(!written.trim_end().chars().any(is_control), "{written:?}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), hostile, "the JSON keeps the text");
    }

    #[test]
    fn a_long_cell_is_cut_between_characters() {
        assert_eq!(short("é"), "é");
        let long = "é".repeat(61);
        assert_eq!(short(&long).chars().count(), 61);
        assert!(short(&long).ends_with("é…"));
    }
}
