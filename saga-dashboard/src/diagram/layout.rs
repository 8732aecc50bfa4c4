//! The places of boxes and arrows, in columns from left to right.
//!
//! A state is in the column after the first state that leads to it. Arrows between neighbouring columns turn in the channel
//! before their target. All other arrows go through a lane below the boxes. Each arrow has a port of its own at its target,
//! with its label before it. So no arrow crosses a box, and no two labels meet.
//!
//! The technique of layers is that of Sugiyama; its order within a layer is the mean of the neighbours before.

use std::collections::BTreeMap;

use saga_core::definition::{StateMove, StoredDefinition, StoredRow};

const BOX_WIDTH: i32 = 166;
const BOX_HEIGHT: i32 = 58;
/// The height of a port at a box.
const PORT: i32 = 20;
/// The space between two boxes of a column.
const GAP: i32 = 22;
/// The space between two lanes.
const LANE: i32 = 16;
const MARGIN: i32 = 8;
/// The width of one character of a label.
const CHARACTER: f64 = 6.4;
/// The most characters of a label.
const LONGEST: usize = 26;

/// A box of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Box {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// Whether an arrow undoes what is owed before it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Forward,
    Undo,
}

/// An arrow with its label, which ends before its tip.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    pub(super) path: String,
    pub(super) label: (i32, i32),
    pub(super) text: String,
    pub(super) style: Style,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) height: i32,
    /// The place of the start.
    pub(super) start: Option<(i32, i32)>,
    /// The box of each state, in the order of the definition.
    pub(super) boxes: Vec<Box>,
    pub(super) arrows: Vec<Arrow>,
}

/// All moves from one state to another. `None` is the start, or every state.
#[derive(Debug)]
struct Way {
    from: From,
    to: usize,
    labels: Vec<String>,
    undo: bool,
}

