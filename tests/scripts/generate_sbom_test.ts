import assert from "node:assert/strict";
import {
  billOfMaterials,
  type CargoMetadata,
  type Component,
  type NpmBill,
  type PackageLock,
} from "../../scripts/generate_sbom.ts";

const OPTIONS = { epochSeconds: 1_700_000_000, runtimePackage: "@oven/bun-linux-aarch64" };

function npmComponent(name: string): Component {
  return { "bom-ref": `${name}@1.0.0`, type: "library", name, version: "1.0.0" };
}

const NPM: NpmBill = {
  specVersion: "1.5",
  metadata: { component: npmComponent("folder") },
  components: ["commander", "@oven/bun-linux-x64-baseline"].map(npmComponent),
  dependencies: [
    { ref: "folder@1.0.0", dependsOn: ["commander@1.0.0", "@oven/bun-linux-x64-baseline@1.0.0"] },
    { ref: "commander@1.0.0", dependsOn: [] },
    { ref: "@oven/bun-linux-x64-baseline@1.0.0", dependsOn: [] },
  ],
};

const LOCK: PackageLock = {
  packages: {
    "node_modules/@oven/bun-linux-aarch64": {
      version: "1.4.5",
      integrity: "sha512-AQI=",
      license: "MIT",
    },
  },
};

const CARGO_LOCK = `
[[package]]
name = "napi"
version = "3.0.0"
source = "registry+somewhere"
checksum = "abc123"
`;

function crate(name: string, license: string): CargoMetadata["packages"][number] {
  return { id: `id ${name}`, name, version: "3.0.0", license, description: null };
}

const CARGO: CargoMetadata = {
  packages: [
    crate("shim", "Apache-2.0"),
    crate("napi", "MIT/Apache-2.0"),
    crate("napi-build", "MIT"),
  ],
  resolve: {
    root: "id shim",
    nodes: [
      {
        id: "id shim",
        deps: [
          { pkg: "id napi", dep_kinds: [{ kind: null }] },
          { pkg: "id napi-build", dep_kinds: [{ kind: "build" }] },
        ],
      },
      { id: "id napi", deps: [] },
      { id: "id napi-build", deps: [] },
    ],
  },
};

interface Bill {
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

function bill(): Bill {
  return JSON.parse(billOfMaterials(NPM, LOCK, CARGO, CARGO_LOCK, OPTIONS));
}

Deno.test("billOfMaterials() has the npm packages, the runtime and the crates, and none that only a build uses", () => {
  assert.deepEqual(bill().components.map((part) => part["bom-ref"]), [
    "@oven/bun-linux-aarch64@1.4.5",
    "commander@1.0.0",
    "pkg:cargo/napi@3.0.0",
    "pkg:cargo/shim@3.0.0",
  ]);
});

Deno.test("billOfMaterials() tells which part uses which", () => {
  assert.deepEqual(bill().dependencies, [
    { ref: "@oven/bun-linux-aarch64@1.4.5", dependsOn: [] },
    { ref: "commander@1.0.0", dependsOn: [] },
    {
      ref: "folder@1.0.0",
      dependsOn: ["@oven/bun-linux-aarch64@1.4.5", "commander@1.0.0", "pkg:cargo/shim@3.0.0"],
    },
    { ref: "pkg:cargo/napi@3.0.0", dependsOn: [] },
    { ref: "pkg:cargo/shim@3.0.0", dependsOn: ["pkg:cargo/napi@3.0.0"] },
  ]);
});

Deno.test("billOfMaterials() has licenses and checksums in the form of CycloneDX", () => {
  const napi = bill().components.find(({ name }) => name === "napi");
  assert.deepEqual(napi?.["licenses"], [{ expression: "MIT OR Apache-2.0" }]);
  assert.deepEqual(napi?.["hashes"], [{ alg: "SHA-256", content: "abc123" }]);
  const runtime = bill().components.find(({ name }) => name === OPTIONS.runtimePackage);
  assert.deepEqual(runtime?.["hashes"], [{ alg: "SHA-512", content: "0102" }]);
});

Deno.test("billOfMaterials() names the program, and no folder or time of its making", () => {
  const { metadata } = bill();
  assert.equal(metadata.component.name, "libvirt_nova_exporter");
  assert.equal(metadata.timestamp, "2023-11-14T22:13:20.000Z");
});

Deno.test("billOfMaterials() throws when the runtime is not in package-lock.json", () => {
  assert.throws(
    () => billOfMaterials(NPM, { packages: {} }, CARGO, CARGO_LOCK, OPTIONS),
    /"@oven\/bun-linux-aarch64" is not in package-lock\.json/,
  );
});
