"use strict";
/* Charts, drawn by plotly when they come into view; plotly itself is read when the first one does. */
const INK = "#22303c", SOFT = "#6a7884", GRID = "#e7ebee";
const LEVELS = { 1: "#9bb4c4", 2: "#4c86ab", 3: "#1c4f79" };
const POOLS = ["#1f5f8b", "#c98a2b", "#6b8e5a", "#8a5a83", "#3f8f8b", "#a9553e", "#7a8792", "#b59f3b"];
const CLASS = { normal: "#5b93b5", high: "#c2572f", low: "#dba746", band: "#7d9d6a", unstable: "#a9b4bb", ungrouped: "#5c6670", ambiguous: "#b7a3c7" };
const GAIN = "#2b6ca3", LOSS = "#c2572f", CALM = "#9fb3c1";
const FONT = '"Helvetica Neue", Arial, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';

const money = (fen) => (state.unit === "wan" ? fen / 1e6 : fen / 100);
const moneyFormat = () => (state.unit === "wan" ? ",.2f" : ",.2f");
const monthName = (month) => (innerWidth < 600 ? String(Number(month.slice(5))) : state.lang === "zh" ? `${Number(month.slice(5))}月`
  : ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Number(month.slice(5)) - 1]);
const columnOf = (table, name) => PAGE.tables[table].cols.indexOf(name);
function column(table, name) {
  const at = columnOf(table, name);
  return PAGE.tables[table].rows.map((row) => row[at]);
}
const shorten = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);
const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function baseLayout(more) {
  const axis = { gridcolor: GRID, zerolinecolor: "#c3ccd3", linecolor: "#c3ccd3", tickfont: { size: 11, color: SOFT }, automargin: true,
    title: { font: { size: 11, color: SOFT }, standoff: 8 }, hoverformat: undefined };
  const layout = {
    font: { family: FONT, size: 12, color: INK }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: 12, t: 8, b: 8 }, showlegend: false, hovermode: "closest", separators: ".,",
    legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", font: { size: 11, color: SOFT } },
    hoverlabel: { bgcolor: "#ffffff", bordercolor: "#c3ccd3", font: { family: FONT, size: 12, color: INK }, align: "left" },
    ...more,
  };
  for (const name of ["xaxis", "yaxis"]) {
    const given = layout[name] || {};
    layout[name] = { ...axis, ...given, title: { ...axis.title, ...(given.title || {}) } };
  }
  return layout;
}
const unitAxis = () => ({ title: { text: unitName() }, tickformat: "," });

/* Rows of a table gathered by one column. */
function gather(table, by) {
  const at = columnOf(table, by), groups = new Map();
  for (const row of PAGE.tables[table].rows) {
    if (!groups.has(row[at])) groups.set(row[at], []);
    groups.get(row[at]).push(row);
  }
  return groups;
}

