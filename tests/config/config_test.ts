import assert from "node:assert/strict";
import { ALL_DOMAINS, configFromFlags, UsageError } from "../../src/config/config.ts";
import { USUAL_IDENTITY } from "../../src/metrics/family.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { quote } from "../../src/text.ts";
import type { GivenFlags } from "../../src/config/flags.ts";

Deno.test("configFromFlags() gives the documented defaults when no flag is given", () => {
  assert.deepEqual(configFromFlags(new Map()), {
    uri: "qemu:///system",
    probeTargets: new Map(),
    timeoutMilliseconds: 2_000,
    concurrency: 4,
    maximumAbandoned: 5,
    listenAddresses: [{ host: undefined, port: 9100 }],
    webConfigFile: undefined,
    webConfigCheck: false,
    path: "/metrics",
    landingPage: "overview",
    minimumIntervalMilliseconds: 0,
    logFile: "./libvirt_nova.log",
    logLevel: "info",
    logFormat: "logfmt",
    collectors: COLLECTORS.filter(({ byDefault }) => byDefault !== false),
    filter: ALL_DOMAINS,
    inactive: false,
    identity: USUAL_IDENTITY,
    once: undefined,
  });
});

Deno.test("configFromFlags() takes each flag's value", () => {
  const cases: readonly [name: string, text: string, expected: Record<string, unknown>][] = [
    ["uri", "test:///default", { uri: "test:///default" }],
    ["probe.target", "b=test:///default", { probeTargets: new Map([["b", "test:///default"]]) }],
    ["libvirt.timeout", "50ms", { timeoutMilliseconds: 50 }],
    ["libvirt.timeout", "10m", { timeoutMilliseconds: 600_000 }],
    ["libvirt.concurrency", "1", { concurrency: 1 }],
    ["libvirt.concurrency", "3", { concurrency: 3 }],
    ["libvirt.max-abandoned", "1", { maximumAbandoned: 1 }],
    ["libvirt.max-abandoned", "20", { maximumAbandoned: 20 }],
    ["port", "1", { listenAddresses: [{ host: undefined, port: 1 }] }],
    ["port", "65535", { listenAddresses: [{ host: undefined, port: 65_535 }] }],
    ["web.listen-address", "[::1]:9204", { listenAddresses: [{ host: "::1", port: 9204 }] }],
    [
      "web.listen-address",
      "unix:/run/a.sock",
      { listenAddresses: [{ path: "/run/a.sock", mode: 0o660 }] },
    ],
    ["web.systemd-socket", "true", { listenAddresses: "systemd" }],
    ["web.config.file", "web.yml", { webConfigFile: "web.yml" }],
    ["path", "/", { path: "/" }],
    ["web.telemetry-path", "/nova", { path: "/nova" }],
    ["web.landing-page", "status", { landingPage: "status" }],
    ["scrape.min-interval", "1h", { minimumIntervalMilliseconds: 3_600_000 }],
    ["log", "/var/log/exporter.log", { logFile: "/var/log/exporter.log" }],
    ["log", "-", { logFile: undefined }],
    ["log.level", "debug", { logLevel: "debug" }],
    ["log.level", "error", { logLevel: "error" }],
    ["log.format", "json", { logFormat: "json" }],
    ["once", "true", { once: "text" }],
    ["domain.include", "^a", { filter: { ...ALL_DOMAINS, include: /^a/u } }],
    ["domain.exclude", "b$", { filter: { ...ALL_DOMAINS, exclude: /b$/u } }],
    ["domain.project-include", "c", { filter: { ...ALL_DOMAINS, projectInclude: /c/u } }],
    ["domain.project-exclude", "d", { filter: { ...ALL_DOMAINS, projectExclude: /d/u } }],
    ["domain.nova-only", "true", { filter: { ...ALL_DOMAINS, novaOnly: true } }],
    ["domain.inactive", "true", { inactive: true }],
    ["label.project-id", "true", { identity: { ...USUAL_IDENTITY, projectId: true } }],
    ["label.uuid", "true", { identity: { ...USUAL_IDENTITY, uuid: true } }],
    ["label.user", "true", { identity: { ...USUAL_IDENTITY, user: true } }],
  ];
  for (const [name, text, expected] of cases) {
    assert.deepEqual(
      configFromFlags(given([name, text])),
      { ...configFromFlags(new Map()), ...expected },
    );
  }
});

