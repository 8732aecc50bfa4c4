//! Which instances? Then: what does each wait for, and what would a verb do to those that are ticked?

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::{LabelValue, visible};
use saga_core::store::{
    InstanceFilter, InstanceOrder, InstancePage, InstanceView, LabelCondition, PageFrom, ParkReason,
    Position, Status,
};
use serde::{Deserialize, Serialize};

use super::{NoPage, Numbers, Screen, has, is_active};
use crate::parts::{Look, empty, id, is_final, prose, search_choice, search_text, state, time};
use crate::text::{count, instance_address, number, pick, query};

/// The lines of a page.
const LINES: usize = 50;
/// The pages that are read for one page of the list, because a rare condition makes pages of the store short.
const READS: usize = 20;
/// The most columns for labels.
const COLUMNS: usize = 4;
/// The columns for labels in a window of 900 to 1380 pixels.
const WIDE: usize = 1;

/// The filter of a list, as the query of its address.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) saga: String,
    pub(crate) state: String,
    /// A status, or `active` for all that have not ended, or `parked`.
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) key: String,
    pub(crate) alias: String,
    /// Conditions on labels, separated by ` & `.
    pub(crate) label: String,
    pub(crate) error: String,
    pub(crate) waiting: String,
    pub(crate) owed: String,
    pub(crate) sort: String,
    pub(crate) after: String,
    pub(crate) before: String,
}

impl Filter {
    /// Returns the fields with their words for people.
    fn conditions(&self) -> [(&'static str, &'static str, &str); 10] {
        [
            ("saga", "saga", &self.saga),
            ("state", "state", &self.state),
            ("status", "status", &self.status),
            ("reason", "parked because", &self.reason),
            ("key", "key begins with", &self.key),
            ("alias", "alias", &self.alias),
            ("label", "label", &self.label),
            ("error", "error contains", &self.error),
            ("waiting", "waits for", &self.waiting),
            ("owed", "owed", &self.owed),
        ]
    }

    /// Returns the address of this list with some fields changed.
    fn to(&self, changes: &[(&str, &str)]) -> String {
        let mut fields: Vec<(&str, &str)> = self.conditions().map(|(name, _, value)| (name, value)).to_vec();
        fields.push(("sort", &self.sort));
        for &(name, value) in changes {
            fields.retain(|(known, _)| *known != name);
            fields.push((name, value));
        }
        format!("/instances{}", query(&fields))
    }

    /// Returns the filter of the store.
    pub(crate) fn parse(&self) -> Result<InstanceFilter, NoPage> {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let bad = |what: &str, text: &str| NoPage::Bad(format!("`{text}` is no {what}"));
        let mut filter = InstanceFilter::default();
        (filter.saga, filter.state) = (set(&self.saga), set(&self.state));
        (filter.key_prefix, filter.alias) = (set(&self.key), set(&self.alias));
        (filter.error, filter.waiting_for) = (set(&self.error), set(&self.waiting));
        filter.labels = labels(&self.label)
            .map(|text| text.parse::<LabelCondition>().map_err(|error| NoPage::Bad(format!("{error}."))))
            .collect::<Result<_, _>>()?;
        match &*self.status {
            "" | "active" => {}
            "parked" => filter.parked = Some(true),
            word => filter.status = Some(Status::parse(word).ok_or_else(|| bad("status", word))?),
        }
        if let Some(word) = set(&self.reason) {
            let reason: Result<ParkReason, _> = serde_json::from_value(word.clone().into());
            filter.reason = Some(reason.map_err(|_| bad("reason of a park", &word))?);
        }
        filter.owed = match &*self.owed {
            "" => None,
            "yes" => Some(true),
            "no" => Some(false),
            word => return Err(bad("answer to `owed`: yes or no", word)),
        };
        (filter.order, filter.descending) = match &*self.sort {
            "" | "changed" => (InstanceOrder::Changed, true),
            "created" => (InstanceOrder::Created, true),
            "key" => (InstanceOrder::Key, false),
            "due" => (InstanceOrder::Due, false),
            word => return Err(bad("order: changed, created, key or due", word)),
        };
        let position = |text: &str| text.parse::<Position>().map_err(|error| NoPage::Bad(error.to_string()));
        if let Some(after) = set(&self.after) {
            filter.from = Some(PageFrom::After(position(&after)?));
        } else if let Some(before) = set(&self.before) {
            filter.from = Some(PageFrom::Before(position(&before)?));
        }
        filter.limit = LINES;
        Ok(filter)
    }

    /// Returns whether a line of the store belongs to the list.
    pub(crate) fn takes(&self, view: &InstanceView) -> bool {
        self.status != "active" || !view.status.is_over()
    }
}

