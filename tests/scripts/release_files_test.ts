import assert from "node:assert/strict";
import { differences, releaseName } from "../../scripts/release_files.ts";

Deno.test("releaseName() tells files of several systems apart, and leaves packages their names", () => {
  const cases = [
    ["libvirt-nova-exporter_1.2.3-1_amd64.deb", "libvirt-nova-exporter_1.2.3-1_amd64.deb"],
    ["libvirt-nova-exporter-1.2.3-1.x86_64.rpm", "libvirt-nova-exporter-1.2.3-1.x86_64.rpm"],
    ["libvirt_nova_exporter", "libvirt_nova_exporter-1.2.3-linux-arm64"],
    ["libvirt_nova_exporter.cdx.json", "libvirt_nova_exporter-1.2.3-linux-arm64.cdx.json"],
  ] as const;
  for (const [name, expected] of cases) {
    assert.equal(releaseName(name, "1.2.3", "linux-arm64"), expected);
  }
});

Deno.test("differences() names files with other sums, and those that only one list has", () => {
  assert.deepEqual(differences("aa  one\nbb  two\n", "aa  one\nbb  two\n"), []);
  assert.deepEqual(differences("aa  one\nbb  two\n", "aa  one\ncc  two\n"), ["two"]);
  assert.deepEqual(differences("aa  one\nbb  two\n", "aa  one\ndd  three\n"), ["three", "two"]);
});