const CHARTS = {
  point_value() {
    const [m, v] = [columnOf("months", "month"), columnOf("months", "point_value")];
    const traces = [...gather("months", "pool")].map(([pool, rows], i) => ({
      type: "scatter", mode: "lines+markers", name: wordOf("pool", pool), x: rows.map((row) => monthName(row[m])), y: rows.map((row) => row[v]),
      line: { color: POOLS[i % POOLS.length], width: 2.5 }, marker: { size: 6 }, hovertemplate: `%{y:.4f} ${t("unit.yuan")}<extra>%{fullData.name}</extra>` }));
    return { traces, layout: { showlegend: true, hovermode: "x unified", xaxis: { type: "category", showgrid: false }, yaxis: { tickformat: ",~f" } } };
  },
  budget_month() {
    const at = (name) => columnOf("months", name);
    const months = [...new Set(column("months", "month"))].sort();
    const sum = (name) => months.map((month) => money(PAGE.tables.months.rows.filter((row) => row[at("month")] === month).reduce((s, row) => s + row[at(name)], 0)));
    const hover = `%{y:${moneyFormat()}} ${unitName()}<extra>%{fullData.name}</extra>`;
    return { traces: [
      { type: "bar", name: t("s.budget"), x: months.map(monthName), y: sum("budget"), marker: { color: "#c9d6df" }, hovertemplate: hover },
      { type: "bar", name: t("s.paid"), x: months.map(monthName), y: sum("paid_m"), marker: { color: "#1f5f8b" }, hovertemplate: hover },
    ], layout: { showlegend: true, barmode: "overlay", bargap: 0.35, hovermode: "x unified", xaxis: { type: "category", showgrid: false }, yaxis: unitAxis() } };
  },
  spread() {
    const at = (name) => columnOf("hospitals", name);
    const rows = PAGE.tables.hospitals.rows.filter((row) => row[at("cases")] > 0 && row[at("cost_index")] !== null);
    const most = Math.max(...rows.map((row) => row[at("cases")]), 1);
    const traces = [3, 2, 1].map((level) => {
      const mine = rows.filter((row) => row[at("level")] === level);
      return { type: "scatter", mode: "markers", name: t("level." + level), x: mine.map((row) => row[at("cost_index")]), y: mine.map((row) => row[at("rate")]),
        customdata: mine.map((row) => row[at("hospital")]),
        text: mine.map((row) => `<b>${escaped(hospitalName(row[at("hospital")]))}</b><br>${columnTitle("cases")} ${show("int", row[at("cases")])}<br>CMI ${show("coef", row[at("cmi")])}`),
        marker: { color: LEVELS[level], opacity: 0.78, size: mine.map((row) => 5 + 30 * Math.sqrt(row[at("cases")] / most)), line: { color: "#fff", width: 1 } },
        hovertemplate: `%{text}<br>${columnTitle("cost_index")} %{x:.2f}<br>${columnTitle("rate")} %{y:.1%}<extra></extra>` };
    }).filter((trace) => trace.x.length);
    const whole = PAGE.kpis.find(([name]) => name === "rate")[1];
    return { traces, click: (point) => pageOf("hospital", point.customdata), layout: { showlegend: true,
      xaxis: { title: { text: columnTitle("cost_index") }, tickformat: ",~f" }, yaxis: { title: { text: columnTitle("rate") }, tickformat: "~%" },
      shapes: [hline(whole), { type: "line", x0: 1, x1: 1, y0: 0, y1: 1, yref: "paper", line: { color: "#8795a0", width: 1, dash: "dot" } }],
      annotations: [{ xref: "paper", x: 1, xanchor: "right", y: whole, yanchor: "bottom", text: `${t("s.region")} ${show("pct", whole)}`, showarrow: false, font: { size: 11, color: SOFT } }] } };
  },
  cmi() {
    const at = (name) => columnOf("hospitals", name);
    const traces = [1, 2, 3].map((level) => {
      const mine = PAGE.tables.hospitals.rows.filter((row) => row[at("level")] === level && row[at("cmi")] !== null);
      return { type: "box", name: t("level." + level), y: mine.map((row) => row[at("cmi")]), text: mine.map((row) => escaped(hospitalName(row[at("hospital")]))), customdata: mine.map((row) => row[at("hospital")]),
        boxpoints: "all", jitter: 0.5, pointpos: 0, marker: { color: LEVELS[level], size: 5, opacity: 0.6 }, line: { color: LEVELS[level], width: 1.5 }, fillcolor: "rgba(0,0,0,0)",
        hovertemplate: "%{text}<br>CMI %{y:.4f}<extra></extra>" };
    }).filter((trace) => trace.y.length);
    return { traces, click: (point) => pageOf("hospital", point.customdata), layout: { yaxis: { tickformat: ",~f", title: { text: "CMI" } }, xaxis: { showgrid: false } } };
  },
  classes() {
    const at = (name) => columnOf("classes", name), rows = PAGE.tables.classes.rows;
    const levels = [...new Set(rows.map((row) => row[at("level")]))].sort();
    const kinds = Object.keys(CLASS).filter((kind) => rows.some((row) => row[at("class")] === kind));
    const traces = kinds.map((kind) => ({ type: "bar", orientation: "h", name: t("class." + kind), y: levels.map((level) => t("level." + level)),
      x: levels.map((level) => (rows.find((row) => row[at("level")] === level && row[at("class")] === kind) || [])[at("share")] || 0),
      marker: { color: CLASS[kind] }, hovertemplate: "%{x:.2%}<extra>%{fullData.name}</extra>" }));
    return { traces, layout: { barmode: "stack", showlegend: true, bargap: 0.45, xaxis: { tickformat: ".0%", range: [0, 1] }, yaxis: { showgrid: false } } };
  },
  mdc() {
    const at = (name) => columnOf("mdc", name);
    const rows = [...PAGE.tables.mdc.rows].sort((a, b) => a[at("relative")] - b[at("relative")]);
    const values = rows.map((row) => money(row[at("relative")]));
    return { traces: [{ type: "bar", x: rows.map((row) => (row[at("mdc")] === "-" ? t("class.ungrouped") : row[at("mdc")])), y: values, marker: { color: values.map((v) => (v < 0 ? LOSS : GAIN)) },
      text: rows.map((row) => escaped(row[at("mdc_name")])), textposition: "none",
      hovertemplate: `<b>%{x} %{text}</b><br>%{y:${moneyFormat()}} ${unitName()}<extra></extra>` }],
      layout: { bargap: 0.35, xaxis: { type: "category", showgrid: false }, yaxis: unitAxis() } };
  },
  budget() {
    const at = (name) => columnOf("budget", name), last = new Map();
    for (const row of PAGE.tables.budget.rows) last.set(`${row[at("pool")]}\t${row[at("line")]}`, row);
    const sums = new Map();
    for (const row of last.values()) sums.set(row[at("line")], (sums.get(row[at("line")]) || 0) + row[at("amount")]);
    const lines = [...sums].sort((a, b) => b[1] - a[1]);
    return waterfall(lines.map(([line, amount], i) => [wordOf("line", line), amount, i ? "relative" : "absolute"])
      .concat([[t("line.drg"), null, "total"]]), true);
  },
  months() {
    const rows = PAGE.monthCost, at = (name) => columnOf("statement", name);
    const paid = new Map();
    for (const row of PAGE.tables.statement.rows) paid.set(row[at("month")], (paid.get(row[at("month")]) || 0) + row[at("paid")]);
    const hover = `%{y:${moneyFormat()}} ${unitName()}<extra>%{fullData.name}</extra>`;
    const x = rows.map((row) => monthName(row[0]));
    return { traces: [
      { type: "bar", name: t("s.cost"), x, y: rows.map((row) => money(row[1])), marker: { color: "#c9d6df" }, hovertemplate: hover },
      { type: "bar", name: t("s.value"), x, y: rows.map((row) => money(row[2])), marker: { color: "#4c86ab" }, hovertemplate: hover },
      { type: "scatter", mode: "lines+markers", name: t("s.paid"), x, y: rows.map((row) => money(paid.get(row[0]) || 0)), line: { color: "#c98a2b", width: 2.5 }, marker: { size: 6 }, hovertemplate: hover },
    ], layout: { showlegend: true, bargap: 0.3, bargroupgap: 0.06, hovermode: "x unified", xaxis: { type: "category", showgrid: false }, yaxis: { ...unitAxis(), rangemode: "tozero" } } };
  },
  flow_month() {
    const sum = (name) => column("statement", name).reduce((s, v) => s + v, 0);
    const rest = sum("paid") - sum("prepaid");
    const steps = [["gross", sum("gross"), "absolute"], ["cash", -sum("cash"), "relative"], ["audit_deduction", -sum("audit_deduction"), "relative"], ["deposit", -sum("deposit"), "relative"]];
    if (rest) steps.push(["adjusted", rest, "relative"]);
    return waterfall(steps.map(([name, ...more]) => [name === "adjusted" ? t("s.adjusted") : columnTitle(name), ...more]).concat([[columnTitle("paid"), null, "total"]]));
  },
  flow_year() {
    const sum = (name) => column("clearing", name).reduce((s, v) => s + v, 0);
    const title = (name) => COLUMNS[name][state.lang === "zh" ? 1 : 2];
    return waterfall([[title("gross"), sum("gross"), "absolute"], [title("assessed"), sum("assessed") - sum("gross"), "relative"], [title("surplus_cut"), -sum("surplus_cut"), "relative"],
      [title("self_pay_cut"), -sum("self_pay_cut"), "relative"], [title("cash"), -sum("cash"), "relative"], [title("already_paid"), -sum("already_paid"), "relative"], [title("due"), null, "total"]]);
  },
  drg_gain() {
    const at = (name) => columnOf("drgs", name);
    const rows = [...PAGE.tables.drgs.rows].sort((a, b) => a[at("relative")] - b[at("relative")]);
    const worst = rows.filter((row) => row[at("relative")] < 0).slice(0, 12), best = rows.filter((row) => row[at("relative")] > 0).slice(-12);
    const shown = [...worst, ...best].reverse();
    const values = shown.map((row) => money(row[at("relative")]));
    return { traces: [{ type: "bar", orientation: "h", y: shown.map((row) => shorten(drgName(row[at("drg")]), 22)), x: values, customdata: shown.map((row) => row[at("drg")]),
      text: shown.map((row) => `<b>${escaped(drgName(row[at("drg")]))}</b><br>${columnTitle("cases")} ${show("int", row[at("cases")])} · ${columnTitle("rate")} ${show("pct", row[at("rate")])}`), textposition: "none",
      marker: { color: values.map((v) => (v < 0 ? LOSS : GAIN)) }, hovertemplate: `%{text}<br>%{x:${moneyFormat()}} ${unitName()}<extra></extra>` }],
      click: (point) => pageOf("drg", point.customdata), height: Math.max(240, 60 + 21 * shown.length),
      layout: { bargap: 0.3, yaxis: { type: "category", showgrid: false, tickfont: { size: 11, color: INK } }, xaxis: unitAxis() } };
  },
  peers() {
    const traces = [], names = PAGE.tables.peers.kinds, annotations = [];
    const others = { type: "scatter", mode: "markers", name: t("peer.others"), x: [], y: [], text: [], marker: { color: CALM, size: 7, opacity: 0.45, line: { width: 0 } }, hovertemplate: "%{text}<extra></extra>" };
    const mine = { type: "scatter", mode: "markers", name: t("peer.this"), x: [], y: [], text: [], marker: { color: LOSS, size: 13, symbol: "diamond", line: { color: "#fff", width: 1.5 } }, hovertemplate: "%{text}<extra></extra>" };
    names.forEach((name, i) => {
      const it = PAGE.peers[name], kind = COLUMNS[name][0], title = columnTitle(name);
      if (it.here === null || !it.all.length) return;
      const low = Math.min(...it.all), high = Math.max(...it.all), place = (v) => (high > low ? (v - low) / (high - low) : 0.5);
      it.all.forEach((v, n) => { others.x.push(place(v)); others.y.push(-i + (((n * 7) % 11) - 5) / 36); others.text.push(`${title} ${show(kind, v)}`); });
      mine.x.push(place(it.here)); mine.y.push(-i); mine.text.push(`<b>${title} ${show(kind, it.here)}</b>`);
      annotations.push(...[[low, 0, "left"], [high, 1, "right"]].map(([v, x, anchor]) => ({ x, y: -i - 0.36, xanchor: anchor, text: show(kind, v), showarrow: false, font: { size: 10, color: SOFT } })));
    });
    traces.push(others, mine);
    return { traces, layout: { showlegend: true, annotations, xaxis: { visible: false, range: [-0.03, 1.03] },
      yaxis: { tickvals: names.map((_, i) => -i), ticktext: names.map((name) => columnTitle(name)), zeroline: false, range: [-names.length + 0.35, 0.6], tickfont: { size: 12, color: INK } } } };
  },
  distribution() {
    const level = PAGE.level || 0, rows = PAGE.histogram.filter((row) => !level || row[0] === level);
    const kinds = Object.keys(CLASS).filter((kind) => rows.some((row) => row[1] === kind));
    const bins = rows.map((row) => row[2]), first = Math.min(...bins), last = Math.max(...bins), x = [];
    for (let bin = first; bin <= last; bin++) x.push((bin + 0.5) / PAGE.bins);
    const traces = kinds.map((kind) => {
      const y = x.map(() => 0);
      for (const row of rows) if (row[1] === kind) y[row[2] - first] += row[3];
      return { type: "bar", name: t("class." + kind), x: x.map((v) => 10 ** v), y, width: x.map((v) => 10 ** (v + 0.5 / PAGE.bins) - 10 ** (v - 0.5 / PAGE.bins)),
        marker: { color: CLASS[kind], line: { width: 0.5, color: "#fff" } }, hovertemplate: `¥%{x:,.0f} · %{y:,}<extra>%{fullData.name}</extra>` };
    });
    const shapes = [], annotations = [], lines = [];
    const mark = (fen, text, color, dash) => { if (fen) lines.push([fen / 100, text, color, dash]); };
    if (level) {
      const bound = PAGE.bounds.find((row) => row[0] === level);
      if (bound) { mark(bound[2], t("bound.low"), "#a67a1c", "dash"); mark(bound[1], t("mean"), INK, "solid"); mark(bound[3], t("bound.high"), LOSS, "dash"); }
    } else {
      mark(PAGE.mean, t("mean"), INK, "solid");
      for (const [at, name, color] of [[2, "bound.low", "#a67a1c"], [3, "bound.high", LOSS]]) {
        // Levels with one bound share a line.
        const byValue = new Map();
        for (const bound of PAGE.bounds) byValue.set(bound[at], [...(byValue.get(bound[at]) || []), bound[0]]);
        for (const [value, levels] of byValue) mark(value, levels.length === PAGE.bounds.length && levels.length > 1 ? t(name) : `${t(name)} ${levels.map((of) => t("level." + of)).join(state.lang === "zh" ? "、" : ", ")}`, color, "dash");
      }
    }
    lines.sort((a, b) => a[0] - b[0]).forEach(([value, text, color, dash], i) => {
      shapes.push({ type: "line", x0: value, x1: value, y0: 0, y1: 1, yref: "paper", line: { color, width: 1.5, dash } });
      annotations.push({ x: Math.log10(value), y: 1 - 0.062 * (i % 4), yref: "paper", xanchor: "left", yanchor: "top", text: ` ${text} ${grouped(value, 0)}`, showarrow: false, font: { size: 11, color }, bgcolor: "rgba(255,255,255,0.8)" });
    });
    const ends = [...lines.map((line) => Math.log10(line[0])), first / PAGE.bins, (last + 1) / PAGE.bins];
    // A log axis of much less than a power of ten may find no place for a tick.
    const low = Math.min(...ends), high = Math.max(...ends), room = Math.max(0, 1 - (high - low)) / 2;
    return { traces, layout: { barmode: "stack", bargap: 0, showlegend: true, shapes, annotations, yaxis: { title: { text: t("axis.cases") }, tickformat: ",", ...whole(Math.max(...rows.map((row) => row[3]))) },
      xaxis: { type: "log", title: { text: t("axis.cost") }, tickformat: ",", dtick: "D2", range: [low - 0.05 - room, high + 0.18 + room] } } };
  },
  quality_rules() {
    const at = (name) => columnOf("quality_rules", name);
    const rows = PAGE.tables.quality_rules.rows.filter((row) => row[at("broken")]).sort((a, b) => a[at("broken")] - b[at("broken")]).slice(-14);
    const traces = [["reject", LOSS], ["warn", "#dba746"]].map(([severity, color]) => {
      const mine = rows.filter((row) => row[at("severity")] === severity);
      return { type: "bar", orientation: "h", name: t("severity." + severity), y: mine.map((row) => shorten(wordOf("rule", row[at("rule")]), innerWidth < 600 ? 16 : 48)), x: mine.map((row) => row[at("broken")]),
        text: mine.map((row) => show("pct", row[at("error_rate")])), textposition: "outside", cliponaxis: false, textfont: { size: 11, color: SOFT }, marker: { color },
        hovertemplate: `%{y}<br>%{x:,} (%{text})<extra></extra>` };
    }).filter((trace) => trace.x.length);
    return { traces, height: Math.max(140, 70 + 24 * rows.length), layout: { showlegend: true, bargap: 0.3, margin: { l: 8, r: 56, t: 8, b: 8 },
      yaxis: { type: "category", showgrid: false, categoryorder: "array", categoryarray: rows.map((row) => shorten(wordOf("rule", row[at("rule")]), innerWidth < 600 ? 16 : 48)), tickfont: { size: 12, color: INK } }, xaxis: { tickformat: ",", ...whole(Math.max(...rows.map((row) => row[at("broken")]))) } } };
  },
  quality_scores() {
    const at = (name) => columnOf("quality_scores", name);
    const rows = PAGE.tables.quality_scores.rows.filter((row) => row[at("hospital")] >= 0);
    const traces = [3, 2, 1].map((level) => {
      const mine = rows.filter((row) => row[at("level")] === level);
      return { type: "scatter", mode: "markers", name: t("level." + level), x: mine.map((row) => row[at("checked")]), y: mine.map((row) => row[at("first_pass_rate")]), customdata: mine.map((row) => row[at("hospital")]),
        text: mine.map((row) => escaped(hospitalName(row[at("hospital")]))), marker: { color: LEVELS[level], size: 9, opacity: 0.8, line: { color: "#fff", width: 1 } },
        hovertemplate: `<b>%{text}</b><br>${t("axis.cases")} %{x:,} · %{y:.2%}<extra></extra>` };
    }).filter((trace) => trace.x.length);
    return { traces, click: (point) => pageOf("hospital", point.customdata), layout: { showlegend: true, xaxis: casesAxis(rows.map((row) => row[at("checked")])),
      yaxis: { title: { text: columnTitle("first_pass_rate") }, tickformat: "~%" } } };
  },
  mean_by_month() {
    const months = column("by_month", "month").map(monthName), traces = [], layout = { showlegend: true, hovermode: "x unified", xaxis: { type: "category", showgrid: false } };
    if (columnOf("by_month", "by_mean_cost") >= 0) {
      traces.push({ type: "scatter", mode: "lines+markers", name: columnTitle("by_mean_cost"), x: months, y: column("by_month", "by_mean_cost").map((v) => v && v / 100), line: { color: "#1f5f8b", width: 2.5 }, marker: { size: 6 }, hovertemplate: "%{y:,.2f}<extra>%{fullData.name}</extra>" });
      layout.yaxis = { title: { text: columnTitle("by_mean_cost") }, tickformat: "," };
    }
    if (columnOf("by_month", "by_mean_los") >= 0) {
      traces.push({ type: "scatter", mode: "lines+markers", yaxis: "y2", name: columnTitle("by_mean_los"), x: months, y: column("by_month", "by_mean_los"), line: { color: "#c98a2b", width: 2.5, dash: "dot" }, marker: { size: 6 }, hovertemplate: "%{y:.2f}<extra>%{fullData.name}</extra>" });
      layout.yaxis2 = { title: { text: columnTitle("by_mean_los"), font: { size: 11, color: SOFT }, standoff: 8 }, overlaying: "y", side: "right", showgrid: false, tickformat: ".2f", tickfont: { size: 11, color: SOFT }, automargin: true };
    }
    return { traces, layout };
  },
  signals() {
    const at = (name) => columnOf("signals", name);
    const rows = PAGE.tables.signals.rows.filter((row) => row[at("flagged_hospitals")]).sort((a, b) => a[at("flagged_hospitals")] - b[at("flagged_hospitals")]);
    return { traces: [{ type: "bar", orientation: "h", y: rows.map((row) => shorten(show("both", row[at("signal")]), innerWidth < 600 ? 16 : 56)), x: rows.map((row) => row[at("flagged_hospitals")]), marker: { color: "#c98a2b" }, hovertemplate: "%{y}<br>%{x}<extra></extra>" }],
      height: Math.max(120, 60 + 24 * rows.length), layout: { bargap: 0.35, yaxis: { type: "category", showgrid: false, tickfont: { size: 12, color: INK } }, xaxis: { tickformat: "d", ...whole(Math.max(...rows.map((row) => row[at("flagged_hospitals")]))) } } };
  },
  drg_hospitals() {
    const at = (name) => columnOf("hospitals", name), rows = PAGE.tables.hospitals.rows;
    const traces = [3, 2, 1].map((level) => {
      const mine = rows.filter((row) => row[at("level")] === level);
      return { type: "scatter", mode: "markers", name: t("level." + level), x: mine.map((row) => row[at("cases")]), y: mine.map((row) => row[at("mean_cost")] / 100), customdata: mine.map((row) => row[at("hospital")]),
        text: mine.map((row) => escaped(hospitalName(row[at("hospital")]))), marker: { color: LEVELS[level], size: 9, opacity: 0.8, line: { color: "#fff", width: 1 } },
        hovertemplate: `<b>%{text}</b><br>${t("axis.cases")} %{x:,} · ¥%{y:,.2f}<extra></extra>` };
    }).filter((trace) => trace.x.length);
    const mean = PAGE.mean ? PAGE.mean / 100 : null;
    return { traces, click: (point) => pageOf("hospital", point.customdata), layout: { showlegend: true, xaxis: casesAxis(rows.map((row) => row[at("cases")])),
      yaxis: { title: { text: columnTitle("mean_cost") }, tickformat: ",", rangemode: "tozero" }, shapes: mean ? [hline(mean)] : [],
      annotations: mean ? [{ xref: "paper", x: 1, xanchor: "right", y: mean, yanchor: "bottom", text: `${t("mean")} ${grouped(mean, 0)}`, showarrow: false, font: { size: 11, color: SOFT } }] : [] } };
  },
};

