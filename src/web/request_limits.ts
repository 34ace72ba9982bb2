/** What one client, or all of them together, may take from the exporter before being refused. */
export interface WebLimits {
  /** Milliseconds within which a request's headers must arrive, else 408. */
  readonly headersMilliseconds: number;
  /** Milliseconds within which a whole request (headers and body) must arrive, else 408. */
  readonly requestMilliseconds: number;
  /** Milliseconds that a connection may stay open between two requests. */
  readonly idleMilliseconds: number;
  /** Milliseconds that a client may read nothing of its answer before it is cut off. */
  readonly stallMilliseconds: number;
  /** Milliseconds that sending one answer may take in all before the client is cut off. */
  readonly answerMilliseconds: number;
  /** Open connections over all listen addresses; one more closes the one idle for longest. */
  readonly maximumConnections: number;
  /** Requests answered at the same time over all connections; one more is answered 503. */
  readonly maximumRequestsInFlight: number;
  /** Requests one connection may send ahead of its answers before it is cut off. */
  readonly maximumPipelinedRequests: number;
  /** Bytes of a request's first line and headers together, else 431. */
  readonly maximumHeaderBytes: number;
  /** Characters of a request's target (path and query), else 414. */
  readonly maximumTargetLength: number;
  /** Bytes of a request's body, which is read and thrown away, else 413. */
  readonly maximumBodyBytes: number;
}

/**
 * The limits that hold unless {@linkcode WebLimits} of the caller say otherwise.
 *
 * - Idle: Prometheus recommends scrape intervals of at most two minutes, so a connection has to outlive that
 *   to be used again by the next scrape.
 * - In flight: fewer than connections, so that one connection at least is always idle and gives way to a new
 *   one, whatever the others do.
 */
export const DEFAULT_WEB_LIMITS: WebLimits = {
  headersMilliseconds: 5_000,
  requestMilliseconds: 10_000,
  idleMilliseconds: 130_000,
  stallMilliseconds: 30_000,
  answerMilliseconds: 120_000,
  maximumConnections: 512,
  maximumRequestsInFlight: 256,
  maximumPipelinedRequests: 32,
  maximumHeaderBytes: 16 * 1024,
  maximumTargetLength: 8 * 1024,
  maximumBodyBytes: 64 * 1024,
};

/** File descriptors that are no client's: the runtime, the log and libvirt take about half of them. */
const OTHER_FILE_DESCRIPTORS = 32;

/** With fewer connections none would be idle and give way to a new one. */
const MINIMUM_CONNECTIONS = 2;

/**
 * The limits on connections for a process that may have this many file descriptors open. A process without a
 * free one cannot even take a connection in order to close another for it, so clients that stay idle would lock
 * everybody else out.
 *
 * @param fileDescriptors `undefined` when it is not known
 */
export function connectionLimits(
  fileDescriptors: number | undefined,
): Pick<WebLimits, "maximumConnections" | "maximumRequestsInFlight"> {
  const { maximumConnections, maximumRequestsInFlight } = DEFAULT_WEB_LIMITS;
  const available = Math.max(
    MINIMUM_CONNECTIONS,
    (fileDescriptors ?? Infinity) - OTHER_FILE_DESCRIPTORS,
  );
  return {
    maximumConnections: Math.min(maximumConnections, available),
    maximumRequestsInFlight: Math.min(maximumRequestsInFlight, Math.floor(available / 2)),
  };
}
