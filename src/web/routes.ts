import type { Page } from "./answer.ts";
import type { ExporterState } from "./exporter_state.ts";
import { healthyPage, readyPage } from "./health.ts";
import { landingPage } from "./landing_page.ts";
import type { PageHandler } from "./router.ts";

/** Paths that are the same for all exporters of the Prometheus project. */
const LANDING_PATH = "/";
const HEALTHY_PATH = "/-/healthy";
const READY_PATH = "/-/ready";

/** What {@linkcode createRoutes} needs. */
export interface RoutesOptions {
  /** Path of the metrics page; it goes before the other pages where it is the same. */
  readonly metricsPath: string;
  readonly metrics: PageHandler;
  /** Must not wait for libvirt. */
  readonly state: () => ExporterState;
  /** Told that somebody wants to know whether libvirt answers; must not wait for it. */
  readonly onReadinessAsked: () => void;
  /** Pages that not every exporter has. */
  readonly further?: ReadonlyMap<string, PageHandler>;
}

/** All pages of the exporter by path. */
export function createRoutes(
  { metricsPath, metrics, state, onReadinessAsked, further = new Map() }: RoutesOptions,
): ReadonlyMap<string, PageHandler> {
  const links = { metrics: metricsPath, healthy: HEALTHY_PATH, ready: READY_PATH };
  return new Map<string, PageHandler>([
    [LANDING_PATH, present(() => landingPage(state(), links))],
    [HEALTHY_PATH, present(healthyPage)],
    [
      READY_PATH,
      present(() => {
        onReadinessAsked();
        return readyPage(state());
      }),
    ],
    ...further,
    [metricsPath, metrics],
  ]);
}

function present(makePage: () => Page): PageHandler {
  return () => Promise.resolve().then(makePage);
}
