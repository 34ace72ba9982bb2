import assert from "node:assert/strict";
import { join } from "node:path";
import { withFolder } from "../../testing/with_folder.ts";
import { runWithLog } from "./log_fixture.ts";

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

/** As mod.ts ends a process: what hangs in the runtime's pool would keep it. */
const END = `
  await standardError.flush();
  process.stdout.write("ended\\n", () => process.exit(0));
`;

const MANY_LINES = `
  const standardError = openStandardError();
  for (let line = 0; line < 1_500; line++) {
    standardError.write("line " + line);
    if (line % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
`;

const EXPECTED_LINES = Array.from({ length: 1_500 }, (_, line) => `line ${line}\n`).join("");

for (const runtime of ["Deno", "Bun"] as const) {
  Deno.test(`openStandardError() has written all lines in their order at the end, to a file, a pipe and a socket, under ${runtime}`, async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "lines");
      const script = MANY_LINES + END;
      for (const shell of [`exec "$0" "$@" 2> ${path}`, `"$0" "$@" 2>&1 >&3 | cat > ${path}`]) {
        const piped = `exec 3> /dev/null; ${shell}`;
        assert.equal((await runWithLog({ folder, runtime, script, shell: piped })).code, 0);
        assert.equal(Deno.readTextFileSync(path), EXPECTED_LINES, shell);
      }
      await withSocket(async (shell, connection) => {
        const running = runWithLog({ folder, runtime, script, shell });
        assert.equal(await new Response((await connection()).readable).text(), EXPECTED_LINES);
        assert.equal((await running).code, 0);
      });
    });
  });
}

// Deno writes on the JavaScript thread.
Deno.test("openStandardError() holds up neither the process nor its end when a socket takes nothing, under Bun", async () => {
  await withFolder(async (folder) => {
    await withSocket(async (shell, connection) => {
      const result = join(folder, "result");
      const running = runWithLog({
        folder,
        runtime: "Bun",
        shell: `${shell} > ${result}`,
        script: `
          const standardError = openStandardError();
          // More than the buffers of both ends take.
          standardError.write("x".repeat(50_000_000));
          standardError.write("x");
          ${END}
        `,
      });
      using _unread = await connection();
      assert.equal((await running).code, 0);
      assert.equal(Deno.readTextFileSync(result), "ended\n");
    });
  });
});

Deno.test("openStandardError() gives lines up when as many wait as two stalled log files have", async () => {
  await withFolder(async (folder) => {
    const cases: readonly (readonly [characters: number, kept: number])[] = [
      [9, 2_000],
      [9_999, 200],
      // However long one is, it is written when it waits for no other.
      [4_000_000, 1],
    ];
    for (const [characters, kept] of cases) {
      const path = join(folder, "lines");
      const { code } = await runWithLog({
        folder,
        shell: `exec "$0" "$@" 2> ${path}`,
        script: `
          const standardError = openStandardError();
          for (let line = 0; line < 2_010; line++) standardError.write("x".repeat(${characters}));
          ${END}
        `,
      });
      assert.equal(code, 0);
      assert.equal(Deno.statSync(path).size, kept * (characters + 1));
    }
  });
});

/** Gives the shell of a process whose standard error is a socket, and its other end. */
async function withSocket(
  use: (shell: string, connection: () => Promise<Deno.Conn>) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const connect = `exec "$0" "$@" 2<> /dev/tcp/127.0.0.1/${port}`;
  await use(`exec bash -c '${connect}' "$0" "$@"`, () => listener.accept());
}
