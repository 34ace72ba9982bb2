/**
 * Makes the packages for Debian and for RPM, the list of what is in the executable, and the checksums of all of it, in dist/.
 * The same source gives the same bytes.
 */
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import manifest from "../package.json" with { type: "json" };
import { VERSION } from "../src/version.ts";
import { CROSS_TARGETS, crossBuild } from "./cross_build.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./generate_completion.ts";
import { manPage } from "./generate_man.ts";
import { billOfMaterials } from "./generate_sbom.ts";
import { runCommand } from "../testing/command.ts";
import { OLDEST_GLIBC, requireOldGlibc } from "../testing/glibc.ts";
import { main, say, step, StepError, withUsage } from "../testing/progress.ts";
import { buildExecutable, buildNative, EXECUTABLE, isInstalled, ROOT } from "../testing/set_up.ts";
import { ALL_FLAGS } from "../src/config/flags.ts";

/** What tools of Debian and RPM call the architectures, by what Deno does. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map([
  ["x86_64", { debian: "amd64", rpm: "x86_64", runtimePackage: "@oven/bun-linux-x64-baseline" }],
  ["aarch64", { debian: "arm64", rpm: "aarch64", runtimePackage: "@oven/bun-linux-aarch64" }],
]);

/** A processor's architecture. */
export interface Architecture {
  readonly debian: string;
  readonly rpm: string;
  /** The npm package with the JavaScript runtime that the executable for it is made of. */
  readonly runtimePackage: string;
}

/** What is packaged. */
export interface PackageOptions {
  readonly version: string;
  readonly architecture: Architecture;
  readonly executable: string;
  /** Where the packages go. */
  readonly outputFolder: string;
}

/** What {@linkcode buildPackage} makes. */
export type PackageFormat = "deb" | "rpm";

const NFPM_VERSION = "2.43.0";
const TOOLS = `${ROOT}/.cache/bin`;

/**
 * Makes one package of an executable.
 *
 * @returns its path
 * @throws {StepError} when a tool is missing or fails
 */
export async function buildPackage(
  format: PackageFormat,
  options: PackageOptions,
): Promise<string> {
  const { version, architecture, executable, outputFolder } = options;
  const nfpm = await ensureNfpm();
  const epochSeconds = await sourceDateEpoch();
  const stage = await Deno.makeTempDir({ prefix: "package_" });
  const name = "libvirt-nova-exporter";
  const file = format === "deb"
    ? `${outputFolder}/${name}_${version}-1_${architecture.debian}.deb`
    : `${outputFolder}/${name}-${version}-1.${architecture.rpm}.rpm`;
  try {
    await writeGenerated(stage, options, epochSeconds);
    await step(`Making the ${format} package`, [
      nfpm,
      "package",
      "--config",
      "contrib/packages/nfpm.yaml",
      "--packager",
      format,
      "--target",
      file,
    ], {
      cwd: ROOT,
      env: {
        ARCHITECTURE: architecture.debian,
        EXECUTABLE: executable,
        HOMEPAGE: manifest.homepage,
        GLIBC: OLDEST_GLIBC,
        SOURCE_DATE_EPOCH: `${epochSeconds}`,
        STAGE: stage,
        VERSION: version,
      },
    });
    return file;
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

/**
 * Lists what an executable for an architecture is made of.
 *
 * @returns the text of a CycloneDX document
 * @throws {StepError} when a tool is missing or fails
 */
export async function buildSbom({ rpm, runtimePackage }: Architecture): Promise<string> {
  const npm = await output("npm", [
    "sbom",
    "--package-lock-only",
    "--sbom-format=cyclonedx",
    "--omit=dev",
  ]);
  const cargo = await output("cargo", [
    "metadata",
    "--format-version=1",
    "--locked",
    `--filter-platform=${rpm}-unknown-linux-gnu`,
    "--manifest-path=native/Cargo.toml",
  ]);
  return billOfMaterials(
    JSON.parse(npm),
    JSON.parse(await Deno.readTextFile(`${ROOT}/package-lock.json`)),
    JSON.parse(cargo),
    await Deno.readTextFile(`${ROOT}/native/Cargo.lock`),
    { epochSeconds: await sourceDateEpoch(), runtimePackage },
  );
}

/** The file that `sha256sum --check` reads, for files of one folder. */
export async function checksums(files: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    files.toSorted().map(async (file) => {
      const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(file));
      return `${new Uint8Array(digest).toHex()}  ${file.slice(file.lastIndexOf("/") + 1)}\n`;
    }),
  );
  return lines.join("");
}

