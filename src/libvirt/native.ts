import type { Hypervisor, HypervisorOptions } from "./hypervisor.ts";

/** What the addon in `native/` exports. */
interface Addon {
  readonly Hypervisor: new (options: HypervisorOptions) => Hypervisor;
  readonly sendDatagram: (address: string, text: string) => void;
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
  const addon = await loadAddon();
  try {
    return new addon.Hypervisor(options);
  } catch (error) {
    throw new NativeLibraryError(explainLibrary(messageOf(error)));
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

/** The executable unpacks the shim into a temporary directory when it is first loaded. */
async function loadAddon(): Promise<Addon> {
  try {
    const module = await import("./addon.cjs");
    return module.default as Addon;
  } catch (error) {
    throw new NativeLibraryError(explainAddon(messageOf(error)));
  }
}

function explainAddon(reason: string): string {
  if (/Cannot find module|MODULE_NOT_FOUND/.test(reason)) {
    return `The libvirt shim is not built (${reason}): run "npm run build:native"`;
  }
  const directory = process.env["TMPDIR"] ?? "/tmp";
  return `Cannot load the libvirt shim from the temporary directory "${directory}" (${reason}): ` +
    `set TMPDIR to a directory that is writable and not mounted noexec`;
}

function explainLibrary(reason: string): string {
  if (!/libvirt\.so/.test(reason)) return `Cannot start libvirt's client library: ${reason}`;
  return `Cannot load libvirt's client library (${reason}): install "libvirt0" (Debian, Ubuntu) ` +
    `or "libvirt-libs" (RHEL, Rocky, Fedora, Alpine)`;
}

/** The first line of an error's message. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}
