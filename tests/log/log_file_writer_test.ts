import assert from "node:assert/strict";
import * as fileSystem from "node:fs/promises";
import { join } from "node:path";
import { type LogFileSystem, MAXIMUM_FILE_BYTES, OLD_FILES } from "../../src/log/log_file.ts";
import {
  LogFileWriter,
  type LogFileWriterOptions,
  MAXIMUM_WAITING_BYTES,
  MAXIMUM_WAITING_LINES,
} from "../../src/log/log_file_writer.ts";
import { outputOf } from "../../testing/command.ts";
import { withFolder } from "../../testing/with_folder.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const STALL = /^error The log file does not take lines.*reason=.*remedy=/;
const END_OF_STALL = /^warn The log file takes lines again/;

Deno.test("lines keep their order over rotations of a disk that is slow, one operation at a time", async () => {
  await withSlowDisk({}, async ({ folder, disk, writer, told }) => {
    const count = Math.ceil(2.5 * MAXIMUM_FILE_BYTES / 10_000);
    for (let number = 0; number < count; number += 1) {
      writer.write(`${number} ${"x".repeat(9_000)}`);
      // So that some lines are written alone and others together.
      if (number % 7 === 0) await writer.flush();
    }
    await writer.close();
    const names = fileNames(folder);
    assert.deepEqual(names, ["exporter.log", "exporter.log.1", "exporter.log.2"]);
    for (const name of names) {
      assert.ok((await Deno.stat(join(folder, name))).size <= MAXIMUM_FILE_BYTES, name);
    }
    for (const name of names.slice(1)) {
      const { size } = await Deno.stat(join(folder, name));
      assert.ok(size > MAXIMUM_FILE_BYTES - 10_000, `${name} was rotated with ${size} bytes`);
    }
    const numbers = names.toReversed().flatMap((name) => linesOf(join(folder, name)))
      .map((line) => Number(line.split(" ")[0]));
    assert.deepEqual(numbers, Array.from({ length: count }, (_, index) => index));
    assert.deepEqual(told, []);
    assert.equal(disk.mostOutstanding(), 1);
    assert.equal(disk.openFiles(), 0);
  });
});

Deno.test("old files are kept four at most on a slow disk", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const { writer, told } = openWriter({ path, fileSystem: slowDisk().fileSystem });
    for (let number = 0; number < OLD_FILES + 3; number += 1) {
      writer.write(`${number} ${"x".repeat(MAXIMUM_FILE_BYTES - 10)}`);
      await writer.flush();
    }
    await writer.close();
    assert.deepEqual(
      fileNames(folder).map((name) => linesOf(join(folder, name))[0]?.split(" ")[0]),
      ["6", "5", "4", "3", "2"],
    );
    assert.deepEqual(told, []);
  });
});

Deno.test("a stall is reported once with the lines that wait, and they are in the file when it is over", async () => {
  await withSlowDisk({ stallMilliseconds: 500 }, async ({ path, disk, writer, told }) => {
    writer.write("before");
    await writer.flush();
    disk.freeze();
    writer.write("first");
    writer.write("second");
    await waitUntil("the stall is told", () => told.length > 2);
    writer.write("third");
    assert.match(told[0] ?? "", STALL);
    assert.match(told[0] ?? "", /longer than 0.5 s/);
    assert.deepEqual(told.slice(1), ["first", "second", "third"]);
    assert.deepEqual(linesOf(path), ["before"]);
    disk.thaw();
    await writer.flush();
    writer.write("fourth");
    await writer.close();
    assert.equal(told.length, 5);
    assert.match(told[4] ?? "", END_OF_STALL);
    assert.match(told[4] ?? "", / missingLines=0$/);
    const expected = ["before", "first", "second", "third", told[4], "fourth"];
    assert.deepEqual(linesOf(path), expected);
    assert.equal(disk.mostOutstanding(), 1);
  });
});

Deno.test("lines for which there is no room are on standard error, and counted in the file", async () => {
  const cases: readonly [line: string, room: number][] = [
    ["x", MAXIMUM_WAITING_LINES],
    ["x".repeat(9_999), MAXIMUM_WAITING_BYTES / 10_000],
    ["ö".repeat(4_999) + "x", MAXIMUM_WAITING_BYTES / 10_000],
    ["x".repeat(MAXIMUM_WAITING_BYTES), 1],
  ];
  for (const [line, room] of cases) {
    await withSlowDisk({}, async ({ path, disk, writer, told }) => {
      await writer.flush();
      disk.freeze();
      for (let number = 0; number < room; number += 1) writer.write(line);
      assert.deepEqual(told, [], "they all have room");
      for (const extra of ["one", "two", "three"]) writer.write(extra);
      assert.match(told[0] ?? "", STALL);
      assert.equal(told.length, 1 + room + 3);
      assert.deepEqual(told.slice(room), [line, "one", "two", "three"]);
      disk.thaw();
      await writer.flush();
      writer.write("later");
      await writer.close();
      const lines = linesOf(path);
      assert.deepEqual(lines.slice(0, room), Array.from({ length: room }, () => line));
      assert.match(lines[room] ?? "", END_OF_STALL);
      assert.match(lines[room] ?? "", / missingLines=3$/);
      assert.deepEqual(lines.slice(room + 1), ["later"]);
      assert.equal(told.at(-1), lines[room]);
    });
  }
});

