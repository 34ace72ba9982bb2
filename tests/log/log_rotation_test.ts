import assert from "node:assert/strict";
import { join } from "node:path";
import { MAXIMUM_FILE_BYTES, OLD_FILES } from "../../src/log/log_file.ts";
import { RETRY_MILLISECONDS } from "../../src/log/log_file_writer.ts";
import { withFolder } from "../../testing/with_folder.ts";
import { type LogFields, MAXIMUM_TEXT_LENGTH } from "../../src/log/line.ts";
import { messages, openTestLog, readLog, TIME } from "./log_fixture.ts";

Deno.test("a log rotates at its maximum size, keeps four old files, and loses and tears no line", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const { log, standardError } = openTestLog(path);
    const padding = longFields(100_000);
    const written = Math.ceil(MAXIMUM_FILE_BYTES * (OLD_FILES + 2.5) / 100_000);
    for (let number = 0; number < written; number += 1) {
      log.info(String(number), padding);
      // More than a few of these long lines at once would not find room to wait.
      await log.flush();
    }
    await log.close();

    assert.deepEqual(fileNames(folder), [
      "exporter.log",
      ...Array.from({ length: OLD_FILES }, (_, index) => `exporter.log.${index + 1}`),
    ]);
    const oldestFirst = fileNames(folder).toReversed();
    const [newest, ...old] = oldestFirst.toReversed().map((name) => fileSize(join(folder, name)));
    assert.ok(newest !== undefined && newest <= MAXIMUM_FILE_BYTES);
    for (const size of old) {
      assert.ok(size <= MAXIMUM_FILE_BYTES && size > MAXIMUM_FILE_BYTES - 110_000, String(size));
    }
    const numbers = oldestFirst.flatMap((name) => messages(readLog(join(folder, name)))).map(
      Number,
    );
    const kept = Array.from(
      { length: numbers.length },
      (_, index) => written - numbers.length + index,
    );
    assert.deepEqual(numbers, kept);
    assert.deepEqual(standardError, []);
  });
});

Deno.test("a log counts the size that a file had before it was opened", async () => {
  const line = `time=2026-11-24T03:04:05.678Z level=info message="a new line"\n`;
  const cases: readonly [existingBytes: number, rotates: boolean][] = [
    [MAXIMUM_FILE_BYTES - line.length, false],
    [MAXIMUM_FILE_BYTES - line.length + 1, true],
    [MAXIMUM_FILE_BYTES, true],
    [MAXIMUM_FILE_BYTES + 5, true],
  ];
  for (const [existingBytes, rotates] of cases) {
    await withFolder(async (folder) => {
      const path = join(folder, "exporter.log");
      const existing = "x".repeat(existingBytes - 1) + "\n";
      Deno.writeTextFileSync(path, existing);
      const { log } = openTestLog(path, { format: "logfmt" });
      log.info("a new line");
      await log.close();
      const contents = fileNames(folder).map((name) => Deno.readTextFileSync(join(folder, name)));
      assert.ok(
        rotates
          ? contents[0] === line && contents[1] === existing
          : contents[0] === existing + line,
        `${existingBytes} bytes`,
      );
      assert.equal(contents.length, rotates ? 2 : 1);
    });
  }
});

Deno.test("a log behind a symbolic link rotates beside the file and leaves the link alone", async () => {
  await withFolder(async (folder) => {
    const [link, path] = [join(folder, "link.log"), join(folder, "exporter.log")];
    Deno.writeTextFileSync(path, "x".repeat(MAXIMUM_FILE_BYTES - 1) + "\n");
    Deno.symlinkSync(path, link);
    const { log } = openTestLog(link);
    log.info("new");
    await log.close();
    assert.deepEqual(fileNames(folder), ["exporter.log", "exporter.log.1", "link.log"]);
    assert.equal(Deno.readLinkSync(link), path);
    assert.deepEqual(messages(readLog(link)), ["new"]);
  });
});

Deno.test("a log says once that rotation fails, loses no line, and rotates when it can again", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    // No file can be renamed to the name of a directory, and no directory to that of one that is not empty.
    const obstacles = Array.from({ length: OLD_FILES }, (_, index) => `${path}.${index + 1}`);
    for (const obstacle of obstacles) Deno.mkdirSync(join(obstacle, "full"), { recursive: true });
    const existing = "x".repeat(MAXIMUM_FILE_BYTES - 1_001) + "\n";
    Deno.writeTextFileSync(path, existing);
    const long = { text: "x".repeat(MAXIMUM_TEXT_LENGTH) };
    const clock = { now: TIME };
    const { log, standardError } = openTestLog(path, { now: () => clock.now });
    for (let number = 0; number < 4; number += 1) {
      log.info(String(number), long);
      await log.flush();
      clock.now = new Date(clock.now.getTime() + RETRY_MILLISECONDS);
    }
    assert.match(String(standardError[0]?.message), /^Cannot write the log file/);
    assert.deepEqual(messages(standardError).slice(1), ["0", "1", "2", "3"]);
    assert.equal(Deno.readTextFileSync(path), existing);

    for (const obstacle of obstacles) Deno.removeSync(obstacle, { recursive: true });
    log.info("4", long);
    await log.close();
    assert.equal(Deno.readTextFileSync(`${path}.1`), existing);
    assert.deepEqual(messages(readLog(path)).slice(1), ["4"]);
    assert.deepEqual(readLog(path)[0], standardError[5]);
    assert.equal(standardError.length, 6);
  });
});

Deno.test("openLog() writes to a device without rotating it or asking it to reach a disk", async () => {
  const { log, standardError } = openTestLog("/dev/null");
  log.info("one");
  await log.reopen();
  log.info("two");
  await log.close();
  assert.deepEqual(standardError, []);
});

function longFields(bytes: number): LogFields {
  const count = Math.floor(bytes / MAXIMUM_TEXT_LENGTH);
  const text = "x".repeat(MAXIMUM_TEXT_LENGTH - 20);
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`field${index}`, text]));
}

function fileNames(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

function fileSize(path: string): number {
  return Deno.statSync(path).size;
}
