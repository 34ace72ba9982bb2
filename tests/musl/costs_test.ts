import assert from "node:assert/strict";
import { withCosts } from "./costs.ts";

Deno.test("withCosts() writes both executables' costs between the document's marks", () => {
  const document =
    "Before.\n\n<!-- musl:begin Written by a test -->\n\nOld.\n\n<!-- musl:end -->\n\nAfter.\n";
  const glibc = {
    processorMilliseconds: 1.234,
    restedAnonymous: 30_400_000,
    peakResident: 99_500_000,
  };
  const musl = { processorMilliseconds: 2, restedAnonymous: 31_000_000, peakResident: 90_000_000 };
  const text = withCosts(document, { scrapes: 20_000, glibc, musl });
  assert.match(
    text,
    /^Before\.\n\n<!-- musl:begin Written by a test -->\n\n\| 20,000 scrapes of the demo \| glibc \| musl \|\n/,
  );
  assert.match(text, /^\| processor time of a scrape \| 1\.23 ms \| 2\.00 ms \|$/m);
  assert.match(text, /^\| memory of its own afterwards \| 30 MB \| 31 MB \|$/m);
  assert.match(
    text,
    /^\| most that was ever resident \| 100 MB \| 90 MB \|\n\n<!-- musl:end -->\n\nAfter\.\n$/m,
  );
  assert.doesNotMatch(text, /Old/);
});
