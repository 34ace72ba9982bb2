import assert from "node:assert/strict";
import { join } from "node:path";
import { outputOf } from "../../testing/command.ts";
import { type Log, type LogOptions, openLog } from "../../src/log/log.ts";
import { RETRY_MILLISECONDS } from "../../src/log/log_file_writer.ts";
import { withFolder } from "../../testing/with_folder.ts";
import { messages, openTestLog, readLog, runWithLog, TIME } from "./log_fixture.ts";

Deno.test("openLog() without a file sends lines of its level and above to standard error", async () => {
  const levels: readonly [level: LogOptions["level"], written: readonly string[]][] = [
    ["debug", ["debug", "info", "warn", "error"]],
    ["info", ["info", "warn", "error"]],
    ["warn", ["warn", "error"]],
    ["error", ["error"]],
  ];
  for (const [level, written] of levels) {
    const { log, standardError } = openTestLog(undefined, { level });
    logAtEachLevel(log);
    await log.reopen();
    log.error("late");
    await log.close();
    assert.deepEqual(standardError.map(({ message }) => message), [...written, "late"]);
  }
});

Deno.test("openLog() has each line in the file when flush() resolves, and none on standard error", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const { log, standardError } = openTestLog(path, { format: "logfmt" });
    log.info("It starts", { domain: "a b" });
    await log.flush();
    assert.equal(
      Deno.readTextFileSync(path),
      'time=2026-11-24T03:04:05.678Z level=info message="It starts" domain="a b"\n',
    );
    log.error("Long ".repeat(100));
    await log.flush();
    assert.equal(Deno.readTextFileSync(path).split("\n").length, 3);
    await log.close();
    assert.deepEqual(standardError, []);
  });
});

Deno.test("close() leaves later lines to standard error, and may be called twice", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const { log, standardError } = openTestLog(path);
    log.info("in the file");
    await log.close();
    await log.close();
    await log.reopen();
    log.info("too late");
    assert.deepEqual(messages(readLog(path)), ["in the file"]);
    assert.deepEqual(messages(standardError), ["too late"]);
  });
});

Deno.test("openLog() appends to an existing file and ends a line that was cut off", async () => {
  const cases: readonly [existing: string, before: string][] = [
    ["", ""],
    ["old line\n", "old line\n"],
    ["old line\ncut o", "old line\ncut o\n"],
  ];
  for (const [existing, before] of cases) {
    await withFolder(async (folder) => {
      const path = join(folder, "exporter.log");
      Deno.writeTextFileSync(path, existing);
      const { log } = openTestLog(path, { format: "logfmt" });
      log.info("a new line");
      await log.close();
      assert.equal(
        Deno.readTextFileSync(path),
        `${before}time=2026-11-24T03:04:05.678Z level=info message="a new line"\n`,
      );
    });
  }
});

Deno.test("openLog() keeps several logs apart", async () => {
  await withFolder(async (folder) => {
    const [first, second] = [join(folder, "first.log"), join(folder, "second.log")];
    const one = openTestLog(first);
    const two = openTestLog(second, { format: "logfmt" });
    one.log.info("one");
    two.log.info("two");
    await one.log.close();
    two.log.info("three");
    await two.log.close();
    assert.deepEqual(messages(readLog(first)), ["one"]);
    assert.match(Deno.readTextFileSync(second), /^[^\n]*=two\n[^\n]*=three\n$/);
  });
});

Deno.test("openLog() says once why a file cannot be written, and goes on with standard error", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(join(folder, "file"), "");
    Deno.symlinkSync("/dev/full", join(folder, "full"));
    Deno.symlinkSync("circle", join(folder, "circle"));
    await outputOf("mkfifo", [join(folder, "fifo")]);
    const cases: readonly [path: string, reason: RegExp][] = [
      [join(folder, "missing", "exporter.log"), /directory does not exist/],
      [join(folder, "file", "exporter.log"), /not a directory/],
      [folder, /it is a directory/],
      [join(folder, "circle"), /circle/],
      [join(folder, "x".repeat(300)), /too long/],
      [join(folder, "fifo"), /nobody reads/],
      ["/proc/exporter.log", /./],
      ["/dev/full", /no space/],
      [join(folder, "full"), /no space/],
    ];
    for (const [path, reason] of cases) {
      const { log, standardError } = openTestLog(path);
      log.info("one");
      log.error("two");
      await log.reopen();
      log.debug("three");
      await log.close();
      const [failure, ...lines] = standardError;
      assert.equal(failure?.level, "error", path);
      assert.equal(failure.file, path);
      assert.match(String(failure.reason), reason);
      assert.match(String(failure.remedy), /./);
      assert.deepEqual(messages(lines), ["one", "two", "three"]);
    }
  });
});

