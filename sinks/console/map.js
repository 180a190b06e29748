// The map: devices where they stand, coloured by state, shaped by family; roads hinted by their detectors.

import { element, familyName, ago } from "./format.js";
import { now } from "./api.js";
import { SHAPES, make, shape, symbol } from "./marks.js";

const EARTH_M_PER_DEGREE = 111_320;
const MARGIN_PX = 40;
// Room for the legend.
const FOOT_PX = 56;
const MOST_ZOOM = 400;
const MOST_UNPLACED = 8;
// A mark of full size wants so much of the map for itself.
const ROOM_PX2 = 4000;

export class Map2D {
  constructor({ canvas, tip, empty, legend, scale, unplaced, select }) {
    Object.assign(this, { canvas, tip, empty, legend, scaleBar: scale, unplaced, select });
    this.devices = new Map();
    this.marks = new Map();
    this.roads = new Map();
    this.view = null;
    this.svg = make("svg", { class: "plane" });
    this.roadLayer = make("g", {});
    this.nameLayer = make("g", {});
    this.markLayer = make("g", {});
    this.svg.append(this.roadLayer, this.nameLayer, this.markLayer);
    canvas.append(this.svg);
    this.drawLegend();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  // All devices, afresh.
  show(devices, isLoaded) {
    this.devices = devices;
    this.isLoaded = isLoaded;
    for (const [id, mark] of this.marks) {
      if (!devices.has(id)) {
        mark.remove();
        this.marks.delete(id);
      }
    }
    for (const device of devices.values()) this.paint(device);
    this.markLayer.append(...this.markLayer.querySelectorAll('[data-state="alert"]'));
    this.layOut();
  }

  // Devices that changed.
  update(changed) {
    let hasMoved = false;
    for (const device of changed) hasMoved = this.paint(device) || hasMoved;
    if (hasMoved) this.layOut();
    else if (changed.some(({ position }) => !position)) this.listUnplaced();
  }

  // Draws the device's mark; says whether it has to be placed.
  paint(device) {
    const known = this.marks.get(device.id);
    if (!device.position) {
      known?.remove();
      this.marks.delete(device.id);
      return Boolean(known);
    }
    const mark = known ?? this.addMark(device);
    const look = `mark ${device.state} ${device.severity ?? ""} ${device.is_enabled ? "" : "disabled"}`;
    mark.firstChild.setAttribute("class", look);
    mark.firstChild.setAttribute("d", shape(device.family));
    // What needs attention lies on top.
    if (device.state === "alert" && mark.dataset.state !== "alert") this.markLayer.append(mark);
    mark.dataset.state = device.state;
    const place = `${device.position.lon} ${device.position.lat} ${device.area} ${device.rank}`;
    const hasMoved = mark.dataset.place !== place;
    mark.dataset.place = place;
    return hasMoved;
  }

  addMark(device) {
    const mark = make("g", { class: "device" });
    mark.dataset.id = device.id;
    mark.append(make("path", {}));
    this.marks.set(device.id, mark);
    this.markLayer.append(mark);
    return mark;
  }

  // Active alerts about areas colour their roads.
  markAreas(severities) {
    this.areaSeverity = severities;
    for (const [area, road] of this.roads) road.line.setAttribute("class", `road ${severities.get(area) ?? ""}`);
  }

  choose(id) {
    this.marks.get(this.chosen)?.classList.remove("chosen");
    this.chosen = id;
    const mark = this.marks.get(id);
    mark?.classList.add("chosen");
    if (mark) this.markLayer.append(mark);
  }

  // Brings devices into view, when they are not.
  reveal(ids) {
    const places = ids.map((id) => this.devices.get(id)?.position).filter(Boolean).map((position) => this.toPlane(position));
    if (!places.length || !this.view) return;
    const { width, height } = this.size();
    const isVisible = places.every(([x, y]) => {
      const [px, py] = this.toScreen([x, y]);
      return px > 20 && py > 20 && px < width - 20 && py < height - 20;
    });
    if (isVisible) return;
    const box = bounds(places);
    this.view.x = (box.left + box.right) / 2;
    this.view.y = (box.top + box.bottom) / 2;
    const needed = Math.min(width / (box.right - box.left || 1e-9), height / (box.bottom - box.top || 1e-9)) * 0.7;
    this.view.k = Math.min(this.view.k, needed);
    this.place();
  }

  size() {
    return { width: this.canvas.clientWidth || 1, height: this.canvas.clientHeight || 1 };
  }

  resize() {
    const { width, height } = this.size();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (!this.hasMoved) this.fit();
    else this.place();
  }

  // Equirectangular about the middle: metres east and south are alike at city size.
  layOut() {
    const placed = [...this.devices.values()].filter((device) => device.position);
    const isFirst = !this.view;
    if (placed.length && (isFirst || !this.hasMoved)) {
      const box = bounds(placed.map(({ position }) => [position.lon, position.lat]));
      this.middle = { lon: (box.left + box.right) / 2, lat: (box.top + box.bottom) / 2 };
      this.squeeze = Math.max(0.05, Math.cos((this.middle.lat * Math.PI) / 180));
    }
    this.drawRoads(placed);
    this.showEmpty(placed.length);
    this.listUnplaced();
    if (!this.hasMoved) this.fit();
    else this.place();
    this.choose(this.chosen);
  }

  toPlane({ lon, lat }) {
    return [(lon - this.middle.lon) * this.squeeze * EARTH_M_PER_DEGREE, (this.middle.lat - lat) * EARTH_M_PER_DEGREE];
  }

  toScreen([x, y]) {
    const { width, height } = this.size();
    return [(x - this.view.x) * this.view.k + width / 2, (y - this.view.y) * this.view.k + height / 2];
  }

  fit() {
    if (!this.middle || !this.marks.size) return;
    const box = bounds([...this.marks.keys()].map((id) => this.toPlane(this.devices.get(id).position)));
    const { width, height } = this.size();
    // One device, or all at one place: show a kilometre around it.
    const wide = Math.max(box.right - box.left, 1000);
    const high = Math.max(box.bottom - box.top, 1000);
    const k = Math.max(1e-6, Math.min((width - 2 * MARGIN_PX) / wide, (height - 2 * MARGIN_PX - FOOT_PX) / high));
    this.least = k / 4;
    this.most = Math.max(k * MOST_ZOOM, 1);
    this.fitted = { k, size: Math.min(1, Math.max(0.55, Math.sqrt((width * height) / (this.marks.size * ROOM_PX2)))) };
    this.view = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 + FOOT_PX / 2 / k, k };
    this.hasMoved = false;
    this.place();
  }

