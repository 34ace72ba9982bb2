/** What the exporter knows about itself, without asking libvirt. None of it is secret. */
export interface ExporterState {
  /** The exporter's version. */
  readonly version: string;
  /** The JavaScript runtime's name and version. */
  readonly runtime: string;
  /** Whether libvirt answers, as the last collection found; `undefined` before there was one. */
  readonly isUp: boolean | undefined;
  /** Why libvirt does not answer. */
  readonly reason: string | undefined;
  /** Instances of the last collection; `undefined` when it is not known. */
  readonly instances: number | undefined;
  /** Instances that are not on the page yet, because there was no time to read their definitions. */
  readonly unread: number;
  /** When the last collection ended; `undefined` before there was one. */
  readonly collectedAt: Date | undefined;
  /** What is the matter now besides {@linkcode reason}, a line of text each; may hold names that come from outside. */
  readonly problems: readonly string[];
}
