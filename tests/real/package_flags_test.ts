// What systemd makes of the flags in /etc/default, and what the shipped file and the documentation say of that.
import assert from "node:assert/strict";
import { ROOT } from "../../testing/set_up.ts";
import { parseCommandLine } from "../../src/config/command_line.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { systemdArguments } from "./systemd_arguments.ts";

const packages = await ensureDebianPackages(["systemd"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) {
  reportProgress("Leaving out the tests of the service's flags: they need root on Debian");
}

/** The assignments in a text, those that are commented out as well. */
function assignments(text: string): readonly string[] {
  return Array.from(text.matchAll(/^#?(EXPORTER_FLAGS=".+")$/gm), ([, line = ""]) => line);
}

/** Under systemd 252 the words between the quotes in the left column arrive as those in the right one. */
const WORDS: readonly (readonly [written: string, arrives: readonly string[]])[] = [
  ["--domain.include ^instance-\\d+$", ["--domain.include", "^instance-d+$"]],
  ["--domain.include ^instance-\\\\\\\\d+$", ["--domain.include", "^instance-\\d+$"]],
  ['--domain.project-exclude \\"my project\\"', ["--domain.project-exclude", "my project"]],
  ['a\\\\\\"b', ['a"b']],
  ["O\\\\'Brien", ["O'Brien"]],
  ["a$b 100% #1 * (x|y)", ["a$b", "100%", "#1", "*", "(x|y)"]],
];

if (canRun) {
  Deno.test("systemd hands over the flags as the documentation says that it does", async () => {
    const files = WORDS.map(([written]) => `EXPORTER_FLAGS="${written}"\n`);
    assert.deepEqual(await systemdArguments(files), WORDS.map(([, arrives]) => arrives));
  });

  Deno.test("the shipped file gives no flag, and the lines that it shows arrive as meant", async () => {
    const file = await Deno.readTextFile(`${ROOT}/contrib/packages/default`);
    const [first = "", second = "", ...others] = assignments(file);
    assert.deepEqual(others, []);
    const [none, plain, escaped = []] = await systemdArguments([file, first, second]);
    assert.deepEqual(none, []);
    assert.deepEqual(plain, ["--port", "9204", "--libvirt.timeout", "3s"]);
    const invocation = parseCommandLine(escaped);
    assert.ok(invocation.kind === "run");
    assert.equal(invocation.config.filter.include?.source, "^instance-\\d+$");
    assert.equal(invocation.config.filter.projectExclude?.source, "my project");
  });

  Deno.test("every line of flags in the documentation is a command line that the exporter takes", async () => {
    const pages = ["README.md", "docs/installation.md"].map((name) => `${ROOT}/${name}`);
    const lines = (await Promise.all(pages.map((page) => Deno.readTextFile(page))))
      .flatMap(assignments);
    assert.ok(lines.length >= 2, lines.join("\n"));
    for (const [index, words] of (await systemdArguments(lines)).entries()) {
      assert.ok(words.length > 0, lines[index]);
      assert.equal(parseCommandLine(words).kind, "run", lines[index]);
    }
  });
}