  place() {
    if (!this.view) return;
    // Many marks are small at first and grow as one goes nearer.
    const size = Math.min(1, this.fitted.size * (this.view.k / this.fitted.k) ** 0.4).toFixed(2);
    for (const [id, mark] of this.marks) {
      const [x, y] = this.toScreen(this.toPlane(this.devices.get(id).position));
      mark.setAttribute("transform", `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(${size})`);
    }
    for (const road of this.roads.values()) {
      const points = road.places.map((place) => this.toScreen(place));
      const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
      road.casing.setAttribute("points", path);
      road.line.setAttribute("points", path);
      const [x, y] = points[Math.floor(points.length / 2)];
      const length = points.reduce((sum, [px, py], i) => sum + (i ? Math.hypot(px - points[i - 1][0], py - points[i - 1][1]) : 0), 0);
      road.name.setAttribute("transform", `translate(${x.toFixed(1)},${(y - 12).toFixed(1)})`);
      road.name.style.display = length > road.area.length * 9 ? "" : "none";
    }
    this.drawScale();
  }

  drawRoads(placed) {
    const areas = new Map();
    for (const device of placed) {
      if (device.family !== "traffic" || !device.area) continue;
      if (!areas.has(device.area)) areas.set(device.area, []);
      areas.get(device.area).push(device);
    }
    this.roads.clear();
    this.roadLayer.replaceChildren();
    this.nameLayer.replaceChildren();
    for (const [area, devices] of areas) {
      if (devices.length < 2) continue;
      devices.sort((a, b) => a.rank - b.rank);
      const casing = make("polyline", { class: "casing" });
      const line = make("polyline", { class: `road ${this.areaSeverity?.get(area) ?? ""}` });
      const name = make("text", { class: "road-name" });
      name.textContent = area;
      this.roadLayer.append(casing, line);
      this.nameLayer.append(name);
      this.roads.set(area, { area, casing, line, name, places: devices.map(({ position }) => this.toPlane(position)) });
    }
  }

  drawLegend() {
    const shapes = Object.keys(SHAPES).filter((family) => family !== "other");
    const row = (family, state, severity, name) => element("span", { class: "key" }, symbol(family, state, severity), name);
    this.legend.append(
      element("div", {}, ...shapes.map((family) => row(family, "plain", null, familyName(family)))),
      element("div", {}, row("air", "ok", null, "speaks"), row("air", "late", null, "silent"), row("air", "never", null, "never spoke"),
        row("air", "alert", "minor", "minor"), row("air", "alert", "moderate", "moderate"),
        row("air", "alert", "severe", "severe"), row("air", "alert", "extreme", "extreme")),
    );
  }

  drawScale() {
    const metresPerPixel = 1 / this.view.k;
    const target = 110 * metresPerPixel;
    const power = 10 ** Math.floor(Math.log10(target));
    const metres = [5, 2, 1].map((step) => step * power).find((length) => length <= target) ?? power;
    this.scaleBar.style.width = `${metres / metresPerPixel}px`;
    this.scaleBar.textContent = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  }

