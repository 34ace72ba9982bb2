import { createHash } from "node:crypto";
import { performance } from "node:perf_hooks";
import { askedDevices } from "../libvirt/asked_devices.ts";
import { detached } from "../libvirt/detached.ts";
import { parseDomainXml } from "../libvirt/domain_xml.ts";
import type { CallFailure, Hypervisor, Question } from "../libvirt/hypervisor.ts";
import type { Roster } from "../libvirt/roster.ts";
import type { LogWriter } from "../log/line.ts";
import type { SelfMetrics } from "../metrics/self.ts";
import { isOfEndedDomain } from "./diagnosis.ts";
import { DomainXmlError } from "../libvirt/xml_reading.ts";

/** Definitions read at a time: enough to keep the workers busy, few enough to stop in time. */
const BATCH = 64;

/** Remarks about Nova's metadata that are made at most. */
const MAXIMUM_REMARKS = 20;

/** What {@linkcode DefinitionReader} works with. */
export interface DefinitionReaderOptions {
  readonly hypervisor: Pick<Hypervisor, "describe" | "setDevices">;
  /** Keeps what the definitions say. */
  readonly roster: Roster;
  readonly self: Pick<SelfMetrics, "countError" | "countFailure" | "countDefinitions">;
  readonly log: LogWriter;
}

/** What became of reading definitions. */
export interface ReadDefinitions {
  /** What libvirt refused. */
  readonly failures: readonly CallFailure[];
  /** Domains that have ended since they were listed. */
  readonly ended: ReadonlySet<number>;
}

/** Reads the definitions of domains into the roster. */
export class DefinitionReader {
  readonly #options: DefinitionReaderOptions;
  /** What was said of Nova's metadata, which is said once. */
  readonly #remarks = new Set<string>();

  constructor(options: DefinitionReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads the definitions that are missing or old, as many as there is time for.
   *
   * @param question makes the question that has to be answered until a time
   * @param until in milliseconds of `performance.now()`
   */
  async read(
    question: (until: number) => Question,
    handles: readonly number[],
    until: number,
  ): Promise<ReadDefinitions> {
    const { hypervisor, roster, self } = this.#options;
    const failures: CallFailure[] = [];
    const ended = new Set<number>();
    const stale = roster.stale(handles, performance.now());
    let asked = 0;
    let read = 0;
    while (asked < stale.length && performance.now() < until) {
      const batch = Uint32Array.from(stale.slice(asked, asked + BATCH));
      asked += batch.length;
      const descriptions = await hypervisor.describe(question(until), batch);
      for (const { handle, xml, failure } of descriptions) {
        if (xml !== undefined) {
          read += 1;
          this.#understand(handle, xml);
        } else if (failure !== undefined && isOfEndedDomain(failure)) ended.add(handle);
        else if (failure !== undefined) failures.push(this.#noteFailure(handle, failure));
      }
    }
    self.countDefinitions(handles.length - stale.length, read);
    return { failures, ended };
  }

  #noteFailure(handle: number, failure: CallFailure): CallFailure {
    const { roster, self } = this.#options;
    const isLate = failure.code === 0;
    // A late one may yet come. Until then the instance is not on the page, for its labels would be wrong.
    if (!isLate) roster.markRefused(handle);
    self.countFailure(isLate ? "timeout" : "definition", failure);
    return failure;
  }

  #understand(handle: number, xml: string): void {
    const { hypervisor, roster, self } = this.#options;
    const now = performance.now();
    // Most texts are the ones of the last time, and parsing takes a hundred times as long as this.
    const digest = createHash("sha256").update(xml).digest("base64");
    if (roster.confirm(handle, digest, now)) {
      if (roster.problem(handle) !== undefined) self.countError("definition_content");
      return;
    }
    try {
      const description = detached(parseDomainXml(xml));
      const problem = description.novaProblem;
      roster.setDescription(handle, { description, problem, digest }, now);
      this.#remark(handle, description.novaRemark);
      if (problem !== undefined) self.countError("definition_content");
      const { disks, interfaces, vhostUserInterfaces } = askedDevices(description);
      hypervisor.setDevices(handle, disks, interfaces, vhostUserInterfaces);
    } catch (error) {
      if (!(error instanceof DomainXmlError)) throw error;
      self.countError("definition_content");
      const nothing = { description: undefined, problem: error.message, digest };
      roster.setDescription(handle, nothing, now);
    }
  }

  /** Says once what an operator should know of metadata that was read all the same. */
  #remark(handle: number, remark: string | undefined): void {
    if (remark === undefined || this.#remarks.has(remark)) return;
    // What is wrong with metadata may be worded in as many ways as there are instances.
    if (this.#remarks.size >= MAXIMUM_REMARKS) return;
    this.#remarks.add(remark);
    const { name, uuid } = this.#options.roster.record(handle);
    this.#options.log.warn(remark, { instance: name, uuid });
  }
}
