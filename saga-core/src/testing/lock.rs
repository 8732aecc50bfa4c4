//! `sagas.lock`: a checked-in file with every stored name and shape. A change that would lose stored data fails a test
//! before its deployment (rule R34).

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::definition::{CommandType, EventType, PayloadType, UpcastFrom};
use crate::machine::Saga;
use crate::message::{Command, Event};
use crate::shape::{Place, Shape};

const HEAD: &str = "# Names and shapes that are stored. A test compares this file with the program.\n";

/// Compares the stored names and shapes of the program with a checked-in file. Use it in a test:
///
/// ```ignore
/// #[test]
/// fn nothing_that_is_stored_is_lost() {
///     Lock::at(concat!(env!("CARGO_MANIFEST_DIR"), "/sagas.lock")).saga::<OrderState>().check();
/// }
/// ```
///
/// `SAGA_LOCK=write cargo test` writes the file when no stored data would be lost. `SAGA_LOCK=force` writes it in any
/// case. Use `force` only when no store still holds data of the lost name or shape. The chapter on changing sagas of
/// the manual defines a loss.
#[derive(Debug)]
#[must_use = "nothing is compared before `check`"]
pub struct Lock {
    path: PathBuf,
    present: Vec<Entry>,
}

/// A stored name with the shape of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kind: String,
    name: String,
    was: Vec<String>,
    version: u32,
    /// The versions that an upcast reads, with the shape of its input.
    upcasts: Vec<(u32, Shape)>,
    shape: Shape,
}

