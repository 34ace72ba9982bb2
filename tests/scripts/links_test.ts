// Links between the documents, and to files of this project.
import assert from "node:assert/strict";
import { filesBelow } from "../../scripts/files_below.ts";
import { ROOT } from "../../testing/set_up.ts";

/** The documents that people read. */
async function documents(): Promise<readonly string[]> {
  const atTop = Array.from(Deno.readDirSync(ROOT), ({ name }) => name)
    .filter((name) => name.endsWith(".md")).map((name) => `${ROOT}/${name}`);
  const folders = [".github", "contrib", "docs", "tests"];
  const below = await Promise.all(folders.map((name) => filesBelow(`${ROOT}/${name}`, ".md")));
  return [...atTop, ...below.flat()];
}

/** What can be linked to within a document, as forges make it of headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const prose = text.replaceAll(/^(```|~~~)[\s\S]*?^\1$/gm, "");
  const headings = Array.from(prose.matchAll(/^#{1,6} (.+)$/gm), ([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading.toLowerCase().replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** The targets of links and pictures that are not on other hosts. */
function localLinks(text: string): readonly string[] {
  const prose = text.replaceAll(/^ *(```|~~~)[\s\S]*?^ *\1$/gm, "").replaceAll(/`[^`\n]*`/g, "");
  return Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, link = ""]) => link)
    .filter((link) => !/^[a-z]+:/.test(link));
}

Deno.test("links within the documents lead to files and headings that there are", async () => {
  const wrong: string[] = [];
  let checked = 0;
  for (const file of await documents()) {
    for (const link of localLinks(await Deno.readTextFile(file))) {
      checked++;
      const [path = "", anchor] = decodeURI(link).split("#");
      const target = path === "" ? file : `${file.replace(/[^/]*$/, "")}${path}`;
      const status = await Deno.stat(target).catch(() => undefined);
      const found = status !== undefined &&
        (anchor === undefined || anchorsOf(await Deno.readTextFile(target)).has(anchor));
      if (!found) wrong.push(`${file.slice(ROOT.length + 1)}: ${link}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(checked > 100);
});

Deno.test("README.md is read in five minutes, and its pictures have a text and are small", async () => {
  const text = await Deno.readTextFile(`${ROOT}/README.md`);
  assert.ok(text.split("\n").length <= 181, "at most 180 lines");
  const pictures = Array.from(text.matchAll(/!\[([^\]]*)\]\(([^)]+)\)/g));
  assert.equal(pictures.length, 2);
  for (const [, words = "", path] of pictures) {
    assert.ok(words.length > 40, path);
    const { size } = await Deno.stat(`${ROOT}/${path}`);
    assert.ok(size < 150_000, `${path}: ${size} bytes`);
  }
});
