/** What the values of flags may be: each function reads one kind, and says what to give instead where it cannot. */
import { Buffer } from "node:buffer";
import { isIP, isIPv6 } from "node:net";
import { messageOf, URI_FORM } from "../text.ts";
import type { ListenAddress } from "../web/listen_address.ts";

/** Where hypervisors other than the exporter's own are asked for. */
export const PROBE_PATH = "/probe";

/** What the paths of the pages for probes begin with. */
const OWN_PATHS = "/-/";

/** A text is no value of its flag; the message says what would be one. */
export class InvalidValueError extends Error {
  override readonly name = "InvalidValueError";
}

const URI_REMEDY =
  "give a libvirt connection URI such as qemu:///system, qemu+tls://host/system or test:///default";

/**
 * Checks the form of a connection URI; whether libvirt has such a driver shows when it connects.
 *
 * @returns the same text
 * @throws {InvalidValueError} when it has not the form of a libvirt URI
 */
export function parseUri(text: string): string {
  const isPrintableAscii = /^[!-~]+$/.test(text);
  const groups = URI_FORM.exec(text)?.groups;
  if (!isPrintableAscii || groups === undefined) throw new InvalidValueError(URI_REMEDY);
  const { ipv6, port } = groups;
  const isHostValid = ipv6 === undefined || isIPv6(ipv6);
  if (!isHostValid || (port !== undefined && !isPort(port))) {
    throw new InvalidValueError(URI_REMEDY);
  }
  return text;
}

/** A hypervisor that may be probed. */
export interface ProbeTarget {
  readonly name: string;
  /** It may hold a password: print it through {@linkcode redactUri} only. */
  readonly uri: string;
}

/**
 * Reads a target such as `compute2=qemu+tls://compute2.example.com/system`.
 *
 * @throws {InvalidValueError} when it has no name of letters, digits, `.`, `_`, `:` and `-`, or no URI
 */
export function parseProbeTarget(text: string): ProbeTarget {
  const { name, uri } = /^(?<name>[\w.:-]{1,100})=(?<uri>.*)$/.exec(text)?.groups ?? {};
  if (name === undefined || uri === undefined) {
    throw new InvalidValueError(
      "give a name and a URI, such as compute2=qemu+tls://compute2.example.com/system",
    );
  }
  return { name, uri: parseUri(uri) };
}

const DURATION_FORM =
  /^(?=\d)(?:(?<hours>\d+)h)?(?:(?<minutes>\d+)m)?(?:(?<seconds>\d+(?:\.\d+)?)s)?(?:(?<milliseconds>\d+)ms)?$/;

const SECONDS_FORM = /^\d+(?:\.\d+)?$/;

/**
 * Reads a duration as Prometheus writes it, such as `500ms`, `2s` or `1m30s`, or as plain seconds, such as `2.5`.
 *
 * @returns whole milliseconds
 * @throws {InvalidValueError} when it is no duration
 */
export function parseDuration(text: string): number {
  if (SECONDS_FORM.test(text)) return Math.round(Number(text) * 1_000);
  const groups = DURATION_FORM.exec(text)?.groups;
  if (groups === undefined) {
    throw new InvalidValueError("give a duration such as 500ms, 2s or 1m30s");
  }
  const { hours = 0, minutes = 0, seconds = 0, milliseconds = 0 } = groups;
  const wholeMinutes = Number(hours) * 60 + Number(minutes);
  return Math.round((wholeMinutes * 60 + Number(seconds)) * 1_000) + Number(milliseconds);
}

/** What reads a duration between two others. */
export function durationWithin(minimum: string, maximum: string): (text: string) => number {
  return (text) => {
    const milliseconds = parseDuration(text);
    if (milliseconds < parseDuration(minimum) || milliseconds > parseDuration(maximum)) {
      throw new InvalidValueError(`give a duration from ${minimum} to ${maximum}`);
    }
    return milliseconds;
  };
}

/** What reads a whole number between two others. */
export function integerWithin(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const isWhole = /^(?:0|[1-9]\d*)$/.test(text);
    if (!isWhole || Number(text) < minimum || Number(text) > maximum) {
      throw new InvalidValueError(`give a whole number from ${minimum} to ${maximum}`);
    }
    return Number(text);
  };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
}

const ADDRESS_FORM = /^(?:\[(?<ipv6>[^[\]]+)\]|(?<host>[^:[\]]*)):(?<port>\d+)$/;

const HOST_FORM = /^(?!-)[\w-]+(?:\.[\w-]+)*\.?$/;

const UNIX_ADDRESS_FORM =
  /^unix:(?<path>\/[^?\p{Cc}]*[^?\p{Cc}/])(?:\?mode=(?<mode>0?[0-7]{3}))?$/u;

/** Bytes of the path of a Unix socket. Source: unix(7), sun_path, less its final zero. */
const MAXIMUM_SOCKET_PATH_BYTES = 107;

/** Permissions of a Unix socket unless its address says others: the exporter's user and group may connect. */
const SOCKET_MODE = 0o660;

