// Where the executable runs: users, folders and file systems that forbid it something. It is built by `npm run build`.
import assert from "node:assert/strict";
import { lchown } from "node:fs/promises";
import { succeeds } from "../../testing/command.ts";
import {
  assertNothingRuns,
  createTestFolder,
  EXECUTABLE,
  requireExecutable,
  runExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { DEFAULT_URI } from "../../testing/hypervisor_files.ts";
import { assertServesWithoutLog } from "../../testing/log_failures.ts";
import { parsePage, valueOf } from "../../testing/parse_page.ts";
import { countLines } from "../../testing/printed_lines.ts";
import { waitUntil } from "../../testing/wait_until.ts";

requireExecutable();

Deno.test("it runs without a temporary folder", async () => {
  await using folder = await createTestFolder();
  const environment = { TMPDIR: "/nonexistent" };
  await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-"], {
    folder,
    environment,
  });
  assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
  const { code, errorOutput } = await exporter.stop();
  assert.equal(code, 0, errorOutput);
});

/** What runs a command as the user who owns nothing; root only may, and any other user is good enough. */
const AS_NOBODY = Deno.uid() === 0
  ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
  : [];

Deno.test("it runs for a user who may write nothing, from any folder, wherever it was copied to", async () => {
  await using folder = await createTestFolder();
  const executable = `${folder.path}/exporter`;
  await Deno.copyFile(EXECUTABLE, executable);
  await Deno.chmod(executable, 0o755);
  const readOnly = `${folder.path}/read-only`;
  await Deno.mkdir(readOnly);
  await Deno.chmod(readOnly, 0o555);
  for (const workingDirectory of ["/", "/proc", readOnly]) {
    const options = { folder, executable, through: AS_NOBODY, workingDirectory };
    const { code, output, errorOutput } = await runExecutable(
      ["--once", "--uri", DEFAULT_URI],
      options,
    );
    assert.deepEqual([code, errorOutput], [0, ""], workingDirectory);
    assert.equal(valueOf(parsePage(output), "libvirt_nova_up"), 1);
  }
  const options = { folder, executable, through: AS_NOBODY, workingDirectory: readOnly };
  await using exporter = await startExecutable(["--uri", DEFAULT_URI], options);
  await assertServesWithoutLog(exporter, /"permission denied"/);
});

