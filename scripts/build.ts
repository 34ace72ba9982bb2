import { parseArgs } from "node:util";
import { requireOldGlibc } from "../testing/glibc.ts";
import { main, StepError } from "../testing/progress.ts";
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
  try {
    const options = { native: { type: "boolean", default: false } } as const;
    return parseArgs({ args: Deno.args, options }).values;
  } catch (error) {
    throw new StepError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}
