import { requireOldGlibc } from "../testing/glibc.ts";
import { main } from "../testing/progress.ts";
import { buildExecutable, buildNative, EXECUTABLE } from "../testing/set_up.ts";

await main(async () => {
  await buildNative();
  if (Deno.args.includes("--native")) return;
  await buildExecutable();
  await requireOldGlibc(EXECUTABLE);
});
