import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { missingPackages } from "../../testing/packages.ts";

Deno.test("missingPackages() counts packages as missing that are unknown, removed or half-way", () => {
  const answer = "cpio installed\nprometheus config-files\nlibvirt-clients unpacked\n";
  deepEqual(
    missingPackages(["cpio", "prometheus", "libvirt-clients", "qemu-system-x86"], answer),
    ["prometheus", "libvirt-clients", "qemu-system-x86"],
  );
});
