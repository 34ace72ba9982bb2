import { readFileSync } from "node:fs";
import type {
  DomainDescription,
  NovaFlavor,
  NovaInstance,
} from "../../src/libvirt/domain_description.ts";

export const NOVA_1_0 = "http://openstack.org/xmlns/libvirt/nova/1.0";
export const NOVA_1_1 = "http://openstack.org/xmlns/libvirt/nova/1.1";

export function readFixture(path: string): string {
  return readFileSync(new URL(`../fixtures/${path}`, import.meta.url), "utf8");
}

/** A domain with this text inside its Nova element. */
export function novaXml(inside: string): string {
  return `<domain><name>instance-1</name><metadata>` +
    `<nova:instance xmlns:nova="${NOVA_1_1}">${inside}</nova:instance></metadata></domain>`;
}

export const EMPTY_FLAVOR: NovaFlavor = {
  name: "",
  id: "",
  memoryMebibytes: undefined,
  diskGibibytes: undefined,
  swapMebibytes: undefined,
  ephemeralGibibytes: undefined,
  virtualCpus: undefined,
};

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
