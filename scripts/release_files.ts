/**
 * What a file that was packaged is called in a release, where files for all systems lie together: packages say in their names
 * for which system they are, other files are told it.
 *
 * @param target such as `linux-x64`
 */
export function releaseName(name: string, version: string, target: string): string {
  if (/\.(deb|rpm)$/.test(name)) return name;
  const [stem = "", ...endings] = name.split(".");
  return [`${stem}-${version}-${target}`, ...endings].join(".");
}

/** The names of the files that one of two lists of checksums has not, or not with the same sum. */
export function differences(first: string, second: string): readonly string[] {
  const [one, other] = [first, second].map((text) => new Set(text.split("\n")));
  const lines = [...one ?? []].filter((line) => !other?.has(line)).concat(
    [...other ?? []].filter((line) => !one?.has(line)),
  );
  return [...new Set(lines.map((line) => line.replace(/^\w+ {2}/, "")))].sort();
}
