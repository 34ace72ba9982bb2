import { readFileSync, statSync } from "node:fs";
import type { CallFailure } from "./hypervisor.ts";

/** libvirt's client and daemon agree on this group for unprivileged access; the socket's own group is better. */
const USUAL_GROUP = "libvirt";

/**
 * Why a libvirt call failed, in one line, with what to do about it when that is known.
 *
 * @example "Failed to connect socket to '/run/libvirt/libvirt-sock-ro': Permission denied: add the exporter's user to
 * the group \"libvirt\""
 */
export function explainFailure(failure: Pick<CallFailure, "message">): string {
  const reason = failure.message.split("\n", 1)[0] ?? "";
  const remedy = findRemedy(reason);
  return remedy === undefined ? reason : `${reason}: ${remedy}`;
}

function findRemedy(reason: string): string | undefined {
  const socket = /socket to '([^']+)'/.exec(reason)?.[1];
  // As ssh says it, with the ways that it has tried: the host at the other end knows no group of this one.
  if (/permission denied \([\w,-]+\)/i.test(reason)) {
    return "give the exporter's user a key that the host accepts";
  }
  if (/permission denied|access denied/i.test(reason)) {
    return `add the exporter's user to the group "${groupOf(socket) ?? USUAL_GROUP}"`;
  }
  if (socket !== undefined && /no such file/i.test(reason)) {
    return "start libvirtd or virtqemud, or mount its socket into the container";
  }
  if (socket !== undefined && /connection refused/i.test(reason)) {
    return "start libvirtd or virtqemud";
  }
  return undefined;
}

/** The name of the group that owns a file; undefined where it cannot be told. */
function groupOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    const { gid } = statSync(path);
    const line = new RegExp(`^([^:\\n]+):[^:\\n]*:${gid}:`, "m").exec(
      readFileSync("/etc/group", "utf8"),
    );
    return gid === 0 ? undefined : line?.[1];
  } catch {
    return undefined;
  }
}
