import { parseArgs } from "node:util";
import { requireOldGlibc } from "../testing/glibc.ts";
import { main, withUsage } from "../testing/progress.ts";
import { buildExecutable, buildNative, EXECUTABLE } from "../testing/set_up.ts";

const USAGE = `Usage: npm run build
For other systems: npm run package -- --target TARGET`;

await main(async () => {
  const { native } = readArguments();
  await buildNative();
  if (native) return;
  await buildExecutable();
  await requireOldGlibc(EXECUTABLE);
});

function readArguments(): { readonly native: boolean } {
  return withUsage(USAGE, () => {
    const options = { native: { type: "boolean", default: false } } as const;
    return parseArgs({ args: Deno.args, options }).values;
  });
}
