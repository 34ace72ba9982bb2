import assert from "node:assert/strict";
import { renderLabels, renderPlainFamilies } from "../../src/metrics/exposition.ts";
import type { PlainFamily } from "../../src/metrics/exposition.ts";
import type { FamilyType } from "../../src/metrics/family.ts";
import { parsePage } from "../../testing/parse_page.ts";

Deno.test("renderLabels() escapes what the format asks for and leaves the rest as it is", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["plain", "plain"],
    ["", ""],
    ['say "hi"', 'say \\"hi\\"'],
    ["C:\\new", "C:\\\\new"],
    ["two\nlines", "two\\nlines"],
    ["\\n", "\\\\n"],
    ["tab\tand\rreturn", "tab\tand\rreturn"],
    ["{a=b},", "{a=b},"],
    ["grüße 😀", "grüße 😀"],
    ["lone \uD800 surrogate", "lone \uFFFD surrogate"],
  ];
  for (const [value, expected] of cases) {
    assert.equal(renderLabels([["name", value]]), `name="${expected}"`);
  }
  assert.equal(renderLabels([["a", "1"], ["b", "2"]]), 'a="1",b="2"');
});

Deno.test("renderPlainFamilies() writes HELP and TYPE once and leaves empty families out", () => {
  const families: PlainFamily[] = [
    {
      name: "one_total",
      type: "counter",
      help: "back\\slash and\nline feed",
      samples: [
        { name: "one_total", labels: [["kind", "a"]], value: 1 },
        { name: "one_total", labels: [], value: 2.5 },
      ],
    },
    { name: "empty", type: "gauge", help: "nothing", samples: [] },
    {
      name: "later",
      type: "unknown",
      help: "h",
      samples: [{ name: "later", labels: [], value: 0 }],
    },
  ];
  assert.equal(
    renderPlainFamilies(families, "text"),
    "# HELP one_total back\\\\slash and\\nline feed\n# TYPE one_total counter\n" +
      'one_total{kind="a"} 1\none_total 2.5\n# HELP later h\n# TYPE later untyped\nlater 0\n',
  );
});

Deno.test("renderPlainFamilies() writes values that Prometheus reads back as the same double", () => {
  const values = [
    0,
    -0,
    1.5,
    1e21,
    2 ** 53,
    1 / 3,
    18446744073709552000,
    5e-324,
    Infinity,
    -Infinity,
    NaN,
  ];
  for (const value of values) {
    const samples = [{ name: "x", labels: [], value }];
    const page = renderPlainFamilies([{ name: "x", type: "gauge", help: "h", samples }], "text");
    assert.equal(parsePage(page).get("x")?.samples[0]?.value, value === 0 ? 0 : value);
  }
});

Deno.test("renderPlainFamilies() names families in OpenMetrics so that samples keep their names", () => {
  const cases: readonly (readonly [name: string, type: FamilyType, header: string])[] = [
    [
      "a_seconds_total",
      "counter",
      "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds",
    ],
    ["rxbytes", "counter", "# TYPE rxbytes unknown\n# HELP rxbytes"],
    ["a_info", "info", "# TYPE a info\n# HELP a"],
    [
      "a_size_bytes",
      "gauge",
      "# TYPE a_size_bytes gauge\n# UNIT a_size_bytes bytes\n# HELP a_size_bytes",
    ],
    ["used_ratio", "gauge", "# TYPE used_ratio gauge\n# UNIT used_ratio ratio\n# HELP used_ratio"],
    ["seconds", "gauge", "# TYPE seconds gauge\n# HELP seconds"],
    ["plain", "unknown", "# TYPE plain unknown\n# HELP plain"],
  ];
  for (const [name, type, header] of cases) {
    const samples = [{ name, labels: [], value: 1 }];
    assert.equal(
      renderPlainFamilies([{ name, type, help: 'a "quoted" \\ help', samples }], "openmetrics"),
      `${header} a \\"quoted\\" \\\\ help\n${name} 1\n`,
    );
  }
});
