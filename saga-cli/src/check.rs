//! The check of a whole store.
//!
//! Owns: what is read, and the report. Does not own: the recognition of damage, which each read has.

use std::collections::BTreeMap;

use anyhow::Result;
use saga_core::store::{
    AuditChains, AuditFilter, AuditFrom, AuditLink, HistoryKind, InstanceCount, InstanceFilter,
    InstanceOrder, InstanceView, PageFrom, Position, StoreError,
};
use serde::Serialize;

use crate::Ended;
use crate::output::{Output, plain};
use crate::source::Source;

/// The most lines of history of one instance.
const LINES: usize = 100_000;

pub(crate) async fn check(store: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let before = (store.counts().await?, newest(store).await?);
    let mut report = Report::default();
    let mut found = BTreeMap::new();
    let mut filter = InstanceFilter::default();
    filter.limit = 200;
    loop {
        let page = store.instances(&filter).await?;
        for view in &page.instances {
            *found.entry(group(view)).or_insert(0) += 1;
            instance(store, view, &mut report).await?;
        }
        let Some(more) = page.more else { break };
        filter.from = Some(PageFrom::After(more));
    }
    audit(store, &mut report).await?;
    let after = (store.counts().await?, newest(store).await?);
    report.quiet = before == after;
    if report.quiet {
        counts(&after.0, &found, &mut report);
    }
    let ended = if report.damage.is_empty() { Ended::Well } else { Ended::Damaged };
    output.one(&report, text)?;
    Ok(ended)
}

/// Returns the place of the newest step. Each step moves it.
async fn newest(store: &Source) -> Result<Option<Position>> {
    let mut filter = InstanceFilter::default();
    (filter.order, filter.descending, filter.limit) = (InstanceOrder::Changed, true, 1);
    Ok(store.instances(&filter).await?.instances.into_iter().next().map(|view| view.position))
}

#[derive(Default, Serialize)]
struct Report {
    instances: usize,
    history_lines: usize,
    audit_rows: usize,
    /// The link of the newest row of the audit. Keep it elsewhere: it shows later that no row behind it was removed.
    audit_link: String,
    /// Whether nothing moved during the check. Otherwise the counts were not compared.
    quiet: bool,
    damage: Vec<Damage>,
}

#[derive(Serialize)]
struct Damage {
    saga: String,
    key: String,
    what: String,
}

type Group = (String, String, Option<&'static str>, bool);

fn group(view: &InstanceView) -> Group {
    let (saga, state) = (view.address.saga.to_string(), view.state.to_string());
    (saga, state, Some(view.status.as_str()), view.parked.is_some())
}

/// Reads one instance and its history.
async fn instance(store: &Source, view: &InstanceView, report: &mut Report) -> Result<()> {
    report.instances += 1;
    let mut damaged = |what: String| {
        let (saga, key) = (view.address.saga.to_string(), view.address.key.text().to_owned());
        report.damage.push(Damage { saga, key, what });
    };
    match store.instance(&view.address).await {
        Err(StoreError::Corrupt { detail, .. }) => {
            let address = format!("{}: ", view.address);
            damaged(detail.strip_prefix(&address).unwrap_or(&detail).to_owned());
        }
        // A purge has removed the instance since the list was read.
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let lines = store.history(&view.address, LINES).await?;
    for line in lines.iter().filter(|line| line.entry.kind == HistoryKind::Unreadable) {
        let why = line.entry.note.as_deref().unwrap_or_default();
        damaged(format!("history line of step {}: {why}", line.seq));
    }
    if lines.len() < LINES && lines.first().is_some_and(|line| line.seq > 1) {
        damaged(format!("its history begins with step {}; earlier lines are missing", lines[0].seq));
    }
    report.history_lines += lines.len();
    Ok(())
}

/// Follows the chain of the audit.
async fn audit(store: &Source, report: &mut Report) -> Result<()> {
    let (mut chains, mut filter) = (AuditChains::default(), AuditFilter::default());
    filter.limit = 1_000;
    loop {
        let rows = store.audit(&filter).await?;
        for row in &rows {
            if !chains.follows(row) {
                let what = format!("row {} of the audit does not follow the row before it", row.id.0);
                report.damage.push(Damage { saga: "audit".to_owned(), key: String::new(), what });
            }
        }
        report.audit_rows += rows.len();
        let Some(last) = rows.last() else {
            let links: Vec<String> = chains.last().values().map(ToString::to_string).collect();
            report.audit_link = match links.is_empty() {
                true => AuditLink::FIRST.to_string(),
                false => links.join(" "),
            };
            return Ok(());
        };
        filter.from = AuditFrom::After(last.id);
    }
}

/// Compares the counts with the instances that were listed.
fn counts(counts: &[InstanceCount], found: &BTreeMap<Group, u64>, report: &mut Report) {
    let mut left = found.clone();
    for count in counts {
        let status = count.status.map(|status| status.as_str());
        let of = (count.saga.clone(), count.state.clone(), status, count.parked);
        let listed = left.remove(&of).unwrap_or(0);
        if listed != count.instances {
            report.damage.push(differs(of, count.instances, listed));
        }
    }
    for (of, listed) in left {
        report.damage.push(differs(of, 0, listed));
    }
}

fn differs((saga, state, status, parked): Group, counted: u64, listed: u64) -> Damage {
    let parked = if parked { ", parked" } else { "" };
    let status = status.unwrap_or("unknown");
    let what =
        format!("{counted} instances are counted in `{state}` ({status}{parked}), and {listed} are there");
    Damage { saga, key: String::new(), what }
}

fn text(report: &Report) -> String {
    let Report { instances, history_lines, audit_rows, audit_link, quiet, damage } = report;
    let mut text = format!("{instances} instances and {history_lines} lines of history were read\n");
    if *audit_rows > 0 {
        text += &format!("{audit_rows} rows of the audit end with {audit_link}\n");
    }
    if !quiet {
        text += "instances moved meanwhile, so the counts were not compared\n";
    }
    for Damage { saga, key, what } in damage {
        let key = if key.is_empty() { String::new() } else { format!(" `{}`", plain(key)) };
        text += &format!("damaged: {}{key}: {}\n", plain(saga), plain(what));
    }
    if damage.is_empty() {
        text += "no damage was found\n";
    }
    text
}
