import assert from "node:assert/strict";
import { openSync, writeFileSync } from "node:fs";
import { loadEmbedded, type LoaderEnvironment } from "../../src/shim/embedded_addon.ts";
import { UnpackingError } from "../../src/shim/explain_addon.ts";

const CONTENT = new TextEncoder().encode("the shim");
const OWN_USER = Deno.uid() ?? 0;

interface World {
  readonly environment: LoaderEnvironment;
  /** What was loaded: the contents. */
  readonly loaded: string[];
  /** How many files there were in memory. */
  memoryFiles: number;
}

/** A temporary directory for a test, and a loader that reads what it is given. */
function withWorld(use: (world: World) => void, changes: Partial<LoaderEnvironment> = {}): void {
  const temporaryDirectory = Deno.makeTempDirSync({ prefix: "embedded_addon_test_" });
  const loaded: string[] = [];
  const world: World = {
    loaded,
    memoryFiles: 0,
    environment: {
      temporaryDirectory,
      userId: OWN_USER,
      load(path): unknown {
        loaded.push(Deno.readTextFileSync(path));
        return "an addon";
      },
      openMemoryFile(content): number {
        world.memoryFiles++;
        const path = `${temporaryDirectory}/memory`;
        writeFileSync(path, content);
        return openSync(path, "r");
      },
      ...changes,
    },
  };
  try {
    use(world);
  } finally {
    Deno.removeSync(temporaryDirectory, { recursive: true });
  }
}

Deno.test("loadEmbedded() loads the shim from the temporary directory", () => {
  withWorld((world) => {
    assert.equal(loadEmbedded(CONTENT, world.environment), "an addon");
    assert.deepEqual([world.loaded, world.memoryFiles], [["the shim"], 0]);
  });
});

Deno.test("loadEmbedded() loads it from memory where the directory cannot be used", () => {
  withWorld((world) => {
    assert.equal(loadEmbedded(CONTENT, world.environment), "an addon");
    assert.deepEqual([world.loaded, world.memoryFiles], [["the shim"], 1]);
  }, { temporaryDirectory: "/nonexistent" });
});

Deno.test("loadEmbedded() loads it from memory where nothing of the directory may be run", () => {
  let tries = 0;
  const load = (path: string): unknown => {
    tries++;
    if (tries === 1) throw new Error(`${path}: failed to map segment from shared object`);
    return Deno.readTextFileSync(path);
  };
  withWorld((world) => {
    assert.equal(loadEmbedded(CONTENT, world.environment), "the shim");
    assert.equal(world.memoryFiles, 1);
  }, { load });
});

Deno.test("loadEmbedded() throws what was wrong with the directory where there is no file in memory", () => {
  const openMemoryFile = (): number => {
    throw new Error("The kernel makes no file in memory");
  };
  withWorld((world) => {
    assert.throws(() => loadEmbedded(CONTENT, world.environment), (error) => {
      assert.ok(error instanceof UnpackingError);
      assert.equal(error.temporaryDirectory, "/nonexistent");
      assert.match(error.message, /^ENOENT/);
      return true;
    });
  }, { temporaryDirectory: "/nonexistent", openMemoryFile });
});

Deno.test("loadEmbedded() tries no other place for a shim that is not for this system", () => {
  const load = (): unknown => {
    throw new Error("/lib/libc.so.6: version `GLIBC_2.34' not found (required by the shim)");
  };
  withWorld((world) => {
    assert.throws(() => loadEmbedded(CONTENT, world.environment), /GLIBC_2\.34/);
    assert.equal(world.memoryFiles, 0);
  }, { load });
});

Deno.test("loadEmbedded() leaves no descriptor open, whatever becomes of it", () => {
  const descriptors = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  withWorld((world) => {
    const before = descriptors();
    loadEmbedded(CONTENT, world.environment);
    const failing = (): unknown => {
      throw new Error("failed to map segment from shared object");
    };
    assert.throws(() => loadEmbedded(CONTENT, { ...world.environment, load: failing }));
    assert.equal(descriptors(), before);
  });
});
