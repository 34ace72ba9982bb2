/** Systems of Debian in folders: made once by mmdebstrap, kept in this user's cache, and entered by chroot. */
import { cacheFolder } from "./cache.ts";
import { step, StepError } from "./progress.ts";

/** What an unpacked system consists of. */
export interface DebianContent {
  /** The release, such as `bookworm`. */
  readonly suite: string;
  /** Packages besides the essential ones and apt. */
  readonly packages: readonly string[];
}

/** What says where this system gets its packages from. */
const SOURCES = "/etc/apt/sources.list.d/debian.sources";

/**
 * Sees to it that a system lies in a folder, which is shared and not to be changed. Making it takes a minute and more.
 *
 * @returns the folder
 * @throws {StepError} with the reason when it cannot be had
 */
export async function ensureDebian({ suite, packages }: DebianContent): Promise<string> {
  const wanted = new TextEncoder().encode([suite, ...packages.toSorted()].join());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", wanted)).toHex();
  const folder = `${cacheFolder()}/debian_${suite}_${digest.slice(0, 12)}`;
  if (await exists(folder)) return folder;
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const unfinished = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "unfinished_" });
  try {
    await step(`Unpacking Debian "${suite}"`, [
      // What is mounted meanwhile goes with the process, also when that is killed.
      "unshare",
      "--mount",
      "--propagation=private",
      "mmdebstrap",
      "--variant=apt",
      "--mode=root",
      "--skip=check/empty",
      // A mirror may lag behind for weeks. Signatures are checked all the same.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      '--dpkgopt=path-exclude="/usr/share/man/*"',
      "--dpkgopt=force-unsafe-io",
      `--include=${packages.join(",")}`,
      suite,
      unfinished,
      ...await sourcesOf(suite),
    ]);
    await Deno.rename(unfinished, folder);
  } catch (error) {
    await step("Removing what was unpacked", ["rm", "-rf", "--one-file-system", unfinished]);
    // Another run may have been faster.
    if (await exists(folder)) return folder;
    throw error;
  }
  return folder;
}

/**
 * The words before a command that run it in a folder with a system, as root, with a `/proc` and devices of its own. In
 * namespaces of its own the mounts go with the process, whatever becomes of it.
 *
 * @param shared by the place where it shall be seen inside: a folder or a file of this machine. With any, `/mnt` and `/tmp`
 * are empty otherwise, and gone afterwards.
 */
export function enterRoot(
  root: string,
  shared: Readonly<Record<string, string>> = {},
): readonly [string, ...string[]] {
  const pairs = Object.entries(shared).flat();
  const namespace = ["unshare", "--mount", "--propagation=private"] as const;
  return [...namespace, "sh", "-c", ENTER, "sh", root, String(pairs.length / 2), ...pairs];
}

const ENTER = `set -e
root=$1
left=$2
shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
if [ "$left" -gt 0 ]; then
  mount -t tmpfs tmpfs "$root/mnt"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
fi
while [ "$left" -gt 0 ]; do
  if [ ! -e "$root$1" ]; then
    if [ -d "$2" ]; then mkdir -p "$root$1"; else : > "$root$1"; fi
  fi
  mount --bind "$2" "$root$1"
  shift 2
  left=$((left - 1))
done
cd "$root"
exec chroot "$root" "$@"`;

/**
 * The release of Debian that this machine has.
 *
 * @throws {StepError} when it is another system
 */
export async function releaseName(): Promise<string> {
  const release = await Deno.readTextFile("/etc/os-release");
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (suite === undefined) throw new StepError("/etc/os-release names no release of Debian");
  return suite;
}

/** All come from where this system has its packages from: its own release with its updates, the others as they came out. */
async function sourcesOf(suite: string): Promise<readonly string[]> {
  const text = await Deno.readTextFile(SOURCES).catch(() => "");
  if (text.includes(suite)) return [SOURCES];
  const mirror = /^URIs: *(\S+)/m.exec(text)?.[1];
  return mirror === undefined ? [] : [mirror];
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
