/**
 * Defining, starting and ending the guests of a private hypervisor.
 *
 * @module
 */

import {
  type GuestImage,
  HEARTBEAT_WORD,
  KERNEL_COMMAND_LINE,
  READY_MARKER,
  SHELL_WORD,
} from "./guest_image.ts";
import { guestDomainXml, type GuestInterface } from "./guest_xml.ts";
import { lastLinesOf, type Libvirtd, processOfFile } from "./libvirtd.ts";
import { isAlive } from "../processes.ts";
import type { Supervisor } from "./supervisor.ts";
import { waitUntil } from "../wait_until.ts";
import { messageOf } from "../../src/text.ts";

/** A guest to define. What is left out gets the value that its comment begins with. */
export interface GuestDefinition {
  /** libvirt's name, e.g. `instance-00000001`; there is no default. */
  readonly name: string;
  /** A random one. */
  readonly uuid?: string;
  /** 96, and with less no guest boots. */
  readonly memoryMebibytes?: number;
  /** One now and one at most. */
  readonly processors?: { readonly current: number; readonly maximum: number };
  /** None. Each gets a new sparse raw file, of 16 MiB when no size is given. */
  readonly disks?: readonly NewGuestDisk[];
  /** None. */
  readonly interfaces?: readonly GuestInterface[];
  /**
   * 1. With `"off"` the balloon driver reports once, when it is loaded, and never again; with `"none"` there is no balloon.
   */
  readonly balloonPeriodSeconds?: number | "off" | "none";
  /** No metadata. XML, e.g. from `novaMetadata()`. */
  readonly metadata?: string;
  /** False. Keeps the guest using its disks and its network cards in both directions, about once a second. */
  readonly heartbeat?: boolean;
  /** False. Lets `connectGuestShell()` run commands in the guest. */
  readonly shell?: boolean;
  /** Nothing. More XML inside `<domain>`. */
  readonly additionalDomainXml?: string;
  /** Nothing. More XML inside `<devices>`. */
  readonly additionalDeviceXml?: string;
}

/** A disk whose file is made together with the guest. */
export interface NewGuestDisk {
  /** Device name, e.g. `vda`. */
  readonly target: string;
  /** What Nova fills with the Cinder volume's id. */
  readonly serial?: string;
  readonly sizeMebibytes?: number;
}

/** The handle of all guests. Process ids are those that this process sees. */
export interface Guests {
  /** Defines a guest, with new disk files. */
  defineGuest(definition: GuestDefinition): Promise<void>;
  /** Starts a defined guest, or with `paused` only its QEMU, whose processors are never let loose. */
  startGuest(name: string, options?: { readonly paused?: boolean }): Promise<void>;
  /** Ends a guest at once, as pulling the plug does; it stays defined. */
  destroyGuest(name: string): Promise<void>;
  /** Stops a guest's processors. */
  suspend(name: string): Promise<void>;
  /** Lets a suspended or paused guest's processors run. */
  resume(name: string): Promise<void>;
  /** Waits until a guest has booted, used its disks and sent packets; 60 s at most when no bound is given. */
  waitForGuestReady(name: string, boundMilliseconds?: number): Promise<void>;
  /** The process id of a guest's QEMU; throws when it does not run. */
  guestPid(name: string): number;
  /** The socket of the second serial port of a guest that was defined with a shell. */
  shellSocketOf(name: string): string;
}

const DEFAULT_MEMORY_MEBIBYTES = 96;
const DEFAULT_DISK_MEBIBYTES = 16;
const BOOT_BOUND_MILLISECONDS = 60_000;
const BYTES_PER_MEBIBYTE = 1024 * 1024;

/** Where the files of one guest lie. */
interface GuestFiles {
  readonly console: string;
  readonly document: string;
  readonly shell: string;
  disk(target: string): string;
}

function filesOf(directory: string, uuid: string): GuestFiles {
  return {
    console: `${directory}/consoles/${uuid}.log`,
    document: `${directory}/${uuid}.xml`,
    shell: `${directory}/consoles/${uuid}.sock`,
    disk: (target) => `${directory}/disks/${uuid}-${target}.raw`,
  };
}

/** The parts of a definition that may be missing and then have to be missing in the document too. */
function givenParts(
  { metadata, additionalDomainXml, additionalDeviceXml, shell = false }: GuestDefinition,
  files: GuestFiles,
): Pick<GuestDefinition, "metadata" | "additionalDomainXml" | "additionalDeviceXml"> {
  const devices = (shell ? serialPort(files.shell) : "") + (additionalDeviceXml ?? "");
  return {
    ...(metadata === undefined ? {} : { metadata }),
    ...(additionalDomainXml === undefined ? {} : { additionalDomainXml }),
    ...(devices === "" ? {} : { additionalDeviceXml: devices }),
  };
}

