import assert from "node:assert/strict";
import { ensurePythonPackages } from "../../testing/python_packages.ts";
import { withFolder } from "../../testing/with_folder.ts";

const REQUIREMENTS = ["one==1.0", "two==2.0"];

/** Where pip was told to install. */
const targetOf = (command: readonly string[]): string =>
  command.find((word) => word.startsWith("--target="))?.slice("--target=".length) ?? "";

Deno.test("ensurePythonPackages() installs what is not there, once, with the options that are given", async () => {
  await withFolder(async (parent) => {
    const packages = {
      folder: `${parent}/cache/set`,
      requirements: REQUIREMENTS,
      options: ["--only-binary=:all:"],
    };
    const commands: (readonly string[])[] = [];
    const install = async (command: readonly string[]): Promise<void> => {
      commands.push(command);
      await Deno.writeTextFile(`${targetOf(command)}/module.py`, "");
    };
    for (let time = 0; time < 2; time++) {
      assert.equal(await ensurePythonPackages(packages, install), packages.folder);
    }
    assert.equal(commands.length, 1);
    assert.deepEqual(commands[0]?.slice(-2), REQUIREMENTS);
    assert.ok(commands[0].includes("--only-binary=:all:"));
    assert.deepEqual([...Deno.readDirSync(packages.folder)].map(({ name }) => name), ["module.py"]);
  });
});

Deno.test("ensurePythonPackages() leaves nothing when pip fails, and takes what somebody else has installed", async () => {
  await withFolder(async (parent) => {
    const packages = { folder: `${parent}/set`, requirements: REQUIREMENTS };
    const fail = (): Promise<void> => Promise.reject(new Error("no network"));
    await assert.rejects(ensurePythonPackages(packages, fail), /no network/);
    assert.deepEqual([...Deno.readDirSync(parent)], []);
    const beFaster = async (): Promise<void> => {
      await Deno.mkdir(packages.folder);
      await Deno.writeTextFile(`${packages.folder}/module.py`, "");
    };
    assert.equal(await ensurePythonPackages(packages, beFaster), packages.folder);
    assert.deepEqual([...Deno.readDirSync(parent)].map(({ name }) => name), ["set"]);
  });
});
