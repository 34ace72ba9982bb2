import assert from "node:assert/strict";
import * as fileSystem from "node:fs/promises";
import { join } from "node:path";
import { type LogFile, MAXIMUM_FILE_BYTES, openLogFile } from "../../src/log/log_file.ts";
import { withFolder } from "../../testing/with_folder.ts";

Deno.test("write() takes the first text, and those after it that the file has room for", async () => {
  const cases: readonly [existingBytes: number, lengths: readonly number[], taken: number][] = [
    [0, [1], 1],
    [0, [1, 2, 3], 3],
    [0, [MAXIMUM_FILE_BYTES - 1, 0], 1],
    [0, [MAXIMUM_FILE_BYTES - 2, 0], 2],
    [0, [MAXIMUM_FILE_BYTES - 2, 0, 0], 2],
    [0, [MAXIMUM_FILE_BYTES + 5, 0], 1],
    [MAXIMUM_FILE_BYTES - 10, [4, 4], 2],
    [MAXIMUM_FILE_BYTES - 10, [4, 5], 1],
    // These are the first of the next file.
    [MAXIMUM_FILE_BYTES - 10, [10, 4, 4], 3],
    [MAXIMUM_FILE_BYTES, [1, 1], 2],
  ];
  for (const [existingBytes, lengths, taken] of cases) {
    await withFolder(async (folder) => {
      const path = join(folder, "exporter.log");
      const existing = existingBytes === 0 ? "" : "x".repeat(existingBytes - 1) + "\n";
      await Deno.writeTextFile(path, existing);
      const texts = lengths.map((length, index) => String(index).repeat(length));
      const file = await openLogFile(path);
      assert.equal(await file.write(texts), taken, `${existingBytes} bytes, then ${lengths}`);
      await file.close();
      const written = texts.slice(0, taken).map((text) => `${text}\n`).join("");
      const content = await Deno.readTextFile(path);
      const rotated = await Deno.readTextFile(`${path}.1`).catch(() => "");
      assert.ok(rotated + content === existing + written, `${existingBytes} bytes, ${lengths}`);
      assert.ok(rotated === "" || content === written, "the file was rotated before");
    });
  }
});

/** Opens a file on a disk that, once told so, takes 5 bytes of what is written and then fails. */
async function openOnFullDisk(
  path: string,
  before: { readonly failing?: () => void; readonly cutting?: () => void } = {},
): Promise<{ readonly file: LogFile; fail(fails: boolean): void }> {
  let fails = false;
  const file = await openLogFile(path, {
    ...fileSystem,
    open: async (...parameters) => {
      const handle = await fileSystem.open(...parameters);
      const append = handle.appendFile.bind(handle);
      handle.appendFile = async (data): Promise<void> => {
        assert.ok(data instanceof Uint8Array);
        await append(fails ? data.subarray(0, 5) : data);
        if (!fails) return;
        before.failing?.();
        throw Object.assign(new Error("full"), { code: "ENOSPC" });
      };
      const truncate = handle.truncate.bind(handle);
      handle.truncate = async (size): Promise<void> => {
        if (size !== 0) before.cutting?.();
        await truncate(size);
      };
      return handle;
    },
  });
  return { file, fail: (value) => fails = value };
}

Deno.test("write() takes a part of a line back when the rest failed, and goes on at its place", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const { file, fail } = await openOnFullDisk(path);
    await file.write(["first"]);
    fail(true);
    await assert.rejects(file.write(["second", "third"]), { code: "ENOSPC" });
    assert.equal(await Deno.readTextFile(path), "first\n");
    fail(false);
    assert.equal(await file.write(["fourth"]), 1);
    await file.close();
    assert.equal(await Deno.readTextFile(path), "first\nfourth\n");
  });
});

Deno.test("write() never lengthens a file that others cut, whenever that was", async () => {
  const cases = ["before the line", "while it failed", "before a part was taken back"] as const;
  for (const when of cases) {
    await withFolder(async (folder) => {
      const path = join(folder, "exporter.log");
      const cut = (): void => Deno.truncateSync(path, 0);
      const { file, fail } = await openOnFullDisk(path, {
        ...(when === "while it failed" ? { failing: cut } : {}),
        ...(when === "before a part was taken back" ? { cutting: cut } : {}),
      });
      await file.write(["first ".repeat(20)]);
      if (when === "before the line") cut();
      fail(true);
      await assert.rejects(file.write(["second"]), { code: "ENOSPC" });
      assert.equal(await Deno.readTextFile(path), "", when);
      fail(false);
      await file.write(["third"]);
      await file.close();
      assert.equal(await Deno.readTextFile(path), "third\n", when);
    });
  }
});

Deno.test("write() rotates by the size that the file has, whoever cut it", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const file = await openLogFile(path);
    await file.write(["x".repeat(MAXIMUM_FILE_BYTES - 10)]);
    await Deno.truncate(path, 0);
    await file.write(["a line that is longer than ten bytes"]);
    await file.close();
    assert.equal(await Deno.readTextFile(path), "a line that is longer than ten bytes\n");
    await assert.rejects(Deno.stat(`${path}.1`), Deno.errors.NotFound);
  });
});

Deno.test("isReplaced() is true when the path leads elsewhere, or nowhere", async () => {
  await withFolder(async (folder) => {
    const [path, other] = [join(folder, "exporter.log"), join(folder, "other.log")];
    const file = await openLogFile(path);
    assert.equal(await file.isReplaced(), false);
    await Deno.rename(path, other);
    assert.equal(await file.isReplaced(), true);
    await Deno.writeTextFile(path, "");
    assert.equal(await file.isReplaced(), true);
    await Deno.rename(other, path);
    assert.equal(await file.isReplaced(), false);
    await file.close();
  });
});

Deno.test("a closed file takes nothing, and may be closed again", async () => {
  await withFolder(async (folder) => {
    for (const path of [join(folder, "exporter.log"), "/dev/null"]) {
      const file = await openLogFile(path);
      await file.close();
      await file.close();
      await assert.rejects(file.write(["late"]), /The log file is closed/);
    }
  });
});
