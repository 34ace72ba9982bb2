import { type Page, textPage } from "./answer.ts";
import type { ExporterState } from "./exporter_state.ts";

const NO_STORE = { "Cache-Control": "no-store" } as const;

/** Says that the exporter runs. */
export function healthyPage(): Page {
  return textPage(200, "Healthy", NO_STORE);
}

/** Says whether libvirt answers: 200, or 503 with the reason. */
export function readyPage({ isUp, reason }: ExporterState): Page {
  if (isUp === true) return textPage(200, "Ready", NO_STORE);
  const why = isUp === undefined
    ? "libvirt has not been asked yet"
    : `libvirt is not available: ${reason ?? "unknown reason"}`;
  return textPage(503, `Not ready: ${oneSafeLine(why)}`, NO_STORE);
}

/** libvirt's messages may hold names from outside, and this line is often read in a terminal. */
function oneSafeLine(text: string): string {
  return text.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}
