/**
 * What virsh says of a guest and of the host, by the names that virsh has for it.
 *
 * @module
 */

import type { VirshShell } from "../../testing/libvirt/virsh_shell.ts";

/** Values of one command's output by their names. */
export type Figures = ReadonlyMap<string, string>;

/** Reads lines such as `name: 1 KiB`, `name=1`, and `name 1`; the units are left out. */
export function figuresOf(output: string): Figures {
  return new Map(
    output.split("\n").flatMap((line) => {
      const [, name, value = ""] = /^\s*([^:=]+?)\s*[:=]\s*(.*?)\s*$/.exec(line) ??
        /^\s*(\S+)\s+(.*?)\s*$/.exec(line) ?? [];
      const number = value.replace(/ (?:seconds|KiB|bytes|MHz)$/, "");
      return name === undefined ? [] : [[name, number] as const];
    }),
  );
}

/** A figure as a number; undefined when virsh does not have it. */
export function numberIn(figures: Figures, name: string): number | undefined {
  const text = figures.get(name);
  return text === undefined || text === "" ? undefined : Number(text);
}

/** What virsh says of an active guest. Devices are named by their targets. */
export interface GuestFigures {
  /** `domstats`. */
  readonly statistics: Figures;
  /** `dommemstat`. */
  readonly memory: Figures;
  /** `cpu-stats --total`. */
  readonly processor: Figures;
  /** `vcpucount --live`: active ones, and the most. */
  readonly virtualCpus: readonly [active: number, maximum: number];
  /** `vcpuinfo`: the host's processor of each vCPU. */
  readonly placement: readonly number[];
  /** `domstate --reason`. */
  readonly state: string;
  /** How many lines `snapshot-list`, `checkpoint-list` and `iothreadinfo` have. */
  readonly snapshots: number;
  readonly checkpoints: number;
  readonly iothreads: number;
  /** `domjobinfo --rawstats`. */
  readonly job: Figures;
  readonly disks: ReadonlyMap<string, DiskFigures>;
  readonly interfaces: ReadonlyMap<string, InterfaceFigures>;
}

/** Of a disk: `domblkstat`, `domblkinfo` and `blkdeviotune`. */
export interface DiskFigures {
  readonly counters: Figures;
  readonly size: Figures;
  readonly tune: Figures;
}

/** Of a network interface: `domifstat`, `domiftune`, and the link's state in `dumpxml`. */
export interface InterfaceFigures {
  readonly counters: Figures;
  readonly tune: Figures;
  readonly isUp: boolean;
}

/** Asks virsh for everything about an active guest. */
export async function askAboutGuest(
  { run }: VirshShell,
  name: string,
  disks: readonly string[],
  interfaces: readonly string[],
): Promise<GuestFigures> {
  const ask = async (command: string): Promise<Figures> => figuresOf(await run(command));
  // The name of the device before each name of a figure is left out.
  const askOf = async (command: string, device: string): Promise<Figures> =>
    figuresOf((await run(`${command} ${name} ${device}`)).replaceAll(`${device} `, ""));
  const countLines = async (command: string): Promise<number> =>
    (await run(command)).split("\n").filter((line) => line.trim() !== "").length;
  const diskFigures = new Map<string, DiskFigures>();
  for (const disk of disks) {
    diskFigures.set(disk, {
      counters: await askOf("domblkstat", disk),
      size: await askOf("domblkinfo", disk),
      tune: await askOf("blkdeviotune", disk),
    });
  }
  const interfaceFigures = new Map<string, InterfaceFigures>();
  for (const device of interfaces) {
    interfaceFigures.set(device, {
      counters: await askOf("domifstat", device),
      tune: await askOf("domiftune", device),
      isUp: !new RegExp(
        `<target dev='${device}'/>(?:(?!</interface>).)*<link state='down'/>`,
        "s",
      ).test(await run(`dumpxml ${name}`)),
    });
  }
  const countVirtualCpus = async (which: string): Promise<number> =>
    Number((await run(`vcpucount ${name} --live ${which}`)).trim());
  return {
    processor: await ask(`cpu-stats ${name} --total`),
    virtualCpus: [await countVirtualCpus("--active"), await countVirtualCpus("--maximum")],
    placement: [...(await run(`vcpuinfo ${name}`)).matchAll(/^CPU:\s+(\d+)$/gm)]
      .map(([, processor]) => Number(processor)),
    state: (await run(`domstate ${name} --reason`)).trim(),
    snapshots: await countLines(`snapshot-list ${name} --name`),
    checkpoints: await countLines(`checkpoint-list ${name} --name`),
    iothreads: await countLines(`iothreadinfo ${name}`),
    job: await ask(`domjobinfo ${name} --rawstats`),
    disks: diskFigures,
    interfaces: interfaceFigures,
    memory: await ask(`dommemstat ${name}`),
    statistics: await ask(`domstats ${name}`),
  };
}
