import assert from "node:assert/strict";
import { join } from "node:path";
import {
  formatLine,
  type Log,
  type LogFields,
  type LogOptions,
  MAXIMUM_TEXT_LENGTH,
  openLog,
} from "../src/log.ts";
import { MAXIMUM_FILE_BYTES, OLD_FILES } from "../src/log_file.ts";
import { RETRY_MILLISECONDS } from "../src/log_file_writer.ts";
import { withFolder } from "./support/with_folder.ts";

const TIME = new Date("2026-11-24T03:04:05.678Z");

Deno.test("formatLine() writes a line of each format for each kind of field", () => {
  const cases: readonly [fields: LogFields, logfmt: string, json: string][] = [
    [{}, "", ""],
    [{ domain: "instance-0000002a" }, " domain=instance-0000002a", `,"domain":"instance-0000002a"`],
    [
      { path: "/metrics", share: "5%" },
      " path=/metrics share=5%",
      `,"path":"/metrics","share":"5%"`,
    ],
    [{ name: "web one" }, ` name="web one"`, `,"name":"web one"`],
    [{ name: "" }, ` name=""`, `,"name":""`],
    [{ name: 'a"b\\c=d' }, ` name="a\\"b\\\\c=d"`, `,"name":"a\\"b\\\\c=d"`],
    [{ name: "größe 🚀" }, ` name="größe 🚀"`, `,"name":"größe 🚀"`],
    [{ count: 3, seconds: 0.25 }, " count=3 seconds=0.25", `,"count":3,"seconds":0.25`],
    [
      { count: NaN, limit: Infinity },
      " count=NaN limit=Infinity",
      `,"count":"NaN","limit":"Infinity"`,
    ],
    [{ hung: true, late: false }, " hung=true late=false", `,"hung":true,"late":false`],
    [{ left: undefined, right: 1 }, " right=1", `,"right":1`],
    [{ "two words": 1, 'a"=b': 2 }, " two_words=1 a__b=2", `,"two_words":1,"a__b":2`],
    [
      { level: "high", time: 1, message: "x" },
      " level_=high time_=1 message_=x",
      `,"level_":"high","time_":1,"message_":"x"`,
    ],
  ];
  for (const [fields, logfmt, json] of cases) {
    assert.equal(
      formatLine("logfmt", TIME, "info", "All is well", fields),
      `time=2026-11-24T03:04:05.678Z level=info message="All is well"${logfmt}`,
    );
    assert.equal(
      formatLine("json", TIME, "warn", "All is well", fields),
      `{"time":"2026-11-24T03:04:05.678Z","level":"warn","message":"All is well"${json}}`,
    );
  }
});

