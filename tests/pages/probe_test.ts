import assert from "node:assert/strict";
import { createProbePage } from "../../src/pages/probe.ts";
import type { Page } from "../../src/web/answer.ts";
import type { PageHandler } from "../../src/web/router.ts";
import { textPage } from "../../src/web/answer.ts";
import { decodePage } from "../../testing/scraper_options.ts";

/** Asks a page with the targets `a` and `b`; tells which of them were opened. */
async function ask(query: string): Promise<{ page: Page; opened: readonly string[] }> {
  const opened: string[] = [];
  const pageOf = (name: string): Promise<PageHandler> => {
    opened.push(name);
    return Promise.resolve((request) => Promise.resolve(textPage(200, `${name} ${request.query}`)));
  };
  const handler = createProbePage(["a", "b"], pageOf);
  const signal = new AbortController().signal;
  return { page: await handler({ method: "GET", query, headers: {}, signal }), opened };
}

Deno.test("createProbePage() hands a request on to the target that it names", async () => {
  const { page, opened } = await ask("target=b&collect[]=cpu");
  assert.equal(page.status, 200);
  assert.equal(decodePage(page.chunks), "b target=b&collect[]=cpu\n");
  assert.deepEqual(opened, ["b"]);
});

Deno.test("createProbePage() opens nothing that is not allowed, and says what is", async () => {
  const cases: readonly (readonly [query: string, problem: string])[] = [
    ["", "Name one target"],
    ["collect[]=cpu", "Name one target"],
    ["target=a&target=b", "Name one target"],
    ["target=", 'Unknown target ""'],
    ["target=c", 'Unknown target "c"'],
    ["target=A", 'Unknown target "A"'],
    ["target=a%00", 'Unknown target "a\\u0000"'],
    [
      "target=qemu%2Btls%3A%2F%2Fu%3Asecret%40h%2Fsystem",
      'Unknown target "qemu+tls://u:***@h/system"',
    ],
    ["target=%ZZ", 'Unknown target "%ZZ"'],
    ["target=__proto__", 'Unknown target "__proto__"'],
  ];
  for (const [query, problem] of cases) {
    const { page, opened } = await ask(query);
    assert.equal(page.status, 400);
    assert.equal(decodePage(page.chunks), `${problem}: /probe?target= with one of a, b\n`);
    assert.deepEqual(opened, []);
  }
});
