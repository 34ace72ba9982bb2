/** What {@link novaDomainXml} takes; what is left out is as Nova would write it for a small instance. */
export interface NovaDomain {
  readonly name: string;
  readonly uuid: string;
  readonly novaName?: string;
  readonly novaProject?: string;
  readonly maximumVirtualCpus?: number;
  readonly disks?: readonly { target: string; serial?: string; type?: string }[];
  readonly interfaces?: readonly { target?: string; macAddress: string }[];
}

/** A domain document for libvirt's test driver, with Nova's metadata 1.1 unless there is no `novaName`. */
export function novaDomainXml(domain: NovaDomain): string {
  const { name, uuid, novaName, novaProject = "demo", maximumVirtualCpus = 1 } = domain;
  const metadata = novaName === undefined ? "" : `
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:package version="34.0.0"/>
      <nova:name>${escapeXml(novaName)}</nova:name>
      <nova:owner>
        <nova:user uuid="18509018d00743c89518135e476003e0">admin</nova:user>
        <nova:project uuid="38bd8e984a3e435a87e950a441ee55aa">${
    escapeXml(novaProject)
  }</nova:project>
      </nova:owner>
    </nova:instance>
  </metadata>`;
  const disks = (domain.disks ?? []).map(({ target, serial, type = "file" }) => `
    <disk type="${type}" device="disk">
      <source ${type === "block" ? "dev" : "file"}="/var/lib/nova/instances/${uuid}/${target}"/>
      <target dev="${target}" bus="virtio"/>${
    serial === undefined ? "" : `
      <serial>${serial}</serial>`
  }
    </disk>`);
  const interfaces = (domain.interfaces ?? []).map(({ target, macAddress }) => `
    <interface type="bridge">
      <mac address="${macAddress}"/>
      <source bridge="br-int"/>${
    target === undefined ? "" : `
      <target dev="${target}"/>`
  }
    </interface>`);
  return `<domain type="test">
  <name>${escapeXml(name)}</name>
  <uuid>${uuid}</uuid>${metadata}
  <memory unit="KiB">2097152</memory>
  <vcpu>${maximumVirtualCpus}</vcpu>
  <os><type>hvm</type></os>
  <devices>${disks.join("")}${interfaces.join("")}
    <memballoon model="virtio"><stats period="10"/></memballoon>
  </devices>
</domain>`;
}

/** A file for libvirt's test driver (`test:///…`) with these domains. */
export function testDriverFile(domains: readonly string[]): string {
  return `<node>\n${domains.join("\n")}\n</node>\n`;
}

/** A UUID made of a number. */
export function numberedUuid(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll("\r", "&#13;");
}
