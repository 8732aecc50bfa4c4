//! The frame of every page: head, navigation, glyphs and the line at the top.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use saga_core::message::visible;

use crate::Dashboard;
use crate::guard::Base;
use crate::options::Button;
use crate::parts::{glyph, status};
use crate::preferences::Preferences;
use crate::session::{Role, Session};
use crate::source::Condition;
use crate::text::number;

/// The glyphs, once in each page. Shapes differ, so that a status needs no colour.
const SPRITE: &str = include_str!("../assets/glyphs.svg");

/// The screens: path, name, and the key that goes there.
const SCREENS: [(&str, &str, &str); 11] = [
    ("/", "Overview", "go"),
    ("/instances", "Instances", "gi"),
    ("/attention", "Attention", "ga"),
    ("/dead", "Dead letters", "gd"),
    ("/timers", "Timers", "gt"),
    ("/schedules", "Schedules", "gc"),
    ("/handlers", "Handlers", "gh"),
    ("/sagas", "Sagas", "gs"),
    ("/subscribers", "Subscribers", "gu"),
    ("/audit", "Audit", "gx"),
    ("/about", "About", "gb"),
];

/// The numbers beside the names of the screens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Badges {
    pub(crate) active: u64,
    /// Paused sagas and handlers.
    pub(crate) paused: u64,
    pub(crate) parked: u64,
    pub(crate) dead: Option<(u64, bool)>,
}

/// What a page needs besides its content.
pub(crate) struct Frame<'a> {
    pub(crate) dashboard: &'a Dashboard,
    pub(crate) base: &'a Base,
    pub(crate) session: &'a Session,
    pub(crate) preferences: Preferences,
    /// The path and query of the page, below the dashboard.
    pub(crate) here: String,
    pub(crate) badges: Badges,
    /// Whether the page can be read again. The answer to a form cannot: that would send the form again.
    pub(crate) live: bool,
}

impl Frame<'_> {
    /// Returns the page. `path` is the screen, and `crumbs` say where in the screen it is.
    pub(crate) fn page(&self, path: &str, title: &str, crumbs: &Markup, body: &Markup) -> Markup {
        let base = self.base;
        html! {
            (DOCTYPE)
            html lang="en" data-theme=[self.preferences.theme] data-keys=[(!self.preferences.keys).then_some("off")] {
                (head(base, title, true))
                body {
                    a.skip href="#main" { "Skip to content" }
                    (PreEscaped(SPRITE))
                    div.shell {
                        header.rail { (self.rail(path)) }
                        main #main {
                            div.top {
                                nav.crumbs aria-label="Where you are" { (crumbs) }
                                form.jump action=(base.to("/instances")) role="search" aria-label="Jump" {
                                    label.sr for="jump" { "Go to a key" }
                                    input #jump name="key" placeholder="Key" autocomplete="off";
                                    kbd aria-hidden="true" { "/" }
                                }
                                span.live data-stream=[self.live.then(|| base.to("/events"))] { (glyph("moving")) span data-say { "As of now" } }
                            }
                            (body)
                            (self.keys())
                        }
                    }
                }
            }
        }
    }

    fn rail(&self, path: &str) -> Markup {
        let base = self.base;
        html! {
            a.brand href=(base.to("/")) {
                svg viewBox="0 0 22 14" aria-hidden="true" { path d="M1.5 3h13a4 4 0 0 1 0 8h-7" {} path d="m10 8-3 3 3 2.6" {} }
                "saga " small { (visible(&self.dashboard.options.name)) }
            }
            nav.nav aria-label="Screens" data-live="nav" {
                @for (to, name, key) in SCREENS {
                    @if to == "/timers" || to == "/audit" { hr; }
                    a href=(base.to(to)) data-key=(key) aria-current=[(to == path).then_some("page")] {
                        (name) " " (self.badge(to))
                    }
                }
            }
            div.foot {
                @if let Some(button) = self.button() {
                    form method="post" action=(base.to("/button")) {
                        input type="hidden" name="proof" value=(self.session.proof);
                        button.btn.btn-danger title=(button.explanation) { (button.label) }
                    }
                }
                span data-live="health" { (self.health()) }
                span {
                    @match self.session.role { Role::Operator => "operator", Role::Viewer => "viewer" }
                    @if let Some(user) = &self.session.user { " " b { (visible(user)) } }
                    @if self.dashboard.options.read_only { ", read only" }
                }
                form.row method="post" action=(base.to("/prefer")) aria-label="Theme" {
                    input type="hidden" name="to" value=(self.here);
                    @for theme in ["auto", "light", "dark"] {
                        button.link name="theme" value=(theme) aria-pressed=(self.preferences.theme.unwrap_or("auto") == theme) { (theme) }
                    }
                }
                form method="post" action=(base.to("/log-out")) { button.link { "Log out" } }
            }
        }
    }

    fn button(&self) -> Option<&Button> {
        let options = &self.dashboard.options;
        options.button.as_ref().filter(|_| self.session.decides(options))
    }

    fn badge(&self, to: &str) -> Markup {
        let Badges { active, parked, dead, paused } = self.badges;
        html! {
            @match to {
                "/instances" if active > 0 => span.badge { (number(active)) span.sr { " have not ended" } },
                "/handlers" if paused > 0 => span.badge.badge-parked { (number(paused)) span.sr { " are paused" } },
                "/attention" if parked > 0 => span.badge.badge-parked { (number(parked)) span.sr { " are parked" } },
                "/dead" => @if let Some((count, more)) = dead.filter(|(count, _)| *count > 0) {
                    span.badge.badge-dead { (number(count)) @if more { "+" } span.sr { " dead letters" } }
                },
                _ => {},
            }
        }
    }

    fn health(&self) -> Markup {
        match self.dashboard.source.condition() {
            Condition::Elsewhere => status("waiting", "read from the file"),
            Condition::Running => status("done", "running"),
            Condition::Degraded(_) => status("overdue", "the store does not answer"),
            Condition::Stopped(_) => status("dead", "stopped"),
        }
    }

    /// The list of the keys, with the switch for them.
    fn keys(&self) -> Markup {
        let (state, other, label) =
            if self.preferences.keys { ("on", "off", "Turn off") } else { ("off", "on", "Turn on") };
        html! {
            details.keys #keys {
                summary.small.muted { "Keys" }
                form.row.small method="post" action=(self.base.to("/prefer")) {
                    input type="hidden" name="to" value=(self.here);
                    span.muted { "Single keys are " (state) "." }
                    button.link name="keys" value=(other) { (label) }
                }
                dl.kv.small {
                    dt { kbd { "/" } } dd { "go to a key" }
                    @for (_, name, key) in SCREENS { dt { kbd { (key) } } dd { (name) } }
                    dt { kbd { "j" } " " kbd { "k" } } dd { "next and previous row" }
                    dt { kbd { "x" } } dd { "tick the row" }
                    dt { kbd { "?" } } dd { "this list" }
                }
            }
        }
    }
}

/// A page without navigation, for those who have not logged in.
pub(crate) fn bare(base: &Base, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(base, title, false))
            body { main.bare #main { section.panel.pad { div.stack { (body) } } } }
        }
    }
}

fn head(base: &Base, title: &str, script: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " · saga" }
            link rel="icon" type="image/svg+xml" href=(base.to("/icon.svg"));
            link rel="stylesheet" href=(base.to(concat!("/saga.css?", env!("CARGO_PKG_VERSION"))));
            @if script { script defer src=(base.to(concat!("/dashboard.js?", env!("CARGO_PKG_VERSION")))) {} }
        }
    }
}
