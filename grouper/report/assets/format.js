"use strict";
/* Language, unit, and how values are written. */
const state = { lang: "zh", unit: "wan" };
const listeners = [];
(function restore() {
  const asked = new URLSearchParams(location.search);
  for (const key of Object.keys(state)) {
    let value = asked.get(key);
    try { value = value || localStorage.getItem("report." + key); } catch (_) { /* no storage */ }
    if ({ lang: ["zh", "en"], unit: ["wan", "yuan"] }[key].includes(value)) state[key] = value;
  }
})();

function t(key) {
  const pair = WORDS[key];
  return pair ? pair[state.lang === "zh" ? 0 : 1] : null;
}
function columnTitle(name) {
  const column = COLUMNS[name];
  const title = column[state.lang === "zh" ? 1 : 2];
  return column[0] === "money" ? `${title}${state.lang === "zh" ? "" : " "}(${unitName()})` : title;
}
function unitName() { return t("unit." + state.unit); }

const grouping = {};
function grouped(value, places) {
  const key = places;
  grouping[key] = grouping[key] || new Intl.NumberFormat("en-US",
    { minimumFractionDigits: places, maximumFractionDigits: places });
  const text = grouping[key].format(value);
  return /^-[0.]+$/.test(text) ? text.slice(1) : text.replace("-", "−");
}
function wordOf(prefix, code) {
  if (code === "" || code == null) return "";
  const whole = t(`${prefix}.${code}`);
  if (whole) return whole;
  const cut = String(code).lastIndexOf("/");
  if (prefix === "pool" && cut > 0) {
    return code.slice(0, cut) + "/" + (t("pool." + code.slice(cut + 1)) || code.slice(cut + 1));
  }
  return String(code);
}
const NUMERIC = new Set(["int", "money", "yuan", "points", "points4", "value", "coef", "ratio", "pct", "exact"]);
function isNumber(kind) { return NUMERIC.has(kind); }

/* A value as text. Amounts come in fen. */
function show(kind, value, unit) {
  if (value === null || value === undefined) return t("empty");
  switch (kind) {
    case "int": return grouped(value, 0);
    case "money": return (unit || state.unit) === "wan" ? grouped(value / 1e6, 2) : grouped(value / 100, 2);
    case "yuan": return grouped(value / 100, 2);
    case "points": case "ratio": return grouped(value, 2);
    case "points4": case "value": case "coef": return grouped(value, 4);
    case "pct": return grouped(value * 100, 2) + "%";
    case "exact": return String(value).replace(/\B(?=(\d{3})+(?!\d)(?<!\.\d*))/g, ",").replace("-", "−");
    case "bool": return t(value ? "yes" : "no");
    case "level": return t("level." + value) || String(value);
    case "both": return value[state.lang === "zh" ? 0 : 1];
    case "hospital": return hospitalName(value);
    case "drg": return drgName(value);
    default:
      return kind.startsWith("word:") ? wordOf(kind.slice(5), value) : String(value);
  }
}
function hospitalName(i) { return i < 0 ? t("unknown_hospital") : INDEX.hospitals[i][1]; }
function drgName(i) {
  const [code, name] = INDEX.drgs[i];
  return code === "-" ? t("ungrouped_cases") : `${code} ${name}`;
}
function pageOf(kind, i) {
  if (!INDEX.linked || i < 0) return null;
  return kind === "hospital" ? `${UP}hospitals/${INDEX.hospitals[i][4]}.html` : `${UP}drgs/${INDEX.drgs[i][3]}.html`;
}
/* What a column sorts and filters by. */
function plainValue(kind, value) {
  if (kind === "exact") return Number(value);
  return kind === "hospital" || kind === "drg" || kind === "both" || kind.startsWith("word:") || kind === "bool"
    ? show(kind, value) : value;
}
/* What stands in a CSV file: plain numbers, amounts in yuan; a text never starts a formula. */
function csvValue(kind, value) {
  if (value === null || value === undefined) return "";
  if (kind === "money" || kind === "yuan") return (value / 100).toFixed(2);
  if (isNumber(kind)) return String(value);
  let text = String(kind === "level" ? value : plainValue(kind, value));
  if (/^[=+\-@\t\r]/.test(text) && !/^-?[\d.]+$/.test(text)) text = "'" + text;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) if (child !== null) node.append(child);
  return node;
}
function onChange(listener) { listeners.push(listener); }
function setState(key, value) {
  if (state[key] === value) return;
  state[key] = value;
  try { localStorage.setItem("report." + key, value); } catch (_) { /* no storage */ }
  for (const listener of listeners) listener(key);
}
