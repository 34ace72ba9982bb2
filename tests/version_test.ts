import assert from "node:assert/strict";
import packageDescription from "../package.json" with { type: "json" };
import { buildInfo, VERSION, versionText } from "../src/version.ts";

Deno.test("VERSION is the one of package.json", () => {
  assert.equal(VERSION, packageDescription.version);
});

Deno.test("versionText() names the runtime by the component that only it has", () => {
  const cases: readonly [versions: Record<string, string>, text: string][] = [
    [{ node: "24.3.0", bun: "1.4.5" }, "bun 1.4.5"],
    [{ node: "24.3.0", v8: "15.0", deno: "2.9.6" }, "deno 2.9.6"],
    [{ node: "24.3.0", v8: "13.6" }, "node 24.3.0"],
    [{}, "unknown runtime"],
  ];
  for (const [versions, runtime] of cases) {
    assert.equal(
      versionText(buildInfo(versions, "arm64")),
      `libvirt_nova_exporter ${VERSION} (${runtime}, arm64)`,
    );
  }
});

Deno.test("versionText() says what this process runs on", () => {
  assert.match(
    versionText(),
    new RegExp(`^libvirt_nova_exporter ${VERSION} \\(deno ${Deno.version.deno}, \\w+\\)$`),
  );
});
