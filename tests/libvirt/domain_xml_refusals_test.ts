import assert from "node:assert/strict";
import { NOVA_1_0, NOVA_1_1 } from "./domain_xml_fixture.ts";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import { MAXIMUM_XML_LENGTH } from "../../src/libvirt/xml_syntax.ts";
import { DomainXmlError } from "../../src/libvirt/xml_reading.ts";
import { novaXml, readFixture } from "./domain_xml_fixture.ts";
import { UUID } from "./recorded_domains.ts";

/** Fails unless the document is refused with one line; returns that line. */
function refusalOf(xml: string): string {
  try {
    parseDomainXml(xml);
  } catch (error) {
    assert.ok(error instanceof DomainXmlError, `${error}`);
    assert.match(error.message, /^Domain XML [^\p{C}\p{Zl}\p{Zp}]{1,400}[^.]$/u);
    return error.message;
  }
  assert.fail("The document was read");
}

/** Where a duplicate costs an instance its Nova labels only. */
const NOVA_PARENTS = new Set(["instance", "flavor", "owner", "metadata"]);

const flavor = (inside: string): string => novaXml(`<nova:flavor>${inside}</nova:flavor>`);

const device = (name: string, inside: string): string =>
  `<domain><devices><${name}>${inside}</${name}></devices></domain>`;

const CASES: ReadonlyArray<readonly [string, string, string]> = [
  ...["name", "uuid", "metadata", "os", "memory", "currentMemory", "vcpu", "devices"].map((
    name,
  ) => [`<domain><${name}/><a/><${name}/></domain>`, name, "domain"] as const),
  ["<domain><os><type/><type/></os></domain>", "type", "os"],
  ...["package", "name", "creationTime", "flavor", "owner", "root", "ports"].map((name) =>
    [novaXml(`<nova:${name}/><nova:${name}>1</nova:${name}>`), name, "instance"] as const
  ),
  ...["memory", "disk", "swap", "ephemeral", "vcpus"].map((name) =>
    [
      flavor(`<nova:${name}>1</nova:${name}><nova:${name}>1</nova:${name}>`),
      name,
      "flavor",
    ] as const
  ),
  ...["user", "project"].map((name) =>
    [
      novaXml(`<nova:owner><nova:${name}/><nova:${name}/></nova:owner>`),
      name,
      "owner",
    ] as const
  ),
  ...["target", "source", "serial", "driver", "readonly", "shareable", "iotune"].map(
    (name) => [device("disk", `<${name}/><${name}/>`), name, "disk"] as const,
  ),
  ...["total_bytes_sec", "write_iops_sec_max_length", "group_name"].map((name) =>
    [device("disk", `<iotune><${name}/><${name}/></iotune>`), name, "iotune"] as const
  ),
  ...[
    "target",
    "source",
    "mac",
    "model",
    "virtualport",
    "driver",
    "mtu",
    "link",
    "vlan",
    "bandwidth",
  ].map((name) => [device("interface", `<${name}/><${name}/>`), name, "interface"] as const),
  ...["inbound", "outbound"].map((name) =>
    [
      device("interface", `<bandwidth><${name}/><${name}/></bandwidth>`),
      name,
      "bandwidth",
    ] as const
  ),
  [
    device("interface", "<virtualport><parameters/><parameters/></virtualport>"),
    "parameters",
    "virtualport",
  ],
  [
    `<domain><metadata><instance xmlns="${NOVA_1_1}"/><n:instance xmlns:n="${NOVA_1_1}"/>` +
    "</metadata></domain>",
    "instance",
    "metadata",
  ],
  [
    `<domain><metadata><instance xmlns="${NOVA_1_0}"/><instance xmlns="${NOVA_1_0}"/>` +
    `<instance xmlns="${NOVA_1_1}"/></metadata></domain>`,
    "instance",
    "metadata",
  ],
];

Deno.test("parseDomainXml() refuses what is there twice and may be there once", async (t) => {
  for (const [xml, name, parent] of CASES) {
    await t.step(`${name} in ${parent}: ${xml}`, () => {
      const message =
        `Domain XML has element "${name}" twice inside "${parent}", remove one of them`;
      if (NOVA_PARENTS.has(parent) || name === "metadata") {
        const { nova, novaProblem } = parseDomainXml(xml);
        assert.deepEqual([nova, novaProblem], [undefined, message]);
      } else assert.equal(refusalOf(xml), message);
    });
  }
});

