/**
 * The system calls that the service's unit lets through, as systemd expands its sets.
 *
 * @module
 */

import { outputOf } from "../../testing/command.ts";
import { ROOT } from "../../testing/set_up.ts";

/** The service's unit. */
export const SERVICE = `${ROOT}/contrib/systemd/libvirt_nova_exporter.service`;

/** The drop-in for URIs that start a program. */
export const SSH_DROP_IN = `${ROOT}/contrib/systemd/libvirt_nova_exporter.ssh.conf`;

/** What a filter lets through, and everything else that systemd knows. */
export interface FilteredCalls {
  readonly allowed: ReadonlySet<string>;
  readonly refused: ReadonlySet<string>;
}

/**
 * Reads the filter of a unit.
 *
 * @param files the unit and then its drop-ins
 */
export async function filteredCalls(...files: readonly string[]): Promise<FilteredCalls> {
  const sets = new Map(
    (await outputOf("systemd-analyze", ["syscall-filter"])).split(/\n(?=@)/).map((block) => {
      const [name = "", ...lines] = block.split("\n").map((line) => line.trim());
      return [name, lines.filter((line) => line !== "" && !line.startsWith("#"))];
    }),
  );
  const expand = (name: string): readonly string[] =>
    name.startsWith("@") ? (sets.get(name) ?? []).flatMap(expand) : [name];
  const allowed = new Set<string>();
  for (const file of files) {
    const text = await Deno.readTextFile(file);
    for (const [, refuses, names = ""] of text.matchAll(/^SystemCallFilter=(~?)(.*)$/gm)) {
      for (const call of names.split(" ").flatMap(expand)) {
        if (refuses === "~") allowed.delete(call);
        else allowed.add(call);
      }
    }
  }
  const all = [...sets.keys()].flatMap(expand);
  return { allowed, refused: new Set(all.filter((call) => !allowed.has(call))) };
}
