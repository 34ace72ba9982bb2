/**
 * Builds the stand-in for libvirt's client library, and tells it which faults to make. stand_in.c says what they are.
 *
 * @module
 */

import assert from "node:assert/strict";
import { waitUntil } from "../../testing/wait_until.ts";
import { functionsHeader } from "./functions.ts";
import { outputOf } from "../../testing/command.ts";

/** What happens to a call. */
export type FaultKind = "hang" | "delay" | "fail" | "fail-once" | "die" | "dead";

/** A fault of a function. */
export interface Fault {
  readonly kind: FaultKind;
  /** Its name; `*` for all that reach the daemon. */
  readonly call: string;
  /** The name of the only domain about which it happens. */
  readonly domain?: string | undefined;
  /** How much longer a call takes, for a `delay`. */
  readonly milliseconds?: number;
  /** libvirt's error, for a call that fails: its `virErrorDomain` and its `virErrorNumber`. */
  readonly error?: readonly [origin: number, code: number];
}

/** A fault that is there. */
export interface PresentFault {
  /** How often it was felt so far. */
  felt(): number;
  /** Makes an end of it; calls that it delays stay delayed. */
  takeAway(): void;
}

/** What the stand-in counts. */
export interface References {
  readonly connections: number;
  /** Handles of domains and other objects. */
  readonly handles: number;
  /** Kinds of events that it is told of. */
  readonly subscriptions: number;
}

/** Errors of `virErrorDomain` and `virErrorNumber`. Source: virterror.h. */
const INTERNAL_ERROR = [10, 1] as const;
const NO_SUPPORT = [12, 3] as const;

const COUNTERS = { connections: 0, handles: 1, subscriptions: 2, held: 3, felt: 4 } as const;
const MAXIMUM_FAULTS = 1024;
const COUNTER_BYTES = BigInt64Array.BYTES_PER_ELEMENT;
const HELD_BOUND_MILLISECONDS = 20_000;

/** Compiles the stand-in into a folder, and returns the folder for `LD_LIBRARY_PATH`. */
export async function buildStandIn(folder: string): Promise<string> {
  const source = decodeURIComponent(new URL("stand_in.c", import.meta.url).pathname);
  await Deno.writeTextFile(`${folder}/functions.h`, functionsHeader());
  const library = (await compiler("-print-file-name=libvirt.so.0")).trim();
  assert.ok(library.startsWith("/"), "The compiler does not find libvirt's client library");
  await compiler(
    "-std=c11",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-shared",
    "-fPIC",
    // Under its own name the loader would take it for the library that it opens.
    "-Wl,-soname,libvirt_stand_in.so",
    `-DREAL_LIBRARY="${library}"`,
    `-I${folder}`,
    "-o",
    `${folder}/libvirt.so.0`,
    source,
    "-ldl",
    "-lpthread",
  );
  return folder;
}

function compiler(...args: readonly string[]): Promise<string> {
  return outputOf("cc", args);
}

/** The stand-in of one process. */
export class StandIn {
  readonly #folder: string;
  readonly #library: string;
  readonly #standing: readonly string[];
  readonly #faults = new Map<number, string>();
  #next: number;

  /**
   * Makes the files through which it is told.
   *
   * @param library what {@linkcode buildStandIn} returned
   * @param folder where its files may be
   * @param driver what the driver can do: `single` bulk statistics as they are, `made` bulk statistics with made-up values,
   *   `none` at all
   */
  constructor(library: string, folder: string, driver: "single" | "made" | "none") {
    this.#library = library;
    this.#folder = folder;
    const unsupported = ["virConnectGetAllDomainStats", "virDomainListGetStats"]
      .map((call, number) => line(number + 1, { kind: "fail", call, error: NO_SUPPORT }));
    this.#standing = { single: [], made: ["1 made * * 0 0"], none: unsupported }[driver];
    this.#next = this.#standing.length + 1;
    const counters = new Uint8Array((COUNTERS.felt + MAXIMUM_FAULTS) * COUNTER_BYTES);
    Deno.writeFileSync(`${folder}/counters`, counters);
    this.#write();
  }

  /**
   * What the process has to have in its environment.
   *
   * @param socket the daemon's socket, if there is a daemon
   */
  environment(socket?: string): Record<string, string> {
    return {
      LD_LIBRARY_PATH: this.#library,
      STAND_IN_CONTROL: `${this.#folder}/control`,
      STAND_IN_COUNTERS: `${this.#folder}/counters`,
      ...(socket === undefined ? {} : { STAND_IN_SOCKET: socket }),
    };
  }

  /** Makes a fault. Of several that fit a call the one that was made first is felt. */
  bring(fault: Fault): PresentFault {
    const number = this.#next++;
    assert.ok(number < MAXIMUM_FAULTS, "A stand-in knows no more faults");
    this.#faults.set(number, line(number, fault));
    this.#write();
    return {
      felt: () => this.#count(COUNTERS.felt + number),
      takeAway: () => {
        this.#faults.delete(number);
        this.#write();
      },
    };
  }

  /** What the process holds of libvirt. */
  references(): References {
    return {
      connections: this.#count(COUNTERS.connections),
      handles: this.#count(COUNTERS.handles),
      subscriptions: this.#count(COUNTERS.subscriptions),
    };
  }

  /** How many calls a fault holds up. */
  held(): number {
    return this.#count(COUNTERS.held);
  }

  /** Waits until no fault holds up a call any more. */
  async allReleased(): Promise<void> {
    await waitUntil(
      "the calls that were held up",
      () => this.held() === 0 || undefined,
      HELD_BOUND_MILLISECONDS,
      5,
    );
  }

  #write(): void {
    const control = `${this.#folder}/control`;
    const lines = [...this.#faults.values(), ...this.#standing].map((one) => `${one}\n`);
    Deno.writeTextFileSync(`${control}.new`, lines.join(""));
    // At once, as somebody may be reading it.
    Deno.renameSync(`${control}.new`, control);
  }

  #count(place: number): number {
    const bytes = Deno.readFileSync(`${this.#folder}/counters`);
    return Number(new DataView(bytes.buffer).getBigInt64(place * COUNTER_BYTES, true));
  }
}

function line(number: number, { kind, call, domain = "*", milliseconds, error }: Fault): string {
  const [origin, code] = error ?? INTERNAL_ERROR;
  const numbers = kind === "delay" ? [milliseconds ?? 0, 0] : [origin, code];
  return `${number} ${kind} ${call} ${domain} ${numbers.join(" ")}`;
}
