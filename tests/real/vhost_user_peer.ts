/**
 * The other end of a guest's vhost-user device: what Open vSwitch with DPDK is to a network card, and SPDK to a disk.
 * It says yes to QEMU and then moves nothing, which is enough for a guest that never boots.
 *
 * @module
 */

/** A listening peer. It ends when it is disposed of; QEMU goes on without it. */
export type VhostUserPeer = Disposable;

const HEADER_BYTES = 12;
const VERSION_AND_REPLY = 0x1 | 0x4;

/** Requests of the protocol that want an answer. */
const GET_FEATURES = 1;
const GET_PROTOCOL_FEATURES = 15;
const GET_QUEUE_NUMBER = 17;
const GET_CONFIGURATION = 24;

const VIRTIO_VERSION_1 = 1n << 32n;
const HAS_PROTOCOL_FEATURES = 1n << 30n;
const MULTIPLE_QUEUES = 1n << 0n;
const CONFIGURATION_SPACE = 1n << 9n;

const QUEUES = 1n;

function number(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** The answer's content; undefined for a request that wants none. File descriptors that come along are not taken. */
function answerTo(request: number, content: Uint8Array): Uint8Array | undefined {
  switch (request) {
    case GET_FEATURES:
      return number(VIRTIO_VERSION_1 | HAS_PROTOCOL_FEATURES);
    case GET_PROTOCOL_FEATURES:
      return number(MULTIPLE_QUEUES | CONFIGURATION_SPACE);
    case GET_QUEUE_NUMBER:
      return number(QUEUES);
    case GET_CONFIGURATION:
      // The configuration of a disk of no size: all of it is zero, behind what QEMU has said of its place and length.
      return content;
    default:
      return undefined;
  }
}

async function readExactly(connection: Deno.Conn, bytes: number): Promise<Uint8Array | undefined> {
  const buffer = new Uint8Array(bytes);
  for (let read = 0; read < bytes;) {
    const count = await connection.read(buffer.subarray(read));
    if (count === null) return undefined;
    read += count;
  }
  return buffer;
}

async function serve(connection: Deno.Conn): Promise<void> {
  while (true) {
    const header = await readExactly(connection, HEADER_BYTES);
    if (header === undefined) return;
    const fields = new DataView(header.buffer);
    const request = fields.getUint32(0, true);
    const content = await readExactly(connection, fields.getUint32(8, true));
    if (content === undefined) return;
    const answer = answerTo(request, content);
    if (answer === undefined) continue;
    const message = new Uint8Array(HEADER_BYTES + answer.length);
    const reply = new DataView(message.buffer);
    reply.setUint32(0, request, true);
    reply.setUint32(4, VERSION_AND_REPLY, true);
    reply.setUint32(8, answer.length, true);
    message.set(answer, HEADER_BYTES);
    // It is far smaller than what a socket takes at once.
    await connection.write(message);
  }
}

function close(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // QEMU was quicker.
  }
}

/** Listens on a Unix socket for QEMU, which is the client. */
export function startVhostUserPeer(path: string): VhostUserPeer {
  const listener = Deno.listen({ transport: "unix", path });
  const connections: Deno.Conn[] = [];
  (async (): Promise<void> => {
    for await (const connection of listener) {
      connections.push(connection);
      // A guest that ends takes its connection with it.
      serve(connection).catch(() => {}).finally(() => close(connection));
    }
  })().catch(() => {});
  return {
    [Symbol.dispose]: (): void => {
      close(listener);
      connections.forEach(close);
    },
  };
}