Deno.test("parseDomainXml() refuses hostile documents", async (t) => {
  const laughs = ["<!ENTITY lol0 'lol'>"].concat(
    Array.from(
      { length: 9 },
      (_, level) => `<!ENTITY lol${level + 1} '${`&lol${level};`.repeat(10)}'>`,
    ),
  ).join("");
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["5 MiB", `<domain>${" ".repeat(5 * 1024 * 1024)}</domain>`, /has 5242897 characters/],
    [
      "2 MiB of what is read",
      `<domain><name>${"a".repeat(2 * 1024 * 1024)}</name></domain>`,
      /The parts of the document that are read have 2097182 characters/,
    ],
    [
      "10,000 levels",
      `<domain>${"<a>".repeat(10_000)}${"</a>".repeat(10_000)}</domain>`,
      /nest deeper than 256 levels/,
    ],
    ["10,000 levels that never end", "<domain>".repeat(10_000), /nest deeper than 256 levels/],
    [
      "10,000 levels of metadata",
      novaXml(`<nova:name>${"<a>".repeat(10_000)}${"</a>".repeat(10_000)}</nova:name>`),
      /nest deeper than 256 levels/,
    ],
    [
      "a billion laughs",
      `<!DOCTYPE domain [${laughs}]><domain><name>&lol9;</name></domain>`,
      /Refusing the declaration "<!DOCTYPE/,
    ],
    [
      "an external entity",
      `<?xml version="1.0"?>\n<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>` +
      "<domain><name>&e;</name></domain>",
      /Refusing the declaration "<!DOCTYPE .*\(line 2\)$/,
    ],
    [
      "an external document type",
      `<!DOCTYPE domain SYSTEM "http://localhost/a.dtd"><domain/>`,
      /Refusing the declaration "<!DOCTYPE/,
    ],
    ["an entity that nothing declares", novaXml("<nova:name>&e;</nova:name>"), /reference "&e;"/],
    [
      "an unread part that is broken",
      "<domain><name>a</name><os><boot dev=hd/></os></domain>",
      /start tag of element "boot" is broken/,
    ],
    ["a name of a mebibyte", `<${"a".repeat(1_000_000)}/>`, /begins with element "a{60}…"/],
    ["line ends in a message", "<domain>&a\n\u2028\u0085b;</domain>", /reference "&a\uFFFD{3}b;"/],
  ];
  for (const [title, xml, message] of cases) {
    await t.step(title, () => assert.match(refusalOf(xml), message));
  }
});

Deno.test("parseDomainXml() reads the longest document that libvirt can send", () => {
  const chain = (length: number): string =>
    length === 0
      ? "<backingStore/>"
      : `<backingStore type='file'><format type='qcow2'/><source file='/var/lib/nova/instances/` +
        `${UUID}/snapshot-${length}'/>${chain(length - 1)}</backingStore>`;
  const disks = Array.from(
    { length: 250 },
    (_, position) =>
      `<disk type="file"><source file="/d/${position}"/>${chain(100)}` +
      `<target dev="sd${position}"/></disk>`,
  );
  const begin = novaXml("<nova:name>a</nova:name>").replace("</domain>", "<devices>");
  const document = (padding: number): string =>
    `${begin}${disks.join("")}<!--${" ".repeat(padding)}--></devices></domain>`;
  const room = MAXIMUM_XML_LENGTH - document(0).length;
  assert.ok(room > 0 && room < MAXIMUM_XML_LENGTH / 4, `${room}`);
  const xml = document(room);
  assert.equal(xml.length, 4 * 1024 * 1024);
  const description = parseDomainXml(xml);
  assert.equal(description.nova?.name, "a");
  assert.deepEqual(
    description.disks.map(({ target, source }) => [target, source]),
    Array.from({ length: 250 }, (_, position) => [`sd${position}`, `/d/${position}`]),
  );
});

Deno.test("parseDomainXml() reads documents that are large, but not too large", async (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["text", "x".repeat(1_000_000)],
    ["references", "&amp;".repeat(200_000)],
    ["CDATA sections", "<![CDATA[]]>".repeat(80_000)],
    ["comments", "<!---->".repeat(140_000)],
    ["elements", "<a/>".repeat(250_000)],
    ["attributes", `<a ${Array.from({ length: 80_000 }, (_, i) => `a${i}=''`).join(" ")}/>`],
    ["levels", "<a>".repeat(250) + "</a>".repeat(250)],
  ];
  for (const [title, inside] of cases) {
    await t.step(title, () => {
      const { nova } = parseDomainXml(
        novaXml(`<nova:name>a</nova:name><nova:root>${inside}</nova:root>`),
      );
      assert.equal(nova?.name, "a");
    });
  }
});

Deno.test("parseDomainXml() refuses what is not a well-formed domain document", async (t) => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["", /has no element/],
    [" \n", /has no element/],
    ["null", /outside the root element: "null"/],
    ["{}", /outside the root element: "\{\}"/],
    ["<domain>", /ends inside element "domain"/],
    ["<domain", /start tag of element "domain" is broken/],
    ["<domain/><domain/>", /second root element/],
    ["<domain/>x", /outside the root element: "x"/],
    ["<domain><name>a</domain></name>", /"name" is closed as "domain"/],
    ["<domain><name>a</Name></domain>", /"name" is closed as "Name"/],
    ["<domain><name a='1' a='2'/></domain>", /attribute "a" twice/],
    ["<domain><name>a & b</name></domain>", /reference "& b"/],
    ["<domain><name>a\u0000</name></domain>", /character U\+0000/],
    ["<domain><name>&#0;</name></domain>", /reference "&#0;"/],
    ["<domain><!-- a </domain>", /comment never ends/],
    ["<domain><name><![CDATA[a</name></domain>", /CDATA section never ends/],
    ["<domains/>", /begins with element "domains" of namespace ""/],
    ["<Domain/>", /begins with element "Domain" of namespace ""/],
    ["<domainsnapshot><domain/></domainsnapshot>", /begins with element "domainsnapshot"/],
    ["<domain xmlns='urn:a'/>", /begins with element "domain" of namespace "urn:a"/],
    ["<a:domain xmlns:a='urn:a'/>", /begins with element "domain" of namespace "urn:a"/],
    ["<a:domain/>", /begins with element "domain" of namespace ""/],
  ];
  for (const [xml, message] of cases) {
    await t.step(JSON.stringify(xml), () => assert.match(refusalOf(xml), message));
  }
});

Deno.test("parseDomainXml() refuses a document cut off anywhere", () => {
  const xml = readFixture("nova/nova-34.0.0-extraspecs-escaped-unicode.xml").trimEnd();
  for (let length = 0; length < xml.length; length += 5) refusalOf(xml.slice(0, length));
});
