/** Runs an action with an empty folder, which is deleted afterwards. */
export async function withFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await action(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
