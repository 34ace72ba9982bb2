import { READY_MARKER } from "../../testing/libvirt/guest_image.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import type { Answer, CloudClient } from "./cloud_client.ts";
import type { Expectation } from "./comparison.ts";
import type { Stock } from "./registration.ts";

/** What the operations have at hand, and what they change. */
export interface Scene {
  /** The user's present login: the project's name belongs to it. */
  client: CloudClient;
  /** The project's present name. */
  project: string;
  readonly stock: Stock;
  /** The root of the host. */
  readonly root: string;
  /** What is expected of each server that there has been, by the name that it is called here. */
  readonly servers: Map<string, Expectation>;
  /** Ids of other things that one operation makes and another one uses. */
  readonly things: Map<string, string>;
}

const GUEST_BOUND_MILLISECONDS = 120_000;

/** What is expected of a server; throws when it has not been made. */
export function known(scene: Scene, server: string): Expectation {
  const expected = scene.servers.get(server);
  if (expected === undefined) throw new Error(`The ${server} server has not been made`);
  return expected;
}

/** Changes what is expected of a server. */
export function change(scene: Scene, server: string, changes: Partial<Expectation>): void {
  scene.servers.set(server, { ...known(scene, server), ...changes });
}

/** The id of something else; throws when it has not been made. */
export function thing(scene: Scene, name: string): string {
  const id = scene.things.get(name);
  if (id === undefined) throw new Error(`The ${name} has not been made`);
  return id;
}

/** Makes a server from a request and waits until it runs. */
export async function boot(
  scene: Scene,
  server: string,
  name: string,
  request: unknown,
): Promise<void> {
  const { client, stock } = scene;
  const body = {
    server: {
      name,
      flavorRef: stock.smallFlavor,
      networks: [{ uuid: stock.network }],
      ...request as Record<string, unknown>,
    },
  };
  const { id } = (await client.ask("POST", "compute", "/servers", body)).server;
  const made = await client.awaitServer(id, "ACTIVE");
  scene.servers.set(server, {
    id,
    libvirtName: made["OS-EXT-SRV-ATTR:instance_name"],
    isActive: true,
    name,
    project: scene.project,
  });
}

/** The ids of a server's ports. */
export async function portsOf(scene: Scene, server: string): Promise<readonly string[]> {
  const path = `/servers/${known(scene, server).id}/os-interface`;
  const { interfaceAttachments } = await scene.client.ask("GET", "compute", path);
  return interfaceAttachments.map((port: Answer) => port.port_id);
}

/** Gives a server another name. */
export async function rename(scene: Scene, server: string, name: string): Promise<void> {
  const path = `/servers/${known(scene, server).id}`;
  await scene.client.ask("PUT", "compute", path, { server: { name } });
}

/** Asks for an action and waits until the server has one of the states. */
export async function act(
  scene: Scene,
  server: string,
  action: string,
  wanted: string,
  value: unknown = null,
): Promise<Answer> {
  const { id } = known(scene, server);
  await scene.client.act(id, action, value);
  return await scene.client.awaitServer(id, wanted);
}

/** Waits until the guest has booted so far that it heeds its power button. */
export async function awaitGuest(scene: Scene, server: string): Promise<void> {
  const console = `${scene.root}/var/lib/nova/instances/${known(scene, server).id}/console.log`;
  await waitUntil(
    `the guest of the ${server} server`,
    async () => {
      const text = await Deno.readTextFile(console).catch(() => "");
      return text.includes(READY_MARKER) ? true : undefined;
    },
    GUEST_BOUND_MILLISECONDS,
    500,
  );
}

/** Makes a volume and waits until it can be attached. */
export async function makeVolume(
  scene: Scene,
  name: string,
  properties: unknown = {},
): Promise<string> {
  const { client } = scene;
  const body = { volume: { name, size: 1, ...properties as Record<string, unknown> } };
  const { id } = (await client.ask("POST", "volume", "/volumes", body)).volume;
  await client.awaitStatus("volume", `/volumes/${id}`, "available");
  scene.things.set(name, id);
  return id;
}

/** Attaches a volume and waits until it is in use. */
export async function attach(scene: Scene, server: string, volume: string): Promise<void> {
  const path = `/servers/${known(scene, server).id}/os-volume_attachments`;
  const body = { volumeAttachment: { volumeId: volume } };
  await scene.client.ask("POST", "compute", path, body);
  await scene.client.awaitStatus("volume", `/volumes/${volume}`, "in-use");
}

/** Detaches a volume and waits until it can be attached again. */
export async function detach(scene: Scene, server: string, volume: string): Promise<void> {
  const path = `/servers/${known(scene, server).id}/os-volume_attachments/${volume}`;
  await scene.client.ask("DELETE", "compute", path);
  await scene.client.awaitStatus("volume", `/volumes/${volume}`, "available");
}
