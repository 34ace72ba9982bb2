import assert from "node:assert/strict";
import type { Overflow } from "../../src/web/connection_table.ts";
import { DEFAULT_WEB_LIMITS } from "../../src/web/request_limits.ts";
import { createOverflowLog, createRefusalLog } from "../../src/web/web_log.ts";

Deno.test("createOverflowLog() warns once of each kind and logs further ones as debug", () => {
  const logged: string[] = [];
  const note = (level: string) => (message: string): void =>
    void logged.push(`${level} ${message}`);
  const onOverflow = createOverflowLog(
    { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    DEFAULT_WEB_LIMITS,
  );
  const overflows: readonly Overflow[] = ["idle", "idle", "stalled", "new", "request", "request"];
  for (const overflow of overflows) onOverflow(overflow);
  assert.deepEqual(logged, [
    "warn Too many connections, closed the one idle for longest",
    "debug Too many connections, closed the one idle for longest",
    "warn Too many connections, closed the one whose client was slowest to read",
    "warn Too many connections, refused a new one",
    "warn Too many requests at once, refused one",
    "debug Too many requests at once, refused one",
  ]);
});

Deno.test("createRefusalLog() warns once of each kind and logs further ones as debug", () => {
  const logged: string[] = [];
  const note = (level: string) => (message: string): void =>
    void logged.push(`${level} ${message}`);
  const onRefusal = createRefusalLog({
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
  });
  for (const refusal of ["login", "login", "busy", "rate", "rate"] as const) onRefusal(refusal);
  assert.deepEqual(logged, [
    "warn Refused a login with a wrong user or password",
    "debug Refused a login with a wrong user or password",
    "warn Too many logins at once, put one off",
    "warn Too many requests for the rate limit of the web configuration, refused one",
    "debug Too many requests for the rate limit of the web configuration, refused one",
  ]);
});
