import type { Buffer } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import {
  explainRead,
  type FileReader,
  filesOfTls,
  loadTlsSettings,
  tlsDoubts,
  type TlsSettings,
} from "./tls_settings.ts";
import { parseWebConfig, type WebConfig } from "./web_config.ts";
import { WebConfigError } from "./web_config_schema.ts";
import type { LogLevel, LogWriter } from "../../log/line.ts";
import { codeOf, messageOf, oneLine, quote } from "../../text.ts";

/** How the web server serves, as the web configuration file and the files that it names say. */
export interface WebSettings extends Pick<WebConfig, "headers" | "users" | "rateLimit"> {
  /** `undefined` serves HTTP without TLS. */
  readonly tls: (TlsSettings & { readonly config: NonNullable<WebConfig["tls"]> }) | undefined;
  readonly wantsHttp2: boolean;
}

/** Those without a file: HTTP for everybody. */
export const OPEN_WEB_SETTINGS: WebSettings = {
  tls: undefined,
  headers: new Map(),
  users: new Map(),
  rateLimit: undefined,
  wantsHttp2: false,
};

/** Settings that follow their files. */
export interface WebSettingsSource {
  /** The settings that hold now. */
  readonly current: WebSettings;
  /** Told of other settings, as soon as they hold. */
  onChange(listener: (settings: WebSettings) => void): void;
  /** Looks at the files once, as it does by itself at each interval; never rejects. */
  look(): Promise<void>;
  /** Reads the files now, whether they have changed or not; never rejects. */
  reload(): Promise<void>;
  /** Stops following. */
  close(): void;
}

/** How settings follow their files. */
export interface FollowOptions {
  readonly log: LogWriter;
  /** Milliseconds between two looks at the files. */
  readonly intervalMilliseconds?: number;
  /** Reads a file of bounded size unless given. */
  readonly readFile?: FileReader;
}

/** Files that change are noticed within two of these, see {@linkcode followWebSettings}. */
const LOOK_MILLISECONDS = 1_000;

/** Settings that never change. */
export function fixedWebSettings(settings: WebSettings): WebSettingsSource {
  return {
    current: settings,
    onChange: () => {},
    look: () => Promise.resolve(),
    reload: () => Promise.resolve(),
    close: () => {},
  };
}

/**
 * Reads a web configuration file and what it names.
 *
 * @throws {WebConfigError} when any of it cannot be used
 */
export async function loadWebSettings(file: string): Promise<WebSettings> {
  const attempt = await attemptToLoad(file, readBoundedFile);
  if (attempt.error !== undefined) throw attempt.error;
  return attempt.settings;
}

/**
 * Reads a web configuration file and follows it and what it names from then on. They are looked at rather than watched, as
 * that works however a file is replaced: written anew, renamed into place, or behind a symbolic link that leads elsewhere
 * now, as in a Kubernetes secret. A change counts when it has lasted for one look, because a
 * certificate and its key are never replaced in the same moment. Files that cannot be used change nothing; that is logged
 * once, and again when they can. Nor does an empty file take TLS or logins away: so looks one that is being written, or that a
 * full disk did not take.
 *
 * @throws {WebConfigError} when they cannot be used at the start
 */
export async function followWebSettings(
  file: string,
  { log, intervalMilliseconds = LOOK_MILLISECONDS, readFile = readBoundedFile }: FollowOptions,
): Promise<WebSettingsSource> {
  const attempt = (): Promise<Attempt> => attemptToLoad(file, readFile);
  const first = await attempt();
  if (first.error !== undefined) throw first.error;
  logSettings(log, file, "Read the web configuration", first.settings);
  return new FollowedSettings(file, first, attempt, log, intervalMilliseconds);
}

/** Settings that are read again when a file has changed. */
class FollowedSettings implements WebSettingsSource {
  readonly #file: string;
  readonly #attemptToLoad: () => Promise<Attempt>;
  readonly #log: LogWriter;
  readonly #listeners: ((settings: WebSettings) => void)[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  #current: WebSettings;
  #files: readonly string[];
  /** What the files were when they were read; undefined when one could not be, as that may work at the next look. */
  #takenOver: string | undefined;
  /** What the files were at the last look. */
  #lastSeen: string;
  /** Why the files cannot be used. */
  #complaint: string | undefined;
  /** What is being done. */
  #running: Promise<void> | undefined;

