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
