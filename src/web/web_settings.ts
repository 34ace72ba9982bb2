import type { Buffer } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { explainRead, filesOfTls, loadTlsSettings, type TlsSettings } from "./tls_settings.ts";
import { parseWebConfig, type WebConfig } from "./web_config.ts";
import { quoteText, WebConfigError } from "./web_config_schema.ts";
import { oneLine, type WebLog } from "./web_log.ts";

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
  /** Those that hold now. */
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
  readonly log: WebLog;
  /** Milliseconds between two looks at the files. */
  readonly intervalMilliseconds?: number;
}

/** Files that change are noticed within two of these, see {@linkcode followWebSettings}. */
const LOOK_MILLISECONDS = 1_000;

/** What never changes. */
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
  const attempt = await attemptToLoad(file);
  if (attempt.error !== undefined) throw attempt.error;
  return attempt.settings;
}

/**
 * Reads a web configuration file and follows it and what it names from then on. They are looked at rather than watched, as
 * that works however a file is replaced: written anew, renamed into place, or behind a symbolic link that leads elsewhere
 * now, as in a Kubernetes secret. A change counts when it has lasted for one look, because a
 * certificate and its key are never replaced in the same moment. Files that cannot be used change nothing; that is logged
 * once, and again when they can.
 *
 * @throws {WebConfigError} when they cannot be used at the start
 */
export async function followWebSettings(
  file: string,
  { log, intervalMilliseconds = LOOK_MILLISECONDS }: FollowOptions,
): Promise<WebSettingsSource> {
  const listeners: ((settings: WebSettings) => void)[] = [];
  const first = await attemptToLoad(file);
  if (first.error !== undefined) throw first.error;
  let current = first.settings;
  let files = first.files;
  let takenOver = first.fingerprint;
  let lastSeen = takenOver;
  let complaint: string | undefined;
  let running: Promise<void> | undefined;
  describeSettings("Read the web configuration", current);

  function describeSettings(message: string, settings: WebSettings): void {
    const { tls, users, rateLimit, wantsHttp2 } = settings;
    log.info(message, {
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
    if (tls !== undefined && tls.expiresAt.getTime() < Date.now()) {
      log.warn("The server's certificate has expired", {
        file,
        expired: tls.expiresAt.toISOString(),
      });
    }
  }

  async function load(isAsked: boolean): Promise<void> {
    const attempt = await attemptToLoad(file);
    files = attempt.files;
    takenOver = attempt.fingerprint;
    lastSeen = attempt.fingerprint;
    if (attempt.error !== undefined) {
      const reason = oneLine(attempt.error);
      if (isAsked || reason !== complaint) {
        log.error("Cannot use the changed web configuration, the one before stays", { reason });
      }
      complaint = reason;
      return;
    }
    current = attempt.settings;
    for (const listener of listeners) listener(current);
    const message = complaint === undefined
      ? "Took over the changed web configuration"
      : "The web configuration can be used again, took it over";
    complaint = undefined;
    describeSettings(message, current);
  }

  async function look(): Promise<void> {
    const seen = await fingerprint(files);
    const hasSettled = seen === lastSeen;
    lastSeen = seen;
    if (seen !== takenOver && hasSettled) await load(false);
  }

  function oneAtATime(task: () => Promise<void>): Promise<void> {
    const next = (running ?? Promise.resolve()).then(task).catch((error) => {
      log.error("Could not follow the web configuration", { error: oneLine(error) });
    }).finally(() => {
      if (running === next) running = undefined;
    });
    running = next;
    return next;
  }

  const timer = setInterval(() => {
    // A file system that hangs must not pile up looks.
    if (running === undefined) oneAtATime(look);
  }, intervalMilliseconds);
  timer.unref();
  return {
    get current(): WebSettings {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    look: () => oneAtATime(look),
    reload: () => oneAtATime(() => load(true)),
    close: () => clearInterval(timer),
  };
}

interface AttemptBase {
  /** All files that it looked at. */
  readonly files: readonly string[];
  /** What they were before they were read. */
  readonly fingerprint: string;
}

type Attempt =
  & AttemptBase
  & (
    | { readonly settings: WebSettings; readonly error?: undefined }
    | { readonly settings?: undefined; readonly error: WebConfigError }
  );

async function attemptToLoad(file: string): Promise<Attempt> {
  const files = [file];
  let before = await fingerprint(files);
  try {
    const config = parseWebConfig(await readConfig(file), file);
    const named = config.tls === undefined ? [] : filesOfTls(config.tls);
    files.push(...named);
    // That of the file itself stays as it was before it was read.
    before = [before, ...named.length > 0 ? [await fingerprint(named)] : []].join("\n");
    const tls = config.tls === undefined
      ? undefined
      : { ...await loadTlsSettings(config.tls, readBoundedFile), config: config.tls };
    const { headers, users, rateLimit, wantsHttp2 } = config;
    return {
      files,
      fingerprint: before,
      settings: { tls, headers, users, rateLimit, wantsHttp2 },
    };
  } catch (error) {
    if (!(error instanceof WebConfigError)) throw error;
    return { files, fingerprint: before, error };
  }
}

async function readConfig(file: string): Promise<string> {
  try {
    return (await readBoundedFile(file)).toString("utf8");
  } catch (error) {
    throw new WebConfigError(`Web configuration ${quoteText(file)}: ${explainRead(error)}`);
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
      return `${file} ${error instanceof Error && "code" in error ? error.code : "missing"}`;
    }
  }));
  return parts.join("\n");
}
