/**
 * Images that buildah builds, out of folders instead of registries.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ROOT } from "./set_up.ts";
import { runCommand } from "./command.ts";

/** A place where buildah keeps its images. */
export interface ImageStore extends AsyncDisposable {
  /** Runs buildah; fails when it does. Returns what it prints. */
  buildah(...parameters: readonly string[]): Promise<string>;
  /** Makes an image of what is in a folder. */
  importFolder(path: string, image: string): Promise<void>;
  /** Returns what an image says about how it is run. */
  configuration(image: string): Promise<ImageConfiguration>;
  /** Makes a container of an image, and returns the folder with its files. */
  mount(image: string): Promise<string>;
}

/** How an image is run. */
export interface ImageConfiguration {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Healthcheck: { readonly Test: readonly string[] };
}

const BUILD_BOUND_MILLISECONDS = 900_000;

/** Makes an empty place, which is deleted when it is disposed of. */
export async function createImageStore(): Promise<ImageStore> {
  const path = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "image_store_" });
  const storage = ["--storage-driver=vfs", `--root=${path}/images`, `--runroot=${path}/run`];
  const buildah = async (...parameters: readonly string[]): Promise<string> => {
    const { code, output, errorOutput } = await runCommand("buildah", [...storage, ...parameters], {
      workingDirectory: ROOT,
      boundMilliseconds: BUILD_BOUND_MILLISECONDS,
    });
    assert.equal(code, 0, `buildah ${parameters[0]}: ${output}${errorOutput}`);
    return output.trim();
  };
  return {
    buildah,
    async importFolder(folder, image): Promise<void> {
      const container = await buildah("from", "scratch");
      await buildah("copy", "--quiet", container, folder, "/");
      await buildah("commit", "--quiet", "--rm", container, image);
    },
    async configuration(image): Promise<ImageConfiguration> {
      const inspection = JSON.parse(await buildah("inspect", "--type=image", image));
      return inspection.Docker.config;
    },
    async mount(image): Promise<string> {
      return await buildah("mount", await buildah("from", "--pull-never", image));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await runCommand("rm", ["-rf", "--one-file-system", path]);
    },
  };
}
