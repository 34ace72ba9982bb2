// Dockerfile.debian, built on a Debian out of a folder, as no registry of images is asked. No container engine runs where
// these tests do: what is in the image is run in its folder.
import assert from "node:assert/strict";
import { packageForMachine } from "./machine_package.ts";
import { ROOT } from "../../testing/set_up.ts";
import { createTestFolder, startExecutable } from "../../testing/executable.ts";
import { createImageStore, type ImageStore } from "../../testing/image_store.ts";
import { runCommand } from "../../testing/command.ts";
import { ensureDebian, enterRoot, releaseName } from "../../testing/debian.ts";
import { ROOT_PACKAGES } from "./debian_root.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";

const BASE = "localhost/debian:base";
const IMAGE = "localhost/libvirt_nova_exporter:test";

const packages = await ensureDebianPackages([...ROOT_PACKAGES, "buildah"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) reportProgress("Leaving out the tests of the image: they need root on Debian");

/** Makes an image of the release of Debian that this machine has. */
async function importDebian(store: ImageStore): Promise<void> {
  const root = await ensureDebian({ suite: await releaseName(), packages: ["ca-certificates"] });
  await store.importFolder(root, BASE);
}

if (canRun) {
  Deno.test("the image serves as a user that is not root, and its health check says so", async () => {
    await using folder = await createTestFolder();
    await using store = await createImageStore();
    // The build takes the package of dist/, and no other one may be there.
    await packageForMachine("deb", `${ROOT}/dist`);
    await importDebian(store);
    await store.buildah(
      "bud",
      "--isolation=chroot",
      "--format=docker",
      `--build-arg=IMAGE=${BASE}`,
      "--file=Dockerfile.debian",
      `--tag=${IMAGE}`,
      ".",
    );
    const { User: user, Env: variables, Entrypoint: entrypoint, Healthcheck: health } = await store
      .configuration(IMAGE);
    assert.equal(user, "10100:10100");
    assert.deepEqual(entrypoint.slice(-3), ["/usr/bin/libvirt_nova_exporter", "--log", "-"]);
    assert.ok(variables.includes("HEALTH_PATH=/-/healthy"));

    const path = await store.mount(IMAGE);
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