Deno.test("a stall that ends in a failure has each line on standard error once", async () => {
  await withSlowDisk({ stallMilliseconds: 500 }, async ({ path, disk, writer, told }) => {
    await writer.flush();
    disk.freeze();
    writer.write("first");
    writer.write("second");
    await waitUntil("the stall is told", () => told.length > 0);
    disk.thaw(Object.assign(new Error("EIO"), { code: "EIO" }));
    await writer.flush();
    writer.write("third");
    await writer.close();
    assert.match(told[0] ?? "", STALL);
    assert.deepEqual(told.slice(1, 3), ["first", "second"]);
    assert.match(told[3] ?? "", /^error Cannot write the log file.*reason=Error: EIO/);
    assert.deepEqual(told.slice(4), ["third"]);
    assert.deepEqual(linesOf(path), []);
  });
});

Deno.test("a file whose opening hangs costs no line", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const disk = slowDisk();
    disk.freeze();
    const { writer, told } = openWriter({ path, fileSystem: disk.fileSystem });
    writer.write("first");
    writer.write("second");
    disk.thaw();
    await writer.close();
    assert.deepEqual(linesOf(path), ["first", "second"]);
    assert.deepEqual(told, []);
  });
});

Deno.test("reopen() while a write is outstanding divides the lines at its place among them", async () => {
  await withFolder(async (folder) => {
    const [path, moved] = [join(folder, "exporter.log"), join(folder, "moved.log")];
    const disk = slowDisk();
    const { writer, told } = openWriter({ path, fileSystem: disk.fileSystem });
    writer.write("first");
    await writer.flush();
    disk.freezeWrites();
    writer.write("second");
    await waitUntil("a write is outstanding", () => disk.isWaiting());
    await Deno.rename(path, moved);
    const reopened = writer.reopen();
    writer.write("third");
    disk.thaw();
    assert.equal(await reopened, true);
    await writer.close();
    assert.deepEqual(linesOf(moved), ["first", "second"]);
    assert.deepEqual(linesOf(path), ["third"]);
    assert.deepEqual(told, []);
    assert.equal(disk.openFiles(), 0);
  });
});

Deno.test("reopen() keeps its place among lines that wait for a pipe", async () => {
  await withFolder(async (folder) => {
    const [path, old, next] = ["log", "old", "next"].map((name) => join(folder, name));
    assert.ok(path !== undefined && old !== undefined && next !== undefined);
    await outputOf("mkfifo", [old, next]);
    // Open for both, as opening it for one waits for the other.
    using oldReader = Deno.openSync(old, { read: true, write: true });
    using nextReader = Deno.openSync(next, { read: true, write: true });
    Deno.symlinkSync(old, path);
    const disk = slowDisk();
    const { writer, told } = openWriter({ path, fileSystem: disk.fileSystem });
    await writer.flush();
    disk.freezeWrites();
    writer.write("first");
    await waitUntil("a write is outstanding", () => disk.isWaiting());
    Deno.removeSync(path);
    Deno.symlinkSync(next, path);
    writer.write("second");
    const reopened = writer.reopen();
    writer.write("third");
    disk.thaw();
    assert.equal(await reopened, true);
    await writer.close();
    assert.equal(readPipe(oldReader), "first\nsecond\n");
    assert.equal(readPipe(nextReader), "third\n");
    assert.deepEqual(told, []);
  });
});

Deno.test("close() gives a hanging write up, with its lines and those behind it on standard error", async () => {
  await withSlowDisk({ closeMilliseconds: 20 }, async ({ path, disk, writer, told }) => {
    await writer.flush();
    disk.freezeWrites();
    writer.write("first");
    await waitUntil("a write is outstanding", () => disk.isWaiting());
    writer.write("second");
    await writer.close();
    writer.write("too late");
    assert.match(told[0] ?? "", STALL);
    assert.deepEqual(told.slice(1), ["first", "second", "too late"]);
    assert.equal(await writer.reopen(), false);
    disk.thaw();
    // What the thread of the pool had in hand can only be let go on.
    await waitUntil("the file is closed", () => disk.openFiles() === 0);
    assert.deepEqual(linesOf(path), ["first"]);
    assert.equal(told.length, 4);
  });
});

Deno.test("close() waits for the lines of a disk that is merely slow", async () => {
  await withSlowDisk({}, async ({ path, disk, writer, told }) => {
    writer.write("first");
    writer.write("second");
    await Promise.all([writer.close(), writer.close()]);
    assert.deepEqual(linesOf(path), ["first", "second"]);
    assert.deepEqual(told, []);
    assert.equal(disk.openFiles(), 0);
  });
});

interface OpenWriter {
  readonly writer: LogFileWriter;
  readonly told: readonly string[];
}

