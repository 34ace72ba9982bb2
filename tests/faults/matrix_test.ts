import assert from "node:assert/strict";
import { requireExecutable } from "../../testing/executable.ts";
import { cellsOf, HAPPENINGS } from "./cells.ts";
import { testMatrix } from "./test_matrix.ts";
import { buildStandIn } from "./stand_in.ts";
import { startSubject } from "./subject.ts";

requireExecutable();

const folder = await Deno.makeTempDir({ prefix: "faults_" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const library = await buildStandIn(folder);

testMatrix("no page loses more than a call alone knows, whatever becomes of the call", {
  library,
  cells: cellsOf(HAPPENINGS),
});

Deno.test("the executable ends on SIGTERM when every call is stuck", async () => {
  await using subject = await startSubject(library, "single");
  await subject.executable.scrape();
  const fault = subject.standIn.bring({ kind: "hang", call: "*" });
  for (let scrape = 0; scrape < 3; scrape++) await subject.executable.scrape();
  assert.ok(fault.felt() > 1, "fewer calls are stuck than were to be");
  const { code, errorOutput } = await subject.executable.stop();
  assert.equal(code, 0, errorOutput);
});
