/**
 * Compares the list of libvirt's fields (tests/fixtures/libvirt-fields) with the headers of a libvirt, so that the fields of
 * a new release are noticed.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type FieldRow, noteCompleteness, readFieldList } from "../testing/libvirt_fields.ts";
import { main, print, StepError, withUsage } from "../testing/progress.ts";
import { messageOf } from "../src/text.ts";

const USUAL_FOLDER = "/usr/include/libvirt";
const USAGE = `Usage: npm run check:fields -- [--write] [FOLDER]
  FOLDER   where libvirt-domain.h and libvirt-common.h are, else ${USUAL_FOLDER}
  --write  when no field is missing, note the headers' release in the list`;

/** A name of a field, or a part of one, that a header declares. */
export interface DeclaredField {
  readonly macro: string;
  /** As the list has it. */
  readonly key: string;
}

/** A name that the header declares more often than the list has it. */
export interface MissingField {
  readonly key: string;
  /** All macros with this name: of several one is new, and only a reader can tell which. */
  readonly macros: readonly string[];
  readonly declared: number;
  readonly listed: number;
}

/** The names of statistics that the text of libvirt-domain.h declares. */
export function declaredFields(header: string): readonly DeclaredField[] {
  const declarations = header.replaceAll(/\\\r?\n/g, " ").matchAll(
    /^[ \t]*#[ \t]*define[ \t]+(VIR_DOMAIN_(STATS|JOB)_\w+)[ \t]+"([^"\n]*)"/gm,
  );
  return Array.from(declarations, ([, macro = "", kind, name = ""]) => ({
    macro,
    key: kind === "JOB" ? `job.${name}` : name,
  }));
}

/** The release that the text of libvirt-common.h tells, such as `12.8.0`; `undefined` when it tells none. */
export function declaredRelease(header: string): string | undefined {
  const digits = /^[ \t]*#[ \t]*define[ \t]+LIBVIR_VERSION_NUMBER[ \t]+(\d+)/m.exec(header)?.[1];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  return [1_000_000, 1_000, 1].map((unit) => Math.floor(number / unit) % 1_000).join(".");
}

/** The names that are declared and not listed, or not as often: many parts, such as `.name`, belong to several devices. */
export function missingFields(
  declared: readonly DeclaredField[],
  rows: readonly Pick<FieldRow, "key">[],
): readonly MissingField[] {
  const macros = new Map<string, string[]>();
  for (const { key, macro } of declared) macros.set(key, [...macros.get(key) ?? [], macro]);
  return [...macros].flatMap(([key, ofKey]) => {
    const listed = rows.filter((row) => row.key === key).length;
    return ofKey.length <= listed ? [] : [{ key, macros: ofKey, declared: ofKey.length, listed }];
  });
}

/** Whether a list that is complete up to one release should name another one instead. */
export function isLater(release: string, than: string): boolean {
  const [left, right] = [release, than].map((one) => one.split(".").map(Number));
  const difference = left?.map((part, position) => part - (right?.[position] ?? 0))
    .find((part) => part !== 0);
  return difference !== undefined && difference > 0;
}

async function readHeader(folder: string, name: string): Promise<string> {
  const path = `${folder}/${name}`;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const reason = messageOf(error);
    throw new StepError(
      `Cannot read ${path} (${reason}): install libvirt-dev, or name the folder of the headers`,
    );
  }
}

function readArguments(): { readonly folder: string; readonly write: boolean } {
  return withUsage(USAGE, () => {
    const { values, positionals } = parseArgs({
      args: Deno.args,
      options: { write: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    const [folder = USUAL_FOLDER, ...more] = positionals;
    if (more.length > 0) throw new Error(`Unexpected argument "${more[0]}"`);
    return { folder, write: values.write };
  });
}

if (import.meta.main) {
  await main(async () => {
    const { folder, write } = readArguments();
    const declared = declaredFields(await readHeader(folder, "libvirt-domain.h"));
    const release = declaredRelease(await readHeader(folder, "libvirt-common.h"));
    if (declared.length === 0 || release === undefined) {
      throw new StepError(`The headers in ${folder} name no statistics: name another folder`);
    }
    const { completeUpTo, rows } = readFieldList();
    const missing = missingFields(declared, rows);
    for (const { key, macros, declared: times, listed } of missing) {
      print(`${key}: ${times} in the header, ${listed} in the list (${macros.join(", ")})`);
    }
    const ofBulk = declared.filter(({ macro }) => macro.startsWith("VIR_DOMAIN_STATS_")).length;
    print(
      `libvirt ${release} names ${ofBulk} parts of bulk statistics and ${
        declared.length - ofBulk
      } of jobs in its header; ${missing.length} are missing in the list, which says that it is ` +
        `complete up to ${completeUpTo}`,
    );
    if (missing.length > 0) return 1;
    if (ofBulk === 0) {
      print("A libvirt so old does not name its bulk statistics, so this says nothing of them");
    } else if (write && isLater(release, completeUpTo)) noteCompleteness(release);
    return 0;
  });
}
