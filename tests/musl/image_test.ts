// Dockerfile.alpine, built on a system with musl and BusyBox out of a folder, as no registry of images is asked. `apk` takes what
// it adds from a folder, and Debian's Rust stands for Alpine's; all other commands are run as they are written. No container engine
// runs where these tests do: what is in the image is run in its folder.
import assert from "node:assert/strict";
import { cacheFolder } from "../../testing/cache.ts";
import { ensureDebian } from "../../testing/debian.ts";
import { ROOT } from "../../testing/set_up.ts";
import { ensureZig } from "../../testing/zig.ts";
import { outputOf, runCommand } from "../../testing/command.ts";
import { ensureDebianPackages } from "../../testing/packages.ts";
import { createTestFolder, startExecutable, type TestFolder } from "../../testing/executable.ts";
import { createImageStore, type ImageStore } from "../../testing/image_store.ts";
import { makeBase, makePackages } from "./alpine_packages.ts";
import { ensureMuslSystem } from "./musl_system.ts";

const system = await ensureMuslSystem();
const packages = await ensureDebianPackages(["buildah", "mmdebstrap"]);
if (!packages.available) throw new Error(packages.reason);

const IMAGE = "localhost/libvirt_nova_exporter:alpine";
const RUST_PACKAGES = ["ca-certificates", "cargo", "rust-src", "rustc"];

/**
 * What is asked of cargo, done by that of Debian: it compiles for another system, and Rust's library along. It goes on from what the
 * executable was built with, where all but the shim itself is compiled.
 */
const CARGO = `#!/bin/sh
set -e
[ "$1" = build ] || { echo "Unknown: cargo $*" >&2; exit 1; }
shift
cp -a native /debian/mnt/native
chroot /debian /usr/bin/env --chdir=/mnt HOME=/mnt/home TMPDIR=/mnt CARGO_HOME=/mnt/home/cargo PATH=/usr/bin:/bin \\
  RUSTC_BOOTSTRAP=1 CARGO_ZIGBUILD_ZIG_PATH=/mnt/zig/ziglang/zig "RUSTFLAGS=$RUSTFLAGS" \\
  /mnt/zig/bin/cargo-zigbuild zigbuild "$@" --target-dir=/mnt/output \\
  --target=x86_64-unknown-linux-musl -Zbuild-std=std,panic_unwind
mkdir -p native/target/release
cp /debian/mnt/output/x86_64-unknown-linux-musl/release/*.so native/target/release/
`;

/** The folders and files of this machine that are seen in the build, by where they are there. */
async function volumes(folder: TestFolder): Promise<readonly string[]> {
  const [home, output] = [`${cacheFolder()}/cross_build`, `${ROOT}/.cache/cross_build/target`];
  for (const path of [home, output]) await Deno.mkdir(path, { recursive: true });
  for (const name of ["home", "output", "zig"]) {
    await Deno.mkdir(`${folder.path}/build/${name}`, { recursive: true });
  }
  await makePackages(system, `${folder.path}/packages`, CARGO);
  const pairs: [from: string, to: string][] = [
    [`${folder.path}/packages`, "/packages:ro"],
    [await ensureDebian({ suite: "sid", packages: RUST_PACKAGES }), "/debian:ro"],
    [`${folder.path}/build`, "/debian/mnt"],
    [home, "/debian/mnt/home"],
    [output, "/debian/mnt/output"],
    [await ensureZig(), "/debian/mnt/zig:ro"],
    ["/proc", "/debian/proc"],
    ["/dev", "/debian/dev"],
    // It reaches what this machine reaches, and trusts whom it trusts.
    [await writeNpmSettings(folder), "/build/.npmrc:ro"],
    ["/etc/ssl/certs/ca-certificates.crt", "/certificates:ro"],
    ["/etc/ssl/certs/ca-certificates.crt", "/debian/etc/ssl/certs/ca-certificates.crt:ro"],
  ];
  return pairs.map(([from, to]) => `--volume=${from}:${to}`);
}

async function writeNpmSettings(folder: TestFolder): Promise<string> {
  const registry = (await outputOf("npm", ["config", "get", "registry"])).trim();
  return await folder.write("npmrc", `registry=${registry}\ncafile=/certificates\n`);
}

async function buildImage(store: ImageStore, folder: TestFolder): Promise<void> {
  await makeBase(system, `${folder.path}/base`);
  await store.importFolder(`${folder.path}/base`, "docker.io/library/alpine:3.23");
  await store.buildah(
    "bud",
    "--isolation=chroot",
    "--format=docker",
    "--pull-never",
    ...await volumes(folder),
    "--file=Dockerfile.alpine",
    `--tag=${IMAGE}`,
    ".",
  );
}

/** Enters the folder `$1` as a container engine does with a read-only root: `$2` is the type of what is mounted to `/tmp`. */
const ENTER = `set -e
root=$1 temporary=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
[ "$temporary" = none ] || mount -t "$temporary" -o mode=1777 none "$root/tmp"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec=10100:10100 "$root" /usr/bin/env -i "$@"`;

Deno.test("the image for Alpine Linux serves as a user that is not root, and its health check says so", async (context) => {
  await using folder = await createTestFolder();
  await using store = await createImageStore();
  await buildImage(store, folder);
  const { User: user, Env: variables, Entrypoint: entrypoint, Healthcheck: health } = await store
    .configuration(IMAGE);
  assert.equal(user, "10100:10100");
  assert.deepEqual(entrypoint.slice(-3), ["/usr/local/bin/libvirt_nova_exporter", "--log", "-"]);
  const path = await store.mount(IMAGE);
  assert.match(
    await Deno.readTextFile(`${path}/etc/passwd`),
    /^exporter:x:10100:10100:.*:\/:\/sbin\/nologin$/m,
  );
  const inImage = (temporary: "tmpfs" | "none"): readonly string[] => [
    ...["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh", path, temporary],
    ...variables,
  ];

  for (const temporary of ["tmpfs", "none"] as const) {
    await context.step(
      `a read-only root with ${temporary === "none" ? "nothing" : "a tmpfs"} at /tmp`,
      async () => {
        const [program = "", ...rest] = entrypoint;
        await using exporter = await startExecutable([...rest, "--uri", "test:///default"], {
          folder,
          through: inImage(temporary),
          executable: program,
        });
        assert.equal((await exporter.scrape()).get("libvirt_nova_up")?.samples[0]?.value, 1);
        const status = await Deno.readTextFile(`/proc/${exporter.processId}/status`);
        assert.match(status, /^Uid:\t10100\t10100\t10100\t10100$/m);
        assert.match(status, /^NoNewPrivs:\t1$/m);

        const [kind, check = "", ...parameters] = health.Test;
        assert.equal(kind, "CMD");
        const isHealthy = async (page: string): Promise<boolean> => {
          const url = `HEALTH_URL=http://127.0.0.1:${exporter.ports[0]}${page}`;
          const [enter = "", ...words] = [...inImage("none"), url, check, ...parameters];
          return (await runCommand(enter, words)).code === 0;
        };
        assert.equal(await isHealthy("/-/healthy"), true);
        assert.equal(await isHealthy("/nothing"), false);
        assert.equal((await exporter.stop()).code, 0);
        assert.equal(await isHealthy("/-/healthy"), false);
      },
    );
  }
});
