"use strict";
/* Tables that sort, filter and download. Rows are drawn as they come into view. */
const CHUNK = 60;

function matcher(text, kinds) {
  const query = text.trim().toLowerCase();
  if (!query) return null;
  const compared = /^([<>]=?|=)\s*(-?[\d.,]+)$/.exec(query.replace("−", "-"));
  if (compared) {
    const bound = Number(compared[2].replaceAll(",", ""));
    const test = { "<": (v) => v < bound, ">": (v) => v > bound, "<=": (v) => v <= bound,
      ">=": (v) => v >= bound, "=": (v) => v === bound }[compared[1]];
    return { numeric: true, test };
  }
  const words = query.split(/\s+/);
  return { numeric: false, test: (row) => {
    const line = kinds.map((kind, i) => (isNumber(kind) ? "" : String(plainValue(kind, row[i]) ?? ""))).join(" ").toLowerCase();
    return words.every((word) => line.includes(word));
  } };
}

class DataTable {
  constructor(host, data) {
    this.host = host;
    this.cols = data.cols;
    this.kinds = data.cols.map((name) => COLUMNS[name][0]);
    this.all = data.rows;
    this.rows = data.rows;
    this.name = host.dataset.table;
    this.summed = data.total !== false;
    this.sort = null;
    this.query = "";
    this.column = -1;
    this.draw();
    onChange(() => this.draw());
  }

  draw() {
    const small = this.all.length <= 8;
    this.host.replaceChildren();
    if (!this.all.length) {
      this.host.append(el("p", { class: "none" }, t("none")));
      return;
    }
    this.count = el("span", { class: "count" });
    this.tools = el("div", { class: "tools" });
    if (!small) this.tools.append(this.filterBox(), this.columnBox());
    this.tools.append(this.count, el("button", { type: "button", class: "plain csv", onclick: () => this.download() }, t("csv")));
    this.body = el("tbody");
    this.foot = el("tfoot");
    this.head = el("thead", {}, this.headRow());
    this.frame = el("div", { class: "frame", tabindex: "0" }, el("table", {}, this.head, this.body, this.foot));
    this.host.append(this.tools, this.frame);
    this.refresh();
  }

  filterBox() {
    const input = el("input", { type: "search", class: "filter", placeholder: t("filter"), "aria-label": t("filter") });
    input.value = this.query;
    input.addEventListener("input", () => { this.query = input.value; this.refresh(); });
    return input;
  }

  columnBox() {
    const select = el("select", { class: "column", "aria-label": t("filter") }, el("option", { value: "-1" }, t("all")));
    this.cols.forEach((name, i) => select.append(el("option", { value: i }, columnTitle(name))));
    select.value = String(this.column);
    select.addEventListener("change", () => { this.column = Number(select.value); this.refresh(); });
    return select;
  }

  headRow() {
    return el("tr", {}, ...this.cols.map((name, i) => {
      const order = this.sort && this.sort.column === i ? (this.sort.down ? "descending" : "ascending") : "none";
      return el("th", { scope: "col", class: isNumber(this.kinds[i]) || this.kinds[i] === "shown" ? "num" : "", "aria-sort": order },
        el("button", { type: "button", onclick: () => this.sortBy(i) }, columnTitle(name)));
    }));
  }

  sortBy(column) {
    const first = isNumber(this.kinds[column]);
    this.sort = this.sort && this.sort.column === column
      ? { column, down: !this.sort.down } : { column, down: first };
    this.head.replaceChildren(this.headRow());
    this.refresh();
  }

  /* A number typed for an amount is meant in the unit that is shown. */
  scaled(kind, value) {
    if (kind === "money") return state.unit === "wan" ? value / 1e6 : value / 100;
    if (kind === "yuan") return value / 100;
    return kind === "pct" ? value * 100 : value;
  }