function parseUnixAddress(text: string): ListenAddress {
  const { path, mode } = UNIX_ADDRESS_FORM.exec(text)?.groups ?? {};
  if (path === undefined || Buffer.byteLength(path) > MAXIMUM_SOCKET_PATH_BYTES) {
    throw new InvalidValueError(
      `give an absolute path of at most ${MAXIMUM_SOCKET_PATH_BYTES} bytes, such as unix:/run/exporter/exporter.sock, with ?mode=666 for other permissions than 660`,
    );
  }
  return { path, mode: mode === undefined ? SOCKET_MODE : parseInt(mode, 8) };
}

/**
 * Reads an address to listen on: `:9100`, `127.0.0.1:9100`, `[::1]:9100`, `host:9100`, or `unix:/path`, with `?mode=666` for
 * other permissions than 660. Port 0 lets the system choose a free one.
 *
 * @throws {InvalidValueError} when it is none of these
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:")) return parseUnixAddress(text);
  const { ipv6, host = "", port = "" } = ADDRESS_FORM.exec(text)?.groups ?? {};
  if (isPort(port)) {
    if (ipv6 !== undefined && isIPv6(ipv6)) return { host: ipv6, port: Number(port) };
    if (ipv6 === undefined && host === "") return { host: undefined, port: Number(port) };
    if (isHostOrIpv4(host)) return { host, port: Number(port) };
  }
  const problem = text.startsWith("vsock:") ? "sockets of virtual machines are not offered, " : "";
  throw new InvalidValueError(
    `${problem}give an address with a port from 0 to 65535, such as :9100, 127.0.0.1:9100, [::1]:9100 or host:9100, or unix:/run/exporter.sock`,
  );
}

// A name of digits and dots only is a mistyped IPv4 address.
function isHostOrIpv4(host: string): boolean {
  return isIP(host) !== 0 || (HOST_FORM.test(host) && !/^[\d.]+$/.test(host));
}

/**
 * Checks the path of a page. It is compared with the decoded path of requests, so it is given decoded.
 *
 * @returns the same text
 * @throws {InvalidValueError} when it is no path, is one that no request could match, or is that of another page
 */
export function parsePath(text: string): string {
  if (!/^\/[^?#%\s\p{Cc}]*$/u.test(text)) {
    throw new InvalidValueError(
      'give a path such as /metrics, without "?", "#", "%" and white space',
    );
  }
  if (/\/\.{1,2}(?:\/|$)/.test(text)) {
    throw new InvalidValueError(
      'give a path without the parts "." and "..", which clients take out',
    );
  }
  if (text === PROBE_PATH || text.startsWith(OWN_PATHS)) {
    throw new InvalidValueError(
      `give another path, as ${PROBE_PATH} and those below ${OWN_PATHS} are pages of another kind`,
    );
  }
  return text;
}

/**
 * Reads where to log.
 *
 * @returns the path of a file; `undefined` for `-`, standard error only
 * @throws {InvalidValueError} when it is no path
 */
export function parseLogFile(text: string): string | undefined {
  if (text === "" || /\p{Cc}/u.test(text)) {
    throw new InvalidValueError("give the path of a file, or - for standard error only");
  }
  return text === "-" ? undefined : text;
}

/** Flags at the beginning of a regular expression, which other languages have there, and JavaScript elsewhere. */
const REGULAR_EXPRESSION_FORM = /^(?:\(\?(?<flags>[ims]+)\))?(?<pattern>.*)$/su;

/** What other languages write otherwise than JavaScript, and what JavaScript has instead. */
const FOREIGN_EXPRESSIONS: readonly (readonly [form: RegExp, remedy: string])[] = [
  [/\(\?P[<=>]/, "write (?<name>…) and \\k<name> instead of (?P…)"],
  [/\(\?[a-zA-Z]+\)/, "write (?i:…) around a part, or (?i) at the beginning"],
  [/\[\[:/, "write a-z and the like instead of [:…:]"],
  [/\\[AzZ]/, "write ^ and $ instead of \\A and \\z"],
];

/**
 * Reads a regular expression, in JavaScript's syntax with the flag `u`. `(?i)`, `(?m)` and `(?s)` at the beginning hold for
 * the whole of it.
 *
 * @throws {InvalidValueError} when it is none
 */
export function parseRegularExpression(text: string): RegExp {
  const { flags = "", pattern = "" } = REGULAR_EXPRESSION_FORM.exec(text)?.groups ?? {};
  try {
    return new RegExp(pattern, [...new Set(`u${flags}`)].join(""));
  } catch (error) {
    const remedy = FOREIGN_EXPRESSIONS.find(([form]) => form.test(pattern))?.[1];
    throw new InvalidValueError(
      `give a regular expression of JavaScript such as ^instance-${
        remedy === undefined ? "" : `, ${remedy}`
      } (${messageOf(error)})`,
    );
  }
}

/**
 * Checks the path of a file.
 *
 * @returns the same text
 * @throws {InvalidValueError} when it is no path
 */
export function parseFile(text: string): string {
  if (text === "" || /\p{Cc}/u.test(text)) throw new InvalidValueError("give the path of a file");
  return text;
}

/** What reads one of some words. */
export function oneOf<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw new InvalidValueError(`give one of ${choices.join(", ")}`);
    return choice;
  };
}
