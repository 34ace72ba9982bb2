/**
 * A way from this process into the network of a private hypervisor, which has no other.
 *
 * @module
 */

import { startCommand } from "../../testing/command.ts";

/** A port of the loopback address here, which leads to one of the loopback address in there. */
export interface NetworkRelay extends AsyncDisposable {
  readonly port: number;
}

/** Connects its standard input and output with a port; `/dev/tcp` is Bash's own. */
const CONNECT = 'exec 3<>"/dev/tcp/127.0.0.1/$1"; cat <&3 & cat >&3; kill $!';

/**
 * Starts a relay, which ends with all of its connections when it is disposed of.
 *
 * @param firstProcess the process in whose network the port is
 * @param inside the port in there
 */
export function startNetworkRelay(firstProcess: number, inside: number): NetworkRelay {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const relays = new Set<Promise<void>>();
  const connections = new Set<Deno.Conn>();

  async function relay(connection: Deno.Conn): Promise<void> {
    const parameters = ["--net", "bash", "-c", CONNECT, "relay", String(inside)];
    const child = startCommand("nsenter", [`--target=${firstProcess}`, ...parameters], {
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    });
    connections.add(connection);
    // Either side may go first; that ends the other.
    await Promise.allSettled([
      connection.readable.pipeTo(child.stdin),
      child.stdout.pipeTo(connection.writable),
    ]);
    connections.delete(connection);
    await child.status;
  }

  const accepting = (async (): Promise<void> => {
    for await (const connection of listener) {
      const done = relay(connection).finally(() => relays.delete(done));
      relays.add(done);
    }
  })();

  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await accepting.catch(() => {});
      for (const connection of connections) {
        try {
          connection.close();
        } catch {
          // Its stream has closed it.
        }
      }
      await Promise.all(relays);
    },
  };
}
