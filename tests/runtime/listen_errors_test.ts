import assert from "node:assert/strict";
import { addressOf, systemListenCode } from "../../src/runtime/listen_errors.ts";
import { codeOf } from "../../src/text.ts";
import { goneQuirk, type RuntimeName, runUnder } from "../../testing/run_under.ts";

/** An address that no interface has (RFC 5737). */
const NOWHERE = "203.0.113.77";

Deno.test("addressOf() leaves addresses alone, and looks names up", async () => {
  assert.equal(await addressOf(NOWHERE), NOWHERE);
  assert.equal(await addressOf("::1"), "::1");
  assert.match(await addressOf("localhost"), /^(127\.0\.0\.1|::1)$/);
  await assert.rejects(addressOf("no-such-host.invalid"), (error) => {
    assert.match(codeOf(error), /^(ENOTFOUND|EAI_\w+)$/);
    return true;
  });
});

Deno.test("systemListenCode() gives the system's code", () => {
  assert.equal(systemListenCode("EADDRINUSE"), "EADDRINUSE");
  assert.equal(systemListenCode("EINVAL"), "EADDRNOTAVAIL");
});

/** Prints the code that a runtime has for a host that cannot be listened on. */
async function codeUnder(runtime: RuntimeName, host: string): Promise<string> {
  return await runUnder(
    runtime,
    `
    import { createServer } from "node:net";
    import process from "node:process";
    createServer().once("error", (error) => {
      console.log(String(error.code));
      process.exit(0);
    }).listen({ host: ${JSON.stringify(host)}, port: 0 });
  `,
  );
}

Deno.test("Deno has another code for an address that no interface has", async () => {
  assert.equal(
    await codeUnder("Deno", NOWHERE),
    "EINVAL",
    goneQuirk("Deno", "says EINVAL", "listen_errors.ts"),
  );
});

Deno.test("Bun has no code for a host name that is unknown", async () => {
  assert.equal(
    await codeUnder("Bun", "no-such-host.invalid"),
    "undefined",
    goneQuirk("Bun", "leaves out the code", "listen_errors.ts"),
  );
});
