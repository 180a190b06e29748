// The alert feed: how alerts stand, the worst open ones first.

import * as api from "./api.js";
import { SEVERITIES, USE_CASE_ORDER, at, element, quantityName, span, useCaseName, withUnit } from "./format.js";

const MOST_OVER = 200;
const STATES = ["open", "acknowledged", "cleared"];
const TITLES = { open: "Open", acknowledged: "Acknowledged", cleared: "Over" };

export class Alerts {
  constructor({ feed, filter, counts, said, quantities, select, labelOf }) {
    Object.assign(this, { feed, said, quantities, select, labelOf });
    this.byId = new Map();
    this.cards = new Map();
    this.useCase = "";
    this.isLoaded = false;
    this.dialog = new Dialog((id) => this.acknowledging(id));
    this.buildSections();
    this.buildFilter(filter);
    this.buildCounts(counts);
    setInterval(() => this.refreshAges(), 5000);
  }

  // Returns the number of the newest transition that the lists contain for certain.
  async load() {
    const [active, over] = await Promise.all([
      api.alerts({ state: "active", limit: 2000 }),
      api.alerts({ state: "cleared", limit: MOST_OVER }),
    ]);
    this.byId.clear();
    for (const alert of [...active.alerts, ...over.alerts]) this.byId.set(alert.id, alert);
    this.isLoaded = true;
    this.render();
    return Math.min(active.seq, over.seq);
  }

  // Takes in a transition from the feed.
  take(alert) {
    const known = this.byId.get(alert.id);
    if (known && known.transition >= alert.transition) return;
    const acknowledgedBy = alert.actor ?? known?.acknowledged_by ?? null;
    const clearedAt = alert.state === "cleared" ? alert.at : null;
    this.byId.set(alert.id, { ...alert, acknowledged_by: acknowledgedBy, cleared_at: clearedAt });
    if (!known && alert.state === "open" && !alert.is_backfill) {
      this.said.textContent = `${alert.severity} alert: ${alert.text}`;
    }
    this.renderSoon();
  }

  active() {
    return [...this.byId.values()].filter((alert) => alert.state !== "cleared");
  }

  of(name) {
    return [...this.byId.values()].filter((alert) => subjectOf(alert).name === name);
  }

  buildSections() {
    this.sections = {};
    for (const state of STATES) {
      const count = element("span", { class: "count" });
      const list = element("ul", { class: "cards" });
      const section = element("section", { class: `group ${state}` }, element("h3", {}, TITLES[state], " ", count), list);
      this.sections[state] = { section, list, count };
      this.feed.append(section);
    }
    this.empty = element("p", { class: "empty" }, "Loading…");
    this.sections.open.section.append(this.empty);
  }

  buildFilter(filter) {
    this.filters = ["", ...USE_CASE_ORDER].map((useCase) =>
      element("button", { type: "button", "data-use": useCase, onclick: () => this.show(useCase) },
        useCase ? useCaseName(useCase) : "All"));
    filter.append(...this.filters);
    this.show("");
  }

  buildCounts(counts) {
    this.chips = new Map();
    for (const useCase of USE_CASE_ORDER) {
      const chips = SEVERITIES.map((severity) => {
        const chip = element("span", { class: `chip ${severity}`, title: severity }, "0");
        this.chips.set(`${useCase} ${severity}`, chip);
        return chip;
      });
      const toggle = () => this.show(this.useCase === useCase ? "" : useCase);
      counts.append(element("button", { type: "button", class: "tally", "data-use": useCase, onclick: toggle },
        element("span", { class: "name" }, useCaseName(useCase)), element("span", { class: "chips" }, ...chips)));
    }
    this.counts = counts;
  }

  show(useCase) {
    this.useCase = useCase;
    for (const button of this.filters) button.setAttribute("aria-pressed", button.dataset.use === useCase);
    for (const button of this.counts?.children ?? []) {
      button.setAttribute("aria-pressed", useCase !== "" && button.dataset.use === useCase);
    }
    this.render();
  }

