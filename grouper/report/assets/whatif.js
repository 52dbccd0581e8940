"use strict";
/* Comparison of two runs, and sweeps: what they are of, and their charts. */
function whatIf() {
  if (PAGE.key) {
    return [el("dt", {}, PAGE.key), el("dd", {}, PAGE.meaning[state.lang === "zh" ? 1 : 0]),
      el("dt", {}, t("policy")), el("dd", {}, PAGE.policy), el("dt", {}, t("scheme")), el("dd", {}, PAGE.scheme)];
  }
  const rows = PAGE.runs.flatMap(([folder, scheme, policy, run], i) => [
    el("dt", {}, i ? "B" : "A"), el("dd", {}, `${folder} · ${t("scheme")} ${scheme} · ${t("policy")} ${policy} `, el("small", {}, run))]);
  return [...rows, el("dt", {}, "A → B"), el("dd", {}, PAGE.differing.length ? PAGE.differing.join("；") : t("compare.same"))];
}
const signed = (values) => ({ color: values.map((v) => (v < 0 ? LOSS : GAIN)) });

Object.assign(CHARTS, {
  causes() {
    const at = (name) => columnOf("causes", name);
    const rows = PAGE.tables.causes.rows.slice(0, 10).reverse();
    const brief = (row) => (row[at("cause")] === "moved" ? show("both", row[at("detail")]).split(" → ").map((end) => end.split(" ")[0]).join(" → ") : show("both", row[at("detail")]));
    const label = (row) => shorten([wordOf("cause", row[at("cause")]), brief(row)].filter(Boolean).join(" · "), 40);
    const values = rows.map((row) => money(row[at("effect")]));
    return { height: Math.max(200, 70 + 32 * rows.length), traces: [{ type: "bar", orientation: "h", y: rows.map((row, i) => `${label(row)}${"\u200b".repeat(i)}`), x: values, marker: signed(values),
      text: rows.map((row) => show("money", row[at("effect")])), textposition: "outside", cliponaxis: false, textfont: { size: 11, color: SOFT },
      hovertext: rows.map((row) => `<b>${escaped(wordOf("cause", row[at("cause")]))}</b><br>${escaped(show("both", row[at("detail")]))}<br>${columnTitle("cases")} ${show("int", row[at("cases")])}`),
      hovertemplate: `%{hovertext}<br>%{x:,.2f} ${unitName()}<extra></extra>` }],
      layout: { bargap: 0.35, yaxis: { type: "category", showgrid: false, tickfont: { size: 12, color: INK } }, xaxis: { ...unitAxis(), range: [Math.min(0, ...values) * 1.12, Math.max(0, ...values) * 1.12] }, margin: { l: 8, r: 60, t: 8, b: 8 } } };
  },
  level_change() {
    const at = (name) => columnOf("by_level", name), rows = PAGE.tables.by_level.rows;
    const values = rows.map((row) => money(row[at("d_value")]));
    return { traces: [{ type: "bar", x: rows.map((row) => t("level." + row[at("level")])), y: values, marker: signed(values), text: rows.map((row) => show("pct", row[at("d_rate")])), textposition: "outside", cliponaxis: false,
      hovertemplate: `%{y:,.2f} ${unitName()} (%{text})<extra></extra>` }], layout: { bargap: 0.5, xaxis: { type: "category", showgrid: false, tickfont: { size: 12, color: INK } }, yaxis: unitAxis(), margin: { l: 8, r: 12, t: 22, b: 18 } } };
  },
  hospital_change() {
    const at = (name) => columnOf("by_hospital", name);
    const traces = [3, 2, 1].map((level) => {
      const rows = PAGE.tables.by_hospital.rows.filter((row) => row[at("level")] === level && row[at("d_rate")] !== null);
      return { type: "scatter", mode: "markers", name: t("level." + level), x: rows.map((row) => row[at("cases_b")]), y: rows.map((row) => row[at("d_rate")]),
        text: rows.map((row) => `<b>${escaped(hospitalName(row[at("hospital")]))}</b><br>${show("money", row[at("d_value")])} ${unitName()}`),
        marker: { color: LEVELS[level], size: 9, opacity: 0.8, line: { color: "#fff", width: 1 } }, hovertemplate: "%{text} (%{y:+.2%})<extra></extra>" };
    }).filter((trace) => trace.x.length);
    return { traces, layout: { showlegend: true, shapes: [hline(0)], xaxis: { type: "log", title: { text: t("axis.cases") }, tickformat: ",", dtick: "D2" }, yaxis: { tickformat: "+~%" } } };
  },
  migration() {
    const at = (name) => columnOf("migration", name), rows = PAGE.tables.migration.rows.slice(0, 24);
    if (!rows.length) return { height: 60, traces: [], layout: { xaxis: { visible: false }, yaxis: { visible: false }, annotations: [{ text: t("none"), showarrow: false, font: { color: SOFT } }] } };
    const left = [...new Set(rows.map((row) => row[at("drg_a")]))], right = [...new Set(rows.map((row) => row[at("drg_b")]))];
    const name = (i) => escaped(shorten(drgName(i), 20));
    return { height: Math.max(260, 60 + 26 * Math.max(left.length, right.length)), traces: [{ type: "sankey", arrangement: "snap",
      node: { label: [...left, ...right].map(name), color: [...left.map(() => "#4c86ab"), ...right.map(() => "#1c4f79")], pad: 9, thickness: 12, line: { width: 0 } },
      link: { source: rows.map((row) => left.indexOf(row[at("drg_a")])), target: rows.map((row) => left.length + right.indexOf(row[at("drg_b")])), value: rows.map((row) => row[at("cases")]),
        color: rows.map((row) => (row[at("d_value")] < 0 ? "rgba(194,87,47,0.28)" : "rgba(43,108,163,0.28)")),
        customdata: rows.map((row) => show("money", row[at("d_value")])), hovertemplate: `%{source.label} → %{target.label}<br>${t("axis.cases")} %{value:,} · %{customdata} ${unitName()}<extra></extra>` } }],
      layout: {} };
  },
  sweep_points() {
    const rows = PAGE.tables.outcome.rows, at = (name) => columnOf("outcome", name), x = rows.map((row) => row[0]);
    return { traces: [
      { type: "bar", name: columnTitle("points"), x, y: rows.map((row) => row[at("points")]), marker: { color: "#c9d6df" }, hovertemplate: "%{y:,.2f}<extra>%{fullData.name}</extra>" },
      { type: "scatter", mode: "lines+markers", name: columnTitle("point_value"), x, y: rows.map((row) => row[at("point_value")]), yaxis: "y2", line: { color: "#c98a2b", width: 2.5 }, marker: { size: 7 }, hovertemplate: "%{y:.4f}<extra>%{fullData.name}</extra>" },
    ], layout: { showlegend: true, bargap: 0.45, hovermode: "x unified", xaxis: { type: "category", title: { text: PAGE.key }, showgrid: false }, yaxis: { tickformat: ",", rangemode: "tozero" },
      yaxis2: { overlaying: "y", side: "right", showgrid: false, tickformat: ".2f", tickfont: { size: 11, color: SOFT }, automargin: true } } };
  },
  sweep_classes() {
    const rows = PAGE.classes, x = PAGE.tables.outcome.rows.map((row) => row[0]);
    return { traces: Object.keys(CLASS).filter((kind) => rows.some((row) => row[kind])).map((kind) => ({ type: "bar", name: t("class." + kind), x, y: rows.map((row) => row[kind] || 0), marker: { color: CLASS[kind] }, hovertemplate: "%{y:.2%}<extra>%{fullData.name}</extra>" })),
      layout: { barmode: "stack", showlegend: true, bargap: 0.4, xaxis: { type: "category", title: { text: PAGE.key }, showgrid: false }, yaxis: { tickformat: ".0%", range: [0, 1] } } };
  },
  sweep_levels() {
    const x = PAGE.tables.outcome.rows.map((row) => row[0]);
    return { traces: [1, 2, 3].filter((level) => PAGE.levels.some((row) => row[level] !== undefined)).map((level) => ({ type: "scatter", mode: "lines+markers", name: t("level." + level), x, y: PAGE.levels.map((row) => row[level] ?? null),
      line: { color: LEVELS[level], width: 2.5 }, marker: { size: 7 }, hovertemplate: "%{y:.2%}<extra>%{fullData.name}</extra>" })),
      layout: { showlegend: true, hovermode: "x unified", xaxis: { type: "category", title: { text: PAGE.key }, showgrid: false }, yaxis: { tickformat: "~%" } } };
  },
  sweep_hospitals() {
    const x = PAGE.tables.outcome.rows.map((row) => row[0]);
    return { traces: x.map((value, i) => ({ type: "box", name: value, y: PAGE.rates[i], boxpoints: "all", jitter: 0.4, pointpos: 0, marker: { color: "#4c86ab", size: 4, opacity: 0.5 }, line: { width: 1.5, color: "#1c4f79" }, fillcolor: "rgba(0,0,0,0)", hovertemplate: "%{y:.2%}<extra></extra>" })),
      layout: { xaxis: { type: "category", title: { text: PAGE.key }, showgrid: false }, yaxis: { tickformat: "~%" } } };
  },
});
