/** How amounts are written: `1.5 MiB` or, where there is little room, `1.5Mi`. */
export type UnitStyle = "full" | "short";

const UNITS: Readonly<Record<UnitStyle, readonly string[]>> = {
  full: [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"],
  short: ["B", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"],
};

/** From which number on there is no decimal. */
const WHOLE_FROM: Readonly<Record<UnitStyle, number>> = { full: 99.95, short: 9.95 };

/** Bytes in the greatest unit that leaves a digit before the point: at most 8 columns, or 5 in the short style. */
export function bytesText(bytes: number, style: UnitStyle): string {
  const units = UNITS[style];
  let value = bytes;
  let unit = 0;
  // What would be written with four digits is written in the next unit.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const decimals = unit === 0 || value >= WHOLE_FROM[style] ? 0 : 1;
  return `${value.toFixed(decimals)}${units[unit]}`;
}

/** Cores as percent of one core, as `top` has them: with a decimal up to ten cores. */
export function percentText(cores: number): string {
  const percent = cores * 100;
  return percent.toFixed(percent < 999.95 ? 1 : 0);
}

/** Such as `1 instance`. */
export function countOf(instances: number): string {
  return `${instances} ${instances === 1 ? "instance" : "instances"}`;
}

/** Seconds, and from which number of them on the next greater unit is taken. */
const DURATIONS: readonly (readonly [seconds: number, unit: string, below: number])[] = [
  [1, "s", 120],
  [60, "min", 120 * 60],
  [3_600, "h", 48 * 3_600],
  [86_400, "d", Infinity],
];

/** A duration in whole units of the greatest kind of which there are two at least, such as `15 s` or `3 min`. */
export function durationText(seconds: number): string {
  const known = Math.max(0, seconds);
  const [length, unit] = DURATIONS.find(([, , below]) => Math.round(known) < below) ?? [1, "s"];
  return `${Math.round(known / length)} ${unit}`;
}
