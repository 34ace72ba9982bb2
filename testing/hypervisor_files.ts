// Hypervisors of libvirt's test driver, for tests of the executable.
import type { TestFolder } from "./executable.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "./nova_domain.ts";

/** The URI of the demo hypervisor. */
export const DEMO_URI = `test://${
  encodeURI(
    decodeURIComponent(new URL("../contrib/demo/hypervisor.xml", import.meta.url).pathname),
  )
}`;

/** The URI of libvirt's built-in test hypervisor, which has one domain. */
export const DEFAULT_URI = "test:///default";

/** The URI of a daemon that is not there. */
export const UNREACHABLE_URI = "qemu+unix:///system?socket=/nonexistent/sock";

/** Names that break a page whose writer or reader does not escape, quote or split as the formats say. */
export const HOSTILE_NAMES: readonly string[] = [
  'quote" and "} 1',
  "backslash \\ and \\n and \\",
  "line\nfeed",
  "carriage\rreturn\r\n",
  "\ttab and  blanks ",
  "# EOF",
  "a\n# EOF\n",
  "# HELP libvirt_nova_up x",
  "{a=\"b\",c='d'}",
  "comma, equals=, # and } 1 # {} 1",
  "line separator \u2028, next line \u0085, non-breaking \u00a0",
  "Ünïcödé 名前 🦀 e\u0301 \u202eright to left",
  "not a character \ufffd and a byte order mark \ufeff",
  "NaN",
  "long".repeat(1_000),
];

/** Writes a hypervisor with an instance, and a project, of each name, and returns its URI. */
export async function writeNamedHypervisor(
  folder: TestFolder,
  names: readonly string[],
): Promise<string> {
  const domains = names.map((name, number) =>
    novaDomainXml({
      name: `instance-${number}`,
      uuid: numberedUuid(number),
      novaName: name,
      novaProject: name,
      disks: [{ target: "vda" }],
      interfaces: [{ target: `tap${number}`, macAddress: "fa:16:3e:00:00:01" }],
    })
  );
  return await writeHypervisor(folder, domains);
}

/** Writes a hypervisor with domains of these definitions, and returns its URI. */
export async function writeHypervisor(
  folder: TestFolder,
  domains: readonly string[],
): Promise<string> {
  return `test://${await folder.write("hypervisor.xml", testDriverFile(domains))}`;
}

/** The definitions of so many domains, with a number in their names. */
export function numberedDomains(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) =>
    novaDomainXml({
      name: `instance-${index}`,
      uuid: numberedUuid(index),
      novaName: `web-${index}`,
      disks: [{ target: "vda" }],
      interfaces: [{ target: `tap${index}`, macAddress: "fa:16:3e:00:00:01" }],
    }));
}
