import { Buffer } from "node:buffer";
import type { Collection } from "../collection.ts";
import type { OnceFormat } from "../config.ts";
import { renderJson } from "./json.ts";

/** What `--once` prints, and whether libvirt answered. */
export interface Printout {
  readonly isUp: boolean;
  /** In UTF-8. */
  readonly chunks: readonly Uint8Array[];
}

/** Collects, and makes what is printed of it in this format. */
export async function printout(
  format: OnceFormat,
  collect: () => Promise<Collection>,
): Promise<Printout> {
  const collection = await collect();
  const { isUp } = collection.parts;
  switch (format) {
    case "text":
    case "openmetrics":
      return { isUp, chunks: collection.page(format) };
    case "json":
    case "table":
      return { isUp, chunks: [Buffer.from(renderJson(collection))] };
  }
}
