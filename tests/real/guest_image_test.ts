import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import {
  concreteKernelPackage,
  loadOrder,
  moduleDependencies,
} from "../../testing/libvirt/guest_image.ts";

Deno.test("concreteKernelPackage() takes the kernel from the meta package's dependencies", () => {
  const description = `Package: linux-image-cloud-amd64
Version: 6.1.192-2
Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)
`;
  equal(concreteKernelPackage(description), "linux-image-6.1.0-56-cloud-amd64");
  throws(() => concreteKernelPackage("Package: linux-image-cloud-amd64\n"), /names no kernel/);
});

Deno.test("moduleDependencies() reads the entry of a module, whatever bytes are around it", () => {
  const cases: readonly [string, readonly string[]][] = [
    ["\xff\0license=GPL\0depends=virtio_ring,virtio-pci\0name=x\0", ["virtio_ring", "virtio_pci"]],
    ["\0depends=\0", []],
    ["\0softdepends=a\0", []],
  ];
  for (const [text, expected] of cases) {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    deepEqual(moduleDependencies(bytes), expected);
  }
});

Deno.test("loadOrder() puts each module after what it needs, and leaves out what is built in", () => {
  const dependencies: Readonly<Record<string, readonly string[]>> = {
    net: ["failover", "virtio", "ipv6"],
    failover: [],
    pci: ["ring", "virtio"],
    virtio: ["ring"],
    ring: [],
  };
  deepEqual(
    loadOrder(["pci", "net", "block"], (name) => dependencies[name]),
    ["ring", "virtio", "pci", "failover", "net"],
  );
});
