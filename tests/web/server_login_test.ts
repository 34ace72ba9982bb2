import assert from "node:assert/strict";
import { RUNTIMES, type ServerProcess } from "../../testing/web_server.ts";
import { request, RIGHT, USERS, withScene } from "./secure_server.ts";
import { waitUntil } from "../../testing/wait_until.ts";

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} answers a client with the right password while others guess without end`, async () => {
    await withScene(runtime, USERS, async ({ server: { port } }) => {
      const outcomes = await underFlood(port, ["127.0.0.2", "127.0.0.3"], async () => {
        // Somebody else's first login, in the middle of the flood.
        assert.equal((await request(port, "/metrics", RIGHT)).status, 200);
        for (let count = 0; count < 50; count++) {
          // Once right, it is served from the address of the flood as well.
          const localAddress = count % 2 === 0 ? "127.0.0.1" : "127.0.0.2";
          assert.equal((await request(port, "/metrics", RIGHT, localAddress)).status, 200);
        }
      });
      assert.deepEqual([...outcomes.keys()].sort(), [401, 429]);
      const { held, log } = await stateOf(port);
      assert.equal(held, 0, "no page was made for a guess");
      // Once a minute each, whatever the flood.
      assert.ok(log.length <= 4, log.join("\n"));
      assert.ok(!log.join("\n").includes("guess"));
    });
  });
}

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} lets the right password in from the address of a flood, after a few tries`, async () => {
    await withScene(runtime, USERS, async ({ server: { port } }) => {
      await underFlood(port, ["127.0.0.1"], async () => {
        await waitUntil(
          "the right password is taken",
          async () => (await request(port, "/metrics", RIGHT)).status === 200,
        );
      });
    });
  });
}

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} sends the headers of the configuration and asks for a login`, async () => {
    const config = `${USERS}http_server_config:\n  headers:\n    X-Frame-Options: deny\n`;
    await withScene(runtime, config, async ({ server: { port } }) => {
      for (
        const [authorization, status] of [
          [undefined, 401],
          ["Basic !", 401],
          ["Bearer abc", 401],
          [`Basic ${btoa("bob:fakepassword")}`, 401],
          [`Basic ${btoa("alice:fakepassword ")}`, 401],
          [RIGHT, 200],
        ] as const
      ) {
        const answer = await request(port, "/metrics", authorization);
        assert.equal(answer.status, status);
        assert.equal(answer.headers["x-frame-options"], "deny");
        const challenge = answer.headers["www-authenticate"];
        assert.equal(
          challenge,
          status === 401 ? 'Basic realm="libvirt_nova_exporter", charset="UTF-8"' : undefined,
        );
      }
    });
  });
}

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} answers no more than rate_limit allows`, async () => {
    await withScene(
      runtime,
      "rate_limit:\n  interval: 1h\n  burst: 3\n",
      async ({ server: { port } }) => {
        const statuses: number[] = [];
        for (let count = 0; count < 5; count++) {
          statuses.push((await request(port, "/metrics", undefined)).status);
        }
        assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
        assert.equal((await request(port, "/metrics", undefined)).headers["retry-after"], "1");
      },
    );
  });
}

/** Does something while many guess passwords; returns how often they got which status. */
async function underFlood(
  port: number,
  addresses: readonly string[],
  use: () => Promise<void>,
): Promise<ReadonlyMap<number, number>> {
  const outcomes = new Map<number, number>();
  let isOver = false;
  let guesses = 0;
  const guess = async (localAddress: string): Promise<void> => {
    while (!isOver) {
      const authorization = `Basic ${btoa(`alice:guess ${guesses++}`)}`;
      const { status } = await request(port, "/hold", authorization, localAddress);
      outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
    }
  };
  const flood = addresses.flatMap((address) => Array.from({ length: 24 }, () => guess(address)));
  try {
    await waitUntil(
      "guesses are turned away",
      () => (outcomes.get(429) ?? 0) > 100,
    );
    await use();
  } finally {
    isOver = true;
    await Promise.allSettled(flood);
  }
  return outcomes;
}

async function stateOf(port: number): ReturnType<ServerProcess["state"]> {
  const response = await fetch(`http://127.0.0.1:${port}/state`, {
    headers: { authorization: RIGHT },
  });
  return await response.json();
}
