/**
 * Whether a page of the exporter, Nova and virsh say the same about servers.
 *
 * @module
 */

import { type AnsweredScrape, type ExporterProcess } from "../../testing/exporter_process.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { outputOf } from "../../testing/command.ts";
import type { Answer, CloudClient } from "./cloud_client.ts";
import { USER } from "./registration.ts";

/** What a page has to show of a server, where Nova's interface alone does not tell that. */
export interface Expectation {
  readonly id: string;
  /** libvirt's name of it. */
  readonly libvirtName: string;
  /** Whether its domain runs or is paused; the page has nothing of any other. */
  readonly isActive: boolean;
  /** The name that Nova has written into the definition last. */
  readonly name: string;
  /** The project's name at the time when the server was made. */
  readonly project: string;
  /** The image that Nova has written into the definition last, when it is not the one that it tells. */
  readonly image?: string | undefined;
  /** Fixed addresses that Nova has written into the definition last, by port, when Neutron has changed them since. */
  readonly oldAddresses?: Readonly<Record<string, readonly string[]>>;
  /** Volumes whose disks still have the serial of another one: the serial by the volume. */
  readonly oldSerials?: Readonly<Record<string, string>>;
  /** Whether the server runs from a rescue disk, without its volumes. */
  readonly isRescued?: boolean;
  /** Whether its QEMU does not answer, so that the page lacks what only that knows, and says so. */
  readonly isHung?: boolean;
}

/** Nova's numbers of a server's power states. */
const POWER_STATES: Readonly<Record<number, string>> = { 1: "running", 3: "paused" };

const MEBIBYTE = 1024 * 1024;
const KIBIBYTE = 1024;
const QUICK_BOUND_MILLISECONDS = 30_000;

/** Two things that ought to be the same. */
type Pair = readonly [subject: string, page: unknown, other: unknown, whose: string];

function virsh(...command: readonly string[]): Promise<string> {
  return outputOf("virsh", ["--quiet", "--readonly", "--connect=qemu:///system", ...command]);
}

function cells(table: string): readonly (readonly string[])[] {
  return table.split("\n").map((line) => line.trim().split(/\s+/)).filter(({ length }) =>
    length > 1
  );
}

/** All samples of a page that belong to one domain. */
function countSamples(page: AnsweredScrape, libvirtName: string): number {
  return [...page.families.values()].flatMap(({ samples }) => samples)
    .filter(({ labels }) => labels["libvirtname"] === libvirtName).length;
}

/** The labels of each of a domain's samples in a family, e.g. `block_info`. */
function labelsOf(
  page: AnsweredScrape,
  libvirtName: string,
  family: string,
): readonly Readonly<Record<string, string>>[] {
  return (page.families.get(`libvirt_nova_instance_${family}`)?.samples ?? [])
    .map(({ labels }) => labels).filter((labels) => labels["libvirtname"] === libvirtName);
}

/** What Nova says of a server. */
interface ServerAnswers {
  readonly server: Answer;
  readonly ports: Answer;
  readonly volumes: Answer;
}

