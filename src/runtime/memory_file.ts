/**
 * Neither Deno 2.9 nor Bun 1.4 has a call that makes a file in memory. Under Bun, which the executable runs on, C's function can
 * be called.
 */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

/** The C library under the names that glibc and musl give it. */
const C_LIBRARIES: readonly string[] = [
  "libc.so.6",
  "libc.musl-x86_64.so.1",
  "libc.musl-aarch64.so.1",
];
/** MFD_CLOEXEC of `linux/memfd.h`. */
const CLOSE_ON_EXEC = 1;

/** What is used here of Bun's module. */
interface ForeignFunctions {
  dlopen(library: string, symbols: Readonly<Record<string, unknown>>): {
    readonly symbols: {
      readonly "memfd_create": (name: Uint8Array, flags: number) => number;
    };
  };
}

/**
 * A file in memory that has no path, so that no mount's options hold for it.
 *
 * @returns its descriptor
 * @throws {Error} under another runtime than Bun, or when the kernel refuses
 */
export function openMemoryFile(content: Uint8Array): number {
  const { dlopen } = createRequire(import.meta.url)("bun:ffi") as ForeignFunctions;
  const descriptor = createMemoryFile(dlopen);
  if (descriptor < 0) throw new Error("The kernel makes no file in memory");
  writeFileSync(descriptor, content);
  return descriptor;
}

function createMemoryFile(dlopen: ForeignFunctions["dlopen"]): number {
  const symbols = { "memfd_create": { args: ["cstring", "u32"], returns: "i32" } };
  const name = new TextEncoder().encode("libvirt_nova_exporter\0");
  for (const library of C_LIBRARIES) {
    try {
      return dlopen(library, symbols).symbols.memfd_create(name, CLOSE_ON_EXEC);
    } catch {
      // The next one.
    }
  }
  throw new Error("The C library has no file in memory");
}
