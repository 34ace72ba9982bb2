/**
 * What a cloud has before its first server: users, services, images, flavors, a network and types of volumes.
 *
 * @module
 */

import { waitUntil } from "../../testing/wait_until.ts";
import {
  ensureGuestImage,
  KERNEL_COMMAND_LINE,
  POWER_BUTTON_WORD,
} from "../../testing/libvirt/guest_image.ts";
import { type Answer, type CloudClient, logIn } from "./cloud_client.ts";
import { ADDRESS, PASSWORD } from "./configuration.ts";
import { HOST_NAME } from "./root.ts";

/** Users of Keystone for services, and what the catalog says of each. */
const SERVICES: readonly (readonly [user: string, type: string, address: string])[] = [
  ["cinder", "volumev3", `http://${ADDRESS}:8776/v3/%(project_id)s`],
  ["glance", "image", `http://${ADDRESS}:9292`],
  ["neutron", "network", `http://${ADDRESS}:9696`],
  ["nova", "compute", `http://${ADDRESS}:8774/v2.1`],
  ["placement", "placement", `http://${ADDRESS}:8778`],
];

/** The project that owns the servers, with characters that a page has to escape. */
export const PROJECT = 'R&D "labs" é';

/** The user who makes the servers. */
export const USER = "böb";

/** Registers all services and users. Keystone has to run. */
export async function registerServices(): Promise<void> {
  const admin = await logIn("admin", "admin");
  const make = async (kind: string, properties: unknown): Promise<string> => {
    const answer = await admin.ask("POST", "identity", `/${kind}s`, { [kind]: properties });
    return answer[kind].id;
  };
  const { roles } = await admin.ask("GET", "identity", "/roles");
  const roleId = new Map<string, string>(
    roles.map(({ name, id }: Answer) => [name, id]),
  );
  if (!roleId.has("service")) roleId.set("service", await make("role", { name: "service" }));
  const addUser = async (
    name: string,
    project: string,
    ...roleNames: readonly string[]
  ): Promise<void> => {
    const user = await make("user", { name, password: PASSWORD, domain_id: "default" });
    for (const role of roleNames) {
      const path = `/projects/${project}/users/${user}/roles/${roleId.get(role)}`;
      await admin.ask("PUT", "identity", path);
    }
  };
  const serviceProject = await make("project", { name: "service", domain_id: "default" });
  for (const [name, type, url] of SERVICES) {
    // Cinder lets only a service detach volumes on behalf of a user.
    await addUser(name, serviceProject, "admin", "service");
    const service = await make("service", { name, type });
    for (const side of ["public", "internal"]) {
      await make("endpoint", { service_id: service, interface: side, url, region_id: "RegionOne" });
    }
  }
  const project = await make("project", { name: PROJECT, domain_id: "default" });
  await addUser(USER, project, "admin");
}

/** Gives a project another name in Keystone. */
export async function renameProject(id: string, name: string): Promise<void> {
  const admin = await logIn("admin", "admin");
  await admin.ask("PATCH", "identity", `/projects/${id}`, { project: { name } });
}

/** Ids of what servers are made from. */
export interface Stock {
  readonly image: string;
  readonly otherImage: string;
  readonly smallFlavor: string;
  readonly largeFlavor: string;
  readonly network: string;
}

const DISK_MEBIBYTES = 64;
const AGENT_BOUND_MILLISECONDS = 180_000;

/** Makes what servers are made from, and waits until all services that serve them are up. */
export async function makeStock(client: CloudClient): Promise<Stock> {
  const images = await makeImages(client);
  const network = await makeNetwork(client);
  await client.ask("POST", "volume", "/types", { volume_type: { name: "files" } });
  await waitUntil(
    "all services to be up",
    () => areServicesUp(client),
    AGENT_BOUND_MILLISECONDS,
    500,
  );
  return {
    ...images,
    smallFlavor: await makeFlavor(client, 'm1.é "tiny"', 128, 1),
    largeFlavor: await makeFlavor(client, "m1.two", 192, 2),
    network,
  };
}

async function makeImages(client: CloudClient): Promise<Pick<Stock, "image" | "otherImage">> {
  const guest = await ensureGuestImage();
  const disk = await Deno.makeTempFile({ prefix: "disk_" });
  await Deno.truncate(disk, DISK_MEBIBYTES * 1024 * 1024);
  const boot = {
    "kernel_id": await makeImage(client, "kernel", guest.kernel, ["aki", "aki"]),
    "ramdisk_id": await makeImage(client, "initramfs", guest.initramfs, ["ari", "ari"]),
    "os_command_line": `${KERNEL_COMMAND_LINE} ${POWER_BUTTON_WORD}`,
  };
  const image = await makeImage(client, 'tïny "image"', disk, ["bare", "raw"], boot);
  const otherImage = await makeImage(client, "other image", disk, ["bare", "raw"], boot);
  await Deno.remove(disk);
  return { image, otherImage };
}

async function makeImage(
  client: CloudClient,
  name: string,
  file: string,
  [container, disk]: readonly [container: string, disk: string],
  properties: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { id } = await client.ask("POST", "image", "/images", {
    name,
    container_format: container,
    disk_format: disk,
    visibility: "public",
    ...properties,
  });
  await client.upload(id, file);
  return id;
}

async function makeFlavor(
  client: CloudClient,
  name: string,
  ram: number,
  vcpus: number,
): Promise<string> {
  const body = { flavor: { name, ram, vcpus, disk: 1 } };
  return (await client.ask("POST", "compute", "/flavors", body)).flavor.id;
}

async function makeNetwork(client: CloudClient): Promise<string> {
  const { network } = await client.ask("POST", "network", "/networks", {
    network: {
      name: "flat",
      shared: true,
      "port_security_enabled": false,
      "provider:network_type": "flat",
      "provider:physical_network": "physical",
    },
  });
  const subnets = [[4, "10.77.0.0/24"], [6, "fd77::/64"]] as const;
  for (const [version, cidr] of subnets) {
    await client.ask("POST", "network", "/subnets", {
      subnet: {
        network_id: network.id,
        ip_version: version,
        cidr,
        enable_dhcp: false,
        gateway_ip: null,
      },
    });
  }
  return network.id;
}

async function areServicesUp(client: CloudClient): Promise<true | undefined> {
  const { services } = await client.ask("GET", "compute", "/os-services");
  const { services: volumeServices } = await client.ask("GET", "volume", "/os-services");
  const { agents } = await client.ask("GET", "network", "/agents");
  const { hypervisors } = await client.ask("GET", "compute", "/os-hypervisors");
  const up = [...services, ...volumeServices].filter(({ state }: Answer) => state === "up")
    .map(({ binary }: Answer) => binary);
  const wanted = ["nova-compute", "nova-conductor", "nova-scheduler", "cinder-volume"];
  return wanted.every((binary) => up.includes(binary)) && hypervisors.length === 1 &&
      agents.some(({ alive, host }: Answer) => alive && host === HOST_NAME)
    ? true
    : undefined;
}
