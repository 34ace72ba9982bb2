import { Buffer } from "node:buffer";
import { isIP, isIPv6 } from "node:net";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "./log.ts";
import type { DomainFilterOptions } from "./domain_filter.ts";
import type { Collector, IdentityOptions } from "./metrics/family.ts";
import { chooseCollectors, SWITCHED_COLLECTORS } from "./metrics/mod.ts";
import type { ListenAddress } from "./web/listen_address.ts";

/** Everything the operator can set, checked. */
export interface Config {
  /** Connection URI for libvirt. It may hold a password: print it through {@linkcode redactUri} only. */
  readonly uri: string;
  /** URIs of other hypervisors that may be probed, by the name that a request gives. */
  readonly probeTargets: ReadonlyMap<string, string>;
  /** Milliseconds that a scrape may take in all. */
  readonly timeoutMilliseconds: number;
  /** Domains asked at the same time. */
  readonly concurrency: number;
  /** Unanswered calls, running and abandoned ones together, at which no further one is risked. */
  readonly maximumAbandoned: number;
  /** Where to listen: at least one address, or the sockets that systemd passes. */
  readonly listenAddresses: readonly ListenAddress[] | "systemd";
  /** The web configuration file; `undefined` serves HTTP for everybody. */
  readonly webConfigFile: string | undefined;
  /** Check the web configuration file and end. */
  readonly webConfigCheck: boolean;
  /** Path of the metrics page, such as `/metrics`. */
  readonly path: string;
  /** Milliseconds for which a collection is shared by all scrapes; 0 shares it with simultaneous ones only. */
  readonly minimumIntervalMilliseconds: number;
  /** Path of the log file; `undefined` for standard error only. */
  readonly logFile: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** What is collected, in the order of the page. */
  readonly collectors: readonly Collector[];
  readonly filter: DomainFilterOptions;
  /** Export domains that are shut off, too. */
  readonly inactive: boolean;
  readonly identity: IdentityOptions;
  /** Print what was collected once, in this format, and end; `undefined` to serve. */
  readonly once: OnceFormat | undefined;
}

/** Where hypervisors other than the exporter's own are asked for. */
export const PROBE_PATH = "/probe";

/** In which formats one collection can be printed. */
export const ONCE_FORMATS = ["text", "openmetrics", "json", "table"] as const;

/** See {@linkcode ONCE_FORMATS}. */
export type OnceFormat = typeof ONCE_FORMATS[number];

/** The command line is wrong; its message is one line that names the flag, the value and the remedy. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  /** @param problem what is wrong and what to do; how to get help is added */
  constructor(problem: string) {
    super(`${problem}; see --help`);
  }
}

/** Where a flag stands in the help. */
export type FlagGroup = "libvirt" | "domains" | "collectors" | "web" | "log" | "other";

/** The titles of the groups, in their order in the help. */
export const FLAG_GROUP_TITLES: Readonly<Record<FlagGroup, string>> = {
  libvirt: "Libvirt",
  domains: "Domains and their labels",
  collectors: "Collectors",
  web: "Web server",
  log: "Log",
  other: "Other",
};

/** What each flag has. */
export interface FlagBase {
  /** The name without dashes, such as `libvirt.timeout`. */
  readonly name: string;
  readonly group: FlagGroup;
  /** What it sets, for the help; starts with a capital, no full stop. */
  readonly description: string;
}

/** A flag with a value: `--name VALUE` or `--name=VALUE`. Given twice, the last one counts. */
export interface ValueFlag<Value> extends FlagBase {
  /** What kind of value it takes, for the help, such as `DURATION`. */
  readonly valueName: string;
  /** The value when the flag is not given, as one would give it; `undefined` where another flag decides. */
  readonly default: string | undefined;
  /** Says that each time the flag is given adds a value. */
  readonly repeatable?: true;
  /** @throws {InvalidValueError} when the text is no value of this flag */
  readonly parse: (text: string) => Value;
}

/** A flag without a value: `--name`, and `--no-name` where it can be negated. The last one counts. */
export interface SwitchFlag extends FlagBase {
  readonly default: boolean;
  readonly negatable?: true;
  /** A letter that stands for the name, such as `h`. */
  readonly letter?: string;
}

