import assert from "node:assert/strict";
import { parseRequestTarget } from "../../src/web/request_target.ts";

Deno.test("parseRequestTarget() takes path and query apart", async (t) => {
  const cases = [
    ["/metrics", { path: "/metrics", query: "" }],
    ["/metrics?", { path: "/metrics", query: "" }],
    ["/metrics?a=%20&b?c", { path: "/metrics", query: "a=%20&b?c" }],
    ["/?/metrics", { path: "/", query: "/metrics" }],
    ["/%6Detrics", { path: "/metrics", query: "" }],
    ["/%C3%A9chelle", { path: "/échelle", query: "" }],
    ["/a%2Fb%3Fc", { path: "/a/b?c", query: "" }],
    ["//metrics", { path: "//metrics", query: "" }],
    ["http://host:9100/metrics?a", { path: "/metrics", query: "a" }],
    ["HTTPS://[::1]/metrics", { path: "/metrics", query: "" }],
    ["http://host", { path: "/", query: "" }],
    ["http://host?a=/b", { path: "/", query: "a=/b" }],
    ["*", { path: "*", query: "" }],
    ["", { path: "/", query: "" }],
  ] as const;
  for (const [target, expected] of cases) {
    await t.step(target, () => assert.deepEqual(parseRequestTarget(target), expected));
  }
});

Deno.test("parseRequestTarget() returns undefined when the path's percent-encoding is malformed", async (t) => {
  for (const target of ["/%", "/%zz", "/%c3", "/%ff", "http://host/%e9?a"]) {
    await t.step(target, () => assert.equal(parseRequestTarget(target), undefined));
  }
});

Deno.test("parseRequestTarget() leaves malformed percent-encoding in the query alone", () => {
  assert.deepEqual(parseRequestTarget("/a?%zz"), { path: "/a", query: "%zz" });
});
