/**
 * What may be wrong with the temporary directory that the executable unpacks its shim into.
 *
 * @module
 */

import type { TestFolder } from "../../testing/executable.ts";

/** Words before a command that have the kernel refuse it files in memory, which are the other way to load the shim. */
export const REFUSES_MEMORY_FILES: readonly string[] = [
  ..."strace -D -f -qq -e trace=memfd_create -e inject=memfd_create:error=ENOSYS -o".split(" "),
  "/dev/null",
];

/** What is wrong, as a script with the path of the directory in `$0`; and what is said then. */
export const UNPACKING_FAULTS: Readonly<Record<string, readonly [script: string, line: RegExp]>> = {
  "is missing": ['rmdir "$0"', /\(ENOENT.*\): make that directory, or set TMPDIR to one that/],
  "is read-only": ['mount -t tmpfs -o ro none "$0"', /\(EROFS.*\): set TMPDIR to .* not read-only/],
  "is full": [
    'mount -t tmpfs -o size=64k none "$0"',
    /\(ENOSPC.*\): free 2 MB there, or set TMPDIR/,
  ],
  "is mounted noexec": [
    'mount -t tmpfs -o noexec none "$0"',
    // The first is glibc's word, the other musl's.
    /\((failed to map segment from shared object|.*not permitted).*\): set TMPDIR to .* not mounted noexec/,
  ],
  "is a file": ['rmdir "$0"; touch "$0"', /\(ENOTDIR.*\): set TMPDIR to a directory/],
  "has an obstacle": [
    'touch "$0/libvirt_nova_exporter-0"',
    /"[^"]*\/libvirt_nova_exporter-0" is not a directory of this user\): remove it, or set TMPDIR/,
  ],
  "has a directory of another user in the place": [
    'mkdir "$0/libvirt_nova_exporter-0"; chown 65534:65534 "$0/libvirt_nova_exporter-0"',
    /"[^"]*\/libvirt_nova_exporter-0" is not a directory of this user\): remove it, or set TMPDIR/,
  ],
};

/** The words before a command that run it after a script in file systems of its own. */
export function after(script: string, folder: TestFolder): readonly string[] {
  const whole = `set -e; ${script}; exec "$@"`;
  return ["unshare", "--mount", "--propagation=private", "sh", "-c", whole, folder.temporary];
}
