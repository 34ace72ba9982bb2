import assert from "node:assert/strict";
import { DEFAULT_WEB_LIMITS } from "../src/web/request_limits.ts";

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
