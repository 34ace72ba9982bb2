import assert from "node:assert/strict";
import { NativeLibraryError, openDatagramSender, openHypervisor } from "../src/libvirt/native.ts";

Deno.test("openHypervisor() refuses a URI that C cannot hold, in one line", async () => {
  const options = { uri: "test:///default\0", concurrency: 1, maximumAbandoned: 1 };
  await assert.rejects(openHypervisor(options), (error) => {
    assert.ok(error instanceof NativeLibraryError);
    assert.match(error.message, /^[^\n]+NUL byte[^\n]*$/);
    return true;
  });
});

Deno.test("a shim that is not built, or a missing client library, is one line that says what to do", async () => {
  const run = async (prepare: string): Promise<string> => {
    const folder = Deno.makeTempDirSync();
    try {
      const root = new URL("..", import.meta.url).pathname;
      const script = `set -e; mkdir -p ${folder}/src/libvirt ${folder}/native; ` +
        `cp ${root}src/libvirt/*.ts ${root}src/libvirt/*.cts ${root}src/libvirt/addon.cjs ${folder}/src/libvirt/; ` +
        `cp ${root}native/libvirt_nova_native.node ${folder}/native/; ${prepare}`;
      await new Deno.Command("sh", { args: ["-c", script, "sh", folder] }).output();
      Deno.writeTextFileSync(
        `${folder}/main.ts`,
        `import { openHypervisor } from "./src/libvirt/native.ts";\n` +
          `try { await openHypervisor({ uri: "test:///default", concurrency: 1, maximumAbandoned: 1 }); ` +
          `console.log("opened"); } catch (error) { console.log(error.name + ": " + error.message); }\n` +
          `Deno.exit(0);\n`,
      );
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", "--no-check", `${folder}/main.ts`],
        env: { LD_LIBRARY_PATH: folder },
      }).output();
      return new TextDecoder().decode(stdout).trimEnd();
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
  assert.equal(await run("true"), "opened");
  assert.match(
    await run(`rm "$1/native/libvirt_nova_native.node"`),
    /^NativeLibraryError: The libvirt shim is not built .*: run "npm run build:native"$/,
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