/** A row of the flag table. */
export type Flag = ValueFlag<unknown> | SwitchFlag;

/**
 * What the command line gave: texts in their order, by flag name. A switch's texts are `true` and `false`;
 * a flag that was not given has no entry.
 */
export type GivenFlags = ReadonlyMap<string, readonly string[]>;

/** A text is no value of its flag; the message says what would be one. */
export class InvalidValueError extends Error {
  override readonly name = "InvalidValueError";
}

/** All flags but those of the collectors, by what the program calls them; the help keeps their order. */
export const FLAGS = {
  uri: {
    name: "uri",
    group: "libvirt",
    valueName: "URI",
    default: "qemu:///system",
    description: "Hypervisor to connect to, read-only, as libvirt writes it",
    parse: parseUri,
  },
  probeTarget: {
    name: "probe.target",
    group: "libvirt",
    valueName: "NAME=URI",
    default: undefined,
    repeatable: true,
    description:
      "Another hypervisor, whose page is at /probe?target=NAME; may be repeated, and no other can be asked for",
    parse: parseProbeTarget,
  },
  timeout: {
    name: "libvirt.timeout",
    group: "libvirt",
    valueName: "DURATION",
    default: "2s",
    description:
      "Time that a scrape may take in all, 50ms to 10m; what is missing then is left out",
    parse: durationWithin("50ms", "10m"),
  },
  concurrency: {
    name: "libvirt.concurrency",
    group: "libvirt",
    valueName: "NUMBER",
    default: "4",
    description:
      "Domains asked at the same time, 1 to 4: libvirt serves 5 requests of a connection at once",
    parse: integerWithin(1, 4),
  },
  maximumAbandoned: {
    name: "libvirt.max-abandoned",
    group: "libvirt",
    valueName: "NUMBER",
    default: "5",
    description:
      "Unanswered calls, of 20 that libvirt's daemon can serve, at which no further one is risked, 1 to 20",
    parse: integerWithin(1, 20),
  },
  include: {
    name: "domain.include",
    group: "domains",
    valueName: "REGEXP",
    default: undefined,
    description:
      "Export only domains in whose libvirt name the regular expression matches, anywhere in it",
    parse: parseRegularExpression,
  },
  exclude: {
    name: "domain.exclude",
    group: "domains",
    valueName: "REGEXP",
    default: undefined,
    description: "Leave out domains in whose libvirt name the regular expression matches",
    parse: parseRegularExpression,
  },
  projectInclude: {
    name: "domain.project-include",
    group: "domains",
    valueName: "REGEXP",
    default: undefined,
    description:
      "Export only instances in whose project's name or id the regular expression matches",
    parse: parseRegularExpression,
  },
  projectExclude: {
    name: "domain.project-exclude",
    group: "domains",
    valueName: "REGEXP",
    default: undefined,
    description: "Leave out instances in whose project's name or id the regular expression matches",
    parse: parseRegularExpression,
  },
  novaOnly: {
    name: "domain.nova-only",
    group: "domains",
    default: false,
    description: "Leave out domains without metadata of Nova",
  },
  inactive: {
    name: "domain.inactive",
    group: "domains",
    default: false,
    description: "Export domains that are shut off, too, with their state and what describes them",
  },
  labelProjectId: {
    name: "label.project-id",
    group: "domains",
    default: false,
    description: "Add the label project_id to every series of an instance",
  },
  labelUuid: {
    name: "label.uuid",
    group: "domains",
    default: false,
    description: "Add the label uuid to every series of an instance",
  },
  labelUser: {
    name: "label.user",
    group: "domains",
    default: false,
    description: "Add the label user, the name of Nova's user, to every series of an instance",
  },
  disableDefaults: {
    name: "collector.disable-defaults",
    group: "collectors",
    default: false,
    description: "Switch off all collectors that no flag switches on",
  },
  port: {
    name: "port",
    group: "web",
    valueName: "PORT",
    default: "9100",
    description: "Port to listen on, on all addresses",
    parse: integerWithin(1, 65_535),
  },
  listenAddress: {
    name: "web.listen-address",
    group: "web",
    valueName: "ADDRESS",
    default: undefined,
    repeatable: true,
    description:
      "Address to listen on instead of --port, such as :9100, [::1]:9100 or unix:/run/exporter.sock; may be repeated",
    parse: parseListenAddress,
  },
  systemdSocket: {
    name: "web.systemd-socket",
    group: "web",
    default: false,
    description: "Listen on the sockets that systemd passes instead of --port",
  },
  webConfigFile: {
    name: "web.config.file",
    group: "web",
    valueName: "FILE",
    default: undefined,
    description: "File with TLS, users and headers, as of exporter-toolkit; reread when it changes",
    parse: parseFile,
  },
  webConfigCheck: {
    name: "web.config.check",
    group: "web",
    default: false,
    description: "Check the file of --web.config.file and end",
  },
  path: {
    name: "path",
    group: "web",
    valueName: "PATH",
    default: "/metrics",
    description: "Path of the metrics page",
    parse: parsePath,
  },
  telemetryPath: {
    name: "web.telemetry-path",
    group: "web",
    valueName: "PATH",
    default: undefined,
    description: "The same as --path",
    parse: parsePath,
  },
  minimumInterval: {
    name: "scrape.min-interval",
    group: "web",
    valueName: "DURATION",
    default: "0s",
    description: "Time for which scrapes share one collection, 0s to 1h",
    parse: durationWithin("0s", "1h"),
  },
  logFile: {
    name: "log",
    group: "log",
    valueName: "FILE",
    default: "./libvirt_nova.log",
    description: "Log file, rotated at 3 MB with 4 old files kept; - for standard error only",
    parse: parseLogFile,
  },
  logLevel: {
    name: "log.level",
    group: "log",
    valueName: "LEVEL",
    default: "info",
    description: `Least level of lines to log: ${LOG_LEVELS.join(", ")}`,
    parse: oneOf(LOG_LEVELS),
  },
  logFormat: {
    name: "log.format",
    group: "log",
    valueName: "FORMAT",
    default: "logfmt",
    description: `Format of the lines: ${LOG_FORMATS.join(", ")}`,
    parse: oneOf(LOG_FORMATS),
  },
  once: {
    name: "once",
    group: "other",
    default: false,
    description: "Collect once, print the metrics page and end",
  },
  onceFormat: {
    name: "format",
    group: "other",
    valueName: "FORMAT",
    default: "text",
    description: `Format for --once: ${
      ONCE_FORMATS.join(", ")
    } (for people, with rates over a second)`,
    parse: oneOf(ONCE_FORMATS),
  },
  version: {
    name: "version",
    group: "other",
    default: false,
    description: "Print the version and end",
  },
  help: {
    name: "help",
    letter: "h",
    group: "other",
    default: false,
    description: "Print this help and end",
  },
} as const satisfies Readonly<Record<string, Flag>>;

