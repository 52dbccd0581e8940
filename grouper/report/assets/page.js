"use strict";
/* Puts a page together: words, headline figures, tables, charts, and finding another page. */
const tables = {};

function words() {
  document.documentElement.lang = state.lang === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-placeholder]")) {
    node.placeholder = t(node.dataset.tPlaceholder);
    node.setAttribute("aria-label", node.placeholder);
  }
  for (const group of document.querySelectorAll("[data-switch]")) {
    for (const button of group.children) {
      button.setAttribute("aria-pressed", String(state[group.dataset.switch] === button.dataset.value));
    }
  }
}

function kpis() {
  const host = document.getElementById("kpis");
  if (!host || !PAGE.kpis) return;
  host.replaceChildren(...PAGE.kpis.map(([name, value, beside]) => {
    const kind = COLUMNS[name][0];
    const title = COLUMNS[name][state.lang === "zh" ? 1 : 2];
    const unit = kind === "money" ? unitName() : "";
    const classes = SIGNED.has(name) && show(kind, value).startsWith("−") ? "figure minus" : "figure";
    return el("div", { class: "kpi" }, el("div", { class: "label" }, title),
      el("div", { class: classes }, show(kind, value), unit ? el("span", { class: "unit" }, unit) : null),
      beside === undefined ? null : el("div", { class: "beside" }, `${t("region")} ${show(kind, beside)}`));
  }));
}

function titles() {
  const { kind } = document.body.dataset;
  const badge = document.getElementById("checks");
  if (badge && PAGE.checks) {
    const [all, failed] = PAGE.checks;
    badge.className = failed ? "badge bad" : "badge good";
    badge.textContent = `${failed ? "✗" : "✓"} ${failed || all} ${t(failed ? "checks.fail" : "checks.hold")}`;
  }
  if (kind === "hospital") {
    const [id, level, sort, city] = PAGE.facts;
    document.getElementById("title").textContent = PAGE.title;
    const level_ = t("level." + level) + (sort ? ` · ${sort}` : "");
    document.getElementById("facts").replaceChildren(
      el("code", {}, id), ` · ${level_}`, city ? ` · ${city}` : "", " · ",
      el("a", { href: `${UP}workbooks/${PAGE.slug}.xlsx`, download: true }, t("workbook")));
  }
  if (kind === "drg") {
    const [adrg, adrgName, mdc, mdcName] = PAGE.facts;
    const plain = PAGE.title === "-";
    document.getElementById("title").textContent = plain ? "" : PAGE.title;
    document.getElementById("name").textContent = plain ? t("ungrouped_cases") : PAGE.name;
    const flags = [];
    if (PAGE.stable !== null && PAGE.stable !== undefined) flags.push(`${columnTitle("stable")}: ${show("bool", PAGE.stable)}`);
    if (PAGE.basic) flags.push(`${columnTitle("basic")}: ${show("bool", PAGE.basic)}`);
    document.getElementById("facts").textContent = plain ? "" :
      [`${t("mdc")} ${mdc} ${mdcName}`, `${t("adrg")} ${adrg} ${adrgName}`, ...flags].join(" · ");
  }
  const runs = document.getElementById("runs");
  if (runs) runs.replaceChildren(...whatIf());
  const score = document.getElementById("score");
  if (score && PAGE.quality) {
    const at = (name) => PAGE.scoreCols.indexOf(name), it = PAGE.quality;
    const told = ["quality_rank", "checked", "first_pass_rate", "upload_rate", "warned"].filter((name) => it[at(name)] !== null)
      .map((name) => `${columnTitle(name)} ${show(COLUMNS[name][0], it[at(name)])}${name === "quality_rank" ? ` / ${PAGE.ranked}` : ""}`);
    score.textContent = told.join(" · ");
  }
  const findings = document.getElementById("findings-cut");
  if (findings) findings.hidden = !PAGE.findingsCut;
  const cut = document.getElementById("cut");
  if (cut) cut.hidden = !PAGE.cut;
}

/* The table of peers holds values of many kinds, so its cells are made texts first. */
function peerRows() {
  if (!PAGE.peers || !PAGE.tables.peers) return;
  PAGE.tables.peers.rows = PAGE.tables.peers.kinds.map((name) => {
    const kind = COLUMNS[name][0], it = PAGE.peers[name];
    return [name, show(kind, it.here), show(kind, it.median), show(kind, it.region), it.rank === null ? "—" : `${it.rank} / ${it.of}`];
  });
}

/* A long page begins with what is on it. */
function contents() {
  const heads = [...document.querySelectorAll("main h2")], before = document.getElementById("kpis");
  if (heads.length < 5 || !before) return;
  heads.forEach((head, i) => { head.id = `part-${i + 1}`; });
  before.before(el("nav", { class: "contents" }, ...heads.map((head) => el("a", { href: `#${head.id}`, "data-t": head.dataset.t }, head.textContent))));
}

function jump() {
  const input = document.getElementById("jump"), list = document.getElementById("jump-list");
  if (!input || !window.INDEX) return;
  const places = [
    ...INDEX.hospitals.map(([id, name, , city], i) => ["hospital", i, `${id} ${name} ${city}`, name, id]),
    ...INDEX.drgs.map(([code, name], i) => ["drg", i, `${code} ${name}`, drgName(i), ""]),
  ].map((place) => [...place, place[2].toLowerCase()]);
  let chosen = 0;
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); };
  const open = () => {
    const query = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    if (!query.length) return close();
    const found = places.filter((place) => query.every((word) => place[5].includes(word))).slice(0, 12);
    chosen = 0;
    list.replaceChildren(...(found.length ? found.map(([kind, i, , name, beside], n) =>
      el("li", { role: "option", "aria-selected": String(n === 0) },
        el("a", { href: pageOf(kind, i), tabindex: "-1" }, name, beside ? el("small", {}, beside) : null)))
      : [el("li", { class: "none" }, t("jump.none"))]));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  };
  input.addEventListener("input", open);
  input.addEventListener("focus", open);
  input.addEventListener("blur", () => setTimeout(close, 150));
  input.addEventListener("keydown", (event) => {
    const options = [...list.querySelectorAll("[role=option]")];
    if (event.key === "Escape") close();
    if (!options.length || list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length;
      options.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
      event.preventDefault();
    } else if (event.key === "Enter") {
      location.href = options[chosen].querySelector("a").href;
    }
  });
}

function start() {
  contents();
  words();
  titles();
  kpis();
  peerRows();
  for (const host of document.querySelectorAll("[data-table]")) {
    tables[host.dataset.table] = new DataTable(host, PAGE.tables[host.dataset.table]);
  }
  startCharts();
  jump();
  for (const group of document.querySelectorAll("[data-switch]")) {
    for (const button of group.children) button.addEventListener("click", () => setState(group.dataset.switch, button.dataset.value));
  }
  document.getElementById("print").addEventListener("click", () => drawAll().then(() => window.print()));
  window.addEventListener("beforeprint", () => Object.values(tables).forEach((table) => table.body && table.more(Infinity)));
}
listeners.unshift(() => {
  words();
  titles();
  kpis();
  if (PAGE.peers) {
    peerRows();
    if (tables.peers) tables.peers.all = PAGE.tables.peers.rows;
  }
});
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
