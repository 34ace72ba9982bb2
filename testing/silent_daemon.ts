import type { TestFolder } from "./executable.ts";

/** A daemon that takes connections, counts them, and says nothing. */
export function startSilentDaemon(
  folder: TestFolder,
): Disposable & { readonly uri: string; connections(): number } {
  const path = `${folder.path}/silent`;
  const listener = Deno.listen({ transport: "unix", path });
  const connections: Deno.Conn[] = [];
  (async (): Promise<void> => {
    for await (const connection of listener) connections.push(connection);
  })().catch(() => {});
  return {
    uri: `qemu+unix:///system?socket=${path}`,
    connections: () => connections.length,
    [Symbol.dispose](): void {
      listener.close();
      for (const connection of connections) connection.close();
    },
  };
}
