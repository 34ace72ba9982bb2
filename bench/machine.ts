import { runCommand } from "../testing/command.ts";
import { ROOT } from "../testing/set_up.ts";

/** What the numbers depend on: names and values, in the order to print them. */
export type Machine = readonly (readonly [name: string, value: string])[];

/** Describes this machine. */
export async function describeMachine(): Promise<Machine> {
  const model = /^model name\s*: (.+)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  const gibibytes = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const system = /^PRETTY_NAME="(.+)"$/m.exec(Deno.readTextFileSync("/etc/os-release"))?.[1];
  return [
    ["Processor", `${navigator.hardwareConcurrency} cores, ${model ?? Deno.build.arch}`],
    ["Memory", `${gibibytes} GiB`],
    ["System", system ?? Deno.build.os],
    ["libvirt", await versionOf("virsh", ["--version"])],
    ["QEMU", await versionOf("qemu-system-x86_64", ["--version"])],
    ["Bun", await versionOf(`${ROOT}/node_modules/.bin/bun`, ["--version"])],
    ["Deno", Deno.version.deno],
    ["Rust", await versionOf("rustc", ["--version"])],
  ];
}

/** The version in the first line of what a program prints about itself. */
async function versionOf(program: string, args: readonly string[]): Promise<string> {
  try {
    const { output } = await runCommand(program, args);
    return /\d+(\.\d+)+/.exec(output)?.[0] ?? "unknown";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "not installed";
    throw error;
  }
}