  constructor(
    file: string,
    { settings, files, fingerprint }: LoadedSettings,
    attempt: () => Promise<Attempt>,
    log: LogWriter,
    intervalMilliseconds: number,
  ) {
    this.#file = file;
    this.#attemptToLoad = attempt;
    this.#log = log;
    this.#current = settings;
    this.#files = files;
    this.#takenOver = fingerprint;
    this.#lastSeen = fingerprint;
    this.#timer = setInterval(() => {
      // A file system that hangs must not pile up looks.
      if (this.#running === undefined) this.look();
    }, intervalMilliseconds);
    this.#timer.unref();
  }

  get current(): WebSettings {
    return this.#current;
  }

  onChange(listener: (settings: WebSettings) => void): void {
    this.#listeners.push(listener);
  }

  look(): Promise<void> {
    return this.#oneAtATime(async () => {
      const seen = await fingerprint(this.#files);
      const hasSettled = seen === this.#lastSeen;
      this.#lastSeen = seen;
      if (seen !== this.#takenOver && hasSettled) await this.#load(false);
    });
  }

  reload(): Promise<void> {
    return this.#oneAtATime(() => this.#load(true));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #load(isAsked: boolean): Promise<void> {
    const attempt = await this.#attemptToLoad();
    this.#files = attempt.files;
    this.#takenOver = attempt.isUnread ? undefined : attempt.fingerprint;
    this.#lastSeen = attempt.fingerprint;
    if (attempt.error !== undefined) this.#complain(oneLine(attempt.error.message), isAsked);
    else if (attempt.isEmpty && isClosed(this.#current)) {
      this.#complain(`Web configuration ${quote(this.#file)}: ${EMPTY}`, isAsked);
    } else this.#takeOver(attempt.settings);
  }

  #takeOver(settings: WebSettings): void {
    const { tls, users } = this.#current;
    const opens = tls !== undefined && settings.tls === undefined ||
      users.size > 0 && settings.users.size === 0;
    this.#current = settings;
    for (const listener of this.#listeners) listener(settings);
    const message = this.#complaint === undefined
      ? "Took over the changed web configuration"
      : "The web configuration can be used again, took it over";
    this.#complaint = undefined;
    logSettings(this.#log, this.#file, message, settings, opens ? "warn" : "info");
  }

  #complain(reason: string, isAsked: boolean): void {
    if (isAsked || reason !== this.#complaint) {
      this.#log.error("Cannot use the changed web configuration, the one before stays", { reason });
    }
    this.#complaint = reason;
  }

  #oneAtATime(task: () => Promise<void>): Promise<void> {
    const next = (this.#running ?? Promise.resolve()).then(task).catch((error) => {
      const reason = oneLine(messageOf(error));
      this.#log.error("Could not follow the web configuration", { error: reason });
    }).finally(() => {
      if (this.#running === next) this.#running = undefined;
    });
    this.#running = next;
    return next;
  }
}

const EMPTY = "it is empty: write it anew, or restart the exporter to serve without TLS and logins";

/** Whether TLS or a login keeps anybody out. */
function isClosed({ tls, users }: WebSettings): boolean {
  return tls !== undefined || users.size > 0;
}

function logSettings(
  log: LogWriter,
  file: string,
  message: string,
  settings: WebSettings,
  level: LogLevel = "info",
): void {
  const { tls, users, rateLimit, wantsHttp2 } = settings;
  log[level](message, {
    file,
    tls: tls !== undefined,
    clientCertificates: tls?.config.clientAuthType,
    certificateExpires: tls?.expiresAt.toISOString(),
    users: users.size,
    rateLimit: rateLimit !== undefined,
  });
  if (wantsHttp2) {
    log.info("HTTP/2 is not offered, clients use HTTP/1.1", { file });
  }
  if (tls === undefined) return;
  for (const doubt of tlsDoubts(tls)) log.warn(doubt.message, { file, ...doubt.fields });
}

interface AttemptBase {
  /** All files that it looked at. */
  readonly files: readonly string[];
  /** What they were before they were read. */
  readonly fingerprint: string;
}

interface LoadedSettings extends AttemptBase {
  readonly settings: WebSettings;
  /** Whether the web configuration file says nothing at all. */
  readonly isEmpty: boolean;
  readonly isUnread?: undefined;
  readonly error?: undefined;
}

interface FailedAttempt extends AttemptBase {
  /** Whether a file could not be read at all. */
  readonly isUnread: boolean;
  readonly error: WebConfigError;
}

type Attempt = LoadedSettings | FailedAttempt;

async function attemptToLoad(file: string, readFile: FileReader): Promise<Attempt> {
  const files = [file];
  let isUnread = false;
  const read: FileReader = async (path) => {
    try {
      return await readFile(path);
    } catch (error) {
      isUnread = true;
      throw error;
    }
  };
  let before = await fingerprint(files);
  try {
    const config = parseWebConfig(await readConfig(file, read), file);
    const named = config.tls === undefined ? [] : filesOfTls(config.tls);
    files.push(...named);
    // That of the file itself stays as it was before it was read.
    before = [before, ...named.length > 0 ? [await fingerprint(named)] : []].join("\n");
    const tls = config.tls === undefined
      ? undefined
      : { ...await loadTlsSettings(config.tls, read), config: config.tls };
    const { headers, users, rateLimit, wantsHttp2 } = config;
    return {
      files,
      fingerprint: before,
      isEmpty: config.isEmpty,
      settings: { tls, headers, users, rateLimit, wantsHttp2 },
    };
  } catch (error) {
    if (!(error instanceof WebConfigError)) throw error;
    return { files, fingerprint: before, isUnread, error };
  }
}

async function readConfig(file: string, readFile: FileReader): Promise<string> {
  try {
    return (await readFile(file)).toString("utf8");
  } catch (error) {
    throw new WebConfigError(`Web configuration ${quote(file)}: ${explainRead(error)}`);
  }
}

/** No file that belongs here is larger. */
const MAXIMUM_FILE_BYTES = 1_000_000;

async function readBoundedFile(path: string): Promise<Buffer> {
  const found = await stat(path);
  // A device or a pipe might have no end, or nobody who writes into it.
  if (!found.isFile()) throw new FileError(found.isDirectory() ? "EISDIR" : "EINVAL");
  if (found.size > MAXIMUM_FILE_BYTES) throw new FileError("EFBIG");
  return await readFile(path);
}

class FileError extends Error {
  constructor(readonly code: "EISDIR" | "EINVAL" | "EFBIG") {
    super(code);
  }
}

/** What changes whenever one of the files does. The inode's own time tells even of a write within one tick of the clock. */
async function fingerprint(files: readonly string[]): Promise<string> {
  const parts = await Promise.all(files.map(async (file) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [file, dev, ino, size, mtimeNs, ctimeNs].join(" ");
    } catch (error) {
      return `${file} ${codeOf(error) || "missing"}`;
    }
  }));
  return parts.join("\n");
}