  showEmpty(placed) {
    this.empty.hidden = placed > 0;
    this.scaleBar.hidden = placed === 0;
    if (!placed) {
      this.empty.replaceChildren(...(!this.isLoaded ? ["Loading…"]
        : this.devices.size ? ["No device has a position: say where it stands when you register it."]
          : ["No device yet. Register one with ", element("code", {}, "sluice device add NAME --family air"), " and let it publish."]));
    }
  }

  // Devices that stand nowhere are in reach all the same.
  listUnplaced() {
    const lost = [...this.devices.values()].filter(({ position }) => !position);
    this.unplaced.hidden = lost.length === 0;
    const look = lost.map(({ id, label, state, severity }) => `${id} ${label} ${state} ${severity}`).join();
    if (look === this.unplacedLook) return;
    this.unplacedLook = look;
    this.unplaced.replaceChildren(element("span", {}, "Without a position:"),
      ...lost.slice(0, MOST_UNPLACED).map((device) => element("button", { type: "button", onclick: () => this.select(device.id) },
        symbol(device.family, device.state, device.severity), device.label || device.id)),
      ...(lost.length > MOST_UNPLACED ? [element("span", {}, `and ${lost.length - MOST_UNPLACED} more: search`)] : []));
  }

  listen() {
    const pointers = new Map();
    let travelled = 0;
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.local(event));
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      pointers.set(event.pointerId, this.local(event));
      travelled = 0;
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const was = pointers.get(event.pointerId);
      if (!was) return this.point(event);
      const is = this.local(event);
      travelled += Math.hypot(is[0] - was[0], is[1] - was[1]);
      if (travelled > 4) {
        this.canvas.setPointerCapture(event.pointerId);
        this.hideTip();
        this.drag(pointers, event.pointerId, was, is);
      }
      pointers.set(event.pointerId, is);
    });
    const end = (event) => {
      if (pointers.delete(event.pointerId) && travelled <= 4 && event.type === "pointerup") {
        const mark = event.target.closest?.(".device") ?? this.nearest(this.local(event), event.pointerType === "mouse" ? 10 : 24);
        if (mark) this.select(mark.dataset.id);
      }
    };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
    this.canvas.addEventListener("pointerleave", () => this.hideTip());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  drag(pointers, id, was, is) {
    if (!this.view) return;
    this.hasMoved = true;
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([key]) => key !== id).map(([, place]) => place);
      const before = Math.hypot(was[0] - other[0], was[1] - other[1]);
      const after = Math.hypot(is[0] - other[0], is[1] - other[1]);
      if (before > 0) this.zoom(after / before, [(is[0] + other[0]) / 2, (is[1] + other[1]) / 2]);
    } else {
      this.view.x -= (is[0] - was[0]) / this.view.k;
      this.view.y -= (is[1] - was[1]) / this.view.k;
      this.place();
    }
  }

  key(event) {
    const step = 60;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = moves[event.key];
    if (move && this.view) {
      this.view.x += move[0] / this.view.k;
      this.view.y += move[1] / this.view.k;
      this.hasMoved = true;
      this.place();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  zoom(factor, about) {
    if (!this.view) return;
    const { width, height } = this.size();
    const [px, py] = about ?? [width / 2, height / 2];
    const k = Math.min(this.most, Math.max(this.least, this.view.k * factor));
    this.view.x += (px - width / 2) * (1 / this.view.k - 1 / k);
    this.view.y += (py - height / 2) * (1 / this.view.k - 1 / k);
    this.view.k = k;
    this.hasMoved = true;
    this.place();
  }

  local(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  nearest([x, y], within) {
    let best = null;
    let least = within;
    for (const [id, mark] of this.marks) {
      const [px, py] = this.toScreen(this.toPlane(this.devices.get(id).position));
      const far = Math.hypot(px - x, py - y);
      if (far < least) [best, least] = [mark, far];
    }
    return best;
  }

  point(event) {
    const mark = event.target.closest?.(".device");
    const device = mark && this.devices.get(mark.dataset.id);
    if (!device) return this.hideTip();
    const heard = device.ingest_time ? `last heard ${ago(now() - device.ingest_time)}` : "never heard";
    const alert = device.severity ? `${device.alerts} active, worst ${device.severity}` : null;
    this.tip.replaceChildren(element("b", {}, device.label || device.id),
      ...[`${familyName(device.family)}${device.area ? ` · ${device.area}` : ""}`, heard, alert].filter(Boolean).map((line) => element("span", {}, line)));
    this.tip.hidden = false;
    const [x, y] = this.local(event);
    const { width, height } = this.size();
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(4, Math.min(y + 14, height - this.tip.offsetHeight - 4))}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }
}

function bounds(places) {
  const box = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  for (const [x, y] of places) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  return box;
}
