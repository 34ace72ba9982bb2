// The workflows of the public forge: they run what is run here.
import assert from "node:assert/strict";
import { parse } from "yaml";
import { filesBelow } from "../../scripts/files_below.ts";
import packageDescription from "../../package.json" with { type: "json" };
import { ROOT } from "../../testing/set_up.ts";

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps?: readonly Step[] }>>;
}

interface Step {
  readonly run?: string;
  readonly uses?: string;
}

async function steps(): Promise<readonly Step[]> {
  const files = await filesBelow(`${ROOT}/.github/workflows`, ".yml");
  const workflows: Workflow[] = await Promise.all(
    files.map(async (file) => parse(await Deno.readTextFile(file))),
  );
  return workflows.flatMap(({ jobs }) => Object.values(jobs)).flatMap((job) => job.steps ?? []);
}

/** What else they run: Debian's packages for an empty container, and the forge's own program for the draft. */
const OTHER_COMMANDS = [".ci/run", "apt-get", "gh"];

Deno.test("workflows run npm's scripts and .ci/run", async () => {
  const scripts = new Set(Object.keys(packageDescription.scripts));
  const commands = (await steps()).flatMap(({ run = "" }) =>
    run.replaceAll("\\\n", "").split("\n").map((line) => line.trim()).filter((line) => line !== "")
  );
  assert.ok(commands.includes(".ci/run") && commands.includes("npm run release:check"));
  for (const command of commands) {
    const script = /^npm run (\S+)$/.exec(command)?.[1];
    const isKnown = script === undefined
      ? OTHER_COMMANDS.includes(command.split(" ")[0] ?? "")
      : scripts.has(script);
    assert.ok(isKnown, command);
  }
});

Deno.test("workflows take actions by the commit, with their version behind it", async () => {
  const files = await filesBelow(`${ROOT}/.github/workflows`, ".yml");
  const lines = (await Promise.all(files.map((file) => Deno.readTextFile(file))))
    .flatMap((text) => text.split("\n")).filter((line) => /^ +(- )?uses:/.test(line));
  for (const line of lines) {
    assert.match(line, /uses: (\.\/.*|[\w.-]+\/[\w.-]+@[0-9a-f]{40} # \S+)$/);
  }
  assert.ok(lines.length > 10);
});