/** A switch for each collector that has one. */
const COLLECTOR_FLAGS: ReadonlyMap<Collector, SwitchFlag> = new Map(
  SWITCHED_COLLECTORS.map((collector) => [collector, {
    name: `collector.${collector.name}`,
    group: "collectors",
    default: collector.byDefault === true,
    negatable: true,
    description: capitalize(collector.description),
  }]),
);

/** All flags, in the order of the help. */
export const ALL_FLAGS: readonly Flag[] = orderOfHelp([
  ...Object.values(FLAGS),
  ...COLLECTOR_FLAGS.values(),
]);

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Flags of a group stand together. */
function orderOfHelp(flags: readonly Flag[]): readonly Flag[] {
  return Object.keys(FLAG_GROUP_TITLES).flatMap((group) =>
    flags.filter((flag) => flag.group === group)
  );
}

/**
 * Checks what the command line gave and fills in the defaults.
 *
 * @throws {UsageError} for the first value that is wrong
 */
export function configFromFlags(given: GivenFlags): Config {
  const [webConfigFile] = givenValues(FLAGS.webConfigFile, given);
  const webConfigCheck = isSwitchedOn(FLAGS.webConfigCheck, given);
  if (webConfigCheck && webConfigFile === undefined) {
    throw new UsageError("Flag --web.config.check needs a file: give one with --web.config.file");
  }
  return {
    uri: requiredValue(FLAGS.uri, given),
    probeTargets: probeTargetsFromFlags(given),
    timeoutMilliseconds: requiredValue(FLAGS.timeout, given),
    concurrency: requiredValue(FLAGS.concurrency, given),
    maximumAbandoned: requiredValue(FLAGS.maximumAbandoned, given),
    listenAddresses: listenAddressesFromFlags(given),
    webConfigFile,
    webConfigCheck,
    path: pathFromFlags(given),
    minimumIntervalMilliseconds: requiredValue(FLAGS.minimumInterval, given),
    logFile: requiredValue(FLAGS.logFile, given),
    logLevel: requiredValue(FLAGS.logLevel, given),
    logFormat: requiredValue(FLAGS.logFormat, given),
    collectors: collectorsFromFlags(given),
    filter: {
      include: givenValues(FLAGS.include, given)[0],
      exclude: givenValues(FLAGS.exclude, given)[0],
      projectInclude: givenValues(FLAGS.projectInclude, given)[0],
      projectExclude: givenValues(FLAGS.projectExclude, given)[0],
      novaOnly: isSwitchedOn(FLAGS.novaOnly, given),
    },
    inactive: isSwitchedOn(FLAGS.inactive, given),
    identity: {
      projectId: isSwitchedOn(FLAGS.labelProjectId, given),
      uuid: isSwitchedOn(FLAGS.labelUuid, given),
      user: isSwitchedOn(FLAGS.labelUser, given),
    },
    once: onceFromFlags(given),
  };
}

