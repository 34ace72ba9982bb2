import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import type { DomainDescription } from "../../src/libvirt/domain_description.ts";
import { DomainXmlError } from "../../src/libvirt/xml_reading.ts";

/** How many mutated documents are read; set the variable to read more of them. */
const COUNT = Number(process.env["DOMAIN_XML_FUZZ_COUNT"] ?? 20_000);
const SEED = 20_261_123;
const MOST_MUTATIONS = 2;

/** A document that has everything that is read, most of which no recorded document has. */
const COMPLETE = `<domain type='kvm'>
  <name>instance-00000009</name>
  <memory unit='MiB'>4096</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' discard='unmap'/>
      <source protocol='rbd' name='volumes/volume-1'><host name='10.0.0.1' port='6789'/></source>
      <target dev='vda' bus='virtio'/>
      <iotune>
        <total_bytes_sec>1000000</total_bytes_sec>
        <total_bytes_sec_max>2000000</total_bytes_sec_max>
        <total_bytes_sec_max_length>5</total_bytes_sec_max_length>
        <read_iops_sec>100</read_iops_sec>
        <size_iops_sec>4096</size_iops_sec>
        <group_name>a b</group_name>
      </iotune>
      <readonly/>
      <shareable/>
      <serial>1</serial>
      <alias name='virtio-disk0'/>
    </disk>
    <interface type='network'>
      <mac address='fa:16:3e:11:22:33'/>
      <source network='default' portid='p' bridge='virbr0'/>
      <vlan trunk='yes'><tag id='42'/><tag id='7'/></vlan>
      <virtualport type='openvswitch'><parameters interfaceid='p'/></virtualport>
      <bandwidth>
        <inbound average='1000' peak='2000' floor='200' burst='300'/>
        <outbound average='500'/>
      </bandwidth>
      <target dev='vnet0'/>
      <model type='virtio'/>
      <driver name='vhost' queues='4'/>
      <mtu size='1450'/>
      <link state='down'/>
    </interface>
  </devices>
</domain>
`;

const RECORDED = [
  "nova/nova-18.0.0-image.xml",
  "nova/nova-18.0.0-escaped-unicode.xml",
  "nova/nova-23.0.0-image-ports.xml",
  "nova/nova-34.0.0-image-ports.xml",
  "nova/nova-34.0.0-extraspecs-escaped-unicode.xml",
  "nova/nova-34.0.0-null-owner-no-ports.xml",
  "nova/nova-34.0.0-volume-root.xml",
  "nova/coexist-1.0-and-1.1-after-attach.xml",
  "nova-26/running-with-port.xml",
  "nova-26/rescue.xml",
  "nova-26/boot-from-volume-after-snapshot.xml",
  "libvirt-12.8/domain-1.xml",
  "libvirt-12.8/domain-2.xml",
];

const FRAGMENTS =
  "< </ > /> & &amp; &#0; &#x41; &#xD800; ]]> <![CDATA[ <!-- --> -- <? ?> ' \" = : ! / x é 😀"
    .split(" ").concat(
      [" ", "\t", "\r\n", "\u0001", "\u2028", "\uD800", "<a>", "</a>", "<a/>", " a='1'"],
      ["<__proto__/>", "<!DOCTYPE a>", "<?xml version='1.0'?>", " xmlns='urn:a'", "</domain>"],
      ["<nova:name>", "nova:", "<name/>", "<vcpu>1</vcpu>", "<disk/>", "<interface/>"],
      ["<iotune/>", "<bandwidth><inbound/></bandwidth>", "<vlan><tag id='1'/></vlan>", "<os/>"],
      ["-1", "1e9", "99999999999999999999", " unit='EiB'", "<![CDATA[ ]]>", "&lt;".repeat(100)],
      ["<a>".repeat(300), " a='1' a='2'", "<a:b c:d='e'/>"],
    );

/** A small generator of pseudo-random numbers below 1 (mulberry32), the same ones for every run. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), state | 1);
    const folded = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61));
    return ((folded ^ (folded >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function mutate(xml: string, random: () => number): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const at = below(xml.length + 1);
  const [before, after] = [xml.slice(0, at), xml.slice(at)];
  const fragment = FRAGMENTS[below(FRAGMENTS.length)] ?? "";
  switch (below(8)) {
    case 0: {
      const bit = 1 << below(after.charCodeAt(0) < 128 ? 7 : 16);
      return before + String.fromCharCode(after.charCodeAt(0) ^ bit) + after.slice(1);
    }
    case 1:
      return before + after.slice(1 + below(3));
    case 2:
      return before + after.slice(below(200));
    case 3:
      return before + fragment + after;
    case 4:
      return before + fragment + after.slice(1);
    case 5: {
      const from = below(xml.length);
      return before + xml.slice(from, from + below(200)) + after;
    }
    case 6:
      return duplicateElement(xml, at);
    default:
      return before.length > xml.length / 2 ? before : after;
  }
}

/** Repeats the next element without children, which leaves the document well-formed. */
function duplicateElement(xml: string, from: number): string {
  const pattern = /<([\w:]+)(?:\s[^<>]*)?(?:\/>|>[^<]*<\/\1>)/g;
  pattern.lastIndex = from;
  const element = pattern.exec(xml);
  if (element === null) return xml;
  return xml.slice(0, element.index) + element[0] + xml.slice(element.index);
}

/** Fails unless all texts are well-formed and all numbers are whole and exact. */
function checkValues(value: unknown): void {
  if (typeof value === "string") assert.ok(value.isWellFormed(), JSON.stringify(value));
  else if (typeof value === "number") assert.ok(Number.isSafeInteger(value), `${value}`);
  else if (typeof value === "object" && value !== null) Object.values(value).forEach(checkValues);
}

function describe(xml: string): DomainDescription | undefined {
  try {
    return parseDomainXml(xml);
  } catch (error) {
    assert.ok(error instanceof DomainXmlError, `${error} for ${JSON.stringify(xml)}`);
    assert.match(error.message, /^Domain XML [^\p{C}\p{Zl}\p{Zp}]{1,400}$/u);
    return undefined;
  }
}

Deno.test("parseDomainXml() gives a description or a DomainXmlError for any mutated document", () => {
  assert.ok(Number.isSafeInteger(COUNT) && COUNT > 0, "DOMAIN_XML_FUZZ_COUNT is no number");
  const random = seededRandom(SEED);
  const documents = RECORDED.map((path) =>
    readFileSync(new URL(`../fixtures/${path}`, import.meta.url), "utf8")
  ).concat(COMPLETE);
  const outcomes = { described: 0, withoutNova: 0, refused: 0 };
  for (let round = 0; round < COUNT; round += 1) {
    let xml = documents[round % documents.length] ?? "";
    for (let times = Math.floor(random() * MOST_MUTATIONS); times >= 0; times -= 1) {
      xml = mutate(xml, random);
    }
    const description = describe(xml);
    checkValues(description);
    if (description === undefined) outcomes.refused += 1;
    else if (description.novaProblem === undefined) outcomes.described += 1;
    else outcomes.withoutNova += 1;
  }
  // Each must be frequent, or the mutations test nothing.
  const { described, withoutNova, refused } = outcomes;
  assert.ok(
    Math.min(described, refused) > COUNT / 10 && withoutNova > COUNT / 1000,
    JSON.stringify(outcomes),
  );
});