Deno.test("formatLine() escapes what could forge a line or upset a terminal", () => {
  const cases: readonly [name: string, escaped: string][] = [
    ["a\nlevel=error", "a\\nlevel=error"],
    ["a\r\n\tb", "a\\r\\n\\tb"],
    ["a\u0000b", "a\\u0000b"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["\u007f\u009b31m", "\\u007f\\u009b31m"],
    ["a\u2028b\u2029c\u0085d", "a\\u2028b\\u2029c\\u0085d"],
    ["\u202egnp.exe", "\\u202egnp.exe"],
    ["\u2066a\u2069\u200f", "\\u2066a\\u2069\\u200f"],
    ['" level=error message="forged', '\\" level=error message=\\"forged'],
  ];
  for (const [name, escaped] of cases) {
    assert.equal(
      formatLine("logfmt", TIME, "info", name, { name }),
      `time=2026-11-24T03:04:05.678Z level=info message="${escaped}" name="${escaped}"`,
    );
    const json = formatLine("json", TIME, "info", name, { name });
    assert.ok(json.endsWith(`"message":"${escaped}","name":"${escaped}"}`), json);
    assert.equal(JSON.parse(json).name, name);
  }
});

Deno.test("formatLine() makes lone surrogates well-formed and cuts long texts at whole characters", () => {
  const cases: readonly [text: string, written: string][] = [
    ["a\ud800b\udc00", "a\ufffdb\ufffd"],
    ["x".repeat(MAXIMUM_TEXT_LENGTH) + "y", "x".repeat(MAXIMUM_TEXT_LENGTH) + "…"],
    ["x".repeat(MAXIMUM_TEXT_LENGTH - 1) + "🚀", "x".repeat(MAXIMUM_TEXT_LENGTH - 1) + "…"],
    ["🚀".repeat(MAXIMUM_TEXT_LENGTH), "🚀".repeat(MAXIMUM_TEXT_LENGTH / 2) + "…"],
  ];
  for (const [text, written] of cases) {
    assert.equal(JSON.parse(formatLine("json", TIME, "info", "m", { text })).text, written);
    assert.ok(formatLine("logfmt", TIME, "info", "m", { text }).endsWith(` text="${written}"`));
  }
  const whole = "x".repeat(MAXIMUM_TEXT_LENGTH);
  assert.ok(formatLine("logfmt", TIME, "info", "m", { whole }).endsWith(` whole=${whole}`));
});

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

Deno.test("openLog() says once why a file cannot be written, and goes on with standard error", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(join(folder, "file"), "");
    Deno.symlinkSync("/dev/full", join(folder, "full"));
    Deno.symlinkSync("circle", join(folder, "circle"));
    const fifo = new Deno.Command("mkfifo", { args: [join(folder, "fifo")] }).outputSync();
    assert.ok(fifo.success);
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

Deno.test("writeToStandardError() throws when its reader has gone, and openLog() lives on", async () => {
  await withFolder(async (folder) => {
    const result = join(folder, "result");
    const { code } = await runWithLog({
      folder,
      shell: `{ "$0" "$@"; echo "exit $?" >> ${result}; } 2>&1 >> ${result} | true`,
      script: `
        const log = openLog({
          file: undefined, level: "info", format: "logfmt", standardError: writeToStandardError,
        });
        let code;
        while (code === undefined) {
          try {
            writeToStandardError("x");
          } catch (error) {
            code = error.code;
          }
        }
        log.error("nobody hears this");
        process.stdout.write(code + "\\n");
      `,
    });
    assert.equal(code, 0);
    assert.equal(Deno.readTextFileSync(result), "EPIPE\nexit 0\n");
  });
});

type Line = Readonly<Record<string, unknown>>;

function openTestLog(
  file: string | undefined,
  options: Partial<LogOptions> = {},
): { readonly log: Log; readonly standardError: Line[] } {
  const standardError: Line[] = [];
  const log = openLog({
    file,
    level: "debug",
    format: "json",
    now: () => TIME,
    standardError: (line) => {
      assert.ok(!line.includes("\n"));
      standardError.push(JSON.parse(line));
    },
    ...options,
  });
  return { log, standardError };
}

function logAtEachLevel(log: Log): void {
  log.debug("debug");
  log.info("info");
  log.warn("warn");
  log.error("error");
}

function readLog(path: string): Line[] {
  const text = Deno.readTextFileSync(path);
  assert.ok(text === "" || text.endsWith("\n"));
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

function messages(lines: readonly Line[]): unknown[] {
  return lines.map(({ message }) => message);
}

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

// A process of its own: what is tested here, the limit and the closed descriptor, holds for a whole process.
async function runWithLog(
  { folder, shell, script }: {
    readonly folder: string;
    readonly shell: string;
    readonly script: string;
  },
): Promise<{ readonly code: number; readonly stderr: string }> {
  const imports = `
    import process from "node:process";
    import { openLog, writeToStandardError } from "./src/log.ts";
  `;
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", shell, Deno.execPath(), "eval", imports + script],
    cwd: new URL("..", import.meta.url),
    // The limit of file sizes must not cut the caches of other processes.
    env: { DENO_DIR: join(folder, "cache") },
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}