function collectorsFromFlags(given: GivenFlags): readonly Collector[] {
  const noDefaults = isSwitchedOn(FLAGS.disableDefaults, given);
  return chooseCollectors((collector) => {
    const flag = COLLECTOR_FLAGS.get(collector);
    if (flag === undefined) return true;
    return isSwitchedOn(noDefaults ? { ...flag, default: false } : flag, given);
  });
}

function onceFromFlags(given: GivenFlags): OnceFormat | undefined {
  if (isSwitchedOn(FLAGS.once, given)) return requiredValue(FLAGS.onceFormat, given);
  if (!given.has(FLAGS.onceFormat.name)) return undefined;
  throw new UsageError("The flag --format is for --once: add --once, or leave it out");
}

/** Says whether a switch is on, by the last time it was given, else by its default. */
export function isSwitchedOn(flag: SwitchFlag, given: GivenFlags): boolean {
  const last = given.get(flag.name)?.at(-1);
  return last === undefined ? flag.default : last === "true";
}

function probeTargetsFromFlags(given: GivenFlags): ReadonlyMap<string, string> {
  const targets = givenValues(FLAGS.probeTarget, given);
  const byName = new Map(targets.map(({ name, uri }) => [name, uri]));
  if (byName.size === targets.length) return byName;
  const twice = targets.find((one, position) =>
    targets.findIndex(({ name }) => name === one.name) < position
  );
  throw new UsageError(
    `The name ${quote(twice?.name ?? "")} is given to two of --probe.target: name each once`,
  );
}

function listenAddressesFromFlags(given: GivenFlags): Config["listenAddresses"] {
  const port = requiredValue(FLAGS.port, given);
  const addresses = givenValues(FLAGS.listenAddress, given);
  if (isSwitchedOn(FLAGS.systemdSocket, given)) {
    if (addresses.length > 0) {
      throw new UsageError(
        "Flags --web.systemd-socket and --web.listen-address exclude each other: give one",
      );
    }
    return "systemd";
  }
  return addresses.length > 0 ? addresses : [{ host: undefined, port }];
}

function pathFromFlags(given: GivenFlags): string {
  const [path] = givenValues(FLAGS.path, given);
  const [alias] = givenValues(FLAGS.telemetryPath, given);
  if (path !== undefined && alias !== undefined && path !== alias) {
    throw new UsageError(
      `The values ${quote(path)} for --path and ${
        quote(alias)
      } for --web.telemetry-path differ: give one`,
    );
  }
  const chosen = alias ?? requiredValue(FLAGS.path, given);
  if (chosen === PROBE_PATH && given.has(FLAGS.probeTarget.name)) {
    throw new UsageError(
      `The path ${quote(chosen)} is that of the pages of --probe.target: give another for --path`,
    );
  }
  return chosen;
}