if (Deno.uid() === 0) {
  Deno.test("it loads nothing that another user has put where it unpacks its shim, and leaves nothing there", async () => {
    await using folder = await createTestFolder();
    const executable = `${folder.path}/exporter`;
    await Deno.copyFile(EXECUTABLE, executable);
    await Deno.chmod(executable, 0o755);
    const directory = `${folder.temporary}/libvirt_nova_exporter-65534`;
    const foreign = `${folder.path}/foreign`;
    await Deno.mkdir(foreign);
    await Deno.chmod(foreign, 0o777);
    await folder.write("foreign/shim.node", "of another user\n");
    const obstacles: Readonly<Record<string, () => Promise<void>>> = {
      file: () => Deno.writeTextFile(directory, "of another user\n"),
      link: () => Deno.symlink(foreign, directory),
      directory: () => Deno.rename(foreign, directory),
    };
    for (const [kind, make] of Object.entries(obstacles)) {
      await make();
      await lchown(directory, 1, 1);
      const { code, output, errorOutput } = await runExecutable(["--once", "--uri", DEFAULT_URI], {
        folder,
        executable,
        through: AS_NOBODY,
      });
      assert.deepEqual([code, errorOutput], [0, ""], kind);
      assert.equal(valueOf(parsePage(output), "libvirt_nova_up"), 1);
      const names = Array.from(Deno.readDirSync(folder.temporary), ({ name }) => name);
      assert.deepEqual(names, ["libvirt_nova_exporter-65534"], kind);
      const where = kind === "directory" ? directory : foreign;
      assert.deepEqual(Array.from(Deno.readDirSync(where), ({ name }) => name), ["shim.node"]);
      assert.equal(await Deno.readTextFile(`${where}/shim.node`), "of another user\n");
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("it mends a shim that lost its content, and keeps one for all versions", async () => {
  await using folder = await createTestFolder();
  const run = async (): Promise<void> => {
    const { code, errorOutput } = await runExecutable(["--once", "--uri", DEFAULT_URI], { folder });
    assert.deepEqual([code, errorOutput], [0, ""]);
  };
  await run();
  const [directory] = Array.from(Deno.readDirSync(folder.temporary), ({ name }) => name);
  const shim = `${folder.temporary}/${directory}/shim.node`;
  const { size } = await Deno.stat(shim);
  for (const content of [new Uint8Array(size), new Uint8Array(7), new Uint8Array(0)]) {
    await Deno.writeFile(shim, content);
    await run();
    assert.deepEqual(Array.from(Deno.readDirSync(`${folder.temporary}/${directory}`)).length, 1);
    assert.equal((await Deno.stat(shim)).size, size);
  }
});

/** What runs a command as root after a script in file systems of its own; the folder that is named first is its `$0`. */
function withMounts(script: string): readonly [string, ...string[]] {
  const flags = ["--map-root-user", "--mount", "sh", "-c"];
  return ["unshare", ...flags, `set -e; ${script}; exec "$@"`];
}

/** Nothing but a read-only file system in the folder. */
const IN_READ_ONLY_MOUNT = withMounts('mount -t tmpfs -o ro none "$0"; cd "$0"');

/** Nothing may be written anywhere but in the folder. */
const IN_READ_ONLY_ROOT = withMounts('mount -t tmpfs none "$0"; mount -o remount,bind,ro /');

/** A full file system in the folder. */
const ON_FULL_DISK = withMounts(
  'mount -t tmpfs -o size=64k none "$0"; head -c 1M /dev/zero > "$0/filler" 2> /dev/null || true',
);

// A container or a hardened system may forbid it to make a file system of one's own.
if (await succeeds(...IN_READ_ONLY_MOUNT, "/mnt", "true")) {
  Deno.test("it runs where nothing but its temporary folder may be written", async () => {
    await using folder = await createTestFolder();
    const through = [...IN_READ_ONLY_ROOT, folder.temporary];
    await using exporter = await startExecutable(["--uri", DEFAULT_URI], { folder, through });
    await assertServesWithoutLog(exporter, /"the file system is read-only"/);
  });

  Deno.test("a full disk costs lines of the log, which goes on when there is room", async () => {
    await using folder = await createTestFolder();
    const disk = `${folder.path}/disk`;
    await Deno.mkdir(disk);
    const args = ["--uri", DEFAULT_URI, "--log", `${disk}/file.log`];
    const through = [...ON_FULL_DISK, disk];
    await using exporter = await startExecutable(args, { folder, through });
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
    // The test does not see the file system under its own name.
    const seen = `/proc/${exporter.processId}/root${disk}`;
    await Deno.remove(`${seen}/filler`);
    exporter.signal("SIGHUP");
    await waitUntil(
      "the log goes on",
      async () => (await Deno.readTextFile(`${seen}/file.log`)).includes("Reopened the log"),
    );
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
    const { code, errorOutput } = await exporter.stop();
    assert.equal(code, 0);
    assert.equal(countLines(errorOutput, "Cannot write the log file"), 1, errorOutput);
    assert.match(errorOutput, /"no space is left on the device"/);
    assert.equal(countLines(errorOutput, "can be written again"), 1, errorOutput);
  });

  for (
    const [name, mount] of [
      ["is mounted noexec", 'mount -t tmpfs -o noexec none "$0"'],
      ["is read-only", 'mount -t tmpfs -o ro none "$0"'],
      ["is full", 'mount -t tmpfs -o size=64k none "$0"'],
    ] as const
  ) {
    Deno.test(`it runs where its temporary folder ${name}`, async () => {
      await using folder = await createTestFolder();
      const through = [...withMounts(mount), folder.temporary];
      await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-"], {
        folder,
        through,
      });
      assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
      const seen = `/proc/${exporter.processId}/root${folder.temporary}`;
      const files = Array.from(Deno.readDirSync(seen), ({ name }) => name)
        .flatMap((directory) => [...Deno.readDirSync(`${seen}/${directory}`)]);
      // Where it was written it is of use for others; half of it is not.
      assert.equal(files.length, name === "is mounted noexec" ? 1 : 0);
      assert.equal((await exporter.stop()).code, 0);
    });
  }

  Deno.test("it runs for root in a folder that is mounted read-only", async () => {
    await using folder = await createTestFolder();
    const mounted = `${folder.path}/mounted`;
    await Deno.mkdir(mounted);
    const through = [...IN_READ_ONLY_MOUNT, mounted];
    await using exporter = await startExecutable(["--uri", DEFAULT_URI], { folder, through });
    await assertServesWithoutLog(exporter, /"the file system is read-only"/);
  });
}

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
