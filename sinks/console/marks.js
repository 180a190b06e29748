// How devices are drawn: shaped by family, coloured by state.

const SVG = "http://www.w3.org/2000/svg";

// Shapes about the origin, of like area.
export const SHAPES = {
  air: "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0Z",
  water: "M0,-7.5C4,-2.5 5.6,0 5.6,2.2A5.6,5.6 0 0 1 -5.6,2.2C-5.6,0 -4,-2.5 0,-7.5Z",
  weather: "M0,-7L6.8,5.4L-6.8,5.4Z",
  traffic: "M-5.2,-5.2H5.2V5.2H-5.2Z",
  rfid: "M0,-7L7,0L0,7L-7,0Z",
  machine: "M-3.5,-6.2H3.5L7,0L3.5,6.2H-3.5L-7,0Z",
  other: "M-2,-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
};

const STATES = { ok: "speaks", late: "silent", never: "never spoke", alert: "alert" };

export const shape = (family) => SHAPES[family] ?? SHAPES.other;
export const stateName = (state) => STATES[state] ?? state;

export const make = (tag, attributes) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

// A symbol of its own, for lists and headings.
export function symbol(family, state, severity) {
  const svg = make("svg", { viewBox: "-9 -9 18 18", class: "symbol", "aria-hidden": "true" });
  svg.append(make("path", { d: shape(family), class: `mark ${state} ${severity ?? ""}` }));
  return svg;
}
