/**
 * The kernel and the initramfs that the test guests boot: Debian's cloud kernel and its static busybox, unpacked from their
 * packages without installing them.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { reportProgress, updatePackageLists } from "../packages.ts";
import { outputOf, startCommand } from "../command.ts";

/** Where a bootable kernel and its initramfs lie, as absolute paths. */
export interface GuestImage {
  readonly kernel: string;
  readonly initramfs: string;
}

/** The line that a guest prints on its serial console when it has read its disks, sent packets and gone idle. */
export const READY_MARKER = "guest ready";

/**
 * The word on the kernel's command line that keeps a guest using its disks and its network cards about once a second, for
 * tests that watch counters grow.
 */
export const HEARTBEAT_WORD = "guest.heartbeat";

/**
 * The word on the kernel's command line that makes a guest run the commands that come in at its second serial port, for
 * tests that say what it is to do.
 */
export const SHELL_WORD = "guest.shell";

/** The word on the kernel's command line that makes a guest heed its power button, as a guest of a cloud does. */
export const POWER_BUTTON_WORD = "guest.power_button";

/** What a guest prints after the output of a command, followed by the exit code. */
export const COMMAND_END = "end-of-command";

/**
 * The kernel's command line. Everything after `quiet` shortens the boot under an emulated processor.
 */
export const KERNEL_COMMAND_LINE =
  "console=ttyS0 quiet mitigations=off nokaslr no_timer_check cryptomgr.notests audit=0 apparmor=0";

const META_PACKAGE = "linux-image-cloud-amd64";
const BUSYBOX_PACKAGE = "busybox-static";
const CACHE_DIRECTORY = fileURLToPath(new URL("../../.cache/guest/", import.meta.url));

const WANTED_MODULES = ["virtio_pci", "virtio_balloon", "virtio_blk", "virtio_net"] as const;

/** What tells of the power button, loaded only where {@link POWER_BUTTON_WORD} asks for it. */
const BUTTON_MODULES = ["button", "evdev"] as const;

/** Anything that changes what is built belongs in here, as the cache is keyed by it. */
function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in ${modules.join(" ")}; do
  insmod "/modules/$module.ko"
done

use_disks() {
  for disk in /dev/vd?; do
    [ -b "$disk" ] || continue
    dd if="$disk" of=/dev/null bs=4096 count=4 iflag=direct 2>/dev/null
    dd if=/dev/zero of="$disk" bs=4096 count=2 conv=fsync 2>/dev/null
  done
}

# Calls $1 with the name and the address of each network card.
for_each_card() {
  number=1
  for path in /sys/class/net/eth*; do
    [ -e "$path" ] || continue
    number=$((number + 1))
    "$1" "\${path##*/}" "192.0.2.$number"
  done
}
bring_up() {
  ifconfig "$1" "$2" netmask 255.255.255.0 up
}
# A packet that is sent before the card has found its link is lost; a card may have no link for good.
await_link() {
  attempts=0
  while [ "$attempts" -lt 100 ] && [ "$(cat "/sys/class/net/$1/carrier")" = 0 ]; do
    usleep 10000
    attempts=$((attempts + 1))
  done
}
announce() {
  arping -q -U -c 1 -I "$1" "$2"
}
# The host's end of the card answers, so that both directions count.
ask_neighbours() {
  ping6 -q -c 1 -W 1 -I "$1" ff02::1 > /dev/null 2>&1
}

await_power_button() {
  for module in ${BUTTON_MODULES.join(" ")}; do
    insmod "/modules/$module.ko"
  done
  # A keyboard is among the event devices, so each has a reader; whichever is woken first turns the machine off.
  for device in /dev/input/event*; do
    { head -c 1 "$device" > /dev/null && poweroff -f; } &
  done
}

serve_commands() {
  stty raw -echo
  while read -r line; do
    (eval "$line")
    echo "${COMMAND_END} $?"
  done
}

if grep -q "${POWER_BUTTON_WORD}" /proc/cmdline; then
  await_power_button
fi
for_each_card bring_up
use_disks
for_each_card await_link
for_each_card announce
if grep -q "${SHELL_WORD}" /proc/cmdline; then
  serve_commands < /dev/ttyS1 > /dev/ttyS1 2>&1 &
