import { codeOf, messageOf, oneLine, quote } from "../text.ts";
import { ForeignPathError } from "./unpacked_addon.ts";

/** The shim could not be loaded out of a temporary directory. */
export class UnpackingError extends Error {
  override readonly name = "UnpackingError";

  /**
   * @param temporaryDirectory the directory that was tried
   * @param cause what went wrong there
   */
  constructor(readonly temporaryDirectory: string, override readonly cause: unknown) {
    super(firstLineOf(cause));
  }
}

/** What a program loader says, and what to do then. Both C libraries are meant, glibc and musl. */
const LOADER_REMEDIES: readonly (readonly [said: RegExp, remedy: string])[] = [
  [
    /Cannot find module|MODULE_NOT_FOUND/,
    `it is not built, run "npm run build:native"`,
  ],
  [
    /libgcc_s\.so/,
    `install "libgcc-s1" (Debian, Ubuntu) or "libgcc" (RHEL, Rocky, Fedora, Alpine)`,
  ],
  [
    /wrong ELF class|invalid ELF header|Exec format error|file too short|ld-linux|ld-musl|libc\.musl|libc\.so|symbol not found|cannot open shared object file/,
    "it was built for another system or is damaged: build the exporter for this one",
  ],
];

/** What glibc says when it lacks what was there in the glibc that the shim was linked for. */
const NEWER_GLIBC_NEEDED = /version [`'"]?GLIBC_([\d.]+)'? not found/;

/** What glibc and musl say when a file may not be run: on a file system that is mounted noexec. */
const MAPPING_REFUSED =
  /failed to map segment|Error loading shared library.*(not permitted|denied)/;

/** What to do about the operating system's errors at unpacking. */
const UNPACKING_REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: "free 2 MB there, or set TMPDIR to a directory with room",
  EDQUOT: "free 2 MB of the user's quota there, or set TMPDIR to a directory with room",
  EFBIG: "raise the limit of file sizes to 2 MB (ulimit -f, or LimitFSIZE= of the service)",
  EROFS: "set TMPDIR to a directory that is not read-only",
  ENOENT: "make that directory, or set TMPDIR to one that exists",
  ENOTDIR: "set TMPDIR to a directory",
  EACCES: "set TMPDIR to a directory that the exporter's user may write to",
  EPERM: "set TMPDIR to a directory that the exporter's user may write to",
};

/**
 * One line about a shim that cannot be loaded, with what to do about it.
 *
 * @param glibc the version of this system's glibc, where it is known
 */
export function explainAddon(error: unknown, glibc?: string): string {
  const reason = firstLineOf(error);
  if (error instanceof UnpackingError) {
    return `Cannot load the libvirt shim from the temporary directory ` +
      `${quote(error.temporaryDirectory)} (${reason}): ${unpackingRemedy(error.cause)}`;
  }
  const remedy = loaderRemedy(reason, glibc);
  const andThen = remedy === undefined ? "" : `: ${remedy}`;
  return `Cannot load the libvirt shim (${reason})${andThen}`;
}

/** One line about a shim that is loaded and cannot load libvirt's client library, with what to do about it. */
export function explainLibrary(error: unknown): string {
  const reason = firstLineOf(error);
  const [, ofGlibc, ofMusl] = MISSING_LIBRARY.exec(reason) ?? [];
  const missing = ofGlibc ?? ofMusl;
  const remedy = missing === LIBVIRT
    ? `install ${PACKAGES}`
    : missing !== undefined
    ? `install the package that has ${missing}`
    : reason.includes(LIBVIRT)
    ? `it is damaged or for another system: install ${PACKAGES} anew, or see where LD_LIBRARY_PATH leads`
    : undefined;
  if (remedy === undefined) return `Cannot start libvirt's client library: ${reason}`;
  return `Cannot load libvirt's client library (${reason}): ${remedy}`;
}

const LIBVIRT = "libvirt.so.0";
const PACKAGES = `"libvirt0" (Debian, Ubuntu) or "libvirt-libs" (RHEL, Rocky, Fedora, Alpine)`;

/** What glibc and musl say of a library that is not there, or one that such a library needs. */
const MISSING_LIBRARY =
  /([\w.+-]+): cannot open shared object file: No such file|Error loading shared library ([\w.+-]+): No such file/;

/** What to do when the shim cannot be loaded from anywhere; `undefined` when another place may do. */
export function loaderRemedy(reason: string, glibc?: string): string | undefined {
  const needed = NEWER_GLIBC_NEEDED.exec(reason)?.[1];
  if (needed !== undefined) {
    return `this system has ${
      glibc === undefined ? "an older glibc" : `glibc ${glibc}`
    }, and the ` +
      `shim needs ${needed}: take an executable that "npm run build" has made, which needs less`;
  }
  return LOADER_REMEDIES.find(([said]) => said.test(reason))?.[1];
}

function unpackingRemedy(cause: unknown): string {
  if (cause instanceof ForeignPathError) return "remove it, or set TMPDIR to another directory";
  return UNPACKING_REMEDIES[codeOf(cause)] ??
    (MAPPING_REFUSED.test(firstLineOf(cause))
      ? "set TMPDIR to a directory that is not mounted noexec"
      : "set TMPDIR to a directory that the shim can be unpacked in");
}

/** The first line of an error's message, without paths that mean something to this process alone. */
function firstLineOf(error: unknown): string {
  const line = oneLine(messageOf(error).split(/\n(?= +at )/, 1)[0] ?? "");
  return line.replaceAll(/ \(required by \/proc\/self\/fd\/\d+\)/g, "")
    .replaceAll(/( ?)\/proc\/self\/fd\/\d+(?:\/[\w.-]+)?(: )?/g, joinAround);
}

/** What stands for a path in the middle of a sentence: the colon that came after it. */
function joinAround(_path: string, before: string, after: string | undefined): string {
  return before === "" || after === undefined ? "" : after;
}
