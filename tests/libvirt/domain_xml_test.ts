import assert from "node:assert/strict";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import { novaDomainXml } from "../../testing/nova_domain.ts";
import { EMPTY_DOMAIN, EMPTY_INSTANCE, novaXml, readFixture } from "./domain_xml_fixture.ts";
import { FIRST_PORT, FIXTURES, UUID } from "./recorded_domains.ts";

Deno.test("parseDomainXml() reads what Nova and libvirt write", async (t) => {
  for (const [path, expected] of Object.entries(FIXTURES)) {
    await t.step(
      path,
      () => assert.deepEqual(parseDomainXml(readFixture(path)), expected),
    );
  }
});

Deno.test("parseDomainXml() ignores libvirt's element names in other namespaces", () => {
  const description = parseDomainXml(
    `<domain xmlns:a="urn:a"><a:name>b</a:name><name xmlns="urn:a">c</name><name>d</name>
      <a:vcpu>3</a:vcpu><devices><a:disk/><disk xmlns="urn:a"/></devices></domain>`,
  );
  assert.deepEqual(description, { ...EMPTY_DOMAIN, name: "d" });
});

Deno.test("parseDomainXml() changes no prototype", () => {
  const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
  const elements = names.map((name) => `<${name} ${name}="1" polluted="1">2</${name}>`).join("");
  const { nova } = parseDomainXml(novaXml(`<nova:name>a${elements}</nova:name>${elements}`));
  assert.deepEqual(nova, { ...EMPTY_INSTANCE, name: "a" });
  assert.equal(Reflect.get({}, "polluted"), undefined);
  assert.equal(typeof Object.prototype.toString, "function");
});

Deno.test("parseDomainXml() reads all ways of writing the same thing", async (t) => {
  const expected = parseDomainXml(readFixture("nova/nova-34.0.0-image-ports.xml"));
  const rewrites: Readonly<Record<string, (xml: string) => string>> = {
    "with a declaration": (xml) => `<?xml version='1.0' encoding="UTF-8"?>\n${xml}`,
    "with a byte order mark": (xml) => `\uFEFF${xml}`,
    "with other quotation marks": (xml) => xml.replaceAll('"', "'"),
    "with white space in tags": (xml) =>
      xml.replaceAll("=", " \n=\t ").replaceAll(/>(?=\n)/g, "\r\n>").replaceAll("/\r\n>", " />"),
    "with other line ends": (xml) => xml.replaceAll("\n", "\r\n"),
    "without white space between tags": (xml) => xml.replaceAll(/>\s+</g, "><"),
    "with end tags for empty elements": (xml) =>
      xml.replaceAll(/<([\w:]+)([^<>]*)\/>/g, "<$1$2></$1>"),
    "with attributes in another order": (xml) =>
      xml.replaceAll(/(<[\w:]+) (\w+="[^"]*") (\w+="[^"]*")/g, "$1 $3 $2"),
    "with another prefix": (xml) =>
      xml.replaceAll("nova:", "ns0:").replaceAll("xmlns:nova", "xmlns:ns0"),
    "with comments and instructions": (xml) =>
      xml.replaceAll(/>(?=\n)/g, "><!-- <name>'&b; --><?p it's a='?>"),
    "with characters as references": (xml) =>
      xml.replaceAll(
        /(?<=>)[^<>\n]+(?=<)/g,
        (text) =>
          [...text].map((character) => `&#x${character.codePointAt(0)?.toString(16)};`).join(""),
      ),
    "with text in CDATA sections": (xml) =>
      xml.replaceAll(/(?<=>)[^<>\n]+(?=<)/g, (text) => `<![CDATA[${text}]]>`),
  };
  for (const [title, rewrite] of Object.entries(rewrites)) {
    await t.step(title, () => {
      const xml = readFixture("nova/nova-34.0.0-image-ports.xml");
      assert.notEqual(rewrite(xml), xml);
      assert.deepEqual(parseDomainXml(rewrite(xml)), expected);
    });
  }
});

Deno.test("novaDomainXml() writes what parseDomainXml() reads", () => {
  const { nova, disks, interfaces } = parseDomainXml(novaDomainXml({
    name: "instance-1",
    uuid: UUID,
    novaName: "a & b",
    novaCreationTime: "2024-06-01 10:00:00",
    novaPorts: [{ id: FIRST_PORT.id, addresses: ["192.168.1.5", "2001:db8::5"] }],
    disks: [{ target: "vda", serial: "s", limits: { read_iops_sec: 100 } }],
    interfaces: [{
      target: "tap1",
      macAddress: "fa:16:3e:11:22:33",
      neutronPortId: FIRST_PORT.id,
      mtuBytes: 1450,
    }],
  }));
  assert.deepEqual([nova?.name, nova?.creationTimeSeconds], ["a & b", 1_717_236_000]);
  assert.deepEqual(nova?.ports, [FIRST_PORT]);
  assert.deepEqual(disks.map(({ target, serial, ioTune }) => [target, serial, ioTune?.limits]), [
    ["vda", "s", { read_iops_sec: 100 }],
  ]);
  assert.deepEqual(
    interfaces.map(({ target, neutronPortId, mtuBytes }) => [target, neutronPortId, mtuBytes]),
    [["tap1", FIRST_PORT.id, 1450]],
  );
});
