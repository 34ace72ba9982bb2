import assert from "node:assert/strict";
import {
  InvalidValueError,
  parseDuration,
  parseListenAddress,
  parseLogFile,
  parsePath,
  parseRegularExpression,
  parseUri,
} from "../../src/config/values.ts";

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
  for (const path of ["/", "/metrics", "/a/b", "/a.b_c-d~e", "/métriques", "/...", "/a./..b"]) {
    assert.equal(parsePath(path), path);
  }
  for (
    const text of ["", "metrics", "/a?b", "/a#b", "/a b", "/a\n", "/a\0", "/a%20b", "http://a/"]
      .concat("/..", "/a/../b", "/./a", "/a/.")
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

Deno.test("parseRegularExpression() takes flags at the beginning, as other languages have them", () => {
  const cases: readonly [text: string, source: string, flags: string][] = [
    ["^instance-\\d+$", "^instance-\\d+$", "u"],
    ["(?i)^Instance", "^Instance", "iu"],
    ["(?is)a.b", "a.b", "isu"],
    ["(?ii)a", "a", "iu"],
    ["(?i:a)b", "(?i:a)b", "u"],
    ["(?:a|b)(?<name>c)", "(?:a|b)(?<name>c)", "u"],
  ];
  for (const [text, source, flags] of cases) {
    const expression = parseRegularExpression(text);
    assert.deepEqual([expression.source, expression.flags], [source, flags], text);
  }
  assert.ok(parseRegularExpression("(?i)^WEB").test("web-1"));
});

Deno.test("parseRegularExpression() says what JavaScript has instead of another language's form", () => {
  const cases: readonly [text: string, remedy: RegExp][] = [
    ["(?P<name>a)", /, write \(\?<name>…\) and \\k<name> instead of \(\?P…\) \(/],
    ["a(?i)b", /, write \(\?i:…\) around a part, or \(\?i\) at the beginning \(/],
    ["(?U)a", /, write \(\?i:…\) around/],
    ["\\Aa\\z", /, write \^ and \$ instead of/],
    ["[[:alpha:]]", /, write a-z/],
    ["(", /of JavaScript such as \^instance- \(/],
  ];
  for (const [text, remedy] of cases) {
    assert.throws(() => parseRegularExpression(text), (error) => {
      assert.ok(error instanceof InvalidValueError, text);
      assert.match(error.message, remedy);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }
});

Deno.test("parseListenAddress() says what is offered instead of a socket of virtual machines", () => {
  for (const text of ["vsock://:9100", "vsock://2:9100", "vsock:9100:1"]) {
    assert.throws(
      () => parseListenAddress(text),
      /^InvalidValueError: sockets of virtual machines are not offered, give an address .*unix:\//,
    );
  }
});
