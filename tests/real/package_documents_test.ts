// The man page and the completions as their readers take them.
import assert from "node:assert/strict";
import { fishCompletion, zshCompletion } from "../../scripts/generate_completion.ts";
import { manPage } from "../../scripts/generate_man.ts";
import { createTestFolder } from "../../testing/executable.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { ALL_FLAGS } from "../../src/config/flags.ts";
import { runCommand } from "../../testing/command.ts";

const flags = ALL_FLAGS;

const packages = await ensureDebianPackages(["fish", "groff-base", "mandoc", "zsh"]);
if (!packages.available) {
  reportProgress(`Leaving out the tests of the man page and completions: ${packages.reason}`);
}

if (packages.available) {
  Deno.test("a reader of the man page sees every flag and its description", async () => {
    await using folder = await createTestFolder();
    const page = await folder.write(
      "page.1",
      manPage(flags, { version: "1.2.3", date: "2026-11-24" }),
    );
    const groff = ["-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=200n", page];
    const { output, errorOutput } = await runCommand("groff", groff);
    assert.equal(errorOutput, "");
    const text = output.replaceAll("\u2010", "-").replaceAll(/\s+/g, " ");
    for (const { name, description } of flags) {
      assert.ok(text.includes(`--${name}`), name);
      assert.ok(text.includes(description), description);
    }
    const lint = await runCommand("mandoc", ["-T", "lint", "-W", "warning", page]);
    assert.equal(lint.output, "");
  });

  Deno.test("fish offers the flags, and the values of those that have a choice", async () => {
    await using folder = await createTestFolder();
    const file = await folder.write("completion.fish", fishCompletion(flags));
    const offered = async (line: string): Promise<readonly string[]> => {
      const { output } = await runCommand("fish", [
        "--no-config",
        "-c",
        `source ${file}; complete -C ${JSON.stringify(line)}`,
      ], { environment: { HOME: folder.path } });
      return output.trimEnd().split("\n").map((candidate) => candidate.split("\t")[0] ?? "");
    };
    assert.deepEqual(
      (await offered("libvirt_nova_exporter --")).filter((name) => !name.startsWith("--no-")),
      flags.map(({ name }) => `--${name}`).sort(),
    );
    assert.deepEqual(await offered("libvirt_nova_exporter --log.format "), ["json", "logfmt"]);
  });

  Deno.test("Zsh offers the flags, and the values of those that have a choice", async () => {
    await using folder = await createTestFolder();
    await folder.write("_libvirt_nova_exporter", zshCompletion(flags));
    // Zsh completes on a terminal only, so it runs in one of its own. A letter sets what each has said apart.
    const driver = `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      send() { zpty -w shell "$1"; }
      send "PROMPT=; fpath=(${folder.path} \\$fpath); autoload -U compinit; compinit -u -D"
      send "setopt no_always_last_prompt"
      send "LISTMAX=10000; COLUMNS=300; LINES=200; bindkey '^T' list-choices; print READY-\\$((1 + 1))"
      zpty -r shell line '*READY-2*'
      zpty -w -n shell "libvirt_nova_exporter $1"
      zpty -w -n shell $'\\x14'
      zpty -r -m shell line "*$2*" && print -r -- "$line"
      zpty -d shell`;
    const listed = async (words: string, last: string): Promise<string> => {
      const parameters = ["-f", "-c", driver, "zsh", words, last];
      const options = { environment: { HOME: folder.path, TERM: "dumb" } };
      return (await runCommand("zsh", parameters, options)).output;
    };
    assert.match(await listed("--log.level=", "warn"), /debug.*error.*info.*warn/s);
    assert.match(await listed("--log", "--log[.]level"), /--log.format.*--log.level/s);
  });
}