function requiredValue<Value>(
  flag: ValueFlag<Value> & { readonly default: string },
  given: GivenFlags,
): Value {
  return parseValue(flag, given.get(flag.name)?.at(-1) ?? flag.default);
}

function givenValues<Value>(flag: ValueFlag<Value>, given: GivenFlags): readonly Value[] {
  const texts = given.get(flag.name) ?? [];
  const counting = flag.repeatable ? texts : texts.slice(-1);
  return counting.map((text) => parseValue(flag, text));
}

function parseValue<Value>(flag: ValueFlag<Value>, text: string): Value {
  try {
    return flag.parse(text);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    throw new UsageError(`Invalid value ${quote(text)} for --${flag.name}: ${error.message}`);
  }
}

/** Writes what an operator gave in double quotes on one line, without the password of a URI. */
export function quote(text: string): string {
  const maximumLength = 200;
  const shown = redactUri(text);
  const cut = shown.length > maximumLength ? `${shown.slice(0, maximumLength)}…` : shown;
  return JSON.stringify(cut.toWellFormed()).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

/**
 * The forms of https://libvirt.org/uri.html: `driver[+transport]://[user@][host][:port]/[path][?query]`. The
 * host may be an IPv6 address in brackets.
 */
const URI_FORM =
  /^[a-z][a-z0-9]*(?:\+[a-z0-9]+)?:\/\/(?<user>[^@/?#[\]]*@)?(?:[\w.~%!$&'()*+,;=-]*|\[(?<ipv6>[^[\]/?#]+)\])(?::(?<port>\d+))?\/[^?#]*(?:\?[^#]*)?$/i;

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

/**
 * Hides the password of a URI, as in `qemu+ssh://user:***@host/system`. Of a text with an `@` that is no valid
 * URI everything is hidden from the first colon to the last `@`, because the password may be anywhere there.
 */
export function redactUri(text: string): string {
  return URI_FORM.test(text)
    ? text.replace(/^([^/]*:\/\/[^@/?#:]*):[^@/?#]*@/, "$1:***@")
    : text.replace(/:.*@/s, ":***@");
}

/**
 * Makes what hides the password of a URI in texts that come from libvirt, which may repeat it: `ssh` gets user and password
 * as the name to log in with, and its complaints come back as libvirt's.
 *
 * @returns a function that leaves texts alone when the URI has no password
 */
export function createPasswordHider(uri: string): (text: string) => string {
  const password = /^[^/]*:\/\/[^@/?#:]*:(?<password>[^@/?#]+)@/.exec(uri)?.groups?.password;
  if (password === undefined) return (text) => text;
  // The longer form first, as the other one may be a part of it.
  const forms = [...new Set([password, decodePercent(password)])]
    .sort((one, other) => other.length - one.length);
  return (text) => forms.reduce((shown, form) => shown.replaceAll(form, "***"), text);
}

/** Decodes what is encoded, as libvirt's parser does, and leaves the rest. */
function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
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

function durationWithin(minimum: string, maximum: string): (text: string) => number {
  return (text) => {
    const milliseconds = parseDuration(text);
    if (milliseconds < parseDuration(minimum) || milliseconds > parseDuration(maximum)) {
      throw new InvalidValueError(`give a duration from ${minimum} to ${maximum}`);
    }
    return milliseconds;
  };
}

function integerWithin(minimum: number, maximum: number): (text: string) => number {
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
  throw new InvalidValueError(
    "give an address with a port from 0 to 65535, such as :9100, 127.0.0.1:9100, [::1]:9100 or host:9100",
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
 * @throws {InvalidValueError} when it is no path, or is one that no request could match
 */
export function parsePath(text: string): string {
  if (!/^\/[^?#%\s\p{Cc}]*$/u.test(text)) {
    throw new InvalidValueError(
      'give a path such as /metrics, without "?", "#", "%" and white space',
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

/**
 * Reads a regular expression, in JavaScript's syntax with the flag `u`.
 *
 * @throws {InvalidValueError} when it is none
 */
export function parseRegularExpression(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidValueError(`give a regular expression such as ^instance- (${reason})`);
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

function oneOf<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw new InvalidValueError(`give one of ${choices.join(", ")}`);
    return choice;
  };
}
