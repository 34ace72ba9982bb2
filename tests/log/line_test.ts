import assert from "node:assert/strict";
import { formatLine, type LogFields, MAXIMUM_TEXT_LENGTH } from "../../src/log/line.ts";
import { TIME } from "./log_fixture.ts";
import { type LogWriter, withFields } from "../../src/log/line.ts";

Deno.test("withFields() adds the fields to each line of each level", () => {
  const lines: string[] = [];
  const note = (level: string): LogWriter["info"] => (message, fields) =>
    void lines.push([level, message, ...Object.values(fields ?? {})].join(" "));
  const log = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
  };
  const target = withFields(log, { target: "b" });
  for (const level of ["debug", "info", "warn", "error"] as const) {
    target[level]("text", { code: 1 });
  }
  target.info("bare");
  assert.deepEqual(lines, [
    "debug text b 1",
    "info text b 1",
    "warn text b 1",
    "error text b 1",
    "info bare b",
  ]);
});

Deno.test("formatLine() writes a line of each format for each kind of field", () => {
  const cases: readonly [fields: LogFields, logfmt: string, json: string][] = [
    [{}, "", ""],
    [{ domain: "instance-0000002a" }, " domain=instance-0000002a", `,"domain":"instance-0000002a"`],
    [
      { path: "/metrics", share: "5%" },
      " path=/metrics share=5%",
      `,"path":"/metrics","share":"5%"`,
    ],
    [{ name: "web one" }, ` name="web one"`, `,"name":"web one"`],
    [{ name: "" }, ` name=""`, `,"name":""`],
    [{ name: 'a"b\\c=d' }, ` name="a\\"b\\\\c=d"`, `,"name":"a\\"b\\\\c=d"`],
    [{ name: "größe 🚀" }, ` name="größe 🚀"`, `,"name":"größe 🚀"`],
    [{ count: 3, seconds: 0.25 }, " count=3 seconds=0.25", `,"count":3,"seconds":0.25`],
    [
      { count: NaN, limit: Infinity },
      " count=NaN limit=Infinity",
      `,"count":"NaN","limit":"Infinity"`,
    ],
    [{ hung: true, late: false }, " hung=true late=false", `,"hung":true,"late":false`],
    [{ left: undefined, right: 1 }, " right=1", `,"right":1`],
    [{ "two words": 1, 'a"=b': 2 }, " two_words=1 a__b=2", `,"two_words":1,"a__b":2`],
    [
      { level: "high", time: 1, message: "x" },
      " level_=high time_=1 message_=x",
      `,"level_":"high","time_":1,"message_":"x"`,
    ],
  ];
  for (const [fields, logfmt, json] of cases) {
    assert.equal(
      formatLine("logfmt", TIME, "info", "All is well", fields),
      `time=2026-11-24T03:04:05.678Z level=info message="All is well"${logfmt}`,
    );
    assert.equal(
      formatLine("json", TIME, "warn", "All is well", fields),
      `{"time":"2026-11-24T03:04:05.678Z","level":"warn","message":"All is well"${json}}`,
    );
  }
});

Deno.test("formatLine() escapes what could forge a line or upset a terminal", () => {
  const cases: readonly [name: string, escaped: string][] = [
    ["a\nlevel=error", "a\\nlevel=error"],
    ["a\r\n\tb", "a\\r\\n\\tb"],
    ["a\u0000b", "a\\u0000b"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["\u007f\u009b31m", "\\u007f\\u009b31m"],
    ["a\u2028b\u2029c\u0085d", "a\\u2028b\\u2029c\\u0085d"],
    ["\u202egnp.exe", "\\u202egnp.exe"],
    ["\u2066a\u2069\u200f", "\\u2066a\\u2069\\u200f"],
    ['" level=error message="forged', '\\" level=error message=\\"forged'],
  ];
  for (const [name, escaped] of cases) {
    assert.equal(
      formatLine("logfmt", TIME, "info", name, { name }),
      `time=2026-11-24T03:04:05.678Z level=info message="${escaped}" name="${escaped}"`,
    );
    const json = formatLine("json", TIME, "info", name, { name });
    assert.ok(json.endsWith(`"message":"${escaped}","name":"${escaped}"}`), json);
    assert.equal(JSON.parse(json).name, name);
  }
});

Deno.test("formatLine() makes lone surrogates well-formed and cuts long texts at whole characters", () => {
  const cases: readonly [text: string, written: string][] = [
    ["a\ud800b\udc00", "a\ufffdb\ufffd"],
    ["x".repeat(MAXIMUM_TEXT_LENGTH) + "y", "x".repeat(MAXIMUM_TEXT_LENGTH) + "…"],
    ["x".repeat(MAXIMUM_TEXT_LENGTH - 1) + "🚀", "x".repeat(MAXIMUM_TEXT_LENGTH - 1) + "…"],
    ["🚀".repeat(MAXIMUM_TEXT_LENGTH), "🚀".repeat(MAXIMUM_TEXT_LENGTH / 2) + "…"],
  ];
  for (const [text, written] of cases) {
    assert.equal(JSON.parse(formatLine("json", TIME, "info", "m", { text })).text, written);
    assert.ok(formatLine("logfmt", TIME, "info", "m", { text }).endsWith(` text="${written}"`));
  }
  const whole = "x".repeat(MAXIMUM_TEXT_LENGTH);
  assert.ok(formatLine("logfmt", TIME, "info", "m", { whole }).endsWith(` whole=${whole}`));
});