/* An axis of few cases counts them one by one. */
const whole = (most) => (most <= 5 ? { dtick: 1 } : {});
/* A log axis of much less than a power of ten may find no place for a tick. */
function casesAxis(counts) {
  const most = Math.max(...counts);
  const scale = most < 10 * Math.min(...counts) ? whole(most) : { type: "log", dtick: "D2" };
  return { title: { text: t("axis.cases") }, tickformat: ",", ...scale };
}
function hline(y) {
  return { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: "#8795a0", width: 1, dash: "dot" } };
}

/* [label, fen, kind]; the total is what the steps before it come to. */
function waterfall(steps, sideways = innerWidth < 600 && steps.length > 5) {
  let whole = 0;
  const amounts = steps.map(([, fen, kind]) => { if (kind !== "total") whole += fen; return kind === "total" ? whole : fen; });
  const values = amounts.map(money), labels = steps.map(([label]) => label);
  const trace = { type: "waterfall", measure: steps.map(([, , kind]) => kind), text: amounts.map((fen) => show("money", fen)), textposition: "outside", cliponaxis: false, constraintext: "none",
    textfont: { size: 11, color: SOFT }, connector: { line: { color: "#c3ccd3", width: 1 } }, hovertemplate: `%{text} ${unitName()}<extra></extra>`,
    increasing: { marker: { color: "#6f9fbd" } }, decreasing: { marker: { color: "#d08a6a" } }, totals: { marker: { color: "#1c4f79" } } };
  if (sideways) {
    Object.assign(trace, { orientation: "h", y: labels, x: values });
    return { traces: [trace], layout: { yaxis: { type: "category", autorange: "reversed", showgrid: false, tickfont: { size: 12, color: INK } }, xaxis: unitAxis(), margin: { l: 8, r: 70, t: 8, b: 8 } } };
  }
  Object.assign(trace, { x: labels, y: values });
  return { traces: [trace], layout: { bargap: 0.35, xaxis: { type: "category", showgrid: false, tickfont: { size: 11, color: INK } }, yaxis: unitAxis(), margin: { l: 8, r: 12, t: 22, b: 8 } } };
}

