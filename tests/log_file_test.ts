import assert from "node:assert/strict";
import * as fileSystem from "node:fs/promises";
import { join } from "node:path";
import { MAXIMUM_FILE_BYTES, openLogFile } from "../src/log_file.ts";
import { withFolder } from "./support/with_folder.ts";

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

Deno.test("write() takes a part of a line back when the rest failed, and goes on at its place", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    let fails = false;
    const file = await openLogFile(path, {
      ...fileSystem,
      open: async (...parameters) => {
        const handle = await fileSystem.open(...parameters);
        const append = handle.appendFile.bind(handle);
        handle.appendFile = async (data): Promise<void> => {
          assert.ok(data instanceof Uint8Array);
          await append(fails ? data.subarray(0, 5) : data);
          if (fails) throw Object.assign(new Error("full"), { code: "ENOSPC" });
        };
        return handle;
      },
    });
    await file.write(["first"]);
    fails = true;
    await assert.rejects(file.write(["second", "third"]), { code: "ENOSPC" });
    assert.equal(await Deno.readTextFile(path), "first\n");
    fails = false;
    assert.equal(await file.write(["fourth"]), 1);
    await file.close();
    assert.equal(await Deno.readTextFile(path), "first\nfourth\n");
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
