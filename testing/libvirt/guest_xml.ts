/**
 * The domain documents of the test guests, and Nova's metadata in them. Everything here is a pure function.
 *
 * @module
 */

/** One XML element: its text, or its children; a string among the children is XML already. */
interface XmlElement {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
  readonly text?: string | number;
  readonly children?: readonly (XmlElement | string)[];
}

/** A virtio disk backed by a raw file. */
export interface GuestDisk {
  /** Absolute path of the raw file. */
  readonly file: string;
  /** Device name in the guest, e.g. `vda`. */
  readonly target: string;
  /** What Nova fills with the Cinder volume's id; local disks have none. */
  readonly serial?: string;
}

/** A virtio network card on a tap device that libvirt makes and removes. */
export interface GuestInterface {
  /** Name of the tap device, at most 15 characters, e.g. `tap567a4527-b0`. */
  readonly target: string;
  /** The card's address, e.g. `fa:16:3e:11:22:33`. */
  readonly macAddress: string;
}

/** Everything that a guest's domain document says. */
export interface GuestDomain {
  readonly name: string;
  readonly uuid: string;
  /** The kernel of the tests does not boot with less than 96. */
  readonly memoryMebibytes: number;
  readonly processors: { readonly current: number; readonly maximum: number };
  readonly kernel: string;
  readonly initramfs: string;
  readonly kernelCommandLine: string;
  readonly disks: readonly GuestDisk[];
  readonly interfaces: readonly GuestInterface[];
  /**
   * How often the balloon driver reports, in seconds; `undefined` for one that reports only when it is loaded, `"none"` for no balloon.
   */
  readonly balloonPeriodSeconds: number | "none" | undefined;
  /** XML inside `<metadata>`, e.g. from {@link novaMetadata}; no such element when left out. */
  readonly metadata?: string;
  /** Absolute path of the file that gets what the guest prints on its serial console. */
  readonly consoleFile: string;
  /** More XML inside `<domain>`, e.g. `<iothreads>1</iothreads>`. */
  readonly additionalDomainXml?: string;
  /** More XML inside `<devices>`. */
  readonly additionalDeviceXml?: string;
}

/** What Nova knows about an instance, as far as its metadata element tells. */
export interface NovaInstance {
  /** The schema: `1.0` up to Nova 22, `1.1` since. */
  readonly version: "1.0" | "1.1";
  /** Nova's own release; one that writes `version` when left out. */
  readonly release?: string;
  /** The display name; no element when left out. */
  readonly name?: string;
  /** UTC, as `2024-06-01 10:00:00`. */
  readonly creationTime?: string;
  readonly flavor?: NovaFlavor;
  /** The owner, of which Nova may know none or only one half. */
  readonly user?: NovaIdentity;
  readonly project?: NovaIdentity;
  readonly root?: { readonly type: "image" | "volume"; readonly id: string };
  /** The image as Nova 32 and later describe it. */
  readonly image?: { readonly id: string; readonly properties: Readonly<Record<string, string>> };
  /** The ports, which only `1.1` has. */
  readonly ports?: readonly NovaPort[];
}

/** A user or a project. */
export interface NovaIdentity {
  readonly id: string;
  readonly name: string;
}

/** A flavor; `id` and `extraSpecifications` are written by Nova 32 and later. */
export interface NovaFlavor {
  readonly name: string;
  readonly id?: string;
  readonly memoryMebibytes: number;
  readonly diskGibibytes: number;
  readonly swapMebibytes: number;
  readonly ephemeralGibibytes: number;
  readonly processors: number;
  readonly extraSpecifications?: Readonly<Record<string, string>>;
}

/** A Neutron port and its fixed addresses. */
export interface NovaPort {
  readonly id: string;
  readonly addresses: readonly { readonly address: string; readonly ipVersion: 4 | 6 }[];
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
};

/** What XML 1.0 cannot hold, not even escaped. */
// deno-lint-ignore no-control-regex
const UNSPEAKABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u;

function escapeCharacters(value: string | number, characters: RegExp): string {
  const text = String(value);
  if (UNSPEAKABLE.test(text)) {
    throw new Error(
      `Text ${JSON.stringify(text)} has a character that XML cannot hold; leave it out`,
    );
  }
  return text.replace(characters, (character) => ENTITIES[character] ?? character);
}

/** Escapes as libxml2, which Nova writes with, does: quotes and newlines of a text stay as they are. */
function escapeText(value: string | number): string {
  return escapeCharacters(value, /[&<>\r]/g);
}

