/**
 * Prometheus 3 beside the Prometheus 2 of the Debian release that the tests run on.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { reportProgress, updatePackageLists } from "../packages.ts";
import { outputOf, runCommand } from "../command.ts";

/** The programs of one version of Prometheus, as paths or as names to look up. */
export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
}

/** The programs that `ensureDebianPackages()` installs: Prometheus 2.42 on Debian 12. */
export const INSTALLED_PROMETHEUS: PrometheusPrograms = {
  prometheus: "prometheus",
  promtool: "promtool",
};

/** The first release of Debian with a Prometheus 3. */
const RELEASE = "forky";
const PACKAGES = ["prometheus", "promtool"] as const;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const CACHE_DIRECTORY = fileURLToPath(new URL("../../.cache/prometheus/", import.meta.url));
const DOWNLOAD_BOUND_MILLISECONDS = 300_000;

/** The mirror of Debian that this system's apt uses, as it stands in its lists; `undefined` without lists. */
async function debianMirror(): Promise<string | undefined> {
  const { output } = await runCommand("apt-get", [
    "indextargets",
    "--format",
    "$(REPO_URI)",
    "Created-By: Packages",
    "Origin: Debian",
    "Label: Debian",
  ]);
  return output.split("\n").find((line) => line !== "");
}

/** Options that make apt work on lists, archives and a state of its own, so that the system's stay as they are. */
function aptOptions(directory: string): readonly string[] {
  return [
    `Dir::Etc::SourceList=${directory}/debian.sources`,
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::State::Lists=${directory}/lists`,
    "Dir::State::Status=/dev/null",
    `Dir::Cache=${directory}/cache`,
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    "Acquire::Retries=3",
    // Its sandbox user may not write here.
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
}

async function download(directory: string): Promise<void> {
  let mirror = await debianMirror();
  if (mirror === undefined) {
    await updatePackageLists();
    mirror = await debianMirror();
  }
  if (mirror === undefined) {
    throw new Error("apt names no mirror of Debian; see what its sources are");
  }
  const source = [
    "Types: deb",
    `URIs: ${mirror}`,
    `Suites: ${RELEASE}`,
    "Components: main",
    `Signed-By: ${KEYRING}`,
  ];
  Deno.writeTextFileSync(`${directory}/debian.sources`, `${source.join("\n")}\n`);
  Deno.mkdirSync(`${directory}/lists/partial`, { recursive: true });
  Deno.mkdirSync(`${directory}/cache/archives/partial`, { recursive: true });
  const options = aptOptions(directory);
  const bounds = { workingDirectory: directory, boundMilliseconds: DOWNLOAD_BOUND_MILLISECONDS };
  await outputOf("apt-get", [...options, "--error-on=any", "update"], bounds);
  await outputOf("apt-get", [...options, "download", ...PACKAGES], bounds);
}

function programsIn(directory: string): PrometheusPrograms {
  return {
    prometheus: `${directory}/usr/bin/prometheus`,
    promtool: `${directory}/usr/bin/promtool`,
  };
}

function isPresent(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function build(directory: string, programs: PrometheusPrograms): Promise<void> {
  const work = Deno.makeTempDirSync({ dir: directory, prefix: "download-" });
  await download(work);
  for (const { name } of Deno.readDirSync(work)) {
    if (name.endsWith(".deb")) {
      await outputOf("dpkg-deb", ["--extract", `${work}/${name}`, directory]);
    }
  }
  Deno.removeSync(work, { recursive: true });
  // What its libraries are too old for ends here, with the dynamic linker's reason.
  const version = await outputOf(programs.prometheus, ["--version"]);
  if (!version.startsWith("prometheus, version 3.")) {
    throw new Error(`Debian "${RELEASE}" has no Prometheus 3 but ${version.split("\n")[0]}`);
  }
  await outputOf(programs.promtool, ["--version"]);
}

/**
 * Returns the programs of Prometheus 3, and fetches them at the first call (a download of about 50 MB): the packages of
 * a later release of Debian, unpacked without installing them. Of the system they need nothing but the C library. They stay
 * in the project's `.cache/prometheus`; remove it to follow a newer version.
 *
 * @throws {Error} when they cannot be downloaded, or do not run here
 */
export async function ensurePrometheus3(): Promise<PrometheusPrograms> {
  const directory = `${CACHE_DIRECTORY}${RELEASE}`;
  const programs = programsIn(directory);
  if (isPresent(programs.promtool)) return programs;

  reportProgress(`Fetching Prometheus 3 from Debian "${RELEASE}"`);
  Deno.mkdirSync(CACHE_DIRECTORY, { recursive: true });
  const building = Deno.makeTempDirSync({ dir: CACHE_DIRECTORY, prefix: "building-" });
  try {
    await build(building, programsIn(building));
    Deno.chmodSync(building, 0o755);
    Deno.renameSync(building, directory);
  } catch (error) {
    Deno.removeSync(building, { recursive: true });
    // Another process may have been faster, which is as good.
    if (!isPresent(programs.promtool)) throw error;
  }
  return programs;
}
