import { main } from "./progress.ts";
import { buildExecutable, buildNative } from "./set_up.ts";

await main(async () => {
  await buildNative();
  if (!Deno.args.includes("--native")) await buildExecutable();
});
