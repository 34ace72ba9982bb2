/** A port that nobody listens on at any address of this machine, for whoever has to be told one before it listens. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  return listener.addr.port;
}
