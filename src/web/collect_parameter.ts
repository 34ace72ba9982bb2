/** The query's parameter that names a collector, as node_exporter's does. */
const PARAMETER = "collect[]";

/**
 * The collectors that a request asks for: the values of all its `collect[]`, in their order, decoded. They can be
 * anything: nobody has looked whether such collectors exist. What is encoded in a malformed way stays as it is, or
 * becomes U+FFFD, and so names no collector.
 *
 * @param query what follows the `?` of the request's target, still encoded
 * @returns an empty list when the request asks for none in particular
 */
export function collectParameter(query: string): readonly string[] {
  return new URLSearchParams(query).getAll(PARAMETER);
}
