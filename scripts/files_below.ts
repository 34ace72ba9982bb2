/** The paths of the files of a folder, and of those in it, whose names end so, in order. */
export async function filesBelow(folder: string, ending: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await filesBelow(path, ending));
    else if (name.endsWith(ending)) files.push(path);
  }
  return files.sort();
}