Deno.test("configFromFlags() refuses flags that need or exclude another", () => {
  for (
    const [flags, says] of [
      [[["web.config.check", "true"]], /--web\.config\.check needs a file.*--web\.config\.file/],
      [
        [["web.systemd-socket", "true"], ["web.listen-address", ":9100"]],
        /--web\.systemd-socket and --web\.listen-address exclude each other/,
      ],
    ] as const
  ) {
    const wrong = given(...flags.map(([name, text]): [string, string] => [name, text]));
    assert.throws(() => configFromFlags(wrong), says);
  }
});

Deno.test("configFromFlags() lets the last value count, and looks at no other", () => {
  const config = configFromFlags(
    given(["port", "nonsense", "9204"], ["log", "", "-"], ["once", "true", "false"]),
  );
  assert.deepEqual(config, { ...configFromFlags(given(["port", "9204"])), logFile: undefined });
});

Deno.test("configFromFlags() switches collectors on and off, the last flag counting, and all that are on by default at once", () => {
  const names = (...flags: readonly [name: string, ...texts: string[]][]): string[] =>
    configFromFlags(given(...flags)).collectors.map(({ name }) => name);
  const byDefault = names();
  assert.ok(byDefault.includes("seed") && !byDefault.includes("vcpu"));
  assert.deepEqual(
    names(["collector.seed", "false"]),
    byDefault.filter((name) => name !== "seed"),
  );
  assert.ok(names(["collector.vcpu", "false", "true"]).includes("vcpu"));
  assert.deepEqual(names(["collector.disable-defaults", "true"]), ["scrape"]);
  assert.deepEqual(
    names(["collector.disable-defaults", "true"], ["collector.perf", "true"], [
      "collector.cpu",
      "true",
    ]),
    ["cpu", "perf", "scrape"],
  );
});

Deno.test("configFromFlags() takes several targets to probe, each name once", () => {
  const targets = ["a=test:///default", "b.example:9=qemu+tls://b.example/system"];
  assert.deepEqual(
    configFromFlags(given(["probe.target", ...targets])).probeTargets,
    new Map([
      ["a", "test:///default"],
      ["b.example:9", "qemu+tls://b.example/system"],
    ]),
  );
  assert.throws(
    () => configFromFlags(given(["probe.target", ...targets, "a=test:///x"])),
    new UsageError('The name "a" is given to two of --probe.target: name each once'),
  );
});

Deno.test("configFromFlags() takes --format with --once only", () => {
  assert.equal(configFromFlags(given(["once", "true"], ["format", "json"])).once, "json");
  assert.throws(
    () => configFromFlags(given(["format", "json"])),
    new UsageError("The flag --format is for --once: add --once, or leave it out"),
  );
  assert.throws(
    () => configFromFlags(given(["once", "true"], ["format", "yaml"])),
    /Invalid value "yaml" for --format: give one of text, openmetrics, json, table/,
  );
});

Deno.test("configFromFlags() lets all listen addresses count, in place of the port", () => {
  const { listenAddresses } = configFromFlags(
    given(["port", "9204"], ["web.listen-address", "127.0.0.1:9100", "[::1]:9100"]),
  );
  assert.deepEqual(listenAddresses, [{ host: "127.0.0.1", port: 9100 }, {
    host: "::1",
    port: 9100,
  }]);
});

Deno.test("configFromFlags() takes both names of the path when they agree", () => {
  const paths = given(["path", "/nova"], ["web.telemetry-path", "/other", "/nova"]);
  assert.equal(configFromFlags(paths).path, "/nova");
  assert.throws(
    () => configFromFlags(given(["path", "/metrics"], ["web.telemetry-path", "/nova"])),
    new UsageError(
      'The values "/metrics" for --path and "/nova" for --web.telemetry-path differ: give one',
    ),
  );
});

