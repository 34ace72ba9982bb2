/** Builds the image of Dockerfile.alpine and saves it in dist/image/, by Docker or by Podman, whichever is there. */
import manifest from "../package.json" with { type: "json" };
import { main, say, step, StepError } from "../testing/progress.ts";
import { isInstalled, ROOT } from "../testing/set_up.ts";
import { VERSION } from "../src/version.ts";

await main(async () => {
  const engines = await Promise.all(
    ["docker", "podman"].map(async (name) => await isInstalled(name) ? [name] : []),
  );
  const [engine] = engines.flat();
  if (engine === undefined) {
    throw new StepError("No container engine is installed: install Docker or Podman");
  }
  const name = `libvirt_nova_exporter:${VERSION}`;
  const file = `dist/image/libvirt_nova_exporter-${VERSION}-image.tar`;
  await Deno.mkdir(`${ROOT}/dist/image`, { recursive: true });
  const { homepage } = manifest;
  const source = homepage === "" ? [] : ["--label", `org.opencontainers.image.source=${homepage}`];
  const build = ["build", "--file", "Dockerfile.alpine", "--tag", name, ...source, "."];
  await step(`Building the image by ${engine}`, [engine, ...build], { cwd: ROOT });
  await step("Saving the image", [engine, "save", "--output", file, name], { cwd: ROOT });
  say(`Made ${file}`);
});
