// Reading needs none of this. The script keeps a page up to date, and adds keys.
"use strict";

// A page is read again when the server says that something has changed. Only regions with `data-live` are replaced, and
// never the one that has the focus, selected text, an open `details` or a ticked box.
const busy = (region) =>
  region.contains(document.activeElement) ||
  region.querySelector("details[open], input:checked") !== null ||
  (!getSelection().isCollapsed && getSelection().containsNode(region, true));

// A wide drawing or table keeps the place to which it was scrolled.
function replace(region, next) {
  const scrolled = [...region.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
  region.replaceWith(document.adoptNode(next));
  next.querySelectorAll(".scroll").forEach((part, at) => (part.scrollLeft = scrolled[at] ?? 0));
}

// The answer to a form is not read again, and has no stream.
const live = document.querySelector("[data-stream]");
let reading = false;
async function refresh() {
  if (!live || reading || document.hidden) return;
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    // The session has ended.
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${region.dataset.live}"]`);
      if (next && !busy(region)) replace(region, next);
    }
    document.title = fresh.title;
  } catch {
    // The next event tries again.
  } finally {
    reading = false;
  }
}

// A browser has few connections to one host, so only the page in front holds one.
const say = (text) => (live.querySelector("[data-say]").textContent = text);
let events = null;
function listen() {
  const wanted = live && window.EventSource && !document.hidden;
  if (wanted && !events) {
    events = new EventSource(live.dataset.stream);
    events.addEventListener("change", refresh);
    events.onopen = () => say("Live");
    events.onerror = () => say("Not connected");
  } else if (!wanted && events) {
    leave();
  }
}
function leave() {
  events?.close();
  events = null;
}
listen();
document.addEventListener("visibilitychange", () => {
  listen();
  refresh();
});
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => {
  listen();
  if (event.persisted) refresh();
});
// Ages grow also while nothing happens.
setInterval(refresh, 5000);

// Keys. None of them decides anything.
const rows = () => [...document.querySelectorAll("tbody tr")];
const at = () => rows().findIndex((row) => row.contains(document.activeElement));
const go = (row) => row?.querySelector("td a")?.focus();
let before = "";
document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, textarea, select");
  if (field && event.key === "Escape") return field.blur();
  if (field || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.documentElement.dataset.keys === "off") return;
  const key = before + event.key;
  before = event.key === "g" ? "g" : "";
  const page = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (page) return page.click();
  switch (event.key) {
    case "/":
      event.preventDefault();
      return document.getElementById("jump")?.focus();
    case "j":
      return go(rows()[at() + 1]);
    case "k":
      return go(rows()[Math.max(at() - 1, 0)]);
    case "x":
      return rows()[at()]?.querySelector("input[type=checkbox]")?.click();
    case "?":
      return document.getElementById("keys")?.toggleAttribute("open");
  }
});
