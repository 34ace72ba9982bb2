/** A connection on which pages are asked for one after the other, as Prometheus does. */
export interface KeepAlive extends Disposable {
  /**
   * Asks for a page and reads all of it.
   *
   * @returns the body; the next call overwrites it
   * @throws {Error} unless the answer is 200 with a length
   */
  get(path: string): Promise<Uint8Array>;
}

const FIRST_BUFFER_BYTES = 1 << 20;

const HEADERS_END = [13, 10, 13, 10];

/**
 * Connects to `127.0.0.1:port`. It is a bare client because whatever it does is counted as the exporter's time: `fetch` takes
 * a good part of a millisecond for a page of a megabyte.
 */
export async function connectKeepAlive(port: number): Promise<KeepAlive> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  let buffer = new Uint8Array(FIRST_BUFFER_BYTES);

  async function get(path: string): Promise<Uint8Array> {
    await connection.write(encoder.encode(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    let filled = 0;
    let end = Infinity;
    let bodyStart = 0;
    while (filled < end) {
      if (filled === buffer.length) buffer = grown(buffer, buffer.length * 2);
      const count = await connection.read(buffer.subarray(filled));
      if (count === null) throw new Error(`The exporter closed the connection in its answer`);
      filled += count;
      if (bodyStart > 0) continue;
      bodyStart = headersEnd(buffer.subarray(0, filled));
      if (bodyStart === 0) continue;
      const headers = decoder.decode(buffer.subarray(0, bodyStart));
      end = bodyStart + bodyLength(headers);
      if (end > buffer.length) buffer = grown(buffer, end);
    }
    return buffer.subarray(bodyStart, end);
  }

  return { get, [Symbol.dispose]: () => connection.close() };
}

function grown(buffer: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(buffer);
  return larger;
}

/** Where the body begins; 0 while the headers are not all there. */
function headersEnd(bytes: Uint8Array): number {
  for (let start = bytes.indexOf(13); start >= 0; start = bytes.indexOf(13, start + 1)) {
    if (HEADERS_END.every((byte, offset) => bytes[start + offset] === byte)) {
      return start + HEADERS_END.length;
    }
  }
  return 0;
}

function bodyLength(headers: string): number {
  const length = /^HTTP\/1\.1 200 .*\r\nContent-Length: (\d+)\r\n/is.exec(headers)?.[1];
  if (length === undefined) throw new Error(`The exporter answered ${JSON.stringify(headers)}`);
  return Number(length);
}