Deno.test("configFromFlags() refuses a path that hides another page, but for the one for people", () => {
  for (const flag of ["path", "web.telemetry-path"]) {
    for (const path of ["/probe", "/-/healthy", "/-/ready", "/-/"]) {
      assert.throws(
        () => configFromFlags(given([flag, path])),
        new UsageError(
          `Invalid value "${path}" for --${flag}: give another path, as /probe and those below /-/ are pages of another kind`,
        ),
      );
    }
    for (const path of ["/", "/probes", "/-", "/a/-/healthy"]) {
      assert.equal(configFromFlags(given([flag, path])).path, path);
    }
  }
});

Deno.test("configFromFlags() refuses wrong values in one line with flag, value and remedy", () => {
  const cases: readonly [name: string, texts: readonly string[], remedy: RegExp][] = [
    ["uri", ["", "foo"], /qemu:\/\/\/system/],
    ["libvirt.timeout", ["", "0", "49ms", "601s", "1h", "-1s"], /./],
    ["libvirt.timeout", ["0.0494s", "11m"], /from 50ms to 10m/],
    ["libvirt.timeout", ["soon", "2 s", "s"], /500ms, 2s or 1m30s/],
    [
      "libvirt.concurrency",
      ["", "0", "5", "64", "1.5", "-1", "1e1", "four", " 4", "04"],
      /from 1 to 4/,
    ],
    ["libvirt.max-abandoned", ["", "0", "21"], /from 1 to 20/],
    ["port", ["", "0", "65536", "http", "+80", "9".repeat(400)], /from 1 to 65535/],
    ["web.listen-address", ["", "9100"], /127\.0\.0\.1:9100/],
    ["path", ["", "metrics"], /such as \/metrics/],
    ["web.telemetry-path", ["", "/a?b"], /such as \/metrics/],
    ["scrape.min-interval", ["", "-1", "3601s"], /./],
    ["log", ["", "a\nb", "a\0b"], /- for standard error/],
    ["log.level", ["", "INFO", "warning"], /debug, info, warn, error/],
    ["log.format", ["", "text"], /logfmt, json/],
    ["probe.target", ["", "test:///default", "=test:///a", "a b=test:///a"], /a name and a URI/],
    ["probe.target", ["a=", "a=host"], /qemu:\/\/\/system/],
    ["domain.include", ["(", "[z-a]", "\\"], /give a regular expression/],
    ["domain.project-exclude", ["*"], /give a regular expression/],
  ];
  for (const [name, texts, remedy] of cases) {
    for (const text of texts) {
      assert.throws(() => configFromFlags(given([name, text])), (error) => {
        assert.ok(error instanceof UsageError);
        assert.ok(error.message.startsWith(`Invalid value ${quote(text)} for --${name}: `));
        assert.match(error.message, remedy);
        assert.match(error.message, /^[\x20-\x7e…]+; see --help$/);
        return true;
      }, `--${name} ${text}`);
    }
  }
});

Deno.test("configFromFlags() checks the port even where listen addresses override it", () => {
  assert.throws(
    () => configFromFlags(given(["port", "x"], ["web.listen-address", ":9100"])),
    UsageError,
  );
});

Deno.test("configFromFlags() never shows the password of a wrong URI", () => {
  const cases = [
    "qemu://user:secret@host",
    "qemu://user:sec/ret@host/system",
    "qemu://user:sec@ret@host/system",
    "qemu://user:sec#ret@host/system",
    "qemu:/user:secret@host/system",
    "qemu+ssh://user:secret@ho st/system",
    "qemu://user:secret\n@host/system",
  ];
  for (const uri of cases) {
    assert.throws(() => configFromFlags(given(["uri", uri])), (error) => {
      assert.ok(error instanceof UsageError);
      assert.doesNotMatch(error.message, /sec|ret@/);
      assert.match(error.message, /:\*\*\*@/);
      return true;
    }, uri);
  }
});

function given(...entries: readonly (readonly [name: string, ...texts: string[]])[]): GivenFlags {
  return new Map(entries.map(([name, ...texts]) => [name, texts]));
}
