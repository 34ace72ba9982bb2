import { novaDomainXml, numberedUuid, testDriverFile } from "../testing/nova_domain.ts";
import { novaMetadata } from "../testing/libvirt/guest_xml.ts";
import { type InitialGuest, startHypervisor } from "../testing/libvirt/hypervisor.ts";
import { startVirshShell } from "../testing/libvirt/virsh_shell.ts";
import type { HypervisorProcesses } from "./rounds.ts";

/** A hypervisor to scrape, gone when it is disposed of. */
export interface BenchmarkHypervisor extends AsyncDisposable {
  readonly uri: string;
  readonly processes: HypervisorProcesses;
}

/** A hypervisor whose instances come and go. */
export interface ChangingHypervisor extends AsyncDisposable {
  readonly uri: string;
  /** Ends the oldest instance and starts another, which has names that no instance before it had. */
  replaceInstance(): Promise<void>;
}

/** Instances as Nova makes them, each with one disk and one interface, in libvirt's test driver: without a daemon. */
export async function testDriverWith(instances: number): Promise<BenchmarkHypervisor> {
  const folder = await Deno.makeTempDir({ prefix: "libvirt_nova_bench_" });
  const domains = Array.from({ length: instances }, (_, number) => testDomain(number));
  await Deno.writeTextFile(`${folder}/hypervisor.xml`, testDriverFile(domains));
  return {
    uri: `test://${folder}/hypervisor.xml`,
    processes: { daemon: [], guests: [] },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** As many instances of the test driver in a libvirtd of their own, so that a `virsh` can make and end them. */
export async function changingInstances(instances: number): Promise<ChangingHypervisor> {
  await using stack = new AsyncDisposableStack();
  const hypervisor = stack.use(await startHypervisor());
  // All connections of one daemon to this name see the same instances, as long as there is one.
  const uri = `test+unix:///default?socket=${hypervisor.directory}/sockets/libvirt-sock`;
  const shell = stack.use(startVirshShell(uri));
  let [oldest, next] = [0, 0];
  const start = async (): Promise<void> => {
    const file = `${hypervisor.directory}/instance.xml`;
    await Deno.writeTextFile(file, testDomain(next++));
    await shell.run(`create ${file}`);
  };
  while (next < instances) await start();
  const owned = stack.move();
  return {
    uri: `${uri}-ro`,
    async replaceInstance(): Promise<void> {
      await shell.run(`destroy ${libvirtName(oldest++)}`);
      await start();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * As many QEMU guests behind a libvirtd of their own. They are paused before they boot: libvirt answers everything about
 * them, and they take no processor time of their own.
 */
export async function realGuests(instances: number): Promise<BenchmarkHypervisor> {
  const guests: InitialGuest[] = Array.from({ length: instances }, (_, number) => ({
    name: libvirtName(number),
    uuid: numberedUuid(number),
    start: "paused",
    disks: [{ target: "vda", serial: numberedUuid(number) }],
    interfaces: [{ target: tapName(number), macAddress: macAddress(number) }],
    metadata: novaMetadata({
      version: "1.1",
      name: novaName(number),
      project: { id: "38bd8e984a3e435a87e950a441ee55aa", name: projectName(number) },
    }),
  }));
  const hypervisor = await startHypervisor({ guests });
  return {
    uri: hypervisor.readOnlyUri,
    processes: {
      daemon: [hypervisor.libvirtdPid()],
      guests: guests.map(({ name }) => hypervisor.guestPid(name)),
    },
    [Symbol.asyncDispose]: () => hypervisor.stop(),
  };
}

function testDomain(number: number): string {
  return novaDomainXml({
    name: libvirtName(number),
    uuid: numberedUuid(number),
    novaName: novaName(number),
    novaProject: projectName(number),
    maximumVirtualCpus: 2,
    disks: [{ target: "vda", serial: numberedUuid(number) }],
    interfaces: [{ target: tapName(number), macAddress: macAddress(number) }],
  });
}

function libvirtName(number: number): string {
  return `instance-${hexadecimal(number, 8)}`;
}

function novaName(number: number): string {
  return `server-${number}`;
}

function projectName(number: number): string {
  return `project-${number % 20}`;
}

function tapName(number: number): string {
  return `tap${hexadecimal(number, 8)}-00`;
}

function macAddress(number: number): string {
  return `fa:16:3e:${hexadecimal(number, 6).replace(/(..)(..)(..)/, "$1:$2:$3")}`;
}

function hexadecimal(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0");
}
