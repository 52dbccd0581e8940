/* The page of one case. The case stands behind the # of the address, which no server ever sees. */

import { Finder, data, element, later, make, root, send, show, showFailure, t } from "./common.js";

const form = element("entry");
const answer = element("answer");
const codes = { dx: [], px: [] };
const facts = new Map();
const fields = [...form.querySelectorAll("input[name], select[name]")];
const field = (name) => form.elements.namedItem(name);

/* --- the lists of codes ------------------------------------------------------------------ */

function row(kind, code, at) {
  const known = facts.get(code) || { name: "", levels: [], known: true };
  const first = at === 0
    ? make("span", { class: "principal" }, t("case.principal"))
    : make("button", { type: "button", class: "icon", "data-do": "first", title: t("case.first"), "aria-label": `${t("case.first")}: ${code}` }, "↑");
  return make("li", { "data-at": at },
    first,
    make("span", { class: "code" }, code),
    make("span", { class: "name" }, known.name),
    ...known.levels.map((level) => make("span", { class: `lvl ${level.toLowerCase()}` }, level)),
    known.known ? null : make("span", { class: "warn" }, t("case.unknown")),
    make("button", { type: "button", class: "icon remove", "data-do": "remove", title: t("case.remove"), "aria-label": `${t("case.remove")}: ${code}` }, "✕"));
}

function draw() {
  for (const kind of ["dx", "px"]) {
    const list = element(kind);
    list.replaceChildren(...codes[kind].map((code, at) => row(kind, code, at)));
    if (!codes[kind].length) list.append(make("li", { class: "empty" }, list.dataset.empty));
  }
}

function move(kind, from, to) {
  if (to < 0 || to >= codes[kind].length) return;
  const [code] = codes[kind].splice(from, 1);
  codes[kind].splice(to, 0, code);
}

for (const kind of ["dx", "px"]) {
  const list = element(kind);
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button) return;
    act(kind, Number(button.closest("li").dataset.at), button.dataset.do);
  });
  list.addEventListener("keydown", (event) => {
    const item = event.target.closest("li[data-at]");
    if (!item) return;
    const at = Number(item.dataset.at);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.altKey && step) {
      event.preventDefault();
      move(kind, at, at + step);
      changed();
      list.children[Math.min(Math.max(at + step, 0), codes[kind].length - 1)].querySelector(".remove").focus();
    } else if (event.key === "Delete") {
      event.preventDefault();
      act(kind, at, "remove");
    }
  });
}

function act(kind, at, what) {
  if (what === "first") move(kind, at, 0);
  else codes[kind].splice(at, 1);
  changed();
  const next = element(kind).querySelectorAll(".remove")[what === "first" ? 0 : Math.min(at, codes[kind].length - 1)];
  (next || element("find")).focus();
}

function add(kind, code, first = false) {
  if (first) codes[kind].unshift(code);
  else codes[kind].push(code);
}

/* --- finding and pasting ----------------------------------------------------------------- */

const find = element("find");
find.dataset.nothing = t("case.none");
let searching = null;
new Finder(find, element("found"), {
  async search(text) {
    searching?.abort();
    searching = new AbortController();
    try {
      const asked = new URLSearchParams({ scheme: data.scheme, q: text });
      const response = await fetch(`${root}/codes?${asked}`, { signal: searching.signal });
      return response.ok ? await response.json() : [];
    } catch (error) {
      return error.name === "AbortError" ? null : [];
    }
  },
  option: (one) => [
    make("span", { class: `kind ${one.kind}` }, t(`case.${one.kind}`)),
    make("span", { class: "code" }, one.code),
    make("span", { class: "name" }, one.name),
    ...one.levels.map((level) => make("span", { class: `lvl ${level.toLowerCase()}` }, level)),
  ],
  choose(one, text) {
    if (one) {
      facts.set(one.code, { name: one.name, levels: one.levels, known: true });
      add(one.kind, one.code);
    } else {
      const kind = /^\d/.test(text) ? "px" : "dx";
      facts.set(text, { name: "", levels: [], known: false });
      add(kind, text.slice(0, 64));
    }
    changed();
  },
});
find.addEventListener("keydown", (event) => {
  // The key that leads here is no part of a code.
  if (event.key === "/" && !find.value) event.preventDefault();
  if (event.key !== "Backspace" || find.value || event.isComposing) return;
  const kind = codes.px.length ? "px" : "dx";
  codes[kind].pop();
  changed();
});
find.addEventListener("paste", (event) => {
  const text = event.clipboardData.getData("text");
  if (!/[\n,;|、，；=:：]|\S\s+\S/.test(text.trim())) return;
  event.preventDefault();
  paste(text);
});

async function paste(text, fresh = false) {
  try {
    const response = await send("/paste", { scheme: data.scheme, text: text.slice(0, 100000) });
    if (!response.ok) return show(answer, await response.text());
    const { case: found, ignored, names } = await response.json();
    for (const [code, known] of Object.entries(names)) facts.set(code, known);
    if (fresh) clear();
    for (const kind of ["dx", "px"]) codes[kind].push(...found[kind]);
    for (const [name, value] of Object.entries(found)) {
      if (name !== "dx" && name !== "px" && field(name)) field(name).value = value;
    }
    changed();
    element("find-hint").textContent = ignored.length ? t("case.paste.ignored") + ignored.join(" ") : hint;
  } catch {
    showFailure(answer, t("error.offline"));
  }
}
const hint = element("find-hint").textContent;

const dialog = element("paste");
element("open-paste").addEventListener("click", () => {
  element("paste-text").value = "";
  dialog.showModal();
});
element("paste-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) dialog.close("use");
});
dialog.addEventListener("close", () => {
  if (dialog.returnValue === "use" && element("paste-text").value.trim()) paste(element("paste-text").value, true);
  dialog.returnValue = "";
});

