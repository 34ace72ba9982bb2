import { oneLine } from "../text.ts";
import { type Page, textPage } from "../web/answer.ts";
import type { ExporterStatus } from "../scrape/status.ts";

const NO_STORE = { "Cache-Control": "no-store" } as const;

/** Says that the exporter runs. */
export function healthyPage(): Page {
  return textPage(200, "Healthy", NO_STORE);
}

/** Says whether libvirt answers: 200, or 503 with the reason. */
export function readyPage({ isUp, reason }: ExporterStatus): Page {
  if (isUp === true) return textPage(200, "Ready", NO_STORE);
  const why = isUp === undefined
    ? "libvirt has not been asked yet"
    : `libvirt is not available: ${reason ?? "unknown reason"}`;
  // libvirt's messages may hold names from outside, and this line is often read in a terminal.
  return textPage(503, `Not ready: ${oneLine(why)}`, NO_STORE);
}
