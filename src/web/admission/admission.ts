import type { IncomingMessage } from "node:http";
import { performance } from "node:perf_hooks";
import { type Page, textPage } from "../answer.ts";
import { Authenticator, clientKey, parseBasicAuth, type PasswordVerifier } from "./basic_auth.ts";
import type { WebSettings } from "../settings/web_settings.ts";
import { Allowance } from "../../time.ts";

/** Why a request was not let in. */
export type Refusal = "login" | "busy" | "rate";

/** What {@linkcode createAdmission} needs. */
export interface AdmissionOptions {
  readonly verifyPassword: PasswordVerifier;
  /** Told of each request that is not let in, except those without any credentials. */
  readonly onRefusal: (refusal: Refusal) => void;
}

/** Decides which requests go on to a page. */
export interface Admission {
  /**
   * Decides on a request.
   *
   * @returns the answer for one that may not go on; `undefined` when it may
   *
   * @param signal aborts when the client has gone
   */
  check(
    settings: WebSettings,
    request: Pick<IncomingMessage, "headers" | "socket">,
    signal: AbortSignal,
  ): Promise<Page | undefined>;
}

/** Seconds after which a client that was told to come again should. */
const RETRY_SECONDS = "1";

/** Makes what stands before all pages: the rate limit, then the login, as in exporter-toolkit. */
export function createAdmission({ verifyPassword, onRefusal }: AdmissionOptions): Admission {
  const authenticator = new Authenticator({ verifyPassword });
  let limited: WebSettings["rateLimit"];
  let allowance: Allowance | undefined;

  function isWithinRate({ rateLimit }: WebSettings): boolean {
    if (
      rateLimit?.burst !== limited?.burst ||
      rateLimit?.intervalMilliseconds !== limited?.intervalMilliseconds
    ) {
      allowance = rateLimit === undefined
        ? undefined
        : new Allowance(rateLimit.burst, rateLimit.intervalMilliseconds);
      limited = rateLimit;
    }
    return allowance?.take(performance.now()) ?? true;
  }

  return {
    async check(settings, { headers, socket }, signal): Promise<Page | undefined> {
      if (!isWithinRate(settings)) {
        onRefusal("rate");
        return textPage(429, "Too many requests, try again later", {
          "Retry-After": RETRY_SECONDS,
        });
      }
      if (settings.users.size === 0) return undefined;
      const credentials = parseBasicAuth(headers.authorization);
      if (credentials === undefined) return loginPage();
      const client = clientKey(socket.remoteAddress);
      const { users } = settings;
      switch (await authenticator.check({ credentials, users, client, signal })) {
        case "right":
          return undefined;
        case "wrong":
          onRefusal("login");
          return loginPage();
        case "busy":
          // A client that has gone was not put off: there may have been no other login.
          if (!signal.aborted) onRefusal("busy");
          return textPage(429, "Too many logins at once, try again later", {
            "Retry-After": RETRY_SECONDS,
          });
      }
    },
  };
}

function loginPage(): Page {
  return textPage(401, "Unauthorized: log in with a user of the web configuration", {
    "WWW-Authenticate": 'Basic realm="libvirt_nova_exporter", charset="UTF-8"',
  });
}
