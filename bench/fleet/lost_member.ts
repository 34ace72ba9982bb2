import type { LostMember } from "../../scripts/fleet_result.ts";
import { pause } from "../../testing/wait_until.ts";
import type { FleetEngines } from "./collectors_of_a_fleet.ts";
import { getText } from "../../testing/prometheus/service.ts";

const AWAY_INTERVALS = 4;
/** Before and after, in which everything must be as it was. */
const AROUND_INTERVALS = 4;

/**
 * More than this many intervals between two samples are a gap. Of two that scrape a host, at different moments of an interval, the
 * last one's sample is kept, so that with one of them lost two intervals may lie between samples though none lacks one.
 */
const GAP_INTERVALS = 2.1;

/** Loses one of those who scrape, lets it come back, and looks for what is missing. */
export async function loseMember(
  engines: FleetEngines,
  intervalSeconds: number,
): Promise<LostMember> {
  const interval = intervalSeconds * 1_000;
  const [member] = engines.members;
  if (member === undefined) throw new Error("Nothing scrapes");
  const started = Date.now();
  await pause(AROUND_INTERVALS * interval);
  await member.stop();
  await pause(AWAY_INTERVALS * interval);
  await member.restart();
  await pause(AROUND_INTERVALS * interval);
  // What has been scraped is on its way for a moment.
  await pause(5_000);
  const gaps = new Map<string, number>();
  for (const engine of engines.engines) {
    for (const [host, times] of await sampleTimes(engine, started / 1_000)) {
      const longest = Math.max(
        ...times.slice(1).map((time, index) => time - (times[index] ?? NaN)),
      );
      gaps.set(host, Math.max(gaps.get(host) ?? 0, longest / intervalSeconds));
    }
  }
  const missing = [...gaps.values()].filter((gap) => gap > GAP_INTERVALS);
  return {
    way: engines.way,
    hosts: gaps.size,
    intervalsAway: AWAY_INTERVALS,
    hostsWithGap: missing.length,
    longestGapIntervals: Math.max(0, ...missing.map((gap) => Math.round(gap) - 1)),
  };
}

/** When each host was scraped, in seconds since 1970. */
async function sampleTimes(
  engine: string,
  since: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const now = Date.now() / 1_000;
  const query = new URLSearchParams({
    query: `libvirt_nova_up[${Math.ceil(now - since)}s]`,
    time: `${now}`,
  });
  const { text } = await getText(`${engine}/api/v1/query?${query}`);
  const { data }: {
    readonly data: {
      readonly result: readonly {
        readonly metric: Readonly<Record<string, string>>;
        readonly values: readonly (readonly [number, string])[];
      }[];
    };
  } = JSON.parse(text);
  return new Map(
    data.result.map(({ metric, values }) => [
      metric["instance"] ?? "",
      values.map(([time]) => time),
    ]),
  );
}
