import { readFileSync } from "node:fs";
import required from "./addon.cjs";
import { loadEmbedded } from "./embedded_addon.ts";

/**
 * The shim, loaded when this module is first imported. The executable gets a path from `require` instead: that of the file
 * which is embedded in it.
 */
export const addon: unknown = typeof required === "string"
  ? loadEmbedded(readFileSync(required))
  : required;
