import { readFileSync } from "node:fs";
import type {
  DomainDescription,
  NovaFlavor,
  NovaInstance,
} from "../../src/libvirt/domain_description.ts";

/** The namespace of the first version of Nova's metadata. */
export const NOVA_1_0 = "http://openstack.org/xmlns/libvirt/nova/1.0";

/** The namespace of the second version of Nova's metadata. */
export const NOVA_1_1 = "http://openstack.org/xmlns/libvirt/nova/1.1";

/** The text of a file below `tests/fixtures`. */
export function readFixture(path: string): string {
  return readFileSync(new URL(`../fixtures/${path}`, import.meta.url), "utf8");
}

/** A domain with this text inside its Nova element. */
export function novaXml(inside: string): string {
  return `<domain><name>instance-1</name><metadata>` +
    `<nova:instance xmlns:nova="${NOVA_1_1}">${inside}</nova:instance></metadata></domain>`;
}

/** What is read of a flavor that says nothing. */
const EMPTY_FLAVOR: NovaFlavor = {
  name: "",
  id: "",
  memoryMebibytes: undefined,
  diskGibibytes: undefined,
  swapMebibytes: undefined,
  ephemeralGibibytes: undefined,
  virtualCpus: undefined,
};

/** What is read of an element of Nova's metadata that says nothing. */
export const EMPTY_INSTANCE: NovaInstance = {
  metadataVersion: "1.1",
  name: "",
  projectName: "",
  projectId: "",
  userName: "",
  userId: "",
  packageVersion: "",
  creationTime: "",
  creationTimeSeconds: undefined,
  flavor: EMPTY_FLAVOR,
  rootImageId: "",
  rootType: "",
  ports: [],
};

/** What is read of a definition that says nothing. */
export const EMPTY_DOMAIN: DomainDescription = {
  name: "",
  uuid: "",
  hypervisorType: "",
  operatingSystemType: "",
  architecture: "",
  machineType: "",
  nova: undefined,
  novaProblem: undefined,
  novaRemark: undefined,
  maximumVirtualCpus: undefined,
  currentVirtualCpus: undefined,
  memoryBytes: undefined,
  currentMemoryBytes: undefined,
  disks: [],
  interfaces: [],
};
