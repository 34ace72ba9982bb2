/**
 * The Debian packages that the tests with a real hypervisor, a real Prometheus and a real browser need.
 *
 * @module
 */

import { type CommandResult, runCommand } from "./command.ts";
import { StepError } from "./progress.ts";

/** Whether something can be used here, and in one line why not. */
export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string };

/**
 * What a private hypervisor needs. The guests' kernel and busybox are only unpacked (see `guest_image.ts`), as
 * installing them would change how a developer's machine boots.
 */
export const HYPERVISOR_PACKAGES: readonly string[] = [
  "cpio",
  "iproute2",
  "libvirt-clients",
  "libvirt-daemon-system",
  "openssl",
  "qemu-system-x86",
  "xz-utils",
];

/** What brings Prometheus and promtool. */
export const PROMETHEUS_PACKAGES: readonly string[] = ["prometheus"];

/** What brings Alertmanager and amtool. */
export const ALERTMANAGER_PACKAGES: readonly string[] = ["prometheus-alertmanager"];

/** What brings a browser. */
export const BROWSER_PACKAGES: readonly string[] = ["chromium"];

/** What most of these tests need. Those who need more ask for it themselves. */
export const REQUIRED_PACKAGES: readonly string[] = [
  ...HYPERVISOR_PACKAGES,
  ...PROMETHEUS_PACKAGES,
  ...ALERTMANAGER_PACKAGES,
  ...BROWSER_PACKAGES,
];

const INSTALLATION_BOUND_MILLISECONDS = 900_000;
const POLICY_FILE = "/usr/sbin/policy-rc.d";

/**
 * Installs packages while a policy file, which says that no service may be started, stands in the way of
 * their installation scripts. It is a shell script of its own so that the policy file goes even when this process is killed.
 */
const INSTALL_WITHOUT_STARTING_SERVICES = `
if [ ! -e ${POLICY_FILE} ]; then
  trap 'rm -f ${POLICY_FILE}' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' > ${POLICY_FILE}
  chmod 755 ${POLICY_FILE}
fi
apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" < /dev/null
`;

/** Prints one line of progress, as installing takes long enough to wonder. */
export function reportProgress(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

/**
 * Names the packages of `wanted` that `dpkg-query`'s answer does not call installed.
 *
 * @param answer lines of package name and status, as `--showformat '\${Package} \${db:Status-Status}\n'` writes them
 */
export function missingPackages(wanted: readonly string[], answer: string): readonly string[] {
  const installed = new Set(
    answer.split("\n").map((line) => line.split(" ")).filter(([, status]) => status === "installed")
      .map(([name]) => name),
  );
  return wanted.filter((name) => !installed.has(name));
}

/**
 * Refreshes apt's package lists. A list that cannot be had is no failure here: it is often a third party's, and
 * what is missing shows when a package is asked for.
 */
export async function updatePackageLists(): Promise<void> {
  reportProgress("Updating apt's package lists for the tests");
  await runCommand("apt-get", ["-o", "DPkg::Lock::Timeout=300", "update"], {
    environment: { DEBIAN_FRONTEND: "noninteractive" },
    boundMilliseconds: INSTALLATION_BOUND_MILLISECONDS,
  });
}

async function queryPackages(wanted: readonly string[]): Promise<readonly string[] | undefined> {
  try {
    const { output } = await runCommand("dpkg-query", [
      "--show",
      "--showformat",
      "${Package} ${db:Status-Status}\\n",
      ...wanted,
    ]);
    return missingPackages(wanted, output);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function install(names: readonly string[]): Promise<CommandResult> {
  return await runCommand("sh", ["-c", INSTALL_WITHOUT_STARTING_SERVICES, "install", ...names], {
    environment: { DEBIAN_FRONTEND: "noninteractive" },
    boundMilliseconds: INSTALLATION_BOUND_MILLISECONDS,
  });
}

function lastLine(result: CommandResult): string {
  const lines = `${result.output}\n${result.errorOutput}`.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").at(-1) ?? "apt-get printed nothing";
}

/**
 * Makes sure that Debian packages are installed, and installs what is missing when this runs as root on a Debian on amd64.
 * No service of these packages gets started.
 *
 * @returns `available: false` with a one-line reason where they are missing and cannot be installed
 */
export async function ensureDebianPackages(
  wanted: readonly string[],
): Promise<Availability> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return unavailable(`"${Deno.build.os}" on "${Deno.build.arch}" is not Linux on x86_64`);
  }
  const missing = await queryPackages(wanted);
  if (missing === undefined) return unavailable(`"dpkg-query" is missing, so this is no Debian`);
  if (missing.length === 0) return { available: true };
  const names = missing.join(" ");
  if (Deno.uid() !== 0) {
    return unavailable(`Packages "${names}" are missing; install them or run the tests as root`);
  }

  reportProgress(`Installing the Debian packages "${names}" for the tests`);
  const startedAt = performance.now();
  let result = await install(missing);
  for (let attempt = 0; result.code !== 0 && attempt < 2; attempt += 1) {
    await updatePackageLists();
    result = await install(missing);
  }
  if (result.code !== 0) {
    return unavailable(`Packages "${names}" cannot be installed: ${lastLine(result)}`);
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  reportProgress(`Installed the Debian packages in ${seconds} s`);
  return { available: true };
}

/**
 * Says that something cannot be used here, which leaves tests out.
 *
 * @throws {StepError} with the reason in continuous integration, where none may be left out
 */
export function unavailable(reason: string): Availability {
  if (Deno.env.get("CI") === "true") throw new StepError(reason);
  return { available: false, reason };
}
