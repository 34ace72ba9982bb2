import type { RateLimitConfig } from "./web_config.ts";

/** Says for each request whether it may pass. */
export interface RateLimiter {
  take(): boolean;
}

/**
 * A bucket of `burst` tokens that gets one more each interval: each request takes one, as in exporter-toolkit.
 *
 * @param now milliseconds of a steady clock
 */
export function createRateLimiter(
  { intervalMilliseconds, burst }: RateLimitConfig,
  now: () => number = () => performance.now(),
): RateLimiter {
  let tokens = burst;
  let countedAt = now();
  return {
    take(): boolean {
      const time = now();
      tokens = Math.min(burst, tokens + (time - countedAt) / intervalMilliseconds);
      countedAt = time;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
