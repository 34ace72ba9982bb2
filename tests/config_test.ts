import assert from "node:assert/strict";
import {
  configFromFlags,
  createPasswordHider,
  FLAGS,
  type GivenFlags,
  InvalidValueError,
  isSwitchedOn,
  parseDuration,
  parseListenAddress,
  parseLogFile,
  parsePath,
  parseUri,
  quote,
  redactUri,
  UsageError,
} from "../src/config.ts";
import { ALL_DOMAINS } from "../src/domain_filter.ts";
import { USUAL_IDENTITY } from "../src/metrics/family.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

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

Deno.test("configFromFlags() refuses a path that hides the pages of the other hypervisors", () => {
  const path = ["path", "/probe"] as const;
  assert.equal(configFromFlags(given([...path])).path, "/probe");
  assert.throws(
    () => configFromFlags(given([...path], ["probe.target", "a=test:///default"])),
    new UsageError(
      'The path "/probe" is that of the pages of --probe.target: give another for --path',
    ),
  );
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

Deno.test("isSwitchedOn() goes by the last time a switch was given, else by its default", () => {
  for (const byDefault of [true, false]) {
    const flag = { ...FLAGS.once, default: byDefault };
    assert.equal(isSwitchedOn(flag, new Map()), byDefault);
    assert.equal(isSwitchedOn(flag, given(["once", "false", "true"])), true);
    assert.equal(isSwitchedOn(flag, given(["once", "true", "false"])), false);
  }
});

Deno.test("FLAGS has names that differ, defaults that are valid, and descriptions in one style", () => {
  const flags = Object.values(FLAGS);
  assert.equal(new Set(flags.map(({ name }) => name)).size, flags.length);
  for (const flag of flags) {
    assert.match(flag.name, /^[a-z]+(?:[.-][a-z]+)*$/);
    assert.match(flag.description, /^[A-Z].*[^.]$/);
    if ("parse" in flag && flag.default !== undefined) flag.parse(flag.default);
  }
});

Deno.test("parseUri() takes what libvirt takes, unchanged", () => {
  const cases = [
    "qemu:///system",
    "QEMU:///system",
    "qemu:///",
    "test:///default",
    "test+unix:///default",
    "test:///var/lib/exporter/two%20domains.xml",
    "qemu+unix:///system?socket=/run/libvirt/libvirt-sock-ro",
    "qemu+tls://host/system",
    "qemu+tcp://host.example.org:16509/system",
    "qemu+tls://192.0.2.1:16514/system?no_verify=1&pkipath=/etc/pki",
    "qemu+tls://[2001:db8::1]:16514/system",
    "qemu+ssh://user@host/system?command=/opt/bin/ssh",
    "qemu+ssh://user:secret@host:2222/session",
    "lxc:///system",
    "vpx://user@vcenter/folder/cluster/server",
  ];
  for (const uri of cases) assert.equal(parseUri(uri), uri);
});

Deno.test("parseUri() refuses what has not the form of a libvirt URI", () => {
  const cases = [
    "",
    "foo",
    "://",
    ":///system",
    "qemu",
    "qemu:",
    "qemu:/system",
    "qemu://",
    "qemu://host",
    "qemu+://host/system",
    "+tls://host/system",
    "qemu+tls+ssh://host/system",
    "1qemu:///system",
    "qemu kvm:///system",
    " qemu:///system",
    "qemu:///system ",
    "qemu:///sys\ttem",
    "qemu:///system\n",
    "qemu:///sys\0tem",
    "qemu:///sÿstem",
    "qemu:///system#fragment",
    "qemu://host:port/system",
    "qemu://host:65536/system",
    "qemu://host:/system",
    "qemu://a@b@host/system",
    "qemu://::1/system",
    "qemu://[::1/system",
    "qemu://[nonsense]/system",
    "/var/run/libvirt/libvirt-sock",
  ];
  for (const text of cases) assert.throws(() => parseUri(text), InvalidValueError, text);
});

Deno.test("redactUri() hides a password and nothing else of a valid URI", () => {
  const cases: readonly [text: string, shown: string][] = [
    ["qemu:///system", "qemu:///system"],
    ["qemu+ssh://user@host/system", "qemu+ssh://user@host/system"],
    ["qemu+ssh://user:secret@host/system", "qemu+ssh://user:***@host/system"],
    ["qemu+ssh://user:se:cret@host:22/system?x=1", "qemu+ssh://user:***@host:22/system?x=1"],
    ["qemu+ssh://:secret@host/system", "qemu+ssh://:***@host/system"],
    ["qemu+ssh://user:@host/system", "qemu+ssh://user:***@host/system"],
    ["qemu+tls://host:16514/system?x=a@b", "qemu+tls://host:16514/system?x=a@b"],
    ["qemu+tls://[::1]:16514/system?x=a@b", "qemu+tls://[::1]:16514/system?x=a@b"],
    ["not a URI", "not a URI"],
    ["user@host", "user@host"],
    ["user:secret@host", "user:***@host"],
  ];
  for (const [text, shown] of cases) assert.equal(redactUri(text), shown);
});

Deno.test("createPasswordHider() hides a URI's password in whatever repeats it, as it is given and decoded", () => {
  const cases: readonly [uri: string, text: string, shown: string][] = [
    ["qemu+ssh://user:secret@host/system", "user:secret@host: denied", "user:***@host: denied"],
    ["qemu+ssh://user:secret@host/system", "-l user:secret secret", "-l user:*** ***"],
    ["qemu+ssh://:a$&b@host/system", "'a$&b'", "'***'"],
    ["qemu+ssh://user:a%20b@host/system", "a b, a%20b", "***, ***"],
    ["qemu+ssh://user:a%zz@host/system", "a%zz", "***"],
    ["qemu+ssh://user:a:b@host/system", "a:b", "***"],
    ["qemu+ssh://user:@host/system", "user:@host", "user:@host"],
    ["qemu+ssh://user@host/system", "user@host", "user@host"],
    ["qemu:///system?x=a:b@c", "a:b@c", "a:b@c"],
    ["test:///default", "test:///default", "test:///default"],
  ];
  for (const [uri, text, shown] of cases) assert.equal(createPasswordHider(uri)(text), shown);
});

Deno.test("quote() keeps a value on one line of printable characters, at most 200 of them", () => {
  const cases: readonly [text: string, quoted: string][] = [
    ["", '""'],
    ['a "b"', '"a \\"b\\""'],
    ["a\nb", '"a\\nb"'],
    ["a\u009bb\u2028c\u202ed", '"a?b?c?d"'],
    ["a\ud800", '"a\ufffd"'],
    ["x".repeat(200), `"${"x".repeat(200)}"`],
    ["x".repeat(201), `"${"x".repeat(200)}…"`],
  ];
  for (const [text, quoted] of cases) assert.equal(quote(text), quoted);
});

Deno.test("parseDuration() reads Prometheus durations and plain seconds as milliseconds", () => {
  const cases: readonly [text: string, milliseconds: number][] = [
    ["0", 0],
    ["2", 2_000],
    ["2.5", 2_500],
    ["2.3", 2_300],
    ["0.0004", 0],
    ["0s", 0],
    ["500ms", 500],
    ["2s", 2_000],
    ["1.5s", 1_500],
    ["1m", 60_000],
    ["1m30s", 90_000],
    ["1h", 3_600_000],
    ["1h2m3s4ms", 3_723_004],
    ["90s", 90_000],
  ];
  for (const [text, milliseconds] of cases) assert.equal(parseDuration(text), milliseconds, text);
});

Deno.test("parseDuration() refuses what is no duration", () => {
  const cases = [
    "",
    "s",
    "ms",
    "-1",
    "+1s",
    "1 s",
    "1S",
    "1d",
    "30s1m",
    "1s1s",
    "1.5m",
    ".5",
    "1.",
    "1e3",
    "Infinity",
    "1s\n",
  ];
  for (const text of cases) assert.throws(() => parseDuration(text), InvalidValueError, text);
});

Deno.test("parseListenAddress() reads hosts and ports", () => {
  const cases: readonly [text: string, host: string | undefined, port: number][] = [
    [":9100", undefined, 9100],
    [":0", undefined, 0],
    ["127.0.0.1:9100", "127.0.0.1", 9100],
    ["0.0.0.0:65535", "0.0.0.0", 65_535],
    ["[::1]:9100", "::1", 9100],
    ["[::]:9100", "::", 9100],
    ["localhost:9100", "localhost", 9100],
    ["compute-1.example.org:9100", "compute-1.example.org", 9100],
    ["compute_1:9100", "compute_1", 9100],
  ];
  for (const [text, host, port] of cases) {
    assert.deepEqual(parseListenAddress(text), { host, port });
  }
});

Deno.test("parseListenAddress() refuses what names no host and port", () => {
  const cases = [
    "",
    "9100",
    ":",
    "localhost",
    "localhost:",
    "localhost:http",
    "localhost:65536",
    "localhost:-1",
    ":9100 ",
    "::1:9100",
    "[]:9100",
    "[127.0.0.1]:9100",
    "[::1]",
    "[::1]9100",
    "999.0.0.1:9100",
    "1.2.3:9100",
    "-host:9100",
    "a b:9100",
    "a..b:9100",
    "http://host:9100",
    "host:9100/metrics",
  ];
  for (const text of cases) assert.throws(() => parseListenAddress(text), InvalidValueError, text);
});

Deno.test("parseListenAddress() reads paths of Unix sockets and their permissions", () => {
  const cases: readonly [text: string, path: string, mode: number][] = [
    ["unix:/run/a.sock", "/run/a.sock", 0o660],
    ["unix:/run/a b:c.sock?mode=666", "/run/a b:c.sock", 0o666],
    ["unix:/a?mode=0600", "/a", 0o600],
    [`unix:/${"x".repeat(106)}`, `/${"x".repeat(106)}`, 0o660],
  ];
  for (const [text, path, mode] of cases) {
    assert.deepEqual(parseListenAddress(text), { path, mode });
  }
  for (
    const text of [
      "unix:",
      "unix:a.sock",
      "unix:/",
      "unix:/run/",
      "unix:9100",
      "unix:/a?mode=",
      "unix:/a?mode=999",
      "unix:/a?mode=4755",
      "unix:/a?other",
      "unix:/a\nb",
      `unix:/${"x".repeat(107)}`,
      `unix:/${"ü".repeat(54)}`,
    ]
  ) assert.throws(() => parseListenAddress(text), InvalidValueError, text);
});

Deno.test("parsePath() takes absolute paths that a request can match", () => {
  for (const path of ["/", "/metrics", "/a/b", "/a.b_c-d~e", "/métriques"]) {
    assert.equal(parsePath(path), path);
  }
  for (
    const text of ["", "metrics", "/a?b", "/a#b", "/a b", "/a\n", "/a\0", "/a%20b", "http://a/"]
  ) {
    assert.throws(() => parsePath(text), InvalidValueError, text);
  }
});

Deno.test("parseLogFile() takes a path, or - for none", () => {
  assert.equal(parseLogFile("-"), undefined);
  for (const path of ["./libvirt_nova.log", "/var/log/two words.log", "--", "/dev/null"]) {
    assert.equal(parseLogFile(path), path);
  }
  for (const text of ["", "a\nb", "a\0b"]) {
    assert.throws(() => parseLogFile(text), InvalidValueError);
  }
});

function given(...entries: readonly (readonly [name: string, ...texts: string[]])[]): GivenFlags {
  return new Map(entries.map(([name, ...texts]) => [name, texts]));
}