/**
 * The time that everything in the packages is dated to, in seconds since 1970: what `SOURCE_DATE_EPOCH` says, else when the
 * last commit was made, else, without a repository, when package.json was changed.
 *
 * @throws {StepError} when the variable is no number
 */
export async function sourceDateEpoch(): Promise<number> {
  const given = Deno.env.get("SOURCE_DATE_EPOCH");
  if (given !== undefined && given !== "") {
    if (/^\d{1,10}$/.test(given)) return Number(given);
    throw new StepError(
      `Invalid value "${given}" for SOURCE_DATE_EPOCH: give whole seconds since 1970`,
    );
  }
  // In a container the checkout may be another user's, which git refuses unless it is told.
  const trust = ["-c", `safe.directory=${ROOT}`];
  const committed = await output("git", [...trust, "log", "-1", "--format=%ct"]).catch(() => "");
  if (/^\d+$/.test(committed.trim())) return Number(committed);
  const { mtime } = await Deno.stat(`${ROOT}/package.json`);
  return Math.floor((mtime?.getTime() ?? 0) / 1_000);
}

/** Writes what is made from tables and from other files, with the times that it should have. */
async function writeGenerated(
  stage: string,
  { version, architecture }: PackageOptions,
  epochSeconds: number,
): Promise<void> {
  const flags = ALL_FLAGS;
  const date = new Date(epochSeconds * 1_000).toISOString().slice(0, 10);
  const unit = await Deno.readTextFile(`${ROOT}/contrib/systemd/libvirt_nova_exporter.service`);
  const changelog = await Deno.readFile(`${ROOT}/CHANGELOG.md`);
  const files: Readonly<Record<string, string | Uint8Array>> = {
    "libvirt_nova_exporter.service": packagedUnit(unit),
    "libvirt_nova_exporter.1.gz": compress(encode(manPage(flags, { version, date }))),
    "changelog.gz": compress(changelog),
    "changelog.Debian.gz": compress(encode(debianChangelog(version, epochSeconds))),
    "completion.bash": bashCompletion(flags),
    "completion.zsh": zshCompletion(flags),
    "completion.fish": fishCompletion(flags),
    "libvirt_nova_exporter.cdx.json": await buildSbom(architecture),
  };
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? encode(content) : content;
    await Deno.writeFile(`${stage}/${name}`, bytes);
    await Deno.utime(`${stage}/${name}`, epochSeconds, epochSeconds);
  }
}

/** What has changed in the package, as Debian's tools read it; what has in the program is in CHANGELOG.md. */
function debianChangelog(version: string, epochSeconds: number): string {
  const date = new Date(epochSeconds * 1_000).toUTCString().replace("GMT", "+0000");
  return `libvirt-nova-exporter (${version}-1) unstable; urgency=medium

  * Version ${version}, see changelog.gz.

 -- The libvirt_nova_exporter authors <noreply@localhost>  ${date}
`;
}