function openWriter(
  options: Pick<LogFileWriterOptions, "path"> & Partial<LogFileWriterOptions>,
): OpenWriter {
  const told: string[] = [];
  const writer = new LogFileWriter({
    clock: () => new Date("2026-11-24T03:04:05.678Z"),
    render: (level, message, fields) =>
      [
        level,
        message,
        ...Object.entries(fields).filter(([, value]) => value !== undefined)
          .map(([key, value]) => `${key}=${value}`),
      ].join(" "),
    tell: (line) => told.push(line),
    // What is not tested must not happen on a busy machine.
    stallMilliseconds: 600_000,
    closeMilliseconds: 600_000,
    ...options,
  });
  return { writer, told };
}

interface SlowDisk {
  readonly fileSystem: LogFileSystem;
  /** Lets no operation get on until {@linkcode SlowDisk.thaw}. */
  freeze(): void;
  /** The same for writes alone. */
  freezeWrites(): void;
  /** Lets them get on, or fail. */
  thaw(error?: Error): void;
  /** Says whether an operation waits for the thaw. */
  isWaiting(): boolean;
  /** The largest number of operations at the same time. */
  mostOutstanding(): number;
  /** How many files were opened and not closed. */
  openFiles(): number;
}

/** The machine's file system, each of whose operations lets everything else in the process get on before it. */
/** What writes into a folder on a slow disk. */
interface SlowWriter extends OpenWriter {
  readonly folder: string;
  /** The log's own file. */
  readonly path: string;
  readonly disk: SlowDisk;
}

async function withSlowDisk(
  options: Partial<LogFileWriterOptions>,
  action: (slow: SlowWriter) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "exporter.log");
    const disk = slowDisk();
    await action({
      folder,
      path,
      disk,
      ...openWriter({ path, fileSystem: disk.fileSystem, ...options }),
    });
  });
}

function slowDisk(): SlowDisk {
  let [outstanding, most, waiting] = [0, 0, 0];
  let frozen: "all" | "appendFile" | undefined;
  let thawing = Promise.withResolvers<void>();

  async function slowly<Result>(name: string, action: () => Promise<Result>): Promise<Result> {
    outstanding += 1;
    most = Math.max(most, outstanding);
    try {
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (frozen === "all" || frozen === name) {
        waiting += 1;
        await thawing.promise.finally(() => waiting -= 1);
      }
      return await action();
    } finally {
      outstanding -= 1;
    }
  }

  return {
    ...slowFileSystem(slowly),
    freeze: () => frozen = "all",
    freezeWrites: () => frozen = "appendFile",
    thaw(error): void {
      frozen = undefined;
      if (error === undefined) thawing.resolve();
      else thawing.reject(error);
      thawing = Promise.withResolvers();
    },
    isWaiting: () => waiting > 0,
    mostOutstanding: () => most,
  };
}

/** Does an operation slowly, which the name tells from others. */
type Slowly = <Result>(name: string, action: () => Promise<Result>) => Promise<Result>;

/** The machine's file system with all operations done by `slowly`, those of open files as well. */
function slowFileSystem(slowly: Slowly): Pick<SlowDisk, "fileSystem" | "openFiles"> {
  let openFiles = 0;
  const methods = new Set(["appendFile", "close", "read", "stat", "truncate"]);
  const slowHandle = (handle: fileSystem.FileHandle): fileSystem.FileHandle => {
    openFiles += 1;
    return new Proxy(handle, {
      get(target, name): unknown {
        const value: unknown = Reflect.get(target, name);
        assert.ok(typeof name === "symbol" || name === "then" || methods.has(name), String(name));
        if (typeof value !== "function") return value;
        return (...parameters: unknown[]) =>
          slowly(String(name), async () => {
            const result: unknown = await value.apply(target, parameters);
            if (name === "close") openFiles -= 1;
            return result;
          });
      },
    });
  };

  const { open, realpath, rename, stat } = fileSystem;
  const slow =
    (name: string, action: (...parameters: never[]) => Promise<unknown>): unknown =>
    (...parameters: never[]) => slowly(name, () => action(...parameters));
  return {
    fileSystem: {
      open: (...parameters) => slowly("open", async () => slowHandle(await open(...parameters))),
      realpath: slow("realpath", realpath) as typeof realpath,
      rename: slow("rename", rename) as typeof rename,
      stat: slow("stat", stat) as typeof stat,
    },
    openFiles: () => openFiles,
  };
}

function linesOf(path: string): string[] {
  const text = Deno.readTextFileSync(path);
  assert.ok(text === "" || text.endsWith("\n"));
  return text.split("\n").slice(0, -1);
}

/** What is in a pipe, which is open for writing as well. */
function readPipe(pipe: Deno.FsFile): string {
  // Reading an empty pipe would wait.
  const end = "end";
  pipe.writeSync(new TextEncoder().encode(end));
  const buffer = new Uint8Array(10_000);
  const text = new TextDecoder().decode(buffer.subarray(0, pipe.readSync(buffer) ?? 0));
  assert.ok(text.endsWith(end));
  return text.slice(0, -end.length);
}

function fileNames(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}
