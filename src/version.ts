import process from "node:process";
import manifest from "../package.json" with { type: "json" };

/** The exporter's version. It stands in package.json and nowhere else. */
export const VERSION: string = manifest.version;

/** What this exporter is and what it runs on. */
export interface BuildInfo {
  readonly version: string;
  /** Name and version of the JavaScript runtime, such as `bun 1.4.5`. */
  readonly runtime: string;
  /** The processor's architecture as the runtime names it, such as `x64` or `arm64`. */
  readonly architecture: string;
}

/** Runtimes by the property of `process.versions` that only they have; Node's property is in all of them. */
const RUNTIMES = ["bun", "deno", "node"] as const;

/**
 * Says what this process is and runs on.
 *
 * @param versions by component, as in `process.versions`
 */
export function buildInfo(
  versions: Readonly<Record<string, string | undefined>> = process.versions,
  architecture: string = process.arch,
): BuildInfo {
  const runtime = RUNTIMES.find((name) => versions[name] !== undefined);
  return {
    version: VERSION,
    runtime: runtime === undefined ? "unknown runtime" : `${runtime} ${versions[runtime]}`,
    architecture,
  };
}

/** Writes {@linkcode buildInfo} in one line, without a line feed, for `--version`. */
export function versionText(info: BuildInfo = buildInfo()): string {
  return `libvirt_nova_exporter ${info.version} (${info.runtime}, ${info.architecture})`;
}