function escapeAttribute(value: string | number): string {
  return escapeCharacters(value, /[&<>"\t\n\r]/g);
}

function render(element: XmlElement | string, indentation: string): string {
  if (typeof element === "string") return indentation + element;
  const attributes = Object.entries(element.attributes ?? {})
    .map(([name, value]) => ` ${name}="${escapeAttribute(value)}"`).join("");
  const start = `${indentation}<${element.name}${attributes}`;
  if (element.text !== undefined && element.text !== "") {
    return `${start}>${escapeText(element.text)}</${element.name}>`;
  }
  const children = element.children ?? [];
  if (children.length === 0) return `${start}/>`;
  const lines = children.map((child) => render(child, `${indentation}  `));
  return [`${start}>`, ...lines, `${indentation}</${element.name}>`].join("\n");
}

function optional<Value>(
  value: Value | undefined,
  toElement: (value: Value) => XmlElement | string,
): readonly (XmlElement | string)[] {
  return value === undefined ? [] : [toElement(value)];
}

function diskElement(disk: GuestDisk): XmlElement {
  return {
    name: "disk",
    attributes: { type: "file", device: "disk" },
    children: [
      { name: "driver", attributes: { name: "qemu", type: "raw" } },
      { name: "source", attributes: { file: disk.file } },
      { name: "target", attributes: { dev: disk.target, bus: "virtio" } },
      ...optional(disk.serial, (text) => ({ name: "serial", text })),
    ],
  };
}

function interfaceElement(networkInterface: GuestInterface): XmlElement {
  return {
    name: "interface",
    attributes: { type: "ethernet" },
    children: [
      { name: "mac", attributes: { address: networkInterface.macAddress } },
      { name: "target", attributes: { dev: networkInterface.target } },
      { name: "model", attributes: { type: "virtio" } },
    ],
  };
}

function balloonElement(period: GuestDomain["balloonPeriodSeconds"]): XmlElement {
  if (period === "none") return { name: "memballoon", attributes: { model: "none" } };
  return {
    name: "memballoon",
    attributes: { model: "virtio" },
    children: optional(period, (seconds) => ({ name: "stats", attributes: { period: seconds } })),
  };
}

/**
 * Writes the libvirt domain document of a test guest: an emulated x86 machine that boots a kernel directly.
 *
 * @throws {Error} when a text has a character that XML cannot hold
 */
export function guestDomainXml(guest: GuestDomain): string {
  const domain: XmlElement = {
    name: "domain",
    attributes: { type: "qemu" },
    children: [
      { name: "name", text: guest.name },
      { name: "uuid", text: guest.uuid },
      ...optional(guest.metadata, (xml) => ({ name: "metadata", children: [xml] })),
      { name: "memory", attributes: { unit: "MiB" }, text: guest.memoryMebibytes },
      {
        name: "vcpu",
        attributes: { current: guest.processors.current },
        text: guest.processors.maximum,
      },
      ...optional(guest.additionalDomainXml, (xml) => xml),
      {
        name: "os",
        children: [
          { name: "type", attributes: { arch: "x86_64", machine: "pc" }, text: "hvm" },
          { name: "kernel", text: guest.kernel },
          { name: "initrd", text: guest.initramfs },
          { name: "cmdline", text: guest.kernelCommandLine },
        ],
      },
      { name: "features", children: [{ name: "acpi" }] },
      // QEMU's default model lacks what the kernel's boot code uses to be quick.
      { name: "on_reboot", text: "destroy" },
      {
        name: "devices",
        children: [
          ...guest.disks.map(diskElement),
          ...guest.interfaces.map(interfaceElement),
          {
            name: "serial",
            attributes: { type: "file" },
            children: [{ name: "source", attributes: { path: guest.consoleFile } }],
          },
          balloonElement(guest.balloonPeriodSeconds),
          ...optional(guest.additionalDeviceXml, (xml) => xml),
        ],
      },
    ],
  };
  return render(domain, "") + "\n";
}

function identityElement(kind: "user" | "project", identity: NovaIdentity): XmlElement {
  return { name: `nova:${kind}`, attributes: { uuid: identity.id }, text: identity.name };
}

function namedElements(
  name: string,
  values: Readonly<Record<string, string>>,
): readonly XmlElement[] {
  return Object.entries(values).map(([key, text]) => ({ name, attributes: { name: key }, text }));
}

function flavorElement(flavor: NovaFlavor): XmlElement {
  return {
    name: "nova:flavor",
    attributes: { name: flavor.name, ...(flavor.id === undefined ? {} : { id: flavor.id }) },
    children: [
      { name: "nova:memory", text: flavor.memoryMebibytes },
      { name: "nova:disk", text: flavor.diskGibibytes },
      { name: "nova:swap", text: flavor.swapMebibytes },
      { name: "nova:ephemeral", text: flavor.ephemeralGibibytes },
      { name: "nova:vcpus", text: flavor.processors },
      ...optional(flavor.extraSpecifications, (values) => ({
        name: "nova:extraSpecs",
        children: namedElements("nova:extraSpec", values),
      })),
    ],
  };
}

function portElement(port: NovaPort): XmlElement {
  return {
    name: "nova:port",
    attributes: { uuid: port.id },
    children: port.addresses.map(({ address, ipVersion }) => ({
      name: "nova:ip",
      attributes: { type: "fixed", address, ipVersion },
    })),
  };
}

/**
 * Writes the `<nova:instance>` element of an instance, with the elements in the order, the escaping and the indentation of Nova's own
 * (compared with what Nova 18, 23 and 34 wrote, in `tests/fixtures/nova`).
 *
 * @throws {Error} when a text has a character that XML cannot hold; Nova refuses it as well
 */
export function novaMetadata(instance: NovaInstance): string {
  const release = instance.release ?? (instance.version === "1.0" ? "18.0.0" : "34.0.0");
  const element: XmlElement = {
    name: "nova:instance",
    attributes: { "xmlns:nova": `http://openstack.org/xmlns/libvirt/nova/${instance.version}` },
    children: [
      { name: "nova:package", attributes: { version: release } },
      ...optional(instance.name, (text) => ({ name: "nova:name", text })),
      { name: "nova:creationTime", text: instance.creationTime ?? "2024-06-01 10:00:00" },
      ...optional(instance.flavor, flavorElement),
      ...optional(instance.image, (image) => ({
        name: "nova:image",
        attributes: { uuid: image.id },
        children: [{
          name: "nova:properties",
          children: namedElements("nova:property", image.properties),
        }],
      })),
      {
        name: "nova:owner",
        children: [
          ...optional(instance.user, (user) => identityElement("user", user)),
          ...optional(instance.project, (project) => identityElement("project", project)),
        ],
      },
      ...optional(instance.root, ({ type, id }) => ({
        name: "nova:root",
        attributes: { type, uuid: id },
      })),
      ...optional(instance.ports, (ports) => ({
        name: "nova:ports",
        children: ports.map(portElement),
      })),
    ],
  };
  return render(element, "    ").trimStart();
}