fi
echo "${READY_MARKER}"
while :; do
  if grep -q "${HEARTBEAT_WORD}" /proc/cmdline; then
    use_disks
    for_each_card ask_neighbours
    sleep 1
  else
    sleep 3600
  fi
done
`;
}

/** The name that the kernel gives the module of a file such as `virtio-rng.ko.xz`. */
function moduleName(path: string): string {
  return path.replace(/^.*\//, "").replace(/\.ko(\.\w+)?$/, "").replaceAll("-", "_");
}

/**
 * Reads which other modules a module needs from its `depends=` entry.
 *
 * @param content the bytes of an uncompressed kernel module
 */
export function moduleDependencies(content: Uint8Array): readonly string[] {
  const text = new TextDecoder("latin1").decode(content);
  const list = /(?:^|\0)depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return list.split(",").filter((name) => name !== "").map((name) => name.replaceAll("-", "_"));
}

/**
 * Puts modules and everything that they need into an order in which they can be loaded.
 *
 * @param wanted the modules that have to end up loaded
 * @param dependenciesOf a module's direct dependencies; `undefined` for one that is built into the kernel
 */
export function loadOrder(
  wanted: readonly string[],
  dependenciesOf: (name: string) => readonly string[] | undefined,
): readonly string[] {
  const order = new Set<string>();
  const visit = (name: string): void => {
    if (order.has(name)) return;
    const dependencies = dependenciesOf(name);
    if (dependencies === undefined) return;
    dependencies.forEach(visit);
    order.add(name);
  };
  wanted.forEach(visit);
  return [...order];
}

/**
 * Takes the concrete kernel package from what `apt-cache show linux-image-cloud-amd64` prints.
 *
 * @throws {Error} when it names none
 */
export function concreteKernelPackage(description: string): string {
  const name = /^Depends:.*?\b(linux-image-[^\s,|(]+)/m.exec(description)?.[1];
  if (name === undefined) {
    throw new Error(
      `Package "${META_PACKAGE}" names no kernel to depend on; use a Debian that has it`,
    );
  }
  return name;
}

async function download(directory: string): Promise<void> {
  const description = await outputOf("apt-cache", ["--no-all-versions", "show", META_PACKAGE]);
  // Without the option apt warns that its sandbox user cannot write to the directory.
  await outputOf(
    "apt-get",
    [
      "-o",
      "APT::Sandbox::User=root",
      "download",
      concreteKernelPackage(description),
      BUSYBOX_PACKAGE,
    ],
    { workingDirectory: directory, boundMilliseconds: 300_000 },
  );
}

async function unpackPackages(directory: string): Promise<string> {
  const root = `${directory}/root`;
  for (const entry of Deno.readDirSync(directory)) {
    if (entry.name.endsWith(".deb")) {
      await outputOf("dpkg-deb", ["--extract", `${directory}/${entry.name}`, root]);
    }
  }
  return root;
}

function filesBelow(directory: string): readonly string[] {
  return [...Deno.readDirSync(directory)].flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    return entry.isDirectory ? filesBelow(path) : [path];
  });
}

/** Debian compresses modules since its release 13. */
async function decompressed(path: string): Promise<Uint8Array> {
  if (path.endsWith(".ko")) return Deno.readFileSync(path);
  const program = path.endsWith(".xz") ? "xz" : "zstd";
  const result = await startCommand(program, ["-dc", path], { stdout: "piped", stderr: "piped" })
    .output();
  if (!result.success) throw new Error(`Module "${path}" cannot be decompressed by "${program}"`);
  return result.stdout;
}

/** Copies the wanted modules and returns the order in which to load them. */
async function copyModules(root: string, target: string): Promise<readonly string[]> {
  const libraries = ["lib/modules", "usr/lib/modules"].map((part) => `${root}/${part}`);
  const library = libraries.find((path) => isPresent(path));
  if (library === undefined) {
    throw new Error(`No kernel modules are in "${root}"; see what "${META_PACKAGE}" holds`);
  }
  const paths = new Map(
    filesBelow(library).filter((path) => /\.ko(\.\w+)?$/.test(path))
      .map((path) => [moduleName(path), path]),
  );
  const contents = new Map<string, Uint8Array>();
  const pending: string[] = [...WANTED_MODULES, ...BUTTON_MODULES];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const path = paths.get(name);
    if (path === undefined || contents.has(name)) continue;
    const content = await decompressed(path);
    contents.set(name, content);
    pending.push(...moduleDependencies(content));
  }
  for (const [name, content] of contents) Deno.writeFileSync(`${target}/${name}.ko`, content);
  return loadOrder(WANTED_MODULES, (name) => {
    const content = contents.get(name);
    return content === undefined ? undefined : moduleDependencies(content);
  });
}

function isPresent(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function build(directory: string): Promise<void> {
  try {
    await download(directory);
  } catch {
    await updatePackageLists();
    await download(directory);
  }
  const root = await unpackPackages(directory);
  const tree = `${directory}/tree`;
  for (const part of ["bin", "dev", "proc", "sys", "modules"]) {
    Deno.mkdirSync(`${tree}/${part}`, { recursive: true });
  }
  const busybox = ["bin/busybox", "usr/bin/busybox"].map((part) => `${root}/${part}`)
    .find((path) => isPresent(path));
  const kernel = filesBelow(`${root}/boot`).find((path) => path.includes("/vmlinuz-"));
  if (busybox === undefined || kernel === undefined) {
    throw new Error(`No busybox or no kernel is in "${root}"; see what the packages hold`);
  }
  Deno.copyFileSync(busybox, `${tree}/bin/busybox`);
  const modules = await copyModules(root, `${tree}/modules`);
  Deno.writeTextFileSync(`${tree}/init`, initScript(modules), { mode: 0o755 });

  // Left uncompressed: the guest's emulated processor takes longer to unpack it than the disk to deliver it.
  const names = (await outputOf("find", ["."], { workingDirectory: tree })).trimEnd();
  await outputOf("cpio", [
    "--quiet",
    "--create",
    "--format=newc",
    `--file=${directory}/initramfs`,
  ], {
    workingDirectory: tree,
    input: `${names}\n`,
  });
  Deno.renameSync(kernel, `${directory}/vmlinuz`);
  for (const entry of [...Deno.readDirSync(directory)]) {
    if (!["vmlinuz", "initramfs"].includes(entry.name)) {
      Deno.removeSync(`${directory}/${entry.name}`, { recursive: true });
    }
  }
}

/** Removes images of other recipes than `recipe`, and what builds have left that were killed. */
function removeOutdated(recipe: string): void {
  for (const { name } of [...Deno.readDirSync(CACHE_DIRECTORY)]) {
    if (name === recipe) continue;
    const builder = /^building-(\d+)-/.exec(name)?.[1];
    if (builder === undefined || !isPresent(`/proc/${builder}`)) {
      Deno.removeSync(`${CACHE_DIRECTORY}${name}`, { recursive: true });
    }
  }
}

/**
 * Returns the guests' kernel and initramfs, and builds them at the first call (a download of about 30 MB). They stay in the
 * project's `.cache/guest`; remove it to follow a newer kernel.
 *
 * @throws {Error} when a package cannot be downloaded or does not hold what it should
 */
export async function ensureGuestImage(): Promise<GuestImage> {
  const recipe = createHash("sha256").update(initScript(WANTED_MODULES)).digest("hex").slice(0, 12);
  const directory = `${CACHE_DIRECTORY}${recipe}`;
  const image = { kernel: `${directory}/vmlinuz`, initramfs: `${directory}/initramfs` };
  if (isPresent(image.initramfs)) return image;

  reportProgress("Building the kernel and the initramfs of the test guests");
  Deno.mkdirSync(CACHE_DIRECTORY, { recursive: true });
  removeOutdated(recipe);
  const building = Deno.makeTempDirSync({ dir: CACHE_DIRECTORY, prefix: `building-${Deno.pid}-` });
  try {
    await build(building);
    Deno.chmodSync(building, 0o755);
    Deno.renameSync(building, directory);
  } catch (error) {
    Deno.removeSync(building, { recursive: true });
    // Another process may have been faster, which is as good.
    if (!isPresent(image.initramfs)) throw error;
  }
  return image;
}
