import assert from "node:assert/strict";
import {
  codeOf,
  createPasswordHider,
  cut,
  messageOf,
  oneLine,
  quote,
  quoteAsJson,
  redactUri,
} from "../src/text.ts";

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

Deno.test("quote() writes any text on one line without what cannot be seen", () => {
  assert.equal(quote('a"b\n\u202ec'), '"a\\"b\\n?c"');
  assert.equal(quote("x".repeat(300)).length, 203);
});

Deno.test("oneLine() takes the line ends out of what was thrown", async (t) => {
  const cases = [
    [new Error("a\r\n  b\nc"), "a b c"],
    ["text", "text"],
    [undefined, "undefined"],
  ] as const;
  for (const [thrown, expected] of cases) {
    await t.step(expected, () => assert.equal(oneLine(messageOf(thrown)), expected));
  }
});

Deno.test("oneLine() makes a space of what breaks or turns a line", () => {
  const cases: readonly [text: string, line: string][] = [
    ["plain", "plain"],
    ["two  spaces", "two  spaces"],
    ["a\u001b[31m\u202eb", "a [31m b"],
    ["a\u2028b", "a b"],
    ["half \ud800", "half \ufffd"],
  ];
  for (const [text, line] of cases) assert.equal(oneLine(text), line);
});

Deno.test("quoteAsJson() writes any text so that JSON reads the same again, without what cannot be seen", () => {
  const cases: readonly [text: string, quoted: string][] = [
    ["plain", '"plain"'],
    ['a "b" \\', '"a \\"b\\" \\\\"'],
    ["a\n\u202eb", '"a\\n\\u202eb"'],
    ["\u{e0041}", '"\\udb40\\udc41"'],
  ];
  for (const [text, quoted] of cases) {
    assert.equal(quoteAsJson(text), quoted);
    assert.equal(JSON.parse(quoted), text);
  }
});

Deno.test("cut() leaves a short text alone, and no half of a character at the end of a long one", () => {
  assert.equal(cut("abc", 3), "abc");
  assert.equal(cut("abcd", 3), "abc…");
  assert.equal(cut("ab😀", 3), "ab…");
});

Deno.test("messageOf() and codeOf() tell what was thrown, whatever it is", () => {
  const error = Object.assign(new Error("gone"), { code: "ENOENT" });
  assert.deepEqual([messageOf(error), codeOf(error)], ["gone", "ENOENT"]);
  assert.deepEqual([messageOf("text"), codeOf("text")], ["text", ""]);
  assert.deepEqual([messageOf(undefined), codeOf(new Error("x"))], ["undefined", ""]);
});