pub(crate) async fn instances(screen: Screen, Query(filter): Query<Filter>) -> Response {
    let page = page(&screen, &filter).await;
    screen.answer(page)
}

async fn page(screen: &Screen, of: &Filter) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let mut filter = of.parse()?;
    if !filter.labels.is_empty() && !screen.sees_payloads() {
        return Err(NoPage::Bad("This token may not see labels, and cannot search for them.".to_owned()));
    }
    let backwards = matches!(filter.from, Some(PageFrom::Before(_)));
    let mut found = InstancePage::default();
    for _ in 0..READS {
        filter.limit = LINES - found.instances.len();
        let page = store.instances(&filter).await?;
        let mut views: Vec<_> = page.instances.into_iter().filter(|view| of.takes(view)).collect();
        if backwards {
            views.append(&mut found.instances);
            found.instances = views;
        } else {
            found.instances.append(&mut views);
        }
        found.more = page.more;
        let Some(more) = found.more.clone() else { break };
        if found.instances.len() >= LINES {
            break;
        }
        filter.from = Some(if backwards { PageFrom::Before(more) } else { PageFrom::After(more) });
    }
    let conditions = of.conditions().into_iter().filter(|(.., value)| !value.is_empty()).count();
    let body = html! {
        div.head { h1 { "Instances" } (lead(&found, conditions)) }
        section.panel aria-label="Instances" {
            (quick(screen, of, &numbers))
            (search(screen, of, &numbers))
            @if conditions > 0 { (chips(screen, of)) }
            (saved(screen, of))
            @if found.instances.is_empty() {
                (none(screen, of, found.more.as_ref(), backwards))
            } @else {
                (list(screen, of, &found, &numbers))
            }
            (pager(screen, of, &found, backwards))
        }
    };
    Ok(screen.page("/instances", "Instances", numbers.badges, &body))
}

fn lead(found: &InstancePage, conditions: usize) -> Markup {
    let shown = found.instances.len() as u64;
    let parked = found.instances.iter().filter(|view| view.parked.is_some()).count() as u64;
    html! {
        p.lead {
            b { (count(shown, "instance", "instances")) }
            @if found.more.is_some() { " on this page" }
            @if conditions > 0 { @if shown == 1 { " matches" } @else { " match" } }
            @if parked > 0 { ", " b { (number(parked)) } " of them parked" } "."
        }
    }
}

fn quick(screen: &Screen, of: &Filter, numbers: &Numbers) -> Markup {
    let in_saga = |count: &saga_core::store::InstanceCount| of.saga.is_empty() || count.saga == of.saga;
    let tabs = [
        ("", "All", numbers.of(in_saga)),
        ("active", "Active", numbers.of(|one| in_saga(one) && is_active(one))),
        ("parked", "Parked", numbers.of(|one| in_saga(one) && one.parked)),
        ("compensating", "Compensating", numbers.of(|one| in_saga(one) && has(one, Status::Compensating))),
        ("completed", "Completed", numbers.of(|one| in_saga(one) && has(one, Status::Completed))),
        ("failed", "Failed", numbers.of(|one| in_saga(one) && has(one, Status::Failed))),
        ("aborted", "Aborted", numbers.of(|one| in_saga(one) && has(one, Status::Aborted))),
    ];
    html! {
        div.tools { div.tabs role="group" aria-label="Quick filters" {
            @for (status, name, instances) in tabs {
                a href=(screen.base.to(&of.to(&[("status", status)]))) aria-current=[(of.status == status).then_some("true")] {
                    (name) " " span.n { (number(instances)) }
                }
            }
        } }
    }
}

fn search(screen: &Screen, of: &Filter, numbers: &Numbers) -> Markup {
    let mut sagas: Vec<&str> = numbers.counts.iter().map(|count| &*count.saga).collect();
    sagas.dedup();
    let in_saga = numbers.counts.iter().filter(|count| of.saga.is_empty() || count.saga == of.saga);
    let mut states: Vec<&str> = in_saga.map(|count| &*count.state).collect();
    states.sort_unstable();
    states.dedup();
    html! {
        form.tools method="get" action=(screen.base.to("/instances")) role="search" aria-label="Instances" {
            (search_text("key", "Key begins with", &of.key))
            (search_text("error", "Text of an error", &of.error))
            (search_text("waiting", "Waits for command", &of.waiting))
            (search_text("alias", "Alias", &of.alias))
            @if screen.sees_payloads() { (search_text("label", "Label, such as customer=C-7", &of.label)) }
            (search_choice("saga", "any saga", &of.saga, &sagas))
            (search_choice("state", "any state", &of.state, &states))
            @for (name, value) in [("status", &of.status), ("reason", &of.reason), ("owed", &of.owed), ("sort", &of.sort)] {
                @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
            }
            button.btn.btn-main { "Search" }
        }
    }
}

