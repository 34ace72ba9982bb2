import { PROBE_PATH } from "../config/values.ts";
import { quoteWithoutPassword } from "../text.ts";
import { type Page, textPage } from "../web/answer.ts";
import type { PageHandler } from "../web/router.ts";

/** Names longer than this are cut in messages: a request may hold anything. */
const MAXIMUM_NAME_LENGTH = 60;

/**
 * The page of another hypervisor, named by `target` in the query. A request chooses among the targets that the operator has
 * allowed, by their name, and never gives a URI itself.
 *
 * @param names those of the targets that are allowed
 * @param pageOf the page of a target, which is opened when it is first asked for
 */
export function createProbePage(
  names: readonly string[],
  pageOf: (name: string) => Promise<PageHandler>,
): PageHandler {
  return async (request) => {
    const asked = new URLSearchParams(request.query).getAll("target");
    const [name] = asked;
    if (name === undefined || asked.length > 1) return refusal("Name one target", names);
    if (!names.includes(name)) {
      return refusal(
        `Unknown target ${quoteWithoutPassword(name.slice(0, MAXIMUM_NAME_LENGTH))}`,
        names,
      );
    }
    return await (await pageOf(name))(request);
  };
}

function refusal(problem: string, names: readonly string[]): Page {
  return textPage(400, `${problem}: ${PROBE_PATH}?target= with one of ${names.join(", ")}`);
}