impl Lock {
    /// Creates a lock for the file `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), present: Vec::new() }
    }

    /// Adds the saga `S` with its states, timers, events, commands and undo commands.
    pub fn saga<S: Saga>(mut self) -> Self {
        let definition = S::definition();
        let of = definition.name;
        let payload =
            |payload: Option<PayloadType>| payload.map(|payload| (payload.shape)()).unwrap_or_default();
        let mut sagas: Vec<&str> = vec![of];
        sagas.extend(definition.was);
        self.add(Entry {
            kind: "saga".to_owned(),
            name: of.to_owned(),
            was: owned(definition.was),
            version: definition.version,
            upcasts: read_by(definition.upcasts),
            shape: payload(Some(definition.data)),
        });
        // The name of a state or a timer is unique within its saga. The saga may itself have had other names.
        let within = |name: &str, was: &[&str]| -> Vec<String> {
            let names = std::iter::once(name).chain(was.iter().copied());
            let all = names.flat_map(|name| sagas.iter().map(move |saga| format!("{saga}/{name}")));
            all.skip(1).collect()
        };
        for state in definition.states {
            self.add(Entry {
                kind: "state".to_owned(),
                name: format!("{of}/{}", state.name),
                was: within(state.name, state.was),
                version: definition.version,
                upcasts: read_by(state.upcasts),
                shape: payload(state.payload),
            });
        }
        for timer in definition.timers {
            self.add(Entry {
                kind: "timer".to_owned(),
                name: format!("{of}/{}", timer.name),
                was: within(timer.name, timer.was),
                version: 0,
                upcasts: Vec::new(),
                shape: Shape::default(),
            });
        }
        for event in definition.events {
            self.event_type(event);
        }
        for command in definition.commands {
            self.command_type(command);
        }
        self
    }

    /// Adds an event that no saga of this lock consumes, such as an event for a subscriber.
    pub fn event<E: Event>(mut self) -> Self {
        self.event_type(&EventType::of::<E>(""));
        self
    }

    /// Adds a command that no saga of this lock sends, such as a step of routing slips.
    pub fn command<C: Command>(mut self) -> Self {
        self.command_type(&CommandType::of::<C>(""));
        self
    }

    /// Returns a description of each possibly stored name or shape that would be lost. The result is empty when nothing
    /// would be lost.
    ///
    /// # Panics
    /// When the file cannot be read, or is not a lock file.
    #[track_caller]
    pub fn losses(&self) -> Vec<String> {
        let locked = parse(&self.read());
        locked.iter().filter_map(|entry| self.loss(entry)).collect()
    }

    /// Returns whether the file matches the stored names and shapes of the program exactly.
    ///
    /// # Panics
    /// When the file cannot be read, or is not a lock file.
    #[track_caller]
    pub fn is_current(&self) -> bool {
        let text = self.read();
        self.text(&parse(&text)) == text
    }

    /// Writes the file again. The shapes of earlier versions stay in the file.
    ///
    /// # Panics
    /// When the file cannot be read or written, or is not a lock file.
    #[track_caller]
    pub fn write(&self) {
        let text = self.text(&parse(&self.read()));
        std::fs::write(&self.path, text)
            .unwrap_or_else(|error| panic!("{} cannot be written: {error}", self.path.display()));
    }

    /// Checks that nothing would be lost and that the file is current. The variable `SAGA_LOCK` can make this method
    /// write the file instead.
    ///
    /// # Panics
    /// When a check fails. The message lists every problem with its solution.
    #[track_caller]
    pub fn check(&self) {
        let (path, losses) = (self.path.display(), self.losses());
        let told = std::env::var("SAGA_LOCK").unwrap_or_default();
        if told == "force" || (told == "write" && losses.is_empty()) {
            return self.write();
        }
        assert!(
            losses.is_empty(),
            "stored data would be lost:\n- {}\nif no store holds this data any more, run: SAGA_LOCK=force cargo test",
            losses.join("\n- ")
        );
        assert!(
            self.is_current(),
            "{path} is not current; no stored data would be lost; update the file with: SAGA_LOCK=write cargo test"
        );
    }

    fn add(&mut self, entry: Entry) {
        let same = |known: &Entry| known.kind == entry.kind && known.name == entry.name;
        if !self.present.iter().any(same) {
            self.present.push(entry);
        }
    }

    fn event_type(&mut self, event: &EventType) {
        self.add(Entry {
            kind: "event".to_owned(),
            name: event.name.to_owned(),
            was: owned(event.was),
            version: event.version,
            upcasts: read_by(event.upcasts),
            shape: (event.shape)(),
        });
    }

    fn command_type(&mut self, command: &CommandType) {
        self.add(Entry {
            kind: "command".to_owned(),
            name: command.name.to_owned(),
            was: owned(command.was),
            version: command.version,
            upcasts: read_by(command.upcasts),
            shape: (command.shape)(),
        });
    }

    /// Returns the present entry for `locked`.
    fn now(&self, locked: &Entry) -> Option<&Entry> {
        let same = |entry: &&Entry| {
            entry.kind == locked.kind && (entry.name == locked.name || entry.was.contains(&locked.name))
        };
        self.present.iter().find(same)
    }

    fn loss(&self, locked: &Entry) -> Option<String> {
        let Entry { kind, name, version, .. } = locked;
        let Some(now) = self.now(locked) else {
            let last = name.rsplit('/').next().unwrap_or(name);
            return Some(format!(
                "{kind} `{name}` no longer exists: after a rename, add `was = \"{last}\"` to the renamed item"
            ));
        };
        if *version > now.version {
            return Some(format!(
                "{kind} `{name}` goes back from version {version} to {}: instances with data of the later version would be parked",
                now.version
            ));
        }
        if let Some(gone) = locked.was.iter().find(|was| **was != now.name && !now.was.contains(was)) {
            let last = gone.rsplit('/').next().unwrap_or(gone);
            return Some(format!(
                "{kind} `{name}` no longer has the earlier name `{gone}`: add `was = \"{last}\"`"
            ));
        }
        // The reader of this version: the first upcast from its version on, or else the present shape.
        let upcast = now.upcasts.iter().find(|(from, _)| from >= version);
        let misfits = upcast.map_or(&now.shape, |(_, shape)| shape).misfits(&locked.shape);
        if misfits.is_empty() {
            return None;
        }
        let what = misfits.join(", ");
        let on = match &**kind {
            "saga" => "the enum",
            "state" => "the variant",
            _ => "the type",
        };
        Some(match upcast {
            Some((from, _)) => format!(
                "{kind} `{name}` of version {version} does not fit the upcast from version {from}: {what}"
            ),
            None if *version == now.version => {
                let next = version + 1;
                format!(
                    "{kind} `{name}` has another shape under the same version: {what}; set `version = {next}`, and \
                     add `#[upcast(from = {version}, with(function))]` to {on}"
                )
            }
            None => format!(
                "{kind} `{name}` of version {version} has another shape without an upcast: {what}; add \
                 `#[upcast(from = {version}, with(function))]` to {on}"
            ),
        })
    }

    /// Returns the new content of the file: the present entries, and their earlier locked versions.
    fn text(&self, locked: &[Entry]) -> String {
        let mut text = HEAD.to_owned();
        for entry in &self.present {
            let earlier = locked.iter().filter(|locked| {
                locked.version < entry.version && self.now(locked).is_some_and(|now| now == entry)
            });
            for version in earlier {
                section(&mut text, &Entry { name: entry.name.clone(), was: Vec::new(), ..version.clone() });
            }
            section(&mut text, entry);
        }
        text
    }

    #[track_caller]
    fn read(&self) -> String {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => text.replace("\r\n", "\n"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => panic!("{} cannot be read: {error}", self.path.display()),
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn read_by(upcasts: &[UpcastFrom]) -> Vec<(u32, Shape)> {
    upcasts.iter().map(|upcast| (upcast.version, (upcast.reads)().shape)).collect()
}

fn section(text: &mut String, entry: &Entry) {
    let Entry { kind, name, was, version, shape, .. } = entry;
    let was = if was.is_empty() { String::new() } else { format!(" was {}", was.join(", ")) };
    let version = if *version == 0 { String::new() } else { format!(" v{version}") };
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{kind} {name}{version}{was}\n{shape}");
}

#[track_caller]
fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let bad = || -> ! { panic!("the lock file has an invalid line: {line}") };
        if let Some(place) = line.strip_prefix("    ") {
            let (Some(entry), Some((name, kind))) = (entries.last_mut(), place.split_once(": ")) else {
                bad()
            };
            let optional = name.ends_with('?');
            let name = name.strip_suffix('?').unwrap_or(name);
            let name = if name == "." { "" } else { name };
            entry
                .shape
                .0
                .insert(name.to_owned(), Place { kind: kind.to_owned(), optional, sensitive: false });
            continue;
        }
        let Some((kind, rest)) = line.split_once(' ') else { bad() };
        let (rest, was) = rest.split_once(" was ").unwrap_or((rest, ""));
        let version = rest.rsplit_once(" v").and_then(|(name, version)| Some((name, version.parse().ok()?)));
        let (name, version) = version.unwrap_or((rest, 0));
        entries.push(Entry {
            kind: kind.to_owned(),
            name: name.to_owned(),
            was: was.split(", ").filter(|was| !was.is_empty()).map(str::to_owned).collect(),
            version,
            upcasts: Vec::new(),
            shape: Shape::default(),
        });
    }
    entries
}

#[cfg(all(test, feature = "recurring", feature = "routing-slip"))]
mod tests {
    use super::Lock;

    #[test]
    fn r34_what_the_sagas_of_the_library_store_is_locked() {
        Lock::at(concat!(env!("CARGO_MANIFEST_DIR"), "/sagas.lock"))
            .saga::<crate::recurring::ScheduleState>()
            .saga::<crate::routing_slip::SlipState>()
            .check();
    }
}
