//! Reading an event log in XES, the XML format of the IEEE for such logs, plain or gzipped.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// One thing that happened in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at: i64,
    pub case: String,
    /// Its place in its case.
    pub position: usize,
    pub activity: String,
}

/// What is wrong with a log, and where.
#[derive(Debug)]
pub struct LogError {
    place: String,
    what: String,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for LogError {}

/// Reads the file, gunzips it when its name ends in `.gz`, and returns its events in the order of time.
pub fn read(path: &Path) -> Result<Vec<Entry>, LogError> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| LogError { place: name.clone(), what: error.to_string() };
    let file = File::open(path).map_err(failed)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        parse(&name, BufReader::new(MultiGzDecoder::new(file)))
    } else {
        parse(&name, BufReader::new(file))
    }
}

/// Reads XES; events of all cases, in the order of time, then of case, then as they stand.
pub fn parse(name: &str, text: impl BufRead) -> Result<Vec<Entry>, LogError> {
    let mut reader = Reader::from_reader(text);
    let (mut buffer, mut entries) = (Vec::new(), Vec::new());
    // The elements around the present one.
    let mut path: Vec<String> = Vec::new();
    let (mut case, mut position) = (None::<String>, 0);
    let (mut activity, mut at) = (None::<String>, None::<i64>);
    loop {
        let place = format!("{name}, byte {}", reader.buffer_position());
        let wrong = |what: String| LogError { place: place.clone(), what };
        let event = reader.read_event_into(&mut buffer).map_err(|error| wrong(error.to_string()))?;
        let (start, empty) = match &event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(end) => {
                match end.name().as_ref() {
                    "event" => {
                        let case =
                            case.clone().ok_or_else(|| wrong("its case has no concept:name".to_owned()))?;
                        entries.push(Entry {
                            at: at
                                .take()
                                .ok_or_else(|| wrong("the event has no time:timestamp".to_owned()))?,
                            case,
                            position,
                            activity: activity
                                .take()
                                .ok_or_else(|| wrong("the event has no concept:name".to_owned()))?,
                        });
                        position += 1;
                    }
                    "trace" => (case, position) = (None, 0),
                    _ => {}
                }
                path.pop();
                continue;
            }
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err(wrong("the file ends in the middle".to_owned())),
            _ => continue,
        };
        let inside = path.last().map(String::as_str);
        match (inside, attribute(start, "key").map_err(&wrong)?.as_deref()) {
            (Some("trace"), Some("concept:name")) => case = attribute(start, "value").map_err(&wrong)?,
            (Some("event"), Some("concept:name")) => activity = attribute(start, "value").map_err(&wrong)?,
            (Some("event"), Some("time:timestamp")) => {
                let text = attribute(start, "value").map_err(&wrong)?.unwrap_or_default();
                let time: jiff::Timestamp =
                    text.parse().map_err(|error| wrong(format!("`{text}` is no time: {error}")))?;
                at = Some(time.as_millisecond());
            }
            _ => {}
        }
        if !empty {
            path.push(start.name().as_ref().to_owned());
        }
        buffer.clear();
    }
    entries.sort_by(|a, b| (a.at, &a.case, a.position).cmp(&(b.at, &b.case, b.position)));
    Ok(entries)
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.key.as_ref() == name {
            return quick_xml::escape::unescape(&attribute.value)
                .map(|text| Some(text.into_owned()))
                .map_err(|error| error.to_string());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(body: &str) -> Result<Vec<Entry>, String> {
        parse("test.xes", format!("<log>{body}</log>").as_bytes()).map_err(|error| error.to_string())
    }

    fn event(name: &str, at: &str) -> String {
        format!(
            "<event><string key=\"concept:name\" value=\"{name}\"/><date key=\"time:timestamp\" value=\"{at}\"/></event>"
        )
    }

    #[test]
    fn events_of_all_cases_come_in_the_order_of_time() {
        let body = format!(
            "<global><string key=\"concept:name\" value=\"UNKNOWN\"/></global>\
             <trace><string key=\"concept:name\" value=\"1\"/>{}{}</trace>\
             <trace><string key=\"concept:name\" value=\"2\"/>{}</trace>",
            event("A", "2011-10-01T00:38:44.546+02:00"),
            event("C &amp; D", "2011-10-02T00:38:44.546+02:00"),
            event("B", "2011-10-01T12:00:00.000+02:00")
        );
        let found: Vec<(String, String, usize)> =
            log(&body).unwrap().into_iter().map(|e| (e.case, e.activity, e.position)).collect();
        let expected = [("1", "A", 0), ("2", "B", 0), ("1", "C & D", 1)];
        assert_eq!(found, expected.map(|(case, name, at)| (case.to_owned(), name.to_owned(), at)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let case = "<trace><string key=\"concept:name\" value=\"1\"/>";
        let error = log(&format!("{case}{}</trace>", event("A", "yesterday"))).unwrap_err();
        assert!(error.starts_with("test.xes, byte ") && error.contains("`yesterday` is no time"), "{error}");
        let error = log(&format!("{case}<event></event></trace>")).unwrap_err();
        assert!(error.contains("the event has no time:timestamp"), "{error}");
        let error = log(&format!("<trace>{}</trace>", event("A", "2011-10-01T00:00:00Z"))).unwrap_err();
        assert!(error.contains("its case has no concept:name"), "{error}");
        let error = parse("test.xes", "<log><trace>".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("ends in the middle"), "{error}");
        assert!(log("<trace></log>").is_err());
    }
}
