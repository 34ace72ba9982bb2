import { homedir } from "node:os";

/** Where this user keeps what several checkouts can share and what takes long to make: `$XDG_CACHE_HOME`, or `~/.cache`. */
export function cacheFolder(): string {
  // An empty one counts as none.
  return `${Deno.env.get("XDG_CACHE_HOME") || `${homedir()}/.cache`}/libvirt_nova_exporter`;
}