impl Way {
    fn text(&self) -> String {
        let text = self.labels.join(", ");
        if self.from == From::Any { format!("any: {text}") } else { text }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    Start,
    State(usize),
    /// A row of `during_any`: it applies in every state that has not ended.
    Any,
}

impl Layout {
    pub(super) fn of(definition: &StoredDefinition) -> Self {
        let ways = ways(definition);
        let columns = columns(definition, &ways);
        let last = columns.iter().copied().max().unwrap_or_default();
        let order = order(definition, &ways, &columns, last);

        // The ports of a state are its ways in. Those from the column before come first.
        let mut ports: Vec<Vec<usize>> = vec![Vec::new(); definition.states.len()];
        for (index, way) in ways.iter().enumerate() {
            ports[way.to].push(index);
        }
        let place = |from: From| match from {
            From::Start => (0, 0),
            From::State(state) => (0, order[state] + 1),
            From::Any => (1, 0),
        };
        for (state, ports) in ports.iter_mut().enumerate() {
            ports.sort_by_key(|&way| {
                let from = ways[way].from;
                (is_far(from, columns[state], &columns), place(from))
            });
        }

        // Widths: a channel with a turn for each way, then the labels.
        let mut x = MARGIN + 14;
        let mut lefts = Vec::new();
        let mut channels = Vec::new();
        for column in 0..=last {
            let into = ways.iter().filter(|way| columns[way.to] == column);
            let longest = into.clone().map(|way| clipped(&way.text()).chars().count()).max();
            // The number of ways is small.
            let turns = i32::try_from(into.count()).unwrap_or(i32::MAX / 16);
            let labels = (longest.unwrap_or_default() as f64 * CHARACTER) as i32 + 26;
            channels.push(x);
            x += 12 + turns * 8 + labels;
            lefts.push(x);
            x += BOX_WIDTH;
        }
        // Behind the last column, its ways to earlier ones turn down.
        let leaving =
            ways.iter().filter(|way| matches!(way.from, From::State(state) if columns[state] == last));
        let width = x + 24 + i32::try_from(leaving.count()).unwrap_or(0) * 3;

        // Heights: each box has room for its ports.
        let mut boxes =
            vec![Box { x: 0, y: 0, width: BOX_WIDTH, height: BOX_HEIGHT }; definition.states.len()];
        let mut bottom = MARGIN;
        for (column, &left) in lefts.iter().enumerate() {
            let mut states: Vec<usize> = (0..boxes.len()).filter(|&state| columns[state] == column).collect();
            states.sort_by_key(|&state| order[state]);
            let mut y = MARGIN + 6;
            for state in states {
                let ports = i32::try_from(ports[state].len()).unwrap_or(i32::MAX / 64);
                let owes = if definition.states[state].owes.is_empty() { 0 } else { 18 };
                let height = BOX_HEIGHT.max(ports * PORT + 14) + owes;
                boxes[state] = Box { x: left, y, width: BOX_WIDTH, height };
                y += height + GAP;
            }
            bottom = bottom.max(y);
        }

        let mut arrows = Vec::new();
        let mut lanes = 0;
        let mut turns = vec![0; last + 1];
        let mut leaving = vec![0; definition.states.len()];
        let start_y = ports.iter().zip(&boxes).find_map(|(ports, at)| {
            let port = ports.iter().position(|&way| ways[way].from == From::Start)?;
            Some(port_y(*at, port, ports.len()))
        });
        let start = start_y.map(|y| (MARGIN + 5, y));
        for (state, ports) in ports.iter().enumerate() {
            let (column, at) = (columns[state], boxes[state]);
            for (port, &way) in ports.iter().enumerate() {
                let (way, y) = (&ways[way], port_y(at, port, ports.len()));
                let channel = channels[column] + 10 + turns[column] * 8;
                turns[column] += 1;
                let far = is_far(way.from, column, &columns);
                let mut lane = || {
                    lanes += 1;
                    bottom + (lanes - 1) * LANE
                };
                let tip = at.x - 2;
                let path = match way.from {
                    From::Start => {
                        let (x, from) = start.unwrap_or((MARGIN + 5, y));
                        if column == 0 && from == y {
                            format!("M{} {from}H{tip}", x + 5)
                        } else if column == 0 {
                            format!("M{} {from}H{channel}V{y}H{tip}", x + 5)
                        } else {
                            format!("M{x} {}V{lane}H{channel}V{y}H{tip}", from + 5, lane = lane())
                        }
                    }
                    From::Any => format!("M{} {y}H{tip}", channel - 2),
                    From::State(from) => {
                        let source = boxes[from];
                        leaving[from] += 1;
                        let out = source.y + 14 + (leaving[from] - 1) * 9 % (source.height - 20).max(9);
                        let right = source.x + source.width;
                        if far {
                            let turn = right + 4 + leaving[from] * 3;
                            format!("M{right} {out}H{turn}V{lane}H{channel}V{y}H{tip}", lane = lane())
                        } else {
                            format!("M{right} {out}H{channel}V{y}H{tip}")
                        }
                    }
                };
                let text = way.text();
                let style = if way.undo { Style::Undo } else { Style::Forward };
                arrows.push(Arrow { path, label: (tip - 10, y - 4), text, style });
            }
        }
        Self { width, height: bottom + lanes * LANE + MARGIN, start, boxes, arrows }
    }
}

/// Returns the beginning of a long label.
pub(super) fn clipped(text: &str) -> String {
    cut(text, LONGEST)
}

/// Returns the beginning of a text with more characters than `most`.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

fn port_y(at: Box, port: usize, ports: usize) -> i32 {
    // The numbers of ports are small.
    let (port, ports) = (i32::try_from(port).unwrap_or(0), i32::try_from(ports.max(1)).unwrap_or(1));
    at.y + (at.height - (ports - 1) * PORT) / 2 + port * PORT
}

/// Whether a way needs a lane, because it does not come from the column before.
fn is_far(from: From, to: usize, columns: &[usize]) -> bool {
    match from {
        From::Start => to != 0,
        From::State(state) => columns[state] + 1 != to,
        From::Any => false,
    }
}

/// Joins the moves between the same two states, and the rows that apply in every state.
fn ways(definition: &StoredDefinition) -> Vec<Way> {
    let moves = definition.moves();
    let open = definition.states.iter().filter(|state| state.end.is_none()).count();
    let same = |one: &StateMove<'_>, other: &StateMove<'_>| {
        std::ptr::eq(one.row, other.row) && one.to == other.to && other.from.is_some()
    };
    let mut ways: BTreeMap<(From, usize), (Vec<String>, bool)> = BTreeMap::new();
    for one in &moves {
        let Some(to) = one.to.filter(|to| one.from != Some(*to)) else { continue };
        let everywhere = moves.iter().filter(|other| same(one, other)).count();
        let from = match one.from {
            None => From::Start,
            // The target itself may be missing, because no arrow leads from a state to the same state.
            Some(_) if open > 2 && everywhere + usize::from(definition.states[to].end.is_none()) >= open => {
                From::Any
            }
            Some(state) => From::State(state),
        };
        let (labels, undo) = ways.entry((from, to)).or_insert_with(|| (Vec::new(), true));
        let label = label(one.row);
        if !labels.contains(&label) {
            labels.push(label);
        }
        *undo &= one.row.compensate;
    }
    ways.into_iter().map(|((from, to), (labels, undo))| Way { from, to, labels, undo }).collect()
}

fn label(row: &StoredRow) -> String {
    let triggers: Vec<&str> = row.triggers.iter().map(|trigger| &*trigger.label).collect();
    triggers.join(if row.all { " + " } else { ", " })
}

/// Returns the column of each state: the shortest way from the start. A state without a way is in the first column.
fn columns(definition: &StoredDefinition, ways: &[Way]) -> Vec<usize> {
    let mut columns: Vec<Option<usize>> = vec![None; definition.states.len()];
    let mut next: Vec<usize> = Vec::new();
    for way in ways.iter().filter(|way| way.from == From::Start) {
        if columns[way.to].replace(0).is_none() {
            next.push(way.to);
        }
    }
    let mut column = 0;
    while !next.is_empty() {
        column += 1;
        let from = std::mem::take(&mut next);
        for way in ways {
            if let From::State(state) = way.from
                && from.contains(&state)
                && columns[way.to].is_none()
            {
                columns[way.to] = Some(column);
                next.push(way.to);
            }
        }
    }
    // What only an arrow from every state reaches is at the end.
    let last = columns.iter().flatten().max().map_or(0, |last| last + 1);
    let by_any = |state: usize| ways.iter().any(|way| way.to == state && way.from == From::Any);
    let place = |(state, column): (usize, Option<usize>)| {
        column.unwrap_or(if by_any(state) { last.max(1) } else { 0 })
    };
    columns.into_iter().enumerate().map(place).collect()
}

/// Returns the place of each state within its column: the mean place of the states before it that lead to it.
fn order(definition: &StoredDefinition, ways: &[Way], columns: &[usize], last: usize) -> Vec<usize> {
    let mut order = vec![0; definition.states.len()];
    for column in 0..=last {
        let mut states: Vec<(usize, usize, usize)> = Vec::new();
        for state in (0..order.len()).filter(|&state| columns[state] == column) {
            let before = ways.iter().filter_map(|way| match way.from {
                From::State(from) if way.to == state && columns[from] < column => Some(order[from]),
                _ => None,
            });
            let (sum, count) = before.fold((0, 0), |(sum, count), place| (sum + place, count + 1));
            let mean = (sum * 100_usize).checked_div(count).unwrap_or(usize::MAX);
            // The good end comes before the failures of the same state.
            let failed = usize::from(definition.states[state].end.as_deref() == Some("failed"));
            states.push((mean.saturating_add(failed), state, state));
        }
        states.sort_unstable();
        for (place, (.., state)) in states.into_iter().enumerate() {
            order[state] = place;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A definition with these moves: from, to and label. No `from` is the start.
    fn definition(states: &[&str], moves: &[(Option<usize>, usize, &str)]) -> StoredDefinition {
        let row = |to: usize, label: &str| {
            serde_json::json!({
                "triggers": [{ "on": "event", "name": label, "label": label }],
                "to": { "to": [states[to]] },
            })
        };
        let rows: Vec<_> = moves.iter().map(|&(_, to, label)| row(to, label)).collect();
        let of = |from: Option<usize>| -> Vec<usize> {
            (0..moves.len()).filter(|&at| moves[at].0 == from).collect()
        };
        let states: Vec<_> = states
            .iter()
            .enumerate()
            .map(|(at, name)| serde_json::json!({ "name": name, "variant": name, "rows": of(Some(at)) }))
            .collect();
        let definition = serde_json::json!({
            "saga": "x", "version": 1, "data": { "type_name": "Data" }, "states": states,
            "initially": of(None), "rows": rows, "events": [], "commands": [],
            "ended_instance": "ignore", "missing_instance": "reject",
        });
        serde_json::from_value(definition).unwrap()
    }

    fn checked(definition: &StoredDefinition) -> Layout {
        let layout = Layout::of(definition);
        for (at, one) in layout.boxes.iter().enumerate() {
            assert!(one.x > 0 && one.x + one.width < layout.width, "{layout:?}");
            assert!(one.y > 0 && one.y + one.height < layout.height, "{layout:?}");
            for other in &layout.boxes[at + 1..] {
                let apart = one.x + one.width <= other.x
                    || other.x + other.width <= one.x
                    || one.y + one.height <= other.y
                    || other.y + other.height <= one.y;
                assert!(apart, "two boxes meet: {one:?} {other:?}");
            }
        }
        let mut places: Vec<(i32, i32)> = layout.arrows.iter().map(|arrow| arrow.label).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), layout.arrows.len(), "two labels meet");
        layout
    }

    #[test]
    fn a_state_is_in_the_column_after_the_first_that_leads_to_it() {
        let moves =
            [(None, 0, "go"), (Some(0), 1, "a"), (Some(0), 2, "b"), (Some(1), 2, "c"), (Some(2), 0, "back")];
        let layout = checked(&definition(&["x", "y", "z"], &moves));
        let [x, y, z] = layout.boxes[..] else { panic!("{layout:?}") };
        assert!(x.x < y.x && y.x == z.x && y.y < z.y, "{layout:?}");
        assert_eq!(layout.arrows.len(), 5);
    }

    #[test]
    fn moves_between_the_same_states_are_one_arrow() {
        let layout =
            checked(&definition(&["x", "y"], &[(None, 0, "go"), (Some(0), 1, "a"), (Some(0), 1, "b")]));
        assert_eq!(layout.arrows.iter().map(|arrow| &*arrow.text).collect::<Vec<_>>(), ["go", "a, b"]);
    }

    #[test]
    fn a_row_of_every_state_is_one_arrow() {
        let mut any = definition(
            &["a", "b", "c", "end"],
            &[(None, 0, "go"), (Some(0), 1, "x"), (Some(1), 2, "y"), (Some(0), 3, "stop")],
        );
        any.states[3].end = Some("failed".to_owned());
        for state in [0, 1] {
            any.states[state].rows.push(3);
            any.states[state].rows.dedup();
        }
        let except_one = checked(&any);
        let texts: Vec<&str> = except_one.arrows.iter().map(|arrow| &*arrow.text).collect();
        assert_eq!(texts.iter().filter(|text| **text == "stop").count(), 2, "{texts:?}");
        any.states[2].rows.push(3);
        let layout = checked(&any);
        assert_eq!(layout.arrows.iter().filter(|arrow| arrow.text == "any: stop").count(), 1);
        assert_eq!(layout.arrows.len(), 4);
    }

    #[test]
    fn a_table_without_states_or_with_strange_rows_is_drawn() {
        checked(&definition(&[], &[]));
        let mut strange = definition(&["x"], &[(None, 0, "go")]);
        strange.states[0].rows = vec![7];
        strange.initially = vec![9];
        checked(&strange);
    }
}
