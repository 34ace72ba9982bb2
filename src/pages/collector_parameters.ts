/** What a query says about collectors. */
export interface CollectorParameters {
  /** The values of all `collect[]`: the collectors to collect. */
  readonly collect: readonly string[];
  /** The values of all `exclude[]`: the collectors to leave out. */
  readonly exclude: readonly string[];
  /** A parameter that is one of these without its brackets, `collect` or `exclude`. */
  readonly withoutBrackets: string | undefined;
}

/**
 * The collectors that a request asks for or leaves out, by the parameters that node_exporter has, decoded, in their order.
 * The values can be anything: nobody has looked whether such collectors exist. What is encoded in a malformed way stays as
 * it is, or becomes U+FFFD, and so names no collector.
 *
 * @param query what follows the `?` of the request's target, still encoded
 * @returns empty lists when the request asks for none in particular
 */
export function collectorParameters(query: string): CollectorParameters {
  const parameters = new URLSearchParams(query);
  return {
    collect: parameters.getAll("collect[]"),
    exclude: parameters.getAll("exclude[]"),
    withoutBrackets: ["collect", "exclude"].find((name) => parameters.has(name)),
  };
}