function novaPairs(
  page: AnsweredScrape,
  expected: Expectation,
  answers: ServerAnswers,
): readonly Pair[] {
  const { server } = answers;
  const { libvirtName } = expected;
  const value = (family: string): number | undefined =>
    page.value(`libvirt_nova_instance_${family}`, { libvirtname: libvirtName });
  const info = labelsOf(page, libvirtName, "info")[0] ?? {};
  const figures: readonly Pair[] = expected.isHung === true ? [] : [
    ["vCPUs", value("vcpus"), server.flavor.vcpus, "Nova"],
    ["memory", value("memory_maximum_bytes"), server.flavor.ram * MEBIBYTE, "Nova"],
  ];
  return [
    ["libvirt's name", libvirtName, server["OS-EXT-SRV-ATTR:instance_name"], "Nova"],
    ["name", info["novaname"], expected.name, "Nova"],
    ["project", info["novaproject"], expected.project, "Keystone"],
    ["project's id", info["project_id"], server.tenant_id, "Nova"],
    ["user", info["user"], USER, "Keystone"],
    ["user's id", info["user_id"], server.user_id, "Nova"],
    ["flavor", info["flavor"], server.flavor.original_name, "Nova"],
    ["flavor's vCPUs", value("flavor_vcpus"), server.flavor.vcpus, "Nova"],
    ["flavor's memory", value("flavor_memory_bytes"), server.flavor.ram * MEBIBYTE, "Nova"],
    ["image", info["image_id"], expected.image ?? server.image?.id ?? "", "Nova"],
    [
      "root",
      info["root_type"],
      server.image?.id === undefined ? "volume" : "image",
      "Nova",
    ],
    [
      "state",
      labelsOf(page, libvirtName, "state_info")[0]?.["state"],
      POWER_STATES[server["OS-EXT-STS:power_state"]],
      "Nova",
    ],
    volumesPair(page, expected, answers),
    portsPair(page, expected, answers),
    ...figures,
  ];
}

function volumesPair(
  page: AnsweredScrape,
  expected: Expectation,
  { volumes }: ServerAnswers,
): Pair {
  const serials = volumes.volumeAttachments
    .map(({ volumeId }: Answer) => expected.oldSerials?.[volumeId] ?? volumeId).sort();
  return [
    "volumes",
    labelsOf(page, expected.libvirtName, "block_info")
      .map((disk) => disk["volume_id"]).filter((id) => id !== "").sort(),
    expected.isRescued === true ? [] : serials,
    "Nova",
  ];
}

function portsPair(page: AnsweredScrape, expected: Expectation, { ports }: ServerAnswers): Pair {
  return [
    "ports",
    labelsOf(page, expected.libvirtName, "interface_info").map((card) => [
      card["port_id"],
      card["mac_address"],
      (card["fixed_ips"] ?? "").split(",").sort(),
    ]).sort(),
    ports.interfaceAttachments.map((port: Answer) => [
      port.port_id,
      port.mac_addr,
      expected.oldAddresses?.[port.port_id] ??
        port.fixed_ips.map((address: Answer) => address.ip_address).sort(),
    ]).sort(),
    "Neutron",
  ];
}

async function virshPairs(page: AnsweredScrape, expected: Expectation): Promise<readonly Pair[]> {
  const { libvirtName } = expected;
  const disks = cells(await virsh("domblklist", libvirtName));
  const cards = cells(await virsh("domiflist", libvirtName));
  const state = (await virsh("domstate", libvirtName)).trim();
  const pairs: Pair[] = [
    ["state", labelsOf(page, libvirtName, "state_info")[0]?.["state"], state, "virsh"],
    [
      "disks",
      labelsOf(page, libvirtName, "block_info")
        .map((disk) => [disk["target_device"], disk["source"]]).sort(),
      disks.map(([device, source]) => [device, source]).sort(),
      "virsh",
    ],
    [
      "NICs",
      labelsOf(page, libvirtName, "interface_info")
        .map((card) => [card["target_device"], card["bridge"], card["mac_address"]]).sort(),
      cards.map(([device, , bridge, , mac]) => [device, bridge, mac]).sort(),
      "virsh",
    ],
  ];
  // Some of what it tells comes from QEMU, for which it would wait.
  if (expected.isHung === true) return pairs;
  const facts = await virsh("dominfo", libvirtName);
  const number = (pattern: RegExp): number => Number(pattern.exec(facts)?.[1]);
  const limits = await Promise.all(disks.map(async ([device = ""]) => {
    const limit = cells(await virsh("blkdeviotune", libvirtName, device))
      .find(([name]) => name === "total_bytes_sec:")?.at(-1);
    // What has no limit has no sample.
    return limit === "0" ? [] : [[device, Number(limit)]];
  }));
  const value = (family: string): number | undefined =>
    page.value(`libvirt_nova_instance_${family}`, { libvirtname: libvirtName });
  return [
    ...pairs,
    [
      "disks' limits",
      (page.families.get("libvirt_nova_instance_block_tune_total_bytes_per_second")?.samples ?? [])
        .filter(({ labels }) => labels["libvirtname"] === libvirtName)
        .map((sample) => [sample.labels["target_device"], sample.value]).sort(),
      limits.flat().sort(),
      "virsh",
    ],
    ["vCPUs", value("vcpus"), number(/^CPU\(s\):\s+(\d+)/m), "virsh"],
    [
      "memory",
      value("memory_maximum_bytes"),
      number(/^Max memory:\s+(\d+) KiB/m) * KIBIBYTE,
      "virsh",
    ],
  ];
}

