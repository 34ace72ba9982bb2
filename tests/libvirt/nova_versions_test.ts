import assert from "node:assert/strict";
import { NOVA_1_0, NOVA_1_1 } from "./domain_xml_fixture.ts";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";

Deno.test("parseDomainXml() finds Nova's metadata by namespace, whatever the prefixes", async (t) => {
  const inMetadata = (inside: string, declarations = ""): string =>
    `<domain><metadata${declarations}>${inside}</metadata></domain>`;
  const cases: ReadonlyArray<readonly [string, string, string | undefined, string]> = [
    [
      "declared on the element",
      inMetadata(
        `<nova:instance xmlns:nova="${NOVA_1_1}"><nova:name>a</nova:name></nova:instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "declared on metadata",
      inMetadata("<n:instance><n:name>a</n:name></n:instance>", ` xmlns:n='${NOVA_1_0}'`),
      "1.0",
      "a",
    ],
    [
      "declared on the domain",
      `<domain xmlns:n='${NOVA_1_1}'><metadata><n:instance><n:name>a</n:name></n:instance>` +
      "</metadata></domain>",
      "1.1",
      "a",
    ],
    [
      "the default namespace",
      inMetadata(`<instance xmlns="${NOVA_1_1}"><name>a</name></instance>`),
      "1.1",
      "a",
    ],
    [
      "a namespace written with references",
      inMetadata(
        `<instance xmlns="${NOVA_1_1.replaceAll("/", "&#47;")}"><name>a</name></instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "several prefixes for one namespace",
      inMetadata(
        `<a:instance xmlns:a="${NOVA_1_1}" xmlns:instance="${NOVA_1_1}"><b:name ` +
          `xmlns:b="${NOVA_1_1}">a</b:name></a:instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "a prefix that means another namespace further in",
      inMetadata(
        `<n:instance xmlns:n="${NOVA_1_1}"><n:name xmlns:n="urn:a">b</n:name>` +
          "<n:name>a</n:name></n:instance>",
      ),
      "1.1",
      "a",
    ],
    [
      "a prefix that means another namespace further out",
      `<domain xmlns:n='urn:a'><metadata xmlns:n='urn:b'><n:instance xmlns:n="${NOVA_1_1}">` +
      "<n:name>a</n:name></n:instance></metadata></domain>",
      "1.1",
      "a",
    ],
    [
      "children without a namespace and of another version, which do not count",
      inMetadata(
        `<n:instance xmlns:n="${NOVA_1_1}" xmlns:o="${NOVA_1_0}"><name>b</name><o:name>c</o:name>` +
          "<n:name>a</n:name></n:instance>",
      ),
      "1.1",
      "a",
    ],
    [
      "a name further in, which does not count",
      inMetadata(`<instance xmlns="${NOVA_1_1}"><image><name>b</name></image></instance>`),
      "1.1",
      "",
    ],
    [
      "1.1 before 1.0",
      inMetadata(
        `<instance xmlns="${NOVA_1_1}"><name>a</name></instance>` +
          `<instance xmlns="${NOVA_1_0}"><name>b</name></instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "1.10 among older minors",
      inMetadata(
        ["1.2", "1.10", "1.9"].map((version) =>
          `<instance xmlns="${NOVA_1_0.replace("1.0", version)}"><name>${version}</name></instance>`
        ).join(""),
      ),
      "1.10",
      "1.10",
    ],
    [
      "2.0 before 1.10",
      inMetadata(
        ["1.10", "2.0"].map((version) =>
          `<instance xmlns="${NOVA_1_0.replace("1.0", version)}"><name>${version}</name></instance>`
        ).join(""),
      ),
      "2.0",
      "2.0",
    ],
    ...[
      "http://openstack.org/xmlns/libvirt/nova/0.9",
      "http://openstack.org/xmlns/libvirt/nova/1.01",
      "http://openstack.org/xmlns/libvirt/nova/1.1/",
      "http://openstack.org/xmlns/libvirt/nova/1",
      " http://openstack.org/xmlns/libvirt/nova/1.1",
      "https://openstack.org/xmlns/libvirt/nova/1.1",
      "HTTP://openstack.org/xmlns/libvirt/nova/1.1",
      "",
    ].map((uri) =>
      [
        `not the namespace "${uri}"`,
        inMetadata(`<instance xmlns="${uri}"><name>b</name></instance>`),
        undefined,
        "",
      ] as const
    ),
    [
      "not a prefix that nothing declares",
      inMetadata("<nova:instance><nova:name>b</nova:name></nova:instance>"),
      undefined,
      "",
    ],
    [
      "not another element of the namespace",
      inMetadata(`<guest xmlns="${NOVA_1_1}"><name>b</name></guest>`),
      undefined,
      "",
    ],
    [
      "not outside of metadata",
      `<domain><instance xmlns="${NOVA_1_1}"><name>b</name></instance></domain>`,
      undefined,
      "",
    ],
    [
      "not further inside of metadata",
      inMetadata(`<a><instance xmlns="${NOVA_1_1}"><name>b</name></instance></a>`),
      undefined,
      "",
    ],
  ];
  for (const [title, xml, version, name] of cases) {
    await t.step(title, () => {
      const { nova } = parseDomainXml(xml);
      assert.deepEqual([nova?.metadataVersion, nova?.name ?? ""], [version, name]);
    });
  }
});

Deno.test("parseDomainXml() reads metadata that is newer than any known, and says so", async (t) => {
  const instance = (version: string, inside: string): string =>
    `<nova:instance xmlns:nova="${NOVA_1_0.replace("1.0", version)}">${inside}</nova:instance>`;
  const name = "<nova:name>new</nova:name>";
  const likeKnown = (version: string): string =>
    `Nova's metadata has version ${version}, which is newer than those known: ` +
    "it is read like version 1.1";
  const twice = 'Domain XML has element "name" twice inside "instance", remove one of them';
  const another = (version: string): string =>
    `Domain XML has metadata of Nova of version ${version}, which has none of the known elements, ` +
    "look for a newer release of the exporter";
  const beside = (problem: string): string =>
    "Nova's metadata of version 9.9 cannot be read, and version 1.1 beside it, which may be out " +
    `of date, is used: ${problem}`;
  const unknown = (end: string): string =>
    `Domain XML has metadata of Nova in the namespace "${NOVA_1_0.replace("1.0", end)}", ` +
    "of which nothing is known, look for a newer release of the exporter";
  const known = instance("1.1", "<nova:name>known</nova:name>");
  const cases: ReadonlyArray<
    readonly [
      title: string,
      metadata: string,
      version: string | undefined,
      name: string | undefined,
      remark: string | undefined,
      problem: string | undefined,
    ]
  > = [
    ["version 1.0", instance("1.0", name), "1.0", "new", undefined, undefined],
    ["version 1.1", instance("1.1", name), "1.1", "new", undefined, undefined],
    ["a newer minor", instance("1.2", name), "1.2", "new", likeKnown("1.2"), undefined],
    ["a newer major", instance("9.9", name), "9.9", "new", likeKnown("9.9"), undefined],
    [
      "beside a known one",
      known + instance("9.9", name),
      "9.9",
      "new",
      likeKnown("9.9"),
      undefined,
    ],
    [
      "one that has an owner, but no name",
      instance("2.0", "<nova:owner/>"),
      "2.0",
      "",
      likeKnown("2.0"),
      undefined,
    ],
    [
      "one of another shape",
      instance("9.9", "<nova:server/>"),
      undefined,
      undefined,
      undefined,
      another("9.9"),
    ],
    [
      "one of another shape beside a known one",
      known + instance("9.9", "<nova:server/>"),
      "1.1",
      "known",
      beside(another("9.9")),
      undefined,
    ],
    [
      "one with a part twice",
      instance("9.9", name + name),
      undefined,
      undefined,
      undefined,
      twice,
    ],
    [
      "one with a part twice beside a known one",
      instance("9.9", name + name) + known,
      "1.1",
      "known",
      beside(twice),
      undefined,
    ],
    [
      "a version of another form",
      instance("2025", name),
      undefined,
      undefined,
      undefined,
      unknown("2025"),
    ],
    [
      "a version of another form beside a known one",
      instance("2025", name) + known,
      "1.1",
      "known",
      undefined,
      undefined,
    ],
  ];
  for (const [title, metadata, version, expectedName, remark, problem] of cases) {
    await t.step(title, () => {
      const { nova, novaRemark, novaProblem } = parseDomainXml(
        `<domain><metadata>${metadata}</metadata></domain>`,
      );
      assert.deepEqual(
        [nova?.metadataVersion, nova?.name, novaRemark, novaProblem],
        [version, expectedName, remark, problem],
      );
    });
  }
});
