import assert from "node:assert/strict";
import { connectionLimits, DEFAULT_WEB_LIMITS } from "../../src/web/request_limits.ts";

const LONGEST_RECOMMENDED_SCRAPE_INTERVAL_MILLISECONDS = 120_000;

Deno.test("DEFAULT_WEB_LIMITS keeps connections open between two scrapes", () => {
  assert.ok(
    DEFAULT_WEB_LIMITS.idleMilliseconds > LONGEST_RECOMMENDED_SCRAPE_INTERVAL_MILLISECONDS,
  );
});

Deno.test("DEFAULT_WEB_LIMITS always leaves a connection that may give way to a new one", () => {
  const { maximumRequestsInFlight, maximumConnections } = DEFAULT_WEB_LIMITS;
  assert.ok(maximumRequestsInFlight < maximumConnections);
});

Deno.test("DEFAULT_WEB_LIMITS gives a whole request no less time than its headers", () => {
  const { headersMilliseconds, requestMilliseconds } = DEFAULT_WEB_LIMITS;
  assert.ok(headersMilliseconds <= requestMilliseconds);
});

Deno.test("DEFAULT_WEB_LIMITS lets a target be too long before the headers are too large", () => {
  const { maximumTargetLength, maximumHeaderBytes } = DEFAULT_WEB_LIMITS;
  assert.ok(maximumTargetLength < maximumHeaderBytes);
});

Deno.test("connectionLimits() leaves file descriptors free, and a connection that may give way", () => {
  const cases: readonly (readonly [number | undefined, connections: number, inFlight: number])[] = [
    [undefined, 512, 256],
    [Infinity, 512, 256],
    [1_024, 512, 256],
    [256, 224, 112],
    [64, 32, 16],
    [33, 2, 1],
    [10, 2, 1],
  ];
  for (const [fileDescriptors, maximumConnections, maximumRequestsInFlight] of cases) {
    assert.deepEqual(
      connectionLimits(fileDescriptors),
      { maximumConnections, maximumRequestsInFlight },
      `${fileDescriptors}`,
    );
  }
});