let plotly = null;
function loadPlotly() {
  plotly = plotly || new Promise((resolve, reject) => {
    document.head.append(el("script", { src: UP + "assets/plotly.min.js", onload: () => resolve(window.Plotly), onerror: reject }));
  });
  return plotly;
}
async function draw(host) {
  const Plotly = await loadPlotly();
  const { traces, layout, click, height } = CHARTS[host.dataset.chart]();
  if (height) host.style.height = `${height}px`;
  await Plotly.react(host, traces, baseLayout(layout), { displayModeBar: false, responsive: true });
  if (!host.dataset.drawn && host.on) {
    host.on("plotly_click", ({ points: [point] }) => {
      const page = host.click && host.click(point);
      if (page) location.href = page;
    });
  }
  host.click = click;
  host.dataset.drawn = "yes";
}
function drawAll() {
  return Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));
}
function startCharts() {
  const hosts = [...document.querySelectorAll("[data-chart]")];
  if (!hosts.length) return;
  const watch = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  hosts.forEach((host) => watch.observe(host));
  onChange(() => hosts.filter((host) => host.dataset.drawn).forEach(draw));
  levelSwitch();
}
function levelSwitch() {
  const group = document.getElementById("levels");
  if (!group) return;
  const levels = [0, ...new Set(PAGE.histogram.map((row) => row[0]))].sort();
  const paint = () => group.replaceChildren(...levels.map((level) => el("button", { type: "button", "aria-pressed": String((PAGE.level || 0) === level),
    onclick: () => { PAGE.level = level; paint(); draw(document.querySelector("[data-chart=distribution]")); } }, t("level." + level))));
  paint();
  onChange(paint);
}
