// One curve over time: mean with its range, doubtful values marked, alerts shaded behind.

import { at, element, number, unit } from "./format.js";

const SPARE_PX = { width: 0, height: 4 };

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  constructor(host) {
    this.host = host;
    this.spans = [];
    new ResizeObserver(() => this.resize()).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.curve && this.show(this.curve, this.spans, this.range));
  }

  // `spans`: [{ from, to, severity }] in ms; `range`: [from, to] in ms.
  show(curve, spans, range) {
    const isSame = this.plot && this.curve?.subject === curve.subject && this.curve?.quantity === curve.quantity
      && this.dark === matchMedia("(prefers-color-scheme: dark)").matches;
    this.curve = curve;
    this.spans = spans;
    this.range = range;
    const data = columns(curve);
    if (isSame) {
      this.plot.batch(() => {
        this.plot.setData(data, false);
        this.scale();
      });
      return;
    }
    this.clear();
    this.dark = matchMedia("(prefers-color-scheme: dark)").matches;
    this.plot = new uPlot(this.options(), data, this.host);
    this.scale();
  }

  scale() {
    const [from, to] = this.range;
    this.plot.setScale("x", { min: from / 1000, max: to / 1000 });
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
  }

  resize() {
    if (this.plot) this.plot.setSize(this.size());
  }

  size() {
    return { width: Math.max(120, this.host.clientWidth - SPARE_PX.width), height: Math.max(90, this.host.clientHeight - SPARE_PX.height) };
  }

  options() {
    const line = style("--curve");
    const axis = { stroke: style("--dim"), grid: { stroke: style("--grid"), width: 1 }, ticks: { stroke: style("--grid"), width: 1 }, font: "12px system-ui" };
    const decimals = this.curve.decimals;
    const hidden = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      ...this.size(),
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (plot, min, max) => padded(min, max) } },
      axes: [
        { ...axis, values: times },
        { ...axis, size: 58, values: (plot, ticks) => ticks.map((tick) => number(tick, ticks.every(Number.isInteger) ? 0 : Math.max(decimals ?? 0, 1))) },
      ],
      series: [
        {},
        { ...hidden },
        { ...hidden },
        { stroke: line, width: 1.6, points: { show: (plot, series, from, to) => to - from < 60, size: 5, fill: line } },
        { stroke: "transparent", width: 0, points: { show: true, size: 6, stroke: style("--doubt"), fill: style("--panel") } },
      ],
      bands: [{ series: [2, 1], fill: style("--band") }],
      hooks: {
        drawClear: [(plot) => this.shade(plot)],
        setCursor: [(plot) => this.read(plot)],
      },
    };
  }

  // Alert spans, behind the curve.
  shade(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { from, to, severity } of this.spans) {
      const left = plot.valToPos(from / 1000, "x", true);
      const right = plot.valToPos(to / 1000, "x", true);
      if (right < bbox.left || left > bbox.left + bbox.width) continue;
      ctx.fillStyle = style(`--${severity}`);
      ctx.globalAlpha = 0.16;
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
      ctx.globalAlpha = 0.9;
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), 3 * devicePixelRatio);
    }
    ctx.restore();
  }

  read(plot) {
    const index = plot.cursor.idx;
    const { t, mean, min, max, count, good, width_ms, decimals } = this.curve;
    if (index === null || index === undefined || t[index] === undefined || mean[index] === null) {
      this.onread?.("");
      return;
    }
    const name = unit(this.curve.unit);
    const value = `${number(mean[index], decimals)}${name ? ` ${name}` : ""}`;
    const range = width_ms && count[index] > 1 ? ` (${number(min[index], decimals)} – ${number(max[index], decimals)}, ${count[index]} values)` : "";
    const doubt = good[index] < 1 ? ` · ${Math.round(good[index] * 100)} % usable` : "";
    this.onread?.(`${at(t[index], Date.now())}  ${value}${range}${doubt}`);
  }
}

function columns({ t, mean, min, max, good, width_ms }) {
  const seconds = t.map((ms) => ms / 1000);
  const doubtful = mean.map((value, index) => (good[index] < 1 ? value : null));
  const [line, low, high, doubt] = [mean, min, max, doubtful].map((column) => withGaps(seconds, column, width_ms));
  return [line.x, low.y, high.y, line.y, doubt.y];
}

// A break where values are missing for much longer than usual, so that a silence doesn't look like a slope.
function withGaps(x, y, width) {
  if (x.length < 3) return { x, y };
  const steps = x.slice(1).map((at, index) => at - x[index]).sort((a, b) => a - b);
  const usual = Math.max(steps[Math.floor(steps.length / 2)], (width ?? 0) / 1000);
  const outX = [];
  const outY = [];
  x.forEach((at, index) => {
    if (index && at - x[index - 1] > 4 * usual) {
      outX.push((at + x[index - 1]) / 2);
      outY.push(null);
    }
    outX.push(at);
    outY.push(y[index]);
  });
  return { x: outX, y: outY };
}

function padded(min, max) {
  if (min === null || max === null) return [0, 1];
  const pad = (max - min) * 0.08 || Math.abs(max) * 0.1 || 1;
  const low = min >= 0 && min - pad < 0 ? 0 : min - pad;
  return [low, max + pad];
}

// Clock time, with the day under the first tick of each.
function times(plot, ticks, axis, space, step) {
  let last = "";
  return ticks.map((tick) => {
    const when = new Date(tick * 1000);
    const day = when.toLocaleDateString("en-GB", step >= 28 * 86400 ? { month: "short", year: "numeric" } : { day: "numeric", month: "short" });
    if (step >= 86400) return day;
    const clock = when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}) });
    const isNew = day !== last;
    last = day;
    return isNew ? `${clock}\n${day}` : clock;
  });
}

export const emptyChart = (...text) => element("p", { class: "empty" }, ...text);
