import assert from "node:assert/strict";
import { outputOf, runCommand } from "../../testing/command.ts";
import {
  NativeLibraryError,
  openDatagramSender,
  openHypervisor,
  verifyPassword,
} from "../../src/shim/native.ts";

Deno.test("openHypervisor() refuses a URI that C cannot hold, in one line", async () => {
  const options = { uri: "test:///default\0", concurrency: 1, maximumAbandoned: 1 };
  await assert.rejects(openHypervisor(options), (error) => {
    assert.ok(error instanceof NativeLibraryError);
    assert.match(error.message, /^[^\n]+NUL byte[^\n]*$/);
    return true;
  });
});

Deno.test("a shim that is not built or not for this system, or a missing client library, is one line that says what to do", async () => {
  const run = async (prepare: string): Promise<string> => {
    const folder = Deno.makeTempDirSync();
    try {
      const root = new URL("../..", import.meta.url).pathname;
      const script = `set -e; mkdir ${folder}/native; cp -r ${root}src ${folder}; ` +
        `cp ${root}native/libvirt_nova_native.node ${root}native/calls.json ${folder}/native/; ${prepare}`;
      await outputOf("sh", ["-c", script, "sh", folder]);
      Deno.writeTextFileSync(
        `${folder}/main.ts`,
        `import { openHypervisor } from "./src/shim/native.ts";\n` +
          `try { await openHypervisor({ uri: "test:///default", concurrency: 1, maximumAbandoned: 1 }); ` +
          `console.log("opened"); } catch (error) { console.log(error.name + ": " + error.message); }\n` +
          `Deno.exit(0);\n`,
      );
      const parameters = ["run", "-A", "--quiet", "--no-check", `${folder}/main.ts`];
      const { output } = await runCommand(Deno.execPath(), parameters, {
        environment: { LD_LIBRARY_PATH: folder },
      });
      return output.trimEnd();
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
  assert.equal(await run("true"), "opened");
  assert.match(
    await run(`rm "$1/native/libvirt_nova_native.node"`),
    /^NativeLibraryError: Cannot load .*Cannot find module.*: it is not built, run "npm run build:native"$/,
  );
  // The magic number; the class of 32 bits; the machine; no word of a C library that there is.
  const damages = [
    ["printf 0000", 0, /invalid ELF header.*was built for another system or is damaged/],
    ["printf '\\1'", 4, /wrong ELF class.*was built for another system/],
    ["printf '\\267'", 18, /was built for another system/],
  ] as const;
  for (const [bytes, offset, line] of damages) {
    const patch =
      `${bytes} | dd of="$1/native/libvirt_nova_native.node" bs=1 seek=${offset} conv=notrunc`;
    assert.match(await run(patch), line);
  }
  const later = `sed -i 's/GLIBC_2[.]\\(..\\)/GLIBC_9.\\1/g' "$1/native/libvirt_nova_native.node"`;
  assert.match(
    await run(later),
    /GLIBC_9\.[\d.]+' not found.*has an older glibc, and the shim needs 9\..*npm run build/,
  );
  const old =
    `echo 'int virGetVersion(unsigned long *version) { *version = 1002002; return 0; }' |` +
    ` cc -shared -fPIC -x c - -o "$1/libvirt.so.0"`;
  assert.match(
    await run(old),
    /^NativeLibraryError: [^\n]*this system has libvirt 1\.2\.2, and 1\.2\.8 or later is needed$/,
  );
  assert.match(
    await run(`echo broken > "$1/libvirt.so.0"`),
    /^NativeLibraryError: Cannot load libvirt's client library .*"libvirt0".*"libvirt-libs"[^\n]*$/,
  );
});

Deno.test("openDatagramSender() gives a function that throws the system's reason, in one line", async () => {
  const send = await openDatagramSender();
  for (const address of ["/nonexistent/socket", "@nobody listens at this name", "", "/a\0b"]) {
    assert.throws(() => send(address, "READY=1"), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /^[^\n]+$/, address);
      return true;
    });
  }
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Written by Apache's htpasswd, by OpenBSD's way of writing the same, and with characters beyond ASCII. */
const HASHES: readonly (readonly [password: string, hash: string])[] = [
  ["secret", "$2y$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu"],
  ["secret", "$2b$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu"],
  ["secret", "$2a$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu"],
  ["fakepassword", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"],
  ["pässwörd \u{1f511}", "$2y$04$GNihd36rH5tICauhm9LRhOhDXY0CxRHPyJRTb3XOVtVKSJAaE0RHK"],
];

Deno.test("verifyPassword() tells the right password from others", async () => {
  for (const [password, hash] of HASHES) {
    assert.equal(await verifyPassword(bytes(password), hash), true, hash);
    for (const wrong of ["", `${password}x`, password.slice(1)]) {
      assert.equal(await verifyPassword(bytes(wrong), hash), false, `${wrong} ${hash}`);
    }
  }
});

Deno.test("verifyPassword() takes a malformed hash for that of no password", async () => {
  for (
    const hash of [
      "",
      "secret",
      "$2y$04$",
      "$2y$99$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu",
    ]
  ) {
    assert.equal(await verifyPassword(bytes("secret"), hash), false);
  }
});

Deno.test("verifyPassword() leaves the JavaScript thread free", async () => {
  let isOver = false;
  const comparison = verifyPassword(bytes("x"), HASHES[3]?.[1] ?? "").then(() => isOver = true);
  let turns = 0;
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    turns++;
  }
  await comparison;
  assert.ok(turns > 2, String(turns));
});
