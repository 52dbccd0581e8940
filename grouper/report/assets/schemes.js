"use strict";
/* Two schemes held against each other on the same cases. */
function whatIf() {
  return PAGE.schemes.flatMap((name, i) => [el("dt", {}, i ? "B" : "A"), el("dd", {}, name)]);
}
const nothing = () => ({ height: 60, traces: [], layout: { xaxis: { visible: false }, yaxis: { visible: false }, annotations: [{ text: t("none"), showarrow: false, font: { color: SOFT } }] } });

Object.assign(CHARTS, {
  scheme_flow() {
    const at = (name) => columnOf("migration", name), rows = PAGE.tables.migration.rows.slice(0, 30);
    if (!rows.length) return nothing();
    const left = [...new Set(rows.map((row) => row[at("drg_a")]))], right = [...new Set(rows.map((row) => row[at("drg_b")]))];
    const name = (i) => escaped(shorten(drgName(i), 20));
    const colour = (change) => (change === null ? "rgba(106,120,132,0.28)" : change < 0 ? "rgba(194,87,47,0.28)" : "rgba(43,108,163,0.28)");
    return { height: Math.max(260, 60 + 26 * Math.max(left.length, right.length)), traces: [{ type: "sankey", arrangement: "snap",
      node: { label: [...left, ...right].map(name), color: [...left.map(() => "#4c86ab"), ...right.map(() => "#1c4f79")], pad: 9, thickness: 12, line: { width: 0 } },
      link: { source: rows.map((row) => left.indexOf(row[at("drg_a")])), target: rows.map((row) => left.length + right.indexOf(row[at("drg_b")])), value: rows.map((row) => row[at("cases")]),
        color: rows.map((row) => colour(row[at("d_weight")])),
        customdata: rows.map((row) => `${show("money", row[at("cost")])} ${unitName()} · ${columnTitle("d_weight")} ${show("coef", row[at("d_weight")])}`),
        hovertemplate: `%{source.label} → %{target.label}<br>${t("axis.cases")} %{value:,} · %{customdata}<extra></extra>` } }], layout: {} };
  },
  scheme_heat() {
    const { a, b, cases } = PAGE.heat;
    if (!a || !a.length) return nothing();
    return { height: Math.max(260, 60 + 18 * a.length), traces: [{ type: "heatmap", x: b, y: a, z: cases.map((row) => row.map((n) => (n ? Math.log10(n) : null))), customdata: cases,
      colorscale: [[0, "#dfe9f0"], [0.5, "#4c86ab"], [1, "#1c4f79"]], showscale: false, xgap: 1, ygap: 1, hoverongaps: false,
      hovertemplate: `A %{y} → B %{x}<br>${t("axis.cases")} %{customdata:,}<extra></extra>` }],
      layout: { xaxis: { type: "category", title: { text: `B: ${escaped(PAGE.schemes[1])}` }, showgrid: false, tickfont: { size: 10, color: SOFT } },
        yaxis: { type: "category", title: { text: `A: ${escaped(PAGE.schemes[0])}` }, showgrid: false, tickfont: { size: 10, color: SOFT } } } };
  },
  scheme_hospitals() {
    const at = (name) => columnOf("hospitals", name), rows = PAGE.tables.hospitals.rows.filter((row) => row[at("cmi_a")] !== null && row[at("cmi_b")] !== null);
    if (!rows.length) return nothing();
    const all = rows.flatMap((row) => [row[at("cmi_a")], row[at("cmi_b")]]), ends = [Math.min(...all), Math.max(...all)];
    return { traces: [
      { type: "scatter", mode: "lines", x: ends, y: ends, line: { color: "#c3ccd3", width: 1, dash: "dot" }, hoverinfo: "skip" },
      { type: "scatter", mode: "markers", x: rows.map((row) => row[at("cmi_a")]), y: rows.map((row) => row[at("cmi_b")]), text: rows.map((row) => escaped(hospitalName(row[at("hospital")]))),
        marker: { color: "#1c4f79", size: 8, opacity: 0.75, line: { color: "#fff", width: 1 } }, hovertemplate: "<b>%{text}</b><br>A %{x:.4f} → B %{y:.4f}<extra></extra>" }],
      layout: { xaxis: { title: { text: "CMI A" } }, yaxis: { title: { text: "CMI B" } } } };
  },
});