/// The saved filters.
fn saved(screen: &Screen, of: &Filter) -> Markup {
    let query = of.to(&[]);
    let query = query.strip_prefix("/instances").unwrap_or_default();
    html! {
        @if !screen.filters.is_empty() {
            div.tools.saved aria-label="Saved filters" role="group" {
                span.small.muted { "Saved" }
                @for filter in &screen.filters {
                    span.chip {
                        a href=(screen.base.to(&format!("/instances{}", filter.query))) aria-current=[(filter.query == query).then_some("true")] { (visible(&filter.name)) }
                        form method="post" action=(screen.base.to("/filters")) {
                            input type="hidden" name="query" value=(query);
                            button.link name="forget" value=(filter.name) aria-label=(format!("Forget the filter {}", visible(&filter.name))) { span aria-hidden="true" { "×" } }
                        }
                    }
                }
            }
        }
    }
}

fn chips(screen: &Screen, of: &Filter) -> Markup {
    let query = of.to(&[]);
    let query = query.strip_prefix("/instances").unwrap_or_default();
    let known = screen.filters.iter().any(|filter| filter.query == query);
    html! {
        div.tools { div.chips role="group" aria-label="Conditions" {
            @for (name, words, value) in of.conditions().into_iter().filter(|(.., value)| !value.is_empty()) {
                span.chip {
                    span.k { (words) } b { (visible(value)) }
                    a href=(screen.base.to(&of.to(&[(name, "")]))) aria-label=(format!("Remove {words}")) { span aria-hidden="true" { "×" } }
                }
            }
            a.small href=(screen.base.to("/instances")) { "Clear all" }
        }
        @if !known {
            form.row.end method="post" action=(screen.base.to("/filters")) {
                input type="hidden" name="query" value=(query);
                label.sr for="filter-name" { "Name of this filter" }
                input.field #filter-name name="name" maxlength="40" required placeholder="Name of this filter" autocomplete="off";
                button.btn { "Save" }
            }
        } }
    }
}

fn none(screen: &Screen, of: &Filter, more: Option<&Position>, backwards: bool) -> Markup {
    match more {
        Some(more) => {
            let next = of.to(&[(if backwards { "before" } else { "after" }, &more.to_string())]);
            empty(
                "Nothing so far",
                &html! {
                    "The conditions are rare, and the list is long. " a href=(screen.base.to(&next)) { "Search on" } "."
                },
            )
        }
        None => empty(
            "No instance meets the conditions",
            &html! {
                "Remove a condition above, or " a href=(screen.base.to("/instances")) { "show all instances" } "."
            },
        ),
    }
}

fn list(screen: &Screen, of: &Filter, found: &InstancePage, numbers: &Numbers) -> Markup {
    let decides = screen.decides();
    let sort = if of.sort.is_empty() { "changed" } else { &*of.sort };
    let head = |order: &str, name: &str, class: &str| {
        let arrow = if matches!(order, "key" | "due") { "↑" } else { "↓" };
        let sorted = (sort == order).then_some(if arrow == "↑" { "ascending" } else { "descending" });
        html! {
            th class=(class) scope="col" aria-sort=[sorted] {
                a href=(screen.base.to(&of.to(&[("sort", order)]))) { (name) @if sorted.is_some() { " " (arrow) } }
            }
        }
    };
    let labels = if screen.sees_payloads() { columns(of, found, numbers) } else { Vec::new() };
    let table = html! {
        div.scroll { table.cards {
            caption.sr { "Instances" }
            thead { tr {
                @if decides { th.fit scope="col" { span.sr { "Ticked" } } }
                (head("key", "Key", "")) th scope="col" { "Saga" } th scope="col" { "State" }
                @for (at, label) in labels.iter().enumerate() { th.label.opt[at >= WIDE] scope="col" title=(visible(label)) { (visible(label)) } }
                th scope="col" { "Waits for" }
                th.num.opt scope="col" { "Owed" } (head("due", "Due", "num")) (head("changed", "Changed", "num")) (head("created", "Age", "num opt"))
            } }
            tbody data-live="rows" { @for view in &found.instances { (line(screen, of, view, numbers, &labels, decides)) } }
        } }
    };
    html! {
        @if decides {
            form method="post" action=(screen.base.to("/batch")) {
                input type="hidden" name="proof" value=(screen.session.proof);
                @for (name, _, value) in of.conditions() { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } }
                (table)
                div.batch { div.tools {
                    label for="scope" { "Decide about " }
                    select.field #scope name="scope" { option value="ticked" { "the ticked ones" } option value="all" { "all that match" } }
                    @for (verb, name) in [("retry", "Retry…"), ("skip", "Skip…"), ("abort", "Abort…"), ("purge", "Purge…")] {
                        button class=(if is_final(verb) { "btn btn-danger" } else { "btn" }) name="verb" value=(verb) { (name) }
                    }
                    span.small.faint { "The next page says how many, and asks why." }
                } }
            }
        } @else {
            (table)
        }
    }
}

