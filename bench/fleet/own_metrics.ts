/** What programs say of themselves in Prometheus' text format. */
export interface OwnMetrics {
  /**
   * The sum of a family's samples.
   *
   * @param labels what is between the braces must match it
   */
  sum(family: string, labels?: RegExp): number;
}

/** Reads the pages of several programs, which count together. */
export function readOwnMetrics(pages: readonly string[]): OwnMetrics {
  const samples = pages.flatMap((page) =>
    Array.from(
      page.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/gm),
      ([, name = "", labels = "", value = ""]) => ({ name, labels, value: Number(value) }),
    )
  );
  return {
    sum: (family, labels = /(?:)/) =>
      samples.filter((sample) => sample.name === family && labels.test(sample.labels))
        .reduce((sum, { value }) => sum + value, 0),
  };
}
