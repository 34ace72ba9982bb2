/** What {@link novaDomainXml} takes; what is left out is as Nova would write it for a small instance. */
export interface NovaDomain {
  readonly name: string;
  readonly uuid: string;
  readonly novaName?: string;
  readonly novaProject?: string;
  readonly maximumVirtualCpus?: number;
  /** In UTC, such as `2024-06-01 10:00:00`. */
  readonly novaCreationTime?: string;
  /** Neutron ports with their fixed addresses. */
  readonly novaPorts?: readonly { id: string; addresses: readonly string[] }[];
  readonly disks?: readonly NovaDomainDisk[];
  readonly interfaces?: readonly NovaDomainInterface[];
}

/** A disk of a {@link NovaDomain}. */
export interface NovaDomainDisk {
  readonly target: string;
  readonly serial?: string;
  readonly type?: string;
  /** By libvirt's names, such as `read_bytes_sec`. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** A network interface of a {@link NovaDomain}. */
export interface NovaDomainInterface {
  readonly target?: string;
  readonly macAddress: string;
  readonly neutronPortId?: string;
  readonly mtuBytes?: number;
}

/** A domain document for libvirt's test driver, with Nova's metadata 1.1 unless there is no `novaName`. */
export function novaDomainXml(domain: NovaDomain): string {
  const { name, uuid, maximumVirtualCpus = 1 } = domain;
  const disks = (domain.disks ?? []).map((disk) => diskElement(uuid, disk));
  const interfaces = (domain.interfaces ?? []).map(interfaceElement);
  return `<domain type="test">
  <name>${escapeXml(name)}</name>
  <uuid>${uuid}</uuid>${metadataElement(domain)}
  <memory unit="KiB">2097152</memory>
  <vcpu>${maximumVirtualCpus}</vcpu>
  <os><type>hvm</type></os>
  <devices>${disks.join("")}${interfaces.join("")}
    <memballoon model="virtio"><stats period="10"/></memballoon>
  </devices>
</domain>`;
}

function metadataElement(domain: NovaDomain): string {
  const { novaName, novaProject = "demo", novaCreationTime, novaPorts } = domain;
  if (novaName === undefined) return "";
  const creationTime = novaCreationTime === undefined ? "" : `
      <nova:creationTime>${novaCreationTime}</nova:creationTime>`;
  const ports = novaPorts === undefined ? "" : `
      <nova:ports>${novaPorts.map(portElement).join("")}</nova:ports>`;
  return `
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:package version="34.0.0"/>
      <nova:name>${escapeXml(novaName)}</nova:name>${creationTime}
      <nova:owner>
        <nova:user uuid="18509018d00743c89518135e476003e0">admin</nova:user>
        <nova:project uuid="38bd8e984a3e435a87e950a441ee55aa">${
    escapeXml(novaProject)
  }</nova:project>
      </nova:owner>${ports}
    </nova:instance>
  </metadata>`;
}

function portElement({ id, addresses }: { id: string; addresses: readonly string[] }): string {
  const elements = addresses.map((address) => {
    const version = address.includes(":") ? 6 : 4;
    return `<nova:ip type="fixed" address="${address}" ipVersion="${version}"/>`;
  });
  return `<nova:port uuid="${id}">${elements.join("")}</nova:port>`;
}

function diskElement(uuid: string, disk: NovaDomainDisk): string {
  const { target, serial, type = "file", limits } = disk;
  const attribute = type === "block" ? "dev" : "file";
  const serialElement = serial === undefined ? "" : `
      <serial>${serial}</serial>`;
  const limitElements = Object.entries(limits ?? {})
    .map(([name, limit]) => `<${name}>${limit}</${name}>`);
  const ioTune = limits === undefined ? "" : `
      <iotune>${limitElements.join("")}</iotune>`;
  return `
    <disk type="${type}" device="disk">
      <source ${attribute}="/var/lib/nova/instances/${uuid}/${target}"/>
      <target dev="${target}" bus="virtio"/>${ioTune}${serialElement}
    </disk>`;
}

function interfaceElement(networkInterface: NovaDomainInterface): string {
  const { target, macAddress, neutronPortId, mtuBytes } = networkInterface;
  const targetElement = target === undefined ? "" : `
      <target dev="${target}"/>`;
  const virtualPort = neutronPortId === undefined ? "" : `
      <virtualport type="openvswitch"><parameters interfaceid="${neutronPortId}"/></virtualport>`;
  const mtu = mtuBytes === undefined ? "" : `
      <mtu size="${mtuBytes}"/>`;
  return `
    <interface type="bridge">
      <mac address="${macAddress}"/>
      <source bridge="br-int"/>${virtualPort}${targetElement}${mtu}
    </interface>`;
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