/* --- the case, in the form and in the address -------------------------------------------- */

const priced = ["run", "total_cost", "compliant_cost", "level", "pool", "month"];

function clear() {
  codes.dx = [];
  codes.px = [];
  for (const one of fields) if (!priced.includes(one.name)) one.value = "";
  element("find-hint").textContent = hint;
}

function written() {
  const found = { dx: codes.dx, px: codes.px };
  for (const one of fields) if (one.value.trim() !== "") found[one.name] = one.value.trim();
  return found;
}

function remember() {
  const found = written();
  const parts = [];
  for (const [name, value] of Object.entries(found)) {
    if (!found.run && priced.includes(name)) continue;
    const text = Array.isArray(value) ? value.map(encodeURIComponent).join("|") : encodeURIComponent(value);
    if (text) parts.push(`${name}=${text}`);
  }
  history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
}

function recall() {
  const given = new Map();
  for (const part of location.hash.slice(1).split("&")) {
    const [name, value = ""] = part.split("=", 2);
    try {
      given.set(name, name === "dx" || name === "px"
        ? value.split("|").filter(Boolean).map(decodeURIComponent)
        : decodeURIComponent(value));
    } catch {
      // A broken address is read as far as it goes.
    }
  }
  for (const kind of ["dx", "px"]) codes[kind] = (given.get(kind) || []).slice(0, 200);
  const run = given.get("run") ?? data.run;
  if (run && field("run")) {
    field("run").value = run;
    offer();
  }
  for (const [name, value] of given) if (name !== "run" && name !== "dx" && name !== "px" && field(name)) field(name).value = value;
  if (fields.some((one) => one.closest("#more") && one.value)) element("more").open = true;
}

/* --- the answer -------------------------------------------------------------------------- */

let asking = null;
let before = "";
const soon = later(110, ask);

function changed() {
  draw();
  remember();
  soon();
}

async function ask() {
  asking?.abort();
  if (!codes.dx.length && !codes.px.length) {
    before = "";
    show(answer, start);
    answer.setAttribute("aria-busy", "false");
    return;
  }
  asking = new AbortController();
  answer.setAttribute("aria-busy", "true");
  try {
    const unnamed = [...codes.dx, ...codes.px].some((code) => !facts.has(code));
    const asked = { scheme: data.scheme, ...written() };
    const [told, names] = await Promise.all([
      send("/explain", asked, { signal: asking.signal }),
      unnamed ? send("/names", asked, { signal: asking.signal }) : null,
    ]);
    if (names?.ok) {
      for (const [code, known] of Object.entries(await names.json())) facts.set(code, known);
      const held = document.activeElement?.closest("li[data-at]");
      if (!held) draw();
    }
    const opened = [...answer.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
    show(answer, await told.text());
    for (const one of answer.querySelectorAll("details > summary")) {
      if (opened.includes(one.textContent)) one.parentElement.open = true;
    }
    const drg = answer.querySelector("[data-drg]")?.dataset.drg;
    if (drg && before && drg !== before) {
      element("was").textContent = `${t("result.was")} ${before}`;
      element("was").hidden = false;
    }
    if (drg) before = drg;
    answer.setAttribute("aria-busy", "false");
  } catch (error) {
    if (error.name === "AbortError") return;
    showFailure(answer, t("error.offline"));
    answer.setAttribute("aria-busy", "false");
  }
}
const start = answer.innerHTML;

answer.addEventListener("click", (event) => {
  const more = event.target.closest("[data-more]");
  if (more) {
    answer.querySelector("tbody.rest").hidden = false;
    more.remove();
    answer.querySelector("tbody.rest button").focus();
    return;
  }
  const button = event.target.closest("button[data-change]");
  if (!button) return;
  const { change, code, value } = button.dataset;
  const kind = change.endsWith("procedure") ? "px" : "dx";
  const at = codes[kind].lastIndexOf(code);
  if (change === "value") {
    if (field(code)) field(code).value = value;
    if (field(code)?.closest("#more")) element("more").open = true;
  } else if (change.startsWith("drop")) {
    codes[kind].splice(at, 1);
  } else if (change.startsWith("principal") && at >= 0) {
    move(kind, at, 0);
  } else {
    add(kind, code, change.startsWith("principal"));
  }
  changed();
  find.focus({ preventScroll: true });
});

/* --- the rest of the form ---------------------------------------------------------------- */

function offer() {
  const known = data.prices[field("run").value];
  element("price-more").hidden = !known;
  if (!known) return;
  for (const [name, values] of [["pool", known.pools], ["month", known.months]]) {
    const chosen = field(name).value;
    field(name).replaceChildren(...values.map((value) => make("option", { value }, poolName(value))));
    if (values.includes(chosen)) field(name).value = chosen;
  }
}

/* `guigang/employee` is the employees' pool of a city. */
function poolName(value) {
  const [, city, insurance] = /^(?:(.*)\/)?(employee|resident)$/.exec(value) || [];
  return insurance ? [city, t(`pool.${insurance}`)].filter(Boolean).join(" · ") : value;
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  if (event.target === find || event.target.id === "scheme") return;
  if (event.target.name === "run") offer();
  changed();
});
element("clear").addEventListener("click", () => {
  clear();
  changed();
  find.focus();
});
element("example").addEventListener("click", () => {
  clear();
  for (const [name, value] of Object.entries(data.example)) {
    if (Array.isArray(value)) codes[name] = [...value];
    else if (field(name)) field(name).value = value;
  }
  changed();
});
window.addEventListener("hashchange", () => {
  clear();
  recall();
  draw();
  soon();
});

recall();
draw();
ask();