/** A serial port whose other end is a socket that QEMU listens on. */
function serialPort(socket: string): string {
  return `<serial type="unix"><source mode="bind" path="${socket}"/></serial>`;
}

function documentOf(
  definition: GuestDefinition,
  uuid: string,
  image: GuestImage,
  files: GuestFiles,
): string {
  const period = definition.balloonPeriodSeconds ?? 1;
  return guestDomainXml({
    ...givenParts(definition, files),
    ...image,
    name: definition.name,
    uuid,
    memoryMebibytes: definition.memoryMebibytes ?? DEFAULT_MEMORY_MEBIBYTES,
    processors: definition.processors ?? { current: 1, maximum: 1 },
    kernelCommandLine: [
      KERNEL_COMMAND_LINE,
      ...(definition.heartbeat ? [HEARTBEAT_WORD] : []),
      ...(definition.shell ? [SHELL_WORD] : []),
    ].join(" "),
    disks: (definition.disks ?? []).map(({ target, serial }) => ({
      file: files.disk(target),
      target,
      ...(serial === undefined ? {} : { serial }),
    })),
    interfaces: definition.interfaces ?? [],
    balloonPeriodSeconds: period === "off" ? undefined : period,
    consoleFile: files.console,
  });
}

function makeDisks({ disks = [] }: GuestDefinition, files: GuestFiles): void {
  for (const { target, sizeMebibytes = DEFAULT_DISK_MEBIBYTES } of disks) {
    Deno.writeTextFileSync(files.disk(target), "");
    Deno.truncateSync(files.disk(target), sizeMebibytes * BYTES_PER_MEBIBYTE);
  }
}

/** Waits until a guest has written to its console that it has booted. */
async function waitForMarker(
  name: string,
  consoleFile: string,
  process: number,
  boundMilliseconds: number,
): Promise<void> {
  try {
    await waitUntil(`guest "${name}" to boot`, () => {
      if (Deno.readTextFileSync(consoleFile).includes(READY_MARKER)) return true;
      if (!isAlive(process)) throw new Error(`Guest "${name}" ended before it had booted`);
      return undefined;
    }, boundMilliseconds);
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(`${reason}; its console ends with:\n${lastLinesOf(consoleFile)}`);
  }
}

/** What only hands a guest's name on to virsh. */
function commandsOf({ virsh }: Libvirtd): Pick<Guests, "destroyGuest" | "suspend" | "resume"> {
  return {
    async destroyGuest(name): Promise<void> {
      await virsh("destroy", name);
    },
    async suspend(name): Promise<void> {
      await virsh("suspend", name);
    },
    async resume(name): Promise<void> {
      await virsh("resume", name);
    },
  };
}

/** Returns the handle of the guests of a libvirtd, which all boot `image`. */
export function guestsOf(supervisor: Supervisor, libvirtd: Libvirtd, image: GuestImage): Guests {
  const known = new Map<string, GuestFiles>();

  function knownFilesOf(name: string): GuestFiles {
    const files = known.get(name);
    if (files === undefined) throw new Error(`Guest "${name}" is unknown; define it first`);
    return files;
  }

  async function defineGuest(definition: GuestDefinition): Promise<void> {
    const uuid = definition.uuid ?? crypto.randomUUID();
    const files = filesOf(supervisor.directory, uuid);
    makeDisks(definition, files);
    Deno.writeTextFileSync(files.document, documentOf(definition, uuid, image, files));
    await libvirtd.virsh("define", files.document);
    known.set(definition.name, files);
  }

  async function startGuest(
    name: string,
    { paused = false }: { readonly paused?: boolean } = {},
  ): Promise<void> {
    // The marker of an earlier boot must not pass for this one's.
    Deno.writeTextFileSync(knownFilesOf(name).console, "");
    await libvirtd.virsh("start", name, ...(paused ? ["--paused"] : []));
  }

  function guestPid(name: string): number {
    const process = processOfFile(supervisor, `run/libvirt/qemu/${name}.pid`);
    if (process === undefined) throw new Error(`Guest "${name}" does not run; start it first`);
    return process;
  }

  async function waitForGuestReady(
    name: string,
    boundMilliseconds: number = BOOT_BOUND_MILLISECONDS,
  ): Promise<void> {
    await waitForMarker(name, knownFilesOf(name).console, guestPid(name), boundMilliseconds);
  }

  return {
    defineGuest,
    startGuest,
    ...commandsOf(libvirtd),
    waitForGuestReady,
    guestPid,
    shellSocketOf: (name) => knownFilesOf(name).shell,
  };
}