/** What a page says otherwise than Nova and virsh, one line for each difference. */
async function differences(
  page: AnsweredScrape,
  client: CloudClient,
  expectations: readonly Expectation[],
): Promise<readonly string[]> {
  const found: string[] = [];
  const check = (server: string, [subject, shown, told, whose]: Pair): void => {
    const [left, right] = [JSON.stringify(shown), JSON.stringify(told)];
    if (left !== right) found.push(`${server}: ${subject} is ${left}, but ${right} of ${whose}`);
  };
  check("host", ["libvirt_nova_up", page.up, 1, "the host"]);
  const active = expectations.filter(({ isActive }) => isActive);
  check("host", [
    "list of instances",
    page.labelValues("libvirt_nova_instance_info", "libvirtname").sort(),
    active.map(({ libvirtName }) => libvirtName).sort(),
    "Nova",
  ]);
  check("host", [
    "list of instances",
    page.labelValues("libvirt_nova_instance_info", "libvirtname").sort(),
    (await virsh("list", "--name")).split("\n").filter((name) => name !== "").sort(),
    "virsh",
  ]);
  for (const expected of expectations) {
    const { id, libvirtName } = expected;
    if (!expected.isActive) {
      check(libvirtName, [
        "number of samples",
        countSamples(page, libvirtName),
        0,
        "an inactive one",
      ]);
      continue;
    }
    const path = `/servers/${id}`;
    const answers = {
      server: (await client.ask("GET", "compute", path)).server,
      ports: await client.ask("GET", "compute", `${path}/os-interface`),
      volumes: await client.ask("GET", "compute", `${path}/os-volume_attachments`),
    };
    const pairs = [...novaPairs(page, expected, answers), ...await virshPairs(page, expected)];
    for (const pair of pairs) check(libvirtName, pair);
    check(libvirtName, [
      "scrape_success",
      page.value("libvirt_nova_instance_scrape_success", { libvirtname: libvirtName }),
      expected.isHung === true ? 0 : 1,
      "an instance like this",
    ]);
  }
  return found;
}

/** What came of comparing. */
export interface Comparison {
  /** How many pages it took until one agreed. */
  readonly pages: number;
  /** What the last of them said otherwise; empty when it agreed. */
  readonly differences: readonly string[];
}

/**
 * Compares pages until one agrees with Nova and virsh about all servers, or the bound passes. The first has to agree; which
 * one did tells whether the exporter is late or wrong.
 *
 * @param boundMilliseconds how long pages may disagree
 */
export async function compare(
  exporter: ExporterProcess,
  client: CloudClient,
  expectations: readonly Expectation[],
  boundMilliseconds: number = QUICK_BOUND_MILLISECONDS,
): Promise<Comparison> {
  let pages = 0;
  let found: readonly string[] = [];
  try {
    await waitUntil(
      "a page to agree",
      async () => {
        const page = await exporter.scrape();
        pages++;
        found = await differences(page, client, expectations);
        return found.length === 0 ? true : undefined;
      },
      boundMilliseconds,
      500,
    );
  } catch (error) {
    if (found.length === 0) throw error;
  }
  return { pages, differences: found };
}