  refresh() {
    let rows = this.all;
    const found = matcher(this.query, this.column < 0 ? this.kinds : [this.kinds[this.column]]);
    if (found && found.numeric) {
      const places = this.kinds.map((kind, i) => i).filter((i) => isNumber(this.kinds[i]) && (this.column < 0 || i === this.column));
      rows = rows.filter((row) => places.some((i) => row[i] !== null && found.test(this.scaled(this.kinds[i], row[i]))));
    } else if (found) {
      rows = rows.filter((row) => found.test(this.column < 0 ? row : [row[this.column]]));
    }
    if (this.sort) {
      const { column, down } = this.sort;
      const kind = this.kinds[column];
      const keyed = rows.map((row) => [plainValue(kind, row[column]), row]);
      const collator = new Intl.Collator(state.lang === "zh" ? "zh-CN" : "en", { numeric: true });
      keyed.sort(([a], [b]) => {
        if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
        if (b === null || b === undefined) return -1;
        const order = typeof a === "number" ? a - b : collator.compare(a, b);
        return down ? -order : order;
      });
      rows = keyed.map(([, row]) => row);
    }
    this.rows = rows;
    const noun = t(this.all.length === 1 ? "row" : "rows");
    this.count.textContent = rows.length === this.all.length
      ? `${grouped(rows.length, 0)} ${noun}`
      : `${grouped(rows.length, 0)} / ${grouped(this.all.length, 0)} ${noun}`;
    this.drawn = 0;
    this.body.replaceChildren();
    this.more(CHUNK);
    this.total();
  }

  more(count) {
    const part = document.createDocumentFragment();
    const end = Math.min(this.rows.length, this.drawn + count);
    for (; this.drawn < end; this.drawn++) part.append(this.row(this.rows[this.drawn]));
    this.body.append(part);
    if (this.watch) this.watch.disconnect();
    if (this.drawn < this.rows.length) {
      this.watch = new IntersectionObserver((seen) => {
        if (seen.some((entry) => entry.isIntersecting)) this.more(CHUNK * 2);
      }, { rootMargin: "600px" });
      this.watch.observe(this.body.lastElementChild);
    }
  }

  row(values) {
    return el("tr", {}, ...values.map((value, i) => {
      const kind = this.kinds[i];
      const text = show(kind, value);
      const page = kind === "hospital" || kind === "drg" ? pageOf(kind, value) : null;
      const classes = [isNumber(kind) ? "num" : kind.split(":")[0]];
      if (SIGNED.has(this.cols[i]) && text.startsWith("−")) classes.push("minus");
      if (value === null || value === undefined) classes.push("nothing");
      if (this.cols[i] === "holds") classes.push(value ? "good" : "bad");
      if (WARNS.has(this.cols[i]) && value) classes.push("warn");
      // A long name is cut; whoever points at it sees all of it.
      const whole = classes[0] === "hospital" || classes[0] === "drg" ? { title: text } : {};
      return el("td", { class: classes.join(" "), ...whole }, page ? el("a", { href: page }, text) : text);
    }));
  }

  total() {
    this.foot.replaceChildren();
    if (!this.summed || this.rows.length < 2 || !this.cols.some((name) => COLUMNS[name][3])) return;
    this.foot.append(el("tr", {}, ...this.cols.map((name, i) => {
      if (i === 0) return el("td", {}, t("total"));
      if (!COLUMNS[name][3]) return el("td");
      if (this.rows.every((row) => row[i] === null || row[i] === undefined)) return el("td");
      const sum = this.rows.reduce((whole, row) => whole + (row[i] || 0), 0);
      const text = show(this.kinds[i], sum);
      return el("td", { class: SIGNED.has(name) && text.startsWith("−") ? "num minus" : "num" }, text);
    })));
  }

  download() {
    const header = this.cols.map((name) => {
      const column = COLUMNS[name];
      const title = column[state.lang === "zh" ? 1 : 2];
      return csvValue("text", column[0] === "money" ? `${title}(${t("unit.yuan")})` : title);
    });
    const lines = [header, ...this.rows.map((row) => row.map((value, i) => csvValue(this.kinds[i], value)))];
    const blob = new Blob(["\ufeff" + lines.map((line) => line.join(",")).join("\r\n") + "\r\n"], { type: "text/csv;charset=utf-8" });
    const link = el("a", { href: URL.createObjectURL(blob), download: `${document.body.dataset.kind}-${this.name}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
}
const WARNS = new Set(["inversion", "above_peers"]);
const SIGNED = new Set(["gain", "relative", "case_gain", "due", "due_m", "amount", "residual", "paid", "paid_m", "prepaid", "deposit",
  "d_points", "d_value", "d_paid", "d_due", "d_rate", "d_money", "effect",
  "by_difference"]);