/// Splits conditions at each ` & `. Within a value, one more `&` stands there.
fn labels(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(" & ").filter(|part| !part.trim().is_empty());
    parts.map(|part| part.replace(" &&", " &"))
}

/// Returns the condition for the same label, as one of the conditions of a list.
pub(crate) fn same_label(name: &str, value: &LabelValue) -> String {
    LabelCondition::equal(name, value).to_string().replace(" &", " &&")
}

/// The labels with a column: those of the saga of the filter, or else those on the page.
fn columns(of: &Filter, found: &InstancePage, numbers: &Numbers) -> Vec<String> {
    let newest = numbers.definitions.iter().rev().find(|known| known.saga == of.saga);
    let mut labels = newest.map_or_else(Vec::new, |definition| definition.labels.clone());
    for (name, _) in found.instances.iter().flat_map(|view| view.labels.iter()) {
        if !labels.iter().any(|known| known == name) {
            labels.push(name.to_string());
        }
    }
    labels.truncate(COLUMNS);
    labels
}

fn line(
    screen: &Screen,
    of: &Filter,
    view: &InstanceView,
    numbers: &Numbers,
    labels: &[String],
    decides: bool,
) -> Markup {
    let now = screen.now;
    let key = view.address.key.text();
    let parked = view.parked.as_ref();
    let error = parked.map(|parked| &parked.detail).or_else(|| view.errors.last());
    html! {
        tr {
            @if decides {
                td.fit.pick { input type="checkbox" name="pick" value=(pick(&view.address, view.seq, view.created_at)) aria-label=(format!("Tick {}", visible(key))); }
            }
            td.title.key { a href=(screen.base.to(&instance_address(&view.address, &[]))) { (id(key)) } }
            td.fit data-label="Saga" { (visible(&view.address.saga)) }
            td.fit data-label="State" { (state(Look::of_view(view), numbers.variant(view))) }
            @for (at, label) in labels.iter().enumerate() {
                td.label.opt[at >= WIDE] data-label=(visible(label)) {
                    @if let Some(value) = view.labels.get(label) {
                        @let same = same_label(label, value);
                        a href=(screen.base.to(&of.to(&[("label", &same)]))) { (id(&value.to_string())) }
                    }
                }
            }
            td.long data-label="Waits for" {
                @if let Some(parked) = parked { span { "a person: " (prose(&parked.reason.to_string())) } }
                @else if !view.waiting_for.is_empty() { span { @for name in &view.waiting_for { (id(name)) " " } } }
                @if let Some(error) = error.filter(|error| !error.is_empty()) { span.sub.err.one title=(visible(error)) { (visible(error)) } }
            }
            td.num.opt data-label="Owed" { @if view.owed > 0 { (view.owed) } }
            td.num data-label="Due" { @if let Some(due) = view.due { (time(due, now)) } }
            td.num data-label="Changed" { (time(view.changed_at, now)) }
            td.num.opt data-label="Age" { (time(view.created_at, now)) }
        }
    }
}

fn pager(screen: &Screen, of: &Filter, found: &InstancePage, backwards: bool) -> Markup {
    let text = |view: Option<&InstanceView>| view.map(|view| view.position.to_string());
    let (first, last) = (text(found.instances.first()), text(found.instances.last()));
    let before_at = if backwards { found.more.as_ref().map(ToString::to_string) } else { first };
    let paged = !of.after.is_empty() || !of.before.is_empty();
    // A page before a position has another page behind it, and the other way round.
    let before = if backwards { found.more.is_some() } else { paged };
    let after = if backwards { paged } else { found.more.is_some() };
    let after_at = if backwards { last } else { found.more.as_ref().map(ToString::to_string) };
    html! {
        footer.pager {
            span {
                @if let Some(at) = before_at.filter(|_| before) { a href=(screen.base.to(&of.to(&[("before", &at)]))) rel="prev" { "← Before" } }
            }
            span {
                @if let Some(at) = after_at.filter(|_| after) { a href=(screen.base.to(&of.to(&[("after", &at)]))) rel="next" { "After →" } }
            }
        }
    }
}