  renderSoon() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.render();
    });
  }

  render() {
    this.renderCounts();
    const shown = [...this.byId.values()].filter((alert) => !this.useCase || alert.use_case === this.useCase);
    const kept = new Set();
    for (const state of STATES) {
      const { section, list, count } = this.sections[state];
      const alerts = shown.filter((alert) => alert.state === state).sort(order).slice(0, state === "cleared" ? MOST_OVER : Infinity);
      count.textContent = alerts.length || "";
      section.hidden = alerts.length === 0 && state !== "open";
      arrange(list, alerts.map((alert) => {
        kept.add(alert.id);
        return this.card(alert);
      }));
      if (state === "open") this.empty.hidden = alerts.length > 0;
    }
    for (const [id, card] of this.cards) {
      if (!kept.has(id)) {
        card.node.remove();
        this.cards.delete(id);
      }
    }
    if (this.isLoaded) {
      this.empty.textContent = this.useCase ? `No open alert in ${useCaseName(this.useCase).toLowerCase()}.`
        : this.byId.size ? "Nothing is open." : "No alert yet. They appear here the moment a rule finds something.";
    }
  }

  renderCounts() {
    if (!this.chips) return;
    const tally = new Map();
    for (const alert of this.active()) {
      const key = `${alert.use_case} ${alert.severity}`;
      tally.set(key, (tally.get(key) ?? 0) + 1);
    }
    let total = 0;
    for (const [key, chip] of this.chips) {
      const count = tally.get(key) ?? 0;
      total += count;
      chip.textContent = count;
      chip.classList.toggle("none", count === 0);
      chip.title = `${count} ${key.split(" ")[1]}`;
    }
    document.title = total ? `(${total}) Sluice` : "Sluice";
  }

  // The card of an alert, made anew only when the alert has changed.
  card(alert) {
    const known = this.cards.get(alert.id);
    if (known?.transition === alert.transition) return known.node;
    const age = element("p", { class: "age" });
    const subject = subjectOf(alert);
    const who = element("button", { type: "button", class: "who", onclick: () => this.select(subject, alert.quantity) },
      this.labelOf(subject));
    const tags = [element("span", { class: `severity ${alert.severity}` }, alert.severity)];
    if (alert.is_backfill) tags.push(element("span", { class: "tag", title: "Noticed from a backlog, long after it happened" }, "from backlog"));
    const node = element("li", { class: `card ${alert.severity} ${alert.state}` },
      element("div", { class: "head" }, ...tags, age),
      element("p", { class: "text" }, alert.text),
      element("p", { class: "facts" }, element("span", {}, this.measure(alert)), element("span", { title: alert.rule }, alert.source)),
      element("div", { class: "base" }, who, this.button(alert)),
      this.note(alert));
    if (known) known.node.replaceWith(node);
    this.cards.set(alert.id, { transition: alert.transition, node, age, alert });
    this.writeAge({ age, alert });
    return node;
  }

  measure(alert) {
    const info = this.quantities.get(alert.quantity);
    const value = withUnit(alert.value, info?.decimals, info?.unit);
    const limit = withUnit(alert.threshold, info?.decimals, info?.unit);
    return `${quantityName(alert.quantity)} ${value}, limit ${limit}`;
  }

  button(alert) {
    if (alert.state !== "open") return null;
    return element("button", { type: "button", class: "acknowledge", onclick: () => this.dialog.open(alert) }, "Acknowledge");
  }

  note(alert) {
    if (!alert.acknowledged_by) return null;
    const note = alert.note ? `: “${alert.note}”` : "";
    return element("p", { class: "foot dim" }, `Acknowledged by ${alert.acknowledged_by}${note}`);
  }

  acknowledging(id) {
    const button = this.cards.get(id)?.node.querySelector(".acknowledge");
    if (button) {
      button.disabled = true;
      button.textContent = "Sent…";
    }
  }

  refreshAges() {
    for (const card of this.cards.values()) this.writeAge(card);
  }

  writeAge({ age, alert }) {
    const now = api.now();
    const text = alert.state === "cleared"
      ? `was, from ${at(alert.opened_at, now)} to ${at(alert.cleared_at ?? alert.at, now)} (${span((alert.cleared_at ?? alert.at) - alert.opened_at)})`
      : `since ${at(alert.opened_at, now)}, for ${span(now - alert.opened_at)}`;
    if (age.textContent !== text) age.textContent = text;
  }
}

export function subjectOf(alert) {
  const [[kind, name]] = Object.entries(alert.subject);
  return { kind, name };
}

function order(a, b) {
  if (a.state === "cleared") return (b.cleared_at ?? b.at) - (a.cleared_at ?? a.at) || compare(a.id, b.id);
  return SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || b.opened_at - a.opened_at || compare(a.id, b.id);
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// Brings the children of `list` into the order of `nodes` and moves only those that are out of place.
export function arrange(list, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
}

class Dialog {
  constructor(sent) {
    this.sent = sent;
    this.dialog = document.getElementById("acknowledge");
    this.text = document.getElementById("acknowledge-text");
    this.note = document.getElementById("acknowledge-note");
    this.problem = document.getElementById("acknowledge-problem");
    this.dialog.querySelector("form").addEventListener("submit", (event) => this.submit(event));
    // Enter in the note sends; the first submit button of the form would cancel.
    this.note.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.dialog.querySelector(".primary").click();
    });
  }

  open(alert) {
    this.id = alert.id;
    this.text.textContent = alert.text;
    this.note.value = "";
    this.problem.textContent = "";
    this.dialog.showModal();
    this.note.focus();
  }

  async submit(event) {
    if (event.submitter?.value !== "send") return;
    event.preventDefault();
    try {
      await api.acknowledge(this.id, this.note.value.trim());
      this.sent(this.id);
      this.dialog.close();
    } catch (error) {
      this.problem.textContent = `Not acknowledged: ${error.message}`;
    }
  }
}
