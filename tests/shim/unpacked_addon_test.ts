import assert from "node:assert/strict";
import { closeSync, lchownSync } from "node:fs";
import {
  descriptorPath,
  ForeignPathError,
  openUnpacked,
  unpackingDirectory,
} from "../../src/shim/unpacked_addon.ts";
import { outputOf } from "../../testing/command.ts";

const CONTENT = new TextEncoder().encode("the shim");
const OWN_USER = Deno.uid() ?? 0;
const OTHER_USER = 65_534;

/** Gives a temporary directory to `use`, and the directory in it that this user's exporters have. */
function withDirectory(use: (directory: string, temporary: string) => void): void {
  const temporary = Deno.makeTempDirSync({ prefix: "unpacked_addon_test_" });
  try {
    use(unpackingDirectory(temporary, OWN_USER), temporary);
  } finally {
    Deno.removeSync(temporary, { recursive: true });
  }
}

/** Unpacks and reads what the descriptor leads to. */
function unpack(directory: string): Uint8Array {
  const descriptor = openUnpacked(CONTENT, directory, OWN_USER);
  try {
    return Deno.readFileSync(descriptorPath(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function namesIn(directory: string): readonly string[] {
  return Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();
}

function modeOf(path: string): number {
  return (Deno.lstatSync(path).mode ?? 0) & 0o777;
}

Deno.test("openUnpacked() makes a directory and a file that only this user may enter and read", () => {
  withDirectory((directory, temporary) => {
    assert.deepEqual(unpack(directory), CONTENT);
    assert.deepEqual(namesIn(temporary), [`libvirt_nova_exporter-${OWN_USER}`]);
    assert.deepEqual(namesIn(directory), ["shim.node"]);
    assert.deepEqual([modeOf(directory), modeOf(`${directory}/shim.node`)], [0o700, 0o600]);
  });
});

Deno.test("openUnpacked() leaves a file alone that is the same", () => {
  withDirectory((directory) => {
    unpack(directory);
    const { ino } = Deno.statSync(`${directory}/shim.node`);
    assert.deepEqual(unpack(directory), CONTENT);
    assert.equal(Deno.statSync(`${directory}/shim.node`).ino, ino);
  });
});

Deno.test("openUnpacked() replaces what is not the same, and leaves one file", async () => {
  const folder = await Deno.makeTempDir();
  const pipe = `${folder}/pipe`;
  await outputOf("mkfifo", [pipe]);
  const file = (directory: string): string => `${directory}/shim.node`;
  const cases: Readonly<Record<string, (directory: string) => void>> = {
    "one with zeros of the same size": (directory) =>
      Deno.writeFileSync(file(directory), new Uint8Array(CONTENT.length)),
    "one that was cut": (directory) => Deno.truncateSync(file(directory), 3),
    "an empty one": (directory) => Deno.truncateSync(file(directory)),
    "that of another version": (directory) => {
      Deno.writeTextFileSync(file(directory), "the shim of another version");
    },
    "one that others may write to": (directory) => Deno.chmodSync(file(directory), 0o666),
    "a link": (directory) => {
      Deno.renameSync(file(directory), `${directory}/shim.node.elsewhere`);
      Deno.symlinkSync("shim.node.elsewhere", file(directory));
      Deno.utimeSync(`${directory}/shim.node.elsewhere`, 0, 0);
    },
    "a directory": (directory) => {
      Deno.removeSync(file(directory));
      Deno.mkdirSync(`${file(directory)}/with/others`, { recursive: true });
    },
    "a pipe": (directory) => Deno.renameSync(pipe, file(directory)),
    "what was left unfinished": (directory) => {
      Deno.writeTextFileSync(`${directory}/shim.node.unfinished`, "the sh");
      Deno.mkdirSync(`${directory}/shim.node.directory/with/others`, { recursive: true });
      for (const name of namesIn(directory)) Deno.utimeSync(`${directory}/${name}`, 0, 0);
    },
  };
  for (const [name, damage] of Object.entries(cases)) {
    withDirectory((directory) => {
      unpack(directory);
      damage(directory);
      assert.deepEqual(unpack(directory), CONTENT, name);
      assert.deepEqual(namesIn(directory), ["shim.node"], name);
      assert.equal(modeOf(file(directory)), 0o600, name);
    });
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openUnpacked() leaves what another exporter is writing just now", () => {
  withDirectory((directory) => {
    Deno.mkdirSync(directory, { mode: 0o700 });
    Deno.writeTextFileSync(`${directory}/shim.node.unfinished`, "the sh");
    assert.deepEqual(unpack(directory), CONTENT);
    assert.deepEqual(namesIn(directory), ["shim.node", "shim.node.unfinished"]);
  });
});

Deno.test("openUnpacked() takes the rights of others away from a directory of this user", () => {
  withDirectory((directory) => {
    unpack(directory);
    Deno.chmodSync(directory, 0o777);
    assert.deepEqual(unpack(directory), CONTENT);
    assert.equal(modeOf(directory), 0o700);
  });
});

Deno.test("openUnpacked() touches nothing through a link, and no file in place of the directory", () => {
  withDirectory((directory, temporary) => {
    const elsewhere = `${temporary}/elsewhere`;
    Deno.mkdirSync(elsewhere, { mode: 0o755 });
    Deno.symlinkSync(elsewhere, directory);
    assert.throws(() => openUnpacked(CONTENT, directory, OWN_USER), ForeignPathError);
    assert.deepEqual([namesIn(elsewhere), modeOf(elsewhere)], [[], 0o755]);
  });
  withDirectory((directory) => {
    Deno.writeTextFileSync(directory, "an obstacle");
    assert.throws(() => openUnpacked(CONTENT, directory, OWN_USER), ForeignPathError);
    assert.equal(Deno.readTextFileSync(directory), "an obstacle");
  });
});

Deno.test("openUnpacked() throws with the system's code where there is nothing to unpack to", () => {
  const directory = unpackingDirectory("/nonexistent", OWN_USER);
  assert.throws(() => openUnpacked(CONTENT, directory, OWN_USER), { code: "ENOENT" });
});

if (OWN_USER === 0) {
  Deno.test("openUnpacked() uses no directory and no file of another user", () => {
    withDirectory((directory) => {
      Deno.mkdirSync(directory, { mode: 0o777 });
      lchownSync(directory, OTHER_USER, OTHER_USER);
      assert.throws(() => openUnpacked(CONTENT, directory, OWN_USER), ForeignPathError);
      assert.deepEqual(namesIn(directory), []);
    });
    withDirectory((directory) => {
      unpack(directory);
      lchownSync(`${directory}/shim.node`, OTHER_USER, OTHER_USER);
      assert.deepEqual(unpack(directory), CONTENT);
      assert.equal(Deno.statSync(`${directory}/shim.node`).uid, OWN_USER);
    });
  });
}
