import {
  deepStrictEqual as deepEqual,
  doesNotMatch,
  match,
  ok,
  strictEqual as equal,
} from "node:assert/strict";
import type { Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import { switchedOffCollectors } from "../../scripts/alerts.ts";
import { type DashboardFile, dashboardFiles } from "../../scripts/dashboards/mod.ts";
import { substitute, targetsOf } from "../../scripts/dashboards/targets.ts";
import { familiesIn } from "../../scripts/peer_families.ts";
import { knownFamilies } from "../../testing/known_families.ts";

const FILES = dashboardFiles();

/** Variables that Grafana itself has. */
const BUILT_IN = ["__rate_interval", "__range"];

function panelsOf({ dashboard }: DashboardFile): readonly (Panel | RowPanel)[] {
  return dashboard.panels ?? [];
}

function isRow(panel: Panel | RowPanel): panel is RowPanel {
  return panel.type === "row";
}

/** The cells of Grafana's grid that a panel covers. */
function cellsOf({ gridPos }: Panel | RowPanel): readonly string[] {
  ok(gridPos !== undefined);
  const { x, y, w, h } = gridPos;
  return Array.from({ length: w * h }, (_, cell) => `${x + cell % w},${y + Math.floor(cell / w)}`);
}

Deno.test("dashboards have uids and titles of their own, and the tag by which they find each other", () => {
  equal(new Set(FILES.map(({ dashboard }) => dashboard.uid)).size, FILES.length);
  equal(new Set(FILES.map(({ dashboard }) => dashboard.title)).size, FILES.length);
  for (const { dashboard } of FILES) {
    const [link] = dashboard.links ?? [];
    deepEqual(link?.tags, dashboard.tags);
  }
});

for (const file of FILES) {
  Deno.test(`${file.path} has panels with ids of their own that do not overlap and do not leave the grid`, () => {
    const panels = panelsOf(file);
    equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const cells = panels.flatMap(cellsOf);
    equal(new Set(cells).size, cells.length);
    for (const { gridPos } of panels) ok((gridPos?.x ?? 0) + (gridPos?.w ?? 0) <= 24);
  });

  Deno.test(`${file.path} has a title, a description and a data source for each panel, and a legend for each query`, () => {
    for (const panel of panelsOf(file)) {
      ok(panel.title, JSON.stringify(panel.gridPos));
      if (isRow(panel)) continue;
      match(panel.description ?? "", /\.$/, panel.title);
      deepEqual(panel.datasource, { type: "prometheus", uid: "${datasource}" }, panel.title);
      ok((panel.targets ?? []).length > 0, panel.title);
    }
    for (const { panel, legend } of targetsOf(file.dashboard)) ok(legend, panel);
  });

  Deno.test(`${file.path} has a unit for each panel`, () => {
    for (const panel of panelsOf(file)) {
      if (isRow(panel) || panel.type === "table") continue;
      ok(panel.fieldConfig?.defaults.unit, panel.title);
    }
  });

  Deno.test(`${file.path} asks for families that there are, and says which need a collector that is off by default`, async () => {
    const known = await knownFamilies();
    const descriptions = new Map(
      panelsOf(file).map((panel) => [panel.title, isRow(panel) ? "" : panel.description ?? ""]),
    );
    for (const { panel, expression } of targetsOf(file.dashboard)) {
      deepEqual(familiesIn(expression).filter((family) => !known.has(family)), [], panel);
      for (const collector of switchedOffCollectors(expression)) {
        ok(descriptions.get(panel)?.includes(`--collector.${collector}`), `${panel}: ${collector}`);
      }
    }
  });

  Deno.test(`${file.path} uses each of its variables, and no other`, () => {
    const names = (file.dashboard.templating.list ?? []).map(({ name }) => name);
    equal(names[0], "datasource");
    // Link addresses have variables of Grafana's own.
    const text = JSON.stringify(file.dashboard).replaceAll(/"url":"[^"]*"/g, "");
    const used = new Set(Array.from(text.matchAll(/\$\{?(\w+)/g), ([, name = ""]) => name));
    deepEqual(names.filter((name) => !used.has(name)), []);
    const unknown = [...used].filter((name) => !names.includes(name) && !BUILT_IN.includes(name));
    deepEqual(unknown, ["__all"].filter((name) => used.has(name)));
  });
}

Deno.test("no query has a name in it, for Grafana would not escape that", () => {
  for (const { path, dashboard } of FILES) {
    const queries = [
      ...targetsOf(dashboard).map(({ expression }) => expression),
      ...(dashboard.templating.list ?? []).map(({ query }) => JSON.stringify(query ?? "")),
    ];
    for (const query of queries) doesNotMatch(query, /nova(name|project)[=!]/, path);
  }
});

Deno.test("lines that lead to an instance have its UUID", () => {
  let links = 0;
  for (const file of FILES) {
    for (const panel of panelsOf(file)) {
      const [link] = isRow(panel) ? [] : panel.fieldConfig?.defaults.links ?? [];
      if (link === undefined || isRow(panel)) continue;
      links++;
      match(JSON.stringify(link), /var-uuid=\$\{__field\.labels\.uuid\}/);
      for (const target of targetsOf({ ...file.dashboard, panels: [panel] })) {
        match(target.expression, /group_left \(uuid\)/, panel.title);
      }
    }
  }
  ok(links > 5);
});

Deno.test("targetsOf() gives each query with its panel", () => {
  const [first] = FILES;
  const targets = first === undefined ? [] : targetsOf(first.dashboard);
  ok(
    targets.some(({ panel, expression }) =>
      panel === "Instances" && expression.includes("libvirt_nova_exporter_instances{")
    ),
  );
});

Deno.test("substitute() puts values in the place of variables that it knows", () => {
  const cases: readonly (readonly [text: string, expected: string])[] = [
    ['up{instance=~"$host"}', 'up{instance=~"a"}'],
    ["rate(x[$__rate_interval])", "rate(x[10s])"],
    ["${host}s of $hosts", "as of $hosts"],
    ["nothing", "nothing"],
  ];
  for (const [text, expected] of cases) {
    equal(substitute(text, { host: "a", "__rate_interval": "10s" }), expected);
  }
});
