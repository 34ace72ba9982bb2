import type { FakeDomain } from "./fake_hypervisor.ts";

const FIXTURES = new URL("../tests/fixtures/", import.meta.url);

/** A domain of the fake hypervisor from a recording: `domain-N.xml` and `domstats-N.txt` of a fixture folder. */
export function recordedDomain(folder: string, number: number): FakeDomain {
  const xml = read(`${folder}/domain-${number}.xml`);
  const statistics = read(`${folder}/domstats-${number}.txt`);
  const [, name = ""] = /^Domain: '(.*)'$/m.exec(statistics) ?? [];
  const [, uuid = ""] = /<uuid>(.*)<\/uuid>/.exec(xml) ?? [];
  const numbers: Record<string, number> = {};
  const texts: Record<string, string> = {};
  for (const [, field = "", value = ""] of statistics.matchAll(/^ {2}([^=\n]+)=(.*)$/gm)) {
    if (/\.(name|path)$/.test(field)) texts[field] = value;
    else numbers[field] = Number(value);
  }
  return { uuid, id: number, name, xml, numbers, texts };
}

/**
 * Compares a page with the recorded one. With the environment variable `UPDATE_GOLDEN=1` it writes the recorded one
 * anew instead.
 */
export function assertGolden(path: string, page: string): void {
  if (Deno.env.get("UPDATE_GOLDEN") === "1") {
    Deno.writeTextFileSync(new URL(path, FIXTURES), page);
    return;
  }
  const expected = read(path).split("\n");
  const actual = page.split("\n");
  for (let line = 0; line < Math.max(expected.length, actual.length); line++) {
    if (expected[line] !== actual[line]) {
      throw new Error(
        `The page differs from tests/fixtures/${path} in line ${line + 1}:\n- ${
          expected[line]
        }\n+ ${actual[line]}\nIf that is right, run the test with UPDATE_GOLDEN=1`,
      );
    }
  }
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, FIXTURES));
}
