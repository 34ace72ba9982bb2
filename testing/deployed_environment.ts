import { ROOT } from "./set_up.ts";

const UNIT = `${ROOT}/contrib/systemd/libvirt_nova_exporter.service`;

/**
 * The environment that the systemd unit gives the executable; the container image gives it the same.
 *
 * @throws {Error} when the unit sets nothing: what is measured would be something that nobody deploys
 */
export function deployedEnvironment(): Readonly<Record<string, string>> {
  const assignments = Deno.readTextFileSync(UNIT).matchAll(/^Environment=(\w+)=(\S*)$/gm);
  const environment = Object.fromEntries([...assignments].map(([, name, value]) => [name, value]));
  if (Object.keys(environment).length === 0) throw new Error(`File "${UNIT}" sets no environment`);
  return environment;
}