Deno.test("a log tries a failed file again after a minute and says once that it works", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "later", "exporter.log");
    const clock = { now: TIME };
    const { log, standardError } = openTestLog(path, { now: () => clock.now });
    await log.flush();
    Deno.mkdirSync(join(folder, "later"));
    clock.now = new Date(TIME.getTime() + RETRY_MILLISECONDS - 1);
    log.info("too early");
    await log.flush();
    clock.now = new Date(TIME.getTime() + RETRY_MILLISECONDS);
    log.info("in the file");
    log.info("in the file too");
    await log.close();
    assert.equal(standardError.length, 3);
    assert.equal(standardError[1]?.message, "too early");
    assert.match(String(standardError[2]?.message), /can be written again/);
    assert.deepEqual(readLog(path)[0], standardError[2]);
    assert.deepEqual(messages(readLog(path)).slice(1), ["in the file", "in the file too"]);
  });
});

Deno.test("a log tries a failed file again when the clock was set back", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "later", "exporter.log");
    const clock = { now: TIME };
    const { log } = openTestLog(path, { now: () => clock.now });
    await log.flush();
    Deno.mkdirSync(join(folder, "later"));
    clock.now = new Date(TIME.getTime() - 86_400_000);
    log.info("in the file");
    await log.close();
    assert.deepEqual(messages(readLog(path)).slice(1), ["in the file"]);
  });
});

Deno.test("reopen() tries a failed file at once, and says so only when it works", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "later", "exporter.log");
    const { log, standardError } = openTestLog(path);
    await log.reopen();
    assert.equal(standardError.length, 1);
    Deno.mkdirSync(join(folder, "later"));
    await log.reopen();
    await log.reopen();
    log.info("in the file");
    await log.close();
    assert.equal(standardError.length, 2);
    assert.deepEqual(readLog(path)[0], standardError[1]);
    assert.deepEqual(messages(readLog(path)).slice(1), ["in the file"]);
  });
});

Deno.test("reopen() after the file was moved away writes to a new one", async () => {
  await withFolder(async (folder) => {
    const [path, moved] = [join(folder, "exporter.log"), join(folder, "moved.log")];
    const { log, standardError } = openTestLog(path);
    log.info("old");
    await log.flush();
    Deno.renameSync(path, moved);
    await log.reopen();
    assert.equal(Deno.readTextFileSync(path), "");
    log.info("new");
    await log.close();
    assert.deepEqual(messages(readLog(moved)), ["old"]);
    assert.deepEqual(messages(readLog(path)), ["new"]);
    assert.deepEqual(standardError, []);
  });
});

Deno.test("a log makes a file that was removed or replaced anew by itself", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const { log, standardError } = openTestLog(path);
    log.info("lost");
    await log.flush();
    Deno.removeSync(path);
    log.info("after removal");
    await log.flush();
    assert.deepEqual(messages(readLog(path)), ["after removal"]);
    Deno.writeTextFileSync(join(folder, "other"), "");
    Deno.renameSync(join(folder, "other"), path);
    log.info("after replacement");
    await log.close();
    assert.deepEqual(messages(readLog(path)), ["after replacement"]);
    assert.deepEqual(standardError, []);
  });
});

Deno.test("no method throws when standard error is gone", async () => {
  for (const file of [undefined, "/dev/full"]) {
    const log = openLog({
      file,
      level: "debug",
      format: "json",
      standardError: () => {
        throw new Error("EPIPE");
      },
    });
    logAtEachLevel(log);
    await log.reopen();
    await log.close();
    log.info("x");
  }
});

Deno.test("a log takes back the part of a line that a full disk took, and has the line on standard error", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const blockBytes = 512;
    const limit = blockBytes * 4_000;
    const existing = "x".repeat(limit - 11) + "\n";
    Deno.writeTextFileSync(path, existing);
    const { code, stderr } = await runWithLog({
      folder,
      // A limit of the file's size acts like the end of the disk: it takes 10 more bytes, then none.
      shell: `trap '' XFSZ; ulimit -f ${limit / blockBytes}; exec "$0" "$@"`,
      script: `
        const log = openLog({
          file: ${
        JSON.stringify(path)
      }, level: "info", format: "logfmt", standardError: writeToStandardError,
        });
        log.info("torn");
        await log.flush();
        log.info("whole");
        await log.close();
      `,
    });
    assert.equal(code, 0, stderr);
    assert.equal(Deno.readTextFileSync(path), existing);
    assert.match(
      stderr,
      /^time=\S+ level=error message="Cannot write the log file[^\n]*\n[^\n]*message=torn\n[^\n]*message=whole\n$/,
    );
  });
});

function logAtEachLevel(log: Log): void {
  log.debug("debug");
  log.info("info");
  log.warn("warn");
  log.error("error");
}
