/**
 * What users and operators do to servers, and what a page has to show after each.
 *
 * @module
 */
import { type Answer, logIn } from "./cloud_client.ts";
import { PROJECT, renameProject, USER } from "./registration.ts";
import {
  act,
  attach,
  awaitGuest,
  boot,
  change,
  detach,
  known,
  makeVolume,
  portsOf,
  rename,
  type Scene,
  thing,
} from "./actions.ts";

/** One thing that is done to a server. */
export interface Operation {
  readonly name: string;
  /** What the page shows afterwards besides that all agree. */
  readonly remark?: string;
  /** How long pages may disagree; the bound of a comparison when left out. */
  readonly boundMilliseconds?: number;
  /** Does it, waits until Nova says that it is done, and changes what is expected. */
  run(scene: Scene): Promise<void>;
}

const SNAPSHOT_BOUND_MILLISECONDS = 120_000;

const FIRST = "first";

const SECOND = "second";

/** All operations in the order in which they are done; later ones take up what earlier ones have left. */
export const OPERATIONS: readonly Operation[] = [
  {
    name: "boot from an image",
    async run(scene): Promise<void> {
      await boot(scene, FIRST, 'Web "Ä" <1> \\ &', { imageRef: scene.stock.image });
    },
  },
  {
    name: "rename",
    remark: "the old name, as Nova does not write the definition anew",
    run: (scene) => rename(scene, FIRST, "second name"),
  },
  {
    name: "soft reboot",
    remark: "still the old name",
    async run(scene): Promise<void> {
      await awaitGuest(scene, FIRST);
      await act(scene, FIRST, "reboot", "ACTIVE", { type: "SOFT" });
    },
  },
  {
    name: "hard reboot",
    remark: "the new name",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "reboot", "ACTIVE", { type: "HARD" });
      change(scene, FIRST, { name: "second name" });
    },
  },
  {
    name: "stop",
    remark: "nothing of the server",
    async run(scene): Promise<void> {
      await awaitGuest(scene, FIRST);
      await rename(scene, FIRST, "third name");
      await act(scene, FIRST, "os-stop", "SHUTOFF");
      change(scene, FIRST, { isActive: false });
    },
  },
  {
    name: "start",
    remark: "the name that was given while it was stopped",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "os-start", "ACTIVE");
      change(scene, FIRST, { isActive: true, name: "third name" });
    },
  },
  {
    name: "resize, not yet confirmed",
    async run(scene): Promise<void> {
      const value = { flavorRef: scene.stock.largeFlavor };
      await act(scene, FIRST, "resize", "VERIFY_RESIZE", value);
    },
  },
  {
    name: "revert the resize",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "revertResize", "ACTIVE");
    },
  },
  {
    name: "resize and confirm",
    async run(scene): Promise<void> {
      const value = { flavorRef: scene.stock.largeFlavor };
      await act(scene, FIRST, "resize", "VERIFY_RESIZE", value);
      await act(scene, FIRST, "confirmResize", "ACTIVE");
    },
  },
  {
    name: "rebuild with another image and name",
    async run(scene): Promise<void> {
      const value = { imageRef: scene.stock.otherImage, name: "fourth name" };
      await act(scene, FIRST, "rebuild", "ACTIVE", value);
      change(scene, FIRST, { name: "fourth name" });
    },
  },
  {
    name: "rescue",
    remark: "the disk of the rescue before the root disk, and the name that was given before",
    async run(scene): Promise<void> {
      await rename(scene, FIRST, "name of the rescue");
      await act(scene, FIRST, "rescue", "RESCUE", {});
      change(scene, FIRST, { isRescued: true, name: "name of the rescue" });
    },
  },
  {
    name: "end of the rescue",
    remark: "the name from before the rescue, though it is an older one",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "unrescue", "ACTIVE");
      change(scene, FIRST, { isRescued: false, name: "fourth name" });
    },
  },
  {
    name: "attach an interface",
    remark: "the name that was given before, too",
    async run(scene): Promise<void> {
      await rename(scene, FIRST, "fifth name");
      const path = `/servers/${known(scene, FIRST).id}/os-interface`;
      const body = { interfaceAttachment: { net_id: scene.stock.network } };
      const answer = await scene.client.ask("POST", "compute", path, body);
      scene.things.set("port", answer.interfaceAttachment.port_id);
      change(scene, FIRST, { name: "fifth name" });
    },
  },
  {
    name: "detach an interface",
    async run(scene): Promise<void> {
      await awaitGuest(scene, FIRST);
      const path = `/servers/${known(scene, FIRST).id}/os-interface/${thing(scene, "port")}`;
      await scene.client.ask("DELETE", "compute", path);
      await scene.client.awaitGone("network", `/ports/${thing(scene, "port")}`);
    },
  },
  {
    name: "attach a volume",
    async run(scene): Promise<void> {
      await attach(scene, FIRST, await makeVolume(scene, "volume"));
    },
  },
  {
    name: "change a fixed address in Neutron",
    remark: "the old address",
    async run(scene): Promise<void> {
      const [id = ""] = await portsOf(scene, FIRST);
      const { port } = await scene.client.ask("GET", "network", `/ports/${id}`);
      const old = port.fixed_ips.map((address: Answer) => address.ip_address).sort();
      const body = { port: { "fixed_ips": [{ "ip_address": "10.77.0.250" }] } };
      await scene.client.ask("PUT", "network", `/ports/${id}`, body);
      change(scene, FIRST, { oldAddresses: { [id]: old } });
    },
  },
  {
    name: "hard reboot with a volume",
    remark: "the new address",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "reboot", "ACTIVE", { type: "HARD" });
      change(scene, FIRST, { oldAddresses: {} });
    },
  },
  {
    name: "snapshot of a volume in use",
    remark: "the new source, though libvirt has no event for it",
    boundMilliseconds: SNAPSHOT_BOUND_MILLISECONDS,
    async run(scene): Promise<void> {
      await awaitGuest(scene, FIRST);
      const body = { snapshot: { volume_id: thing(scene, "volume"), force: true } };
      const { id } = (await scene.client.ask("POST", "volume", "/snapshots", body)).snapshot;
      await scene.client.awaitStatus("volume", `/snapshots/${id}`, "available");
      scene.things.set("snapshot", id);
    },
  },
  {
    name: "delete that snapshot",
    remark: "the source as it is then",
    boundMilliseconds: SNAPSHOT_BOUND_MILLISECONDS,
    async run(scene): Promise<void> {
      const path = `/snapshots/${thing(scene, "snapshot")}`;
      await scene.client.ask("DELETE", "volume", path);
      await scene.client.awaitGone("volume", path);
    },
  },
  {
    name: "swap a volume for another",
    remark: "the new source under the id of the old volume",
    async run(scene): Promise<void> {
      const old = thing(scene, "volume");
      const other = await makeVolume(scene, "other volume");
      const path = `/servers/${known(scene, FIRST).id}/os-volume_attachments`;
      const body = { volumeAttachment: { volumeId: other } };
      await scene.client.ask("PUT", "compute", `${path}/${old}`, body);
      await scene.client.awaitStatus("volume", `/volumes/${other}`, "in-use");
      await scene.client.awaitStatus("volume", `/volumes/${old}`, "available");
      change(scene, FIRST, { oldSerials: { [other]: old } });
    },
  },
  {
    name: "stop and start after the swap",
    remark: "the id of the new volume",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "os-stop", "SHUTOFF");
      await act(scene, FIRST, "os-start", "ACTIVE");
      change(scene, FIRST, { oldSerials: {} });
    },
  },
  {
    name: "detach a volume",
    async run(scene): Promise<void> {
      await awaitGuest(scene, FIRST);
      await detach(scene, FIRST, thing(scene, "other volume"));
    },
  },
  {
    name: "attach a volume with limits (QoS)",
    async run(scene): Promise<void> {
      const { client } = scene;
      const type = { "volume_type": { name: "limited" } };
      const { id } = (await client.ask("POST", "volume", "/types", type)).volume_type;
      const limits = { name: "limits", consumer: "front-end", "total_bytes_sec": "2097152" };
      const specification = { "qos_specs": limits };
      const answer = await client.ask("POST", "volume", "/qos-specs", specification);
      const path = `/qos-specs/${answer.qos_specs.id}/associate?vol_type_id=${id}`;
      await client.ask("GET", "volume", path);
      const volume = await makeVolume(scene, "limited volume", { volume_type: "limited" });
      await attach(scene, FIRST, volume);
    },
  },
  {
    name: "pause",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "pause", "PAUSED");
    },
  },
  {
    name: "unpause",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "unpause", "ACTIVE");
    },
  },
  {
    name: "suspend",
    remark: "nothing of the server",
    async run(scene): Promise<void> {
      await rename(scene, FIRST, "name of the suspension");
      await act(scene, FIRST, "suspend", "SUSPENDED");
      change(scene, FIRST, { isActive: false });
    },
  },
  {
    name: "resume",
    remark: "the name from before the suspension",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "resume", "ACTIVE");
      change(scene, FIRST, { isActive: true });
    },
  },
  {
    name: "lock and unlock",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "lock", "ACTIVE");
      await act(scene, FIRST, "unlock", "ACTIVE");
    },
  },
  {
    name: "rename the project in Keystone",
    remark: "the old name of the project",
    async run(scene): Promise<void> {
      scene.project = `${PROJECT} 2`;
      await renameProject(scene.client.projectId, scene.project);
      // Of an older login Nova has learned the old name, and keeps that for some minutes.
      scene.client = await logIn(USER, scene.project);
    },
  },
  {
    name: "hard reboot after that",
    remark: "still the old name of the project, and the new name of the server",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "reboot", "ACTIVE", { type: "HARD" });
      change(scene, FIRST, { name: "name of the suspension" });
    },
  },
  {
    name: "boot from a volume",
    remark:
      "no image, `root_type` is `volume`, and the new name of the project; that of the other server is the old one",
    async run(scene): Promise<void> {
      const volume = await makeVolume(scene, "root volume", { imageRef: scene.stock.image });
      await boot(scene, SECOND, "from a volume", {
        "block_device_mapping_v2": [{
          "boot_index": 0,
          "delete_on_termination": true,
          "destination_type": "volume",
          "source_type": "volume",
          uuid: volume,
        }],
      });
    },
  },
  {
    name: "shelve",
    remark: "nothing of the server",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "shelve", "SHELVED_OFFLOADED");
      const { images } = await scene.client.ask("GET", "image", "/images");
      const snapshot = images.find(({ name }: Answer) => name.endsWith("-shelved"));
      scene.things.set("image of the shelved server", snapshot.id);
      change(scene, FIRST, { isActive: false });
    },
  },
  {
    name: "unshelve",
    remark: "the snapshot of the shelving as its image",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "unshelve", "ACTIVE");
      const image = thing(scene, "image of the shelved server");
      change(scene, FIRST, { isActive: true, image });
    },
  },
  {
    name: "QEMU of one server stops to answer",
    remark:
      "that server without what only QEMU knows and with `scrape_success` 0, the other complete",
    async run(scene): Promise<void> {
      const { libvirtName } = known(scene, FIRST);
      const process = Number(await Deno.readTextFile(`/run/libvirt/qemu/${libvirtName}.pid`));
      Deno.kill(process, "SIGSTOP");
      change(scene, FIRST, { isHung: true });
    },
  },
  {
    name: "hard reboot of that server",
    remark: "everything again, and the image that the server was made from",
    async run(scene): Promise<void> {
      await act(scene, FIRST, "reboot", "ACTIVE", { type: "HARD" });
      change(scene, FIRST, { isHung: false, image: undefined });
    },
  },
  {
    name: "delete",
    remark: "nothing of the server",
    async run(scene): Promise<void> {
      for (const server of [SECOND, FIRST]) {
        const path = `/servers/${known(scene, server).id}`;
        await scene.client.ask("DELETE", "compute", path);
        await scene.client.awaitGone("compute", path);
        change(scene, server, { isActive: false });
      }
    },
  },
];
