import type { LogFormat, LogLevel } from "../log/line.ts";
import type { Collector, IdentityOptions } from "../metrics/family.ts";
import { chooseCollectors } from "../metrics/mod.ts";
import { quoteWithoutPassword } from "../text.ts";
import type { ListenAddress } from "../web/listen_address.ts";
import {
  COLLECTOR_FLAGS,
  FLAGS,
  type GivenFlags,
  isSwitchedOn,
  type LandingPageKind,
  type OnceFormat,
  type ValueFlag,
} from "./flags.ts";
import { InvalidValueError } from "./values.ts";

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
  readonly landingPage: LandingPageKind;
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

/** Which domains are exported; what is undefined lets all pass. */
export interface DomainFilterOptions {
  /** On libvirt's name; the expression may match anywhere in it. */
  readonly include: RegExp | undefined;
  readonly exclude: RegExp | undefined;
  /** On the name or the id of Nova's project. */
  readonly projectInclude: RegExp | undefined;
  readonly projectExclude: RegExp | undefined;
  /** Only domains with metadata of Nova. */
  readonly novaOnly: boolean;
}

/** Lets all domains pass. */
export const ALL_DOMAINS: DomainFilterOptions = {
  include: undefined,
  exclude: undefined,
  projectInclude: undefined,
  projectExclude: undefined,
  novaOnly: false,
};

/** The command line is wrong; its message is one line that names the flag, the value and the remedy. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  /** @param problem what is wrong and what to do; how to get help is added */
  constructor(problem: string) {
    super(`${problem}; see --help`);
  }
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
    landingPage: requiredValue(FLAGS.landingPage, given),
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

function probeTargetsFromFlags(given: GivenFlags): ReadonlyMap<string, string> {
  const targets = givenValues(FLAGS.probeTarget, given);
  const byName = new Map(targets.map(({ name, uri }) => [name, uri]));
  if (byName.size === targets.length) return byName;
  const twice = targets.find((one, position) =>
    targets.findIndex(({ name }) => name === one.name) < position
  );
  throw new UsageError(
    `The name ${
      quoteWithoutPassword(twice?.name ?? "")
    } is given to two of --probe.target: name each once`,
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
      `The values ${quoteWithoutPassword(path)} for --path and ${
        quoteWithoutPassword(alias)
      } for --web.telemetry-path differ: give one`,
    );
  }
  return alias ?? requiredValue(FLAGS.path, given);
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
    throw new UsageError(
      `Invalid value ${quoteWithoutPassword(text)} for --${flag.name}: ${error.message}`,
    );
  }
}
