/**
 * An exporter over a small hypervisor of libvirt's test driver, with the stand-in between it and libvirt.
 *
 * @module
 */

import { countDescriptors } from "../../testing/processes.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "../../testing/nova_domain.ts";
import {
  createTestFolder,
  type ServingExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { type Fault, type PresentFault, type References, StandIn } from "./stand_in.ts";
import type { World } from "./functions.ts";

/** libvirt's names of the domains. */
export const DOMAINS: readonly string[] = Array.from({ length: 6 }, (_, one) => `instance-${one}`);

/** The domain that faults about one domain are about: neither the first nor the last. */
export const VICTIM = "instance-2";

/** `--libvirt.timeout` of the exporter. With less, a page on a busy machine may be late by itself. */
export const TIMEOUT_MILLISECONDS = 2_000;

/** The daemon through which the test driver is reached. */
export interface Daemon {
  /** The path of its socket. */
  readonly socket: string;
  /** Starts it again if it has crashed; returns how often it has been started. */
  starts(): Promise<number>;
}

/** An exporter with a stand-in. Whatever becomes of the test, it has ended when it is disposed of. */
export interface Subject extends AsyncDisposable {
  readonly standIn: StandIn;
  readonly executable: ServingExecutable;
  /** The numbers of its threads and descriptors, and of what it holds of libvirt. */
  holdings(): Holdings;
}

/** What a process holds. */
export interface Holdings extends References {
  readonly threads: number;
  readonly descriptors: number;
}

const DOMAIN_FILE = testDriverFile([
  ...DOMAINS.map((name, number) =>
    novaDomainXml({
      name,
      uuid: numberedUuid(number),
      novaName: `web-${number}`,
      disks: [{ target: "vda" }],
      interfaces: [{ target: "tap0", macAddress: `fa:16:3e:00:00:0${number}` }],
    })
  ),
  `<network>
    <name>internal</name>
    <uuid>${numberedUuid(100)}</uuid>
    <bridge name="virbr7"/>
    <ip address="192.0.2.1" netmask="255.255.255.0"/>
  </network>`,
  `<pool type="dir">
    <name>images</name>
    <uuid>${numberedUuid(101)}</uuid>
    <target><path>/nonexistent</path></target>
    <volume type="file">
      <name>image.raw</name>
      <capacity>1000000</capacity>
      <target><path>/nonexistent/image.raw</path></target>
    </volume>
  </pool>`,
]);

const ALL_COLLECTORS = SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`);

const WORLDS: Readonly<
  Record<World, { driver: "single" | "made" | "none"; flags: readonly string[] }>
> = {
  single: { driver: "single", flags: ALL_COLLECTORS },
  bulk: { driver: "made", flags: ALL_COLLECTORS },
  listed: { driver: "none", flags: ALL_COLLECTORS },
  vcpu: { driver: "made", flags: ["--collector.disable-defaults", "--collector.vcpu"] },
  disk: {
    driver: "made",
    flags: ["--collector.disable-defaults", "--collector.memory", "--collector.block"],
  },
};

/**
 * Starts an exporter.
 *
 * @param library the folder of the stand-in
 * @param faults those that are there when it starts
 */
export async function startSubject(
  library: string,
  world: World,
  { daemon, faults = [] }: { daemon?: Daemon | undefined; faults?: readonly Fault[] } = {},
): Promise<Subject & { readonly present: readonly PresentFault[] }> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTestFolder());
  const file = await folder.write("hypervisor.xml", DOMAIN_FILE);
  const { driver, flags } = WORLDS[world];
  const standIn = new StandIn(library, folder.path, driver);
  const present = faults.map((fault) => standIn.bring(fault));
  // A call that hangs for ever would keep the process from being ended in an orderly way.
  stack.defer(() => present.forEach((fault) => fault.takeAway()));
  const uri = daemon === undefined
    ? `test://${file}`
    : `test+unix://${file}?socket=${encodeURIComponent(daemon.socket)}`;
  const timeout = `${TIMEOUT_MILLISECONDS}ms`;
  const args = ["--uri", uri, "--log", "-", "--libvirt.timeout", timeout, ...flags];
  const environment = standIn.environment(daemon?.socket);
  const executable = stack.use(await startExecutable(args, { folder, environment }));
  const owned = stack.move();
  return {
    standIn,
    executable,
    present,
    holdings: () => ({
      threads: countThreads(executable.processId),
      descriptors: countDescriptors(executable.processId),
      ...standIn.references(),
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function countThreads(processId: number): number {
  const status = Deno.readTextFileSync(`/proc/${processId}/status`);
  return Number(/^Threads:\s+(\d+)$/m.exec(status)?.[1]);
}
