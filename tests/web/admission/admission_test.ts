import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import {
  type Admission,
  createAdmission,
  type Refusal,
} from "../../../src/web/admission/admission.ts";
import { OPEN_WEB_SETTINGS, type WebSettings } from "../../../src/web/settings/web_settings.ts";

const USERS = new Map([["alice", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"]]);

interface Fixture {
  readonly refusals: Refusal[];
  /** The status of the answer; 200 when the request may go on. */
  ask(settings: Partial<WebSettings>, authorization?: string): Promise<number>;
}

function createFixture(): Fixture {
  const refusals: Refusal[] = [];
  const admission: Admission = createAdmission({
    verifyPassword: (password) => Promise.resolve(new TextDecoder().decode(password) === "right"),
    onRefusal: (refusal) => refusals.push(refusal),
  });
  return {
    refusals,
    async ask(settings, authorization): Promise<number> {
      const request = {
        headers: authorization === undefined ? {} : { authorization },
        socket: { remoteAddress: "10.0.0.1" } as IncomingMessage["socket"],
      };
      const page = await admission.check(
        { ...OPEN_WEB_SETTINGS, ...settings },
        request,
        new AbortController().signal,
      );
      return page?.status ?? 200;
    },
  };
}

const basic = (text: string): string => `Basic ${btoa(text)}`;

Deno.test("createAdmission() lets everybody in when there are no users", async () => {
  const { ask, refusals } = createFixture();
  assert.equal(await ask({}), 200);
  assert.equal(await ask({}, "nonsense"), 200);
  assert.deepEqual(refusals, []);
});

Deno.test("createAdmission() lets in who gives a user and the password, and tells of the others", async () => {
  const { ask, refusals } = createFixture();
  for (
    const [authorization, status] of [
      [undefined, 401],
      ["nonsense", 401],
      [basic("alice:wrong"), 401],
      [basic("bob:right"), 401],
      [basic("alice:right"), 200],
    ] as const
  ) assert.equal(await ask({ users: USERS }, authorization), status);
  assert.deepEqual(refusals, ["login", "login"]);
});

Deno.test("createAdmission() counts a request for the rate limit before it looks at its login", async () => {
  const { ask, refusals } = createFixture();
  const settings = { users: USERS, rateLimit: { intervalMilliseconds: 3_600_000, burst: 2 } };
  assert.deepEqual(
    [await ask(settings), await ask(settings, basic("alice:right")), await ask(settings)],
    [401, 200, 429],
  );
  assert.deepEqual(refusals, ["rate"]);
});

Deno.test("createAdmission() begins to count anew only when the rate limit has changed", async () => {
  const { ask } = createFixture();
  const limit = (burst: number): Partial<WebSettings> => ({
    rateLimit: { intervalMilliseconds: 3_600_000, burst },
  });
  const statuses = [];
  for (const settings of [limit(1), limit(1), limit(2), {}, limit(2)]) {
    statuses.push(await ask(settings));
  }
  assert.deepEqual(statuses, [200, 429, 200, 200, 200]);
});

Deno.test("createAdmission() says nothing of a client that has gone before its login was looked at", async () => {
  const refusals: Refusal[] = [];
  const admission = createAdmission({
    verifyPassword: () => new Promise(() => {}),
    onRefusal: (refusal) => refusals.push(refusal),
  });
  const client = new AbortController();
  const answer = admission.check(
    { ...OPEN_WEB_SETTINGS, users: USERS },
    {
      headers: { authorization: basic("alice:right") },
      socket: { remoteAddress: "10.0.0.1" } as IncomingMessage["socket"],
    },
    client.signal,
  );
  client.abort();
  assert.equal((await answer)?.status, 429);
  assert.deepEqual(refusals, []);
});
