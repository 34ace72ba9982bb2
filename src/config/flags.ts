/**
 * The table of flags. A flag is one row of it: its name, the help, the default and what reads its value. The help, the manual
 * page, the completions and the documentation come from here; `config.ts` says what the program makes of each.
 */
import { LOG_FORMATS, LOG_LEVELS } from "../log/line.ts";
import type { Collector } from "../metrics/family.ts";
import { SWITCHED_COLLECTORS } from "../metrics/mod.ts";
import {
  durationWithin,
  integerWithin,
  oneOf,
  parseFile,
  parseListenAddress,
  parseLogFile,
  parsePath,
  parseProbeTarget,
  parseRegularExpression,
  parseUri,
} from "./values.ts";

/** In which formats one collection can be printed. */
export const ONCE_FORMATS = ["text", "openmetrics", "json", "table"] as const;

/** One of {@linkcode ONCE_FORMATS}. */
export type OnceFormat = typeof ONCE_FORMATS[number];

/** What the page for people can be: the instances and what they do, or how the exporter goes, without their names. */
export const LANDING_PAGE_KINDS = ["overview", "status"] as const;

/** One of {@linkcode LANDING_PAGE_KINDS}. */
export type LandingPageKind = typeof LANDING_PAGE_KINDS[number];

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
    description: "Path of the metrics page; not /probe, and none below /-/",
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
  landingPage: {
    name: "web.landing-page",
    group: "web",
    valueName: "KIND",
    default: "overview",
    description: "Page at /: overview shows the instances with their names, status names none",
    parse: oneOf(LANDING_PAGE_KINDS),
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
export const COLLECTOR_FLAGS: ReadonlyMap<Collector, SwitchFlag> = new Map(
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

/** Whether a switch is on, by the last time it was given, else by its default. */
export function isSwitchedOn(flag: SwitchFlag, given: GivenFlags): boolean {
  const last = given.get(flag.name)?.at(-1);
  return last === undefined ? flag.default : last === "true";
}
