import type { Hypervisor, HypervisorOptions } from "../libvirt/hypervisor.ts";
import { glibcVersion } from "../runtime/glibc_version.ts";
import { explainAddon, explainLibrary } from "./explain_addon.ts";

/** What the addon in `native/` exports. */
interface Addon {
  readonly Hypervisor: new (
    uri: string,
    concurrency: number,
    maximumAbandoned: number,
  ) => Hypervisor;
  readonly sendDatagram: (address: string, text: string) => void;
  readonly verifyPassword: (password: Uint8Array, hash: string) => Promise<boolean>;
}

/** The shim, or libvirt's client library under it, cannot be used: one line that says what to do. */
export class NativeLibraryError extends Error {
  override readonly name = "NativeLibraryError";
}

/**
 * A hypervisor behind `options.uri`, through the shim. Opens no connection yet.
 *
 * @throws {NativeLibraryError} when the shim cannot be loaded or libvirt's client library is missing.
 */
export async function openHypervisor(options: HypervisorOptions): Promise<Hypervisor> {
  const { uri, concurrency, maximumAbandoned } = options;
  const addon = await loadAddon();
  try {
    return new addon.Hypervisor(uri, concurrency, maximumAbandoned);
  } catch (error) {
    throw new NativeLibraryError(explainLibrary(error));
  }
}

/**
 * A function that sends one datagram to a socket of the family `AF_UNIX`: at a path, or at an abstract name after an `@`. It
 * never waits, and throws the operating system's reason when the datagram was not taken.
 *
 * @throws {NativeLibraryError} when the shim cannot be loaded
 */
export async function openDatagramSender(): Promise<(address: string, text: string) => void> {
  const { sendDatagram } = await loadAddon();
  return sendDatagram;
}

/**
 * Compares a password with a bcrypt hash, on a thread of the shim's own: at the usual cost of 10 it takes about 60
 * milliseconds of a processor.
 *
 * @returns false for whatever is no hash
 * @throws {NativeLibraryError} when the shim cannot be loaded
 */
export async function verifyPassword(password: Uint8Array, hash: string): Promise<boolean> {
  const addon = await loadAddon();
  return await addon.verifyPassword(password, hash);
}

async function loadAddon(): Promise<Addon> {
  try {
    const { addon } = await import("./addon.ts");
    return addon as Addon;
  } catch (error) {
    throw new NativeLibraryError(explainAddon(error, glibcVersion()));
  }
}
