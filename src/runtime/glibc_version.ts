/** Deno 2.9 reports the glibc that Node was built with, whatever the system has. Bun reports that of the process. */
import process from "node:process";

/** The version of the glibc that this process has loaded, such as `2.36`; `undefined` under Deno, and where there is none. */
export function glibcVersion(): string | undefined {
  if (process.versions["bun"] === undefined) return undefined;
  const { header } = process.report.getReport() as {
    readonly header: { readonly glibcVersionRuntime?: string };
  };
  return header.glibcVersionRuntime;
}