/** The unit as packages bring it: their programs are in /usr/bin, and nothing is left to install. */
export function packagedUnit(unit: string): string {
  return unit
    .replace(/^(?:#.*\n)+\n/, "")
    .replaceAll("/usr/local/bin/", "/usr/bin/");
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Gzip's file without a name or a time. */
function compress(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9 });
}

/** Builds the packager once; the machine's Go does it from source. */
async function ensureNfpm(): Promise<string> {
  const program = `${TOOLS}/nfpm-${NFPM_VERSION}`;
  if (await isInstalled(`nfpm-${NFPM_VERSION}`, TOOLS)) return program;
  if (!await isInstalled("go")) {
    throw new StepError(
      "Go is not installed, which builds the packager nfpm: install it from your distribution",
    );
  }
  await step(
    `Building nfpm ${NFPM_VERSION}`,
    ["go", "install", `github.com/goreleaser/nfpm/v2/cmd/nfpm@v${NFPM_VERSION}`],
    { env: { GOBIN: TOOLS, GOFLAGS: "-trimpath" } },
  );
  await Deno.rename(`${TOOLS}/nfpm`, program);
  return program;
}

/** npm and cargo may have to load what they list. */
const COMMAND_BOUND_MILLISECONDS = 600_000;

async function output(program: string, args: readonly string[]): Promise<string> {
  const options = { workingDirectory: ROOT, boundMilliseconds: COMMAND_BOUND_MILLISECONDS };
  const { code, output, errorOutput } = await runCommand(program, args, options);
  if (code !== 0) throw new StepError(`${errorOutput.trimEnd()}\n${program} ${args[0]}: failed`);
  return output;
}

const USAGE = `Usage: npm run package -- [--no-build] [--target TARGET]
  --no-build       package the executable that is there
  --target TARGET  build for another system first: ${Object.keys(CROSS_TARGETS).join(", ")}`;

if (import.meta.main) {
  await main(async () => {
    const { build, target } = readArguments();
    const folder = `${ROOT}/dist`;
    const files = target === undefined
      ? await packageHere(build, folder)
      : await packageFor(target);
    const checksumFile = `${files[0]?.slice(0, files[0].lastIndexOf("/"))}/SHA256SUMS`;
    await Deno.writeTextFile(checksumFile, await checksums(files));
    for (const file of [...files, checksumFile]) say(`Made ${file.slice(ROOT.length + 1)}`);
  });
}

/** Packages this system's executable. */
async function packageHere(build: boolean, outputFolder: string): Promise<readonly string[]> {
  const architecture = ARCHITECTURES.get(Deno.build.arch);
  if (architecture === undefined) throw new StepError(`No packages for ${Deno.build.arch}`);
  if (build) {
    await buildNative();
    await buildExecutable();
  }
  return await packageAll(architecture, EXECUTABLE, outputFolder);
}

/** Builds for another system, and packages what has a Debian or an RPM to it; Alpine has the executable alone. */
async function packageFor(target: string): Promise<readonly string[]> {
  const { executable, folder } = await crossBuild(target);
  const architecture = target === "linux-arm64" ? ARCHITECTURES.get("aarch64") : undefined;
  if (architecture === undefined) return [executable];
  return await packageAll(architecture, executable, folder);
}

async function packageAll(
  architecture: Architecture,
  executable: string,
  outputFolder: string,
): Promise<readonly string[]> {
  await requireOldGlibc(executable);
  const options = { version: VERSION, architecture, executable, outputFolder };
  const packages = [await buildPackage("deb", options), await buildPackage("rpm", options)];
  const sbom = `${outputFolder}/libvirt_nova_exporter.cdx.json`;
  await Deno.writeTextFile(sbom, await buildSbom(architecture));
  return [executable, ...packages, sbom];
}

function readArguments(): { readonly build: boolean; readonly target: string | undefined } {
  return withUsage(USAGE, () => {
    const { values } = parseArgs({
      args: Deno.args,
      allowNegative: true,
      options: { build: { type: "boolean", default: true }, target: { type: "string" } },
    });
    if (values.target !== undefined && !values.build) {
      throw new Error("--no-build and --target exclude each other");
    }
    return { build: values.build, target: values.target };
  });
}
