/** What the last collection found, in short. None of it is secret. */
export interface ScrapeSummary {
  /** Whether libvirt listed its domains; undefined before the first collection. */
  readonly isUp: boolean | undefined;
  /** Why not. */
  readonly reason: string | undefined;
  /** Active instances that are exported; undefined when that is not known. */
  readonly instances: number | undefined;
  /** Instances that are not on the page yet, because there was no time to read their definitions. */
  readonly unread: number;
  /** When it ended. */
  readonly collectedAt: Date | undefined;
  /** What is the matter besides {@linkcode reason}, a line of text each; may hold names that come from outside. */
  readonly problems: readonly string[];
}
