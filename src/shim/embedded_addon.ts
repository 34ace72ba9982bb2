import { closeSync } from "node:fs";
import process from "node:process";
import { loaderRemedy, UnpackingError } from "./explain_addon.ts";
import { openMemoryFile } from "../runtime/memory_file.ts";
import { descriptorPath, openUnpacked, unpackingDirectory } from "./unpacked_addon.ts";

/** What loading takes from the process that it happens in. */
export interface LoaderEnvironment {
  readonly temporaryDirectory: string;
  readonly userId: number;
  /** Loads an addon from a path. */
  load(path: string): unknown;
  /** Makes a file in memory with this content and returns its descriptor. */
  openMemoryFile(content: Uint8Array): number;
}

/**
 * Loads an addon that is embedded in the executable: from a file in the temporary directory, or else from one in memory,
 * which needs nothing of the system but is a thing that guards against intruders look for.
 *
 * @throws {UnpackingError} with what was wrong with the temporary directory when neither can be done
 * @throws {Error} of the loader when the addon is not for this system
 */
export function loadEmbedded(
  content: Uint8Array,
  environment: LoaderEnvironment = processEnvironment(),
): unknown {
  const { temporaryDirectory, userId } = environment;
  let descriptor: number | undefined;
  try {
    const directory = unpackingDirectory(temporaryDirectory, userId);
    descriptor = openUnpacked(content, directory, userId);
    return loadDescriptor(descriptor, environment);
  } catch (error) {
    const isUnpacked = descriptor !== undefined;
    if (isUnpacked && error instanceof Error && loaderRemedy(error.message) !== undefined) {
      throw error;
    }
    try {
      return loadDescriptor(environment.openMemoryFile(content), environment);
    } catch {
      throw new UnpackingError(temporaryDirectory, error);
    }
  }
}

function loadDescriptor(descriptor: number, { load }: LoaderEnvironment): unknown {
  try {
    return load(descriptorPath(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function processEnvironment(): LoaderEnvironment {
  return {
    // An empty one counts as none.
    temporaryDirectory: process.env["TMPDIR"] || "/tmp",
    userId: process.getuid?.() ?? 0,
    load(path): unknown {
      const module = { exports: {} as unknown };
      process.dlopen(module, path);
      return module.exports;
    },
    openMemoryFile,
  };
}
