// Dockerfile.debian, built on a Debian out of a folder, as no registry of images is asked. No container engine runs where
// these tests do: what is in the image is run in its folder.
import assert from "node:assert/strict";
import { ARCHITECTURES, buildPackage } from "../../scripts/package.ts";
import { ROOT } from "../../scripts/set_up.ts";
import { VERSION } from "../../src/version.ts";
import { createTestFolder, EXECUTABLE, startExecutable } from "../support/executable.ts";
import { runCommand } from "./command.ts";
import { enterRoot, ROOT_PACKAGES, unpackDebian } from "./debian_root.ts";
import { ensureDebianPackages, reportProgress } from "./packages.ts";

const BASE = "localhost/debian:base";
const IMAGE = "localhost/libvirt_nova_exporter:test";
const BUILD_BOUND_MILLISECONDS = 300_000;

const packages = await ensureDebianPackages([...ROOT_PACKAGES, "buildah"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) reportProgress("Leaving out the tests of the image: they need root on Debian");

/** The members of `buildah inspect` that count here. */
interface Inspection {
  readonly Docker: {
    readonly config: {
      readonly User: string;
      readonly Env: readonly string[];
      readonly Entrypoint: readonly string[];
      readonly Healthcheck: { readonly Test: readonly string[] };
    };
  };
}

/** A place where buildah keeps its images. */
interface ImageStore extends AsyncDisposable {
  /** Runs buildah; fails when it does. Returns what it prints. */
  buildah(...parameters: readonly string[]): Promise<string>;
}

async function createImageStore(): Promise<ImageStore> {
  const path = await Deno.makeTempDir({ prefix: "image_store_" });
  const storage = ["--storage-driver=vfs", `--root=${path}/images`, `--runroot=${path}/run`];
  return {
    async buildah(...parameters): Promise<string> {
      const { code, output, errorOutput } = await runCommand("buildah", [
        ...storage,
        ...parameters,
      ], { workingDirectory: ROOT, boundMilliseconds: BUILD_BOUND_MILLISECONDS });
      assert.equal(code, 0, `buildah ${parameters[0]}: ${output}${errorOutput}`);
      return output.trim();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await runCommand("rm", ["-rf", "--one-file-system", path]);
    },
  };
}

/** Makes an image of the release of Debian that this machine has. */
async function importDebian({ buildah }: ImageStore): Promise<void> {
  await using root = await unpackDebian(["ca-certificates"]);
  const container = await buildah("from", "scratch");
  await buildah("copy", "--quiet", container, root.path, "/");
  await buildah("commit", "--quiet", "--rm", container, BASE);
}

if (canRun) {
  Deno.test("the image serves as a user that is not root, and its health check says so", async () => {
    await using folder = await createTestFolder();
    await using store = await createImageStore();
    const { buildah } = store;
    const architecture = ARCHITECTURES.get(Deno.build.arch);
    assert.ok(architecture !== undefined);
    // The build takes the package of dist/, and no other one may be there.
    await buildPackage("deb", {
      version: VERSION,
      architecture,
      executable: EXECUTABLE,
      addon: `${ROOT}/native/libvirt_nova_native.node`,
      outputFolder: `${ROOT}/dist`,
    });
    await importDebian(store);
    await buildah(
      "bud",
      "--isolation=chroot",
      "--format=docker",
      `--build-arg=IMAGE=${BASE}`,
      "--file=Dockerfile.debian",
      `--tag=${IMAGE}`,
      ".",
    );
    const inspection: Inspection = JSON.parse(await buildah("inspect", "--type=image", IMAGE));
    const { User: user, Env: variables, Entrypoint: entrypoint, Healthcheck: health } =
      inspection.Docker.config;
    assert.equal(user, "10100:10100");
    assert.deepEqual(entrypoint, ["/usr/bin/libvirt_nova_exporter", "--log", "-"]);
    assert.ok(variables.includes("HEALTH_PATH=/-/healthy"));

    const path = await buildah("mount", await buildah("from", IMAGE));
    const asUser = [
      "setpriv",
      "--reuid=10100",
      "--regid=10100",
      "--clear-groups",
      "--no-new-privs",
    ];
    const inImage = [...enterRoot(path), "env", ...variables, ...asUser];
    await using exporter = await startExecutable(["--uri", "test:///default"], {
      folder,
      environment: { TMPDIR: "/tmp" },
      through: [...inImage, "sh", "-c", `exec ${entrypoint.join(" ")} "$@"`],
    });
    assert.equal((await exporter.scrape()).get("libvirt_nova_up")?.samples[0]?.value, 1);
    const status = await Deno.readTextFile(`/proc/${exporter.processId}/status`);
    assert.match(status, /^Uid:\t10100\t10100\t10100\t10100$/m);

    const [kind, program = "", ...parameters] = health.Test;
    assert.equal(kind, "CMD");
    const isHealthy = async (address: string, page: string): Promise<boolean> => {
      const settings = [`HEALTH_ADDRESS=${address}`, `HEALTH_PATH=${page}`];
      const [enter = "", ...rest] = [...inImage, "env", ...settings, program, ...parameters];
      return (await runCommand(enter, rest)).code === 0;
    };
    assert.equal(await isHealthy(`127.0.0.1/${exporter.ports[0]}`, "/-/healthy"), true);
    assert.equal(await isHealthy(`127.0.0.1/${exporter.ports[0]}`, "/nothing"), false);
    assert.equal((await exporter.stop()).code, 0);
    assert.equal(await isHealthy(`127.0.0.1/${exporter.ports[0]}`, "/-/healthy"), false);
  });
}
