import type { Page } from "../web/answer.ts";
import type { ExporterStatus } from "../scrape/status.ts";
import { healthyPage, readyPage } from "./health.ts";
import { landingPage, type LandingPageLinks } from "./landing_page.ts";
import type { PageHandler } from "../web/router.ts";

/** Path of the page for people. */
export const LANDING_PATH = "/";

/** Paths that are the same for all exporters of the Prometheus project. */
const HEALTHY_PATH = "/-/healthy";
const READY_PATH = "/-/ready";

/** What {@linkcode createRoutes} needs. */
export interface RoutesOptions {
  /** Path of the metrics page; at `/` there is no page for people. */
  readonly metricsPath: string;
  readonly metrics: PageHandler;
  /** Must not wait for libvirt. */
  readonly status: () => ExporterStatus;
  /** Told that somebody wants to know whether libvirt answers; must not wait for it. */
  readonly onReadinessAsked: () => void;
  /** Makes the page for people that has more than the status. */
  readonly overview?: ((links: LandingPageLinks) => PageHandler) | undefined;
  /** Pages that not every exporter has. */
  readonly others?: ReadonlyMap<string, PageHandler>;
}

/** All pages of the exporter by path. */
export function createRoutes(
  { metricsPath, metrics, status, onReadinessAsked, overview, others = new Map() }: RoutesOptions,
): ReadonlyMap<string, PageHandler> {
  const links = { metrics: metricsPath, healthy: HEALTHY_PATH, ready: READY_PATH };
  return new Map<string, PageHandler>([
    [LANDING_PATH, overview?.(links) ?? present(() => landingPage(status(), links))],
    [HEALTHY_PATH, present(healthyPage)],
    [
      READY_PATH,
      present(() => {
        onReadinessAsked();
        return readyPage(status());
      }),
    ],
    ...others,
    [metricsPath, metrics],
  ]);
}

function present(makePage: () => Page): PageHandler {
  return () => Promise.resolve().then(makePage);
}
