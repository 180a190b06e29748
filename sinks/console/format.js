// How numbers, times and names are written for a person.

const UNITS = {
  "ug/m3": "µg/m³", "mg/m3": "mg/m³", "mg/L": "mg/L", "Cel": "°C", "%": "%", "m/s": "m/s", "deg": "°",
  "W/m2": "W/m²", "uS/cm": "µS/cm", "[NTU]": "NTU", "[pH]": "", "/min": "/min", "{vehicle}": "",
  "{IAQI}": "", "{detector}": "", "{read}": "", "{tag}": "",
};

const NAMES = {
  pm2_5: "PM2.5", pm10: "PM10", so2: "SO₂", no2: "NO₂", o3: "O₃", co: "CO", nox: "NOₓ", tsp: "TSP",
  ph: "pH", cod_mn: "COD(Mn)", nh3_n: "NH₃-N", tp: "Total phosphorus", tn: "Total nitrogen",
  iaqi_pm2_5: "IAQI of PM2.5", rainfall_3h: "Rain in 3 h", queue_detectors: "Detectors in the queue",
  vehicle_count: "Vehicles", tag_reads: "Tag reads", tags_missing: "Tags missing",
};

const FAMILIES = {
  air: "Air", water: "Water", weather: "Weather", traffic: "Traffic", rfid: "RFID", machine: "Machine", other: "Other",
};

const USE_CASES = { transport: "Transport", environment: "Environment", manufacturing: "Manufacturing" };

export const SEVERITIES = ["extreme", "severe", "moderate", "minor"];
export const USE_CASE_ORDER = ["transport", "environment", "manufacturing"];

export const unit = (ucum) => UNITS[ucum] ?? ucum.replace(/[{}[\]]/g, "");
export const familyName = (family) => FAMILIES[family] ?? family;
export const useCaseName = (useCase) => USE_CASES[useCase] ?? useCase;

export function quantityName(name) {
  const known = NAMES[name];
  if (known) return known;
  const words = name.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function number(value, decimals) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (decimals !== null && decimals !== undefined) {
    return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  }
  return value.toLocaleString("en", { maximumSignificantDigits: 6 });
}

export function withUnit(value, decimals, ucum) {
  const name = unit(ucum ?? "");
  const text = number(value, decimals);
  if (!name) return text;
  return name === "%" || name === "°" ? text + name : `${text} ${name}`;
}

export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 7 ? `${days} d ${hours % 24} h` : `${days} d`;
}

// How long ago, calm enough not to flicker: under five seconds is "now".
export function ago(ms) {
  if (ms < 5000) return "now";
  if (ms < 60_000) return `${Math.floor(ms / 10_000) * 10 || 5} s ago`;
  return `${span(ms)} ago`;
}

const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondsOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const yearOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

// The clock time; with the day when it isn't `now`'s.
export function at(ms, now) {
  const when = new Date(ms);
  const today = new Date(now);
  if (when.toDateString() === today.toDateString()) return clockOf.format(when);
  const day = when.getFullYear() === today.getFullYear() ? dayOf : yearOf;
  return `${day.format(when)}, ${clockOf.format(when)}`;
}

export const clock = (ms) => secondsOf.format(new Date(ms));

// What an element holds, in one call.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
