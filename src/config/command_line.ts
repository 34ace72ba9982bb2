import { Command, CommanderError, Option } from "commander";
import { quoteWithoutPassword } from "../text.ts";
import { type Config, configFromFlags, UsageError } from "./config.ts";
import {
  ALL_FLAGS,
  type Flag,
  FLAG_GROUP_TITLES,
  FLAGS,
  type GivenFlags,
  isSwitchedOn,
} from "./flags.ts";

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: "run"; readonly config: Config }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" };

/**
 * Reads a command line. `--help` goes before any mistake, so that help can always be had. `--version` does not, so that a
 * script does not take a wrong command line for a right one.
 *
 * @param args the arguments without the names of the runtime and the program
 * @throws {UsageError} when a flag or its value is wrong
 */
export function parseCommandLine(args: readonly string[]): Invocation {
  const given = readFlags(args, ALL_FLAGS);
  if (isSwitchedOn(FLAGS.help, given)) return { kind: "help", text: helpText() };
  const config = configFromFlags(given);
  return isSwitchedOn(FLAGS.version, given) ? { kind: "version" } : { kind: "run", config };
}

/**
 * Finds the flags of a command line, without a look at their values.
 *
 * @throws {UsageError} for an argument that is no flag, an unknown flag, or a flag without its value; but
 * with `--help` only for the last
 */
export function readFlags(args: readonly string[], flags: readonly Flag[]): GivenFlags {
  const given = new Map<string, string[]>();
  const command = createCommand(flags, (name, text) => {
    given.set(name, [...(given.get(name) ?? []), text]);
  });
  const { operands, unknown } = parseOptions(command, args);
  if (given.has(FLAGS.help.name)) return given;
  const [unknownFlag] = unknown;
  if (unknownFlag !== undefined) throw new UsageError(unknownFlagText(unknownFlag, flags));
  const [operand] = operands;
  if (operand !== undefined) {
    throw new UsageError(
      `Unexpected argument ${
        quoteWithoutPassword(operand)
      }: give each setting as a flag, such as --port 9100`,
    );
  }
  return given;
}

function parseOptions(
  command: Command,
  args: readonly string[],
): ReturnType<Command["parseOptions"]> {
  try {
    return command.parseOptions([...args]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // The only thing that this part of commander refuses, and only the last argument can be refused so.
    throw new UsageError(missingValueText(args.at(-1) ?? ""));
  }
}

function createCommand(
  flags: readonly Flag[],
  onFlag: (name: string, text: string) => void = (): void => {},
): Command {
  const negatable = new Set(flags.filter(isNegatable).map((flag) => flag.name));
  const command = new Command("libvirt_nova_exporter")
    .usage("[flags]")
    .description(
      "Prometheus exporter for the instances of an OpenStack compute host: asks libvirt, names them as Nova does.",
    )
    .helpOption(false)
    .exitOverride()
    .configureOutput({
      writeOut: () => {},
      writeErr: () => {},
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({
      optionTerm: (option) =>
        negatable.has(option.name()) ? `--[no-]${option.name()}` : option.flags,
      // It would repeat the default.
      optionDescription: (option) => option.description,
    });
  for (const option of flags.flatMap((flag) => createOptions(flag, onFlag))) {
    command.addOption(option);
  }
  return command;
}

function createOptions(
  flag: Flag,
  onFlag: (name: string, text: string) => void,
): readonly Option[] {
  const heading = `${FLAG_GROUP_TITLES[flag.group]}:`;
  const description = flagText(flag);
  const name = `--${flag.name}`;
  if ("valueName" in flag) {
    const option = new Option(`${name} <${flag.valueName}>`, description).argParser(
      (text: string) => {
        // Commander takes the next flag for the value.
        if (text.startsWith("--") || text === "-h") {
          throw new UsageError(missingValueText(name));
        }
        onFlag(flag.name, text);
      },
    );
    return [option.helpGroup(heading)];
  }
  const short = flag.letter === undefined ? "" : `-${flag.letter}, `;
  const on = new Option(`${short}${name}`, description).argParser(() => onFlag(flag.name, "true"));
  const off = new Option(`--no-${flag.name}`).argParser(() => onFlag(flag.name, "false"));
  return (isNegatable(flag) ? [on, off] : [on]).map((option) => option.helpGroup(heading));
}

function isNegatable(flag: Flag): boolean {
  return "negatable" in flag && flag.negatable === true;
}

/** How a switch is switched off, where it can be. */
function negation(flag: Flag): string | undefined {
  return isNegatable(flag) ? `--no-${flag.name}` : undefined;
}

function flagText(flag: Flag): string {
  if ("valueName" in flag) {
    return flag.default === undefined
      ? flag.description
      : `${flag.description} (default: ${flag.default})`;
  }
  return isNegatable(flag)
    ? `${flag.description} (default: ${flag.default ? "on" : "off"})`
    : flag.description;
}

function missingValueText(flag: string): string {
  return `Missing value for ${flag}: give one, as in ${flag} VALUE or ${flag}=VALUE`;
}

function unknownFlagText(argument: string, flags: readonly Flag[]): string {
  const [name = ""] = argument.split("=", 1);
  const known = flags.find((flag) => `--${flag.name}` === name || negation(flag) === name);
  if (known !== undefined) {
    const forms = [`--${known.name}`, negation(known)].filter((form) => form !== undefined);
    return `Flag ${name} takes no value: give ${forms.join(" or ")} alone`;
  }
  // A single dash before a whole name, as Go's programs allow, is the likeliest slip of all.
  const suggestion = suggestFlag(name.replace(/^-+/, "--"), flags);
  return `Unknown flag ${quoteWithoutPassword(name)}: ${
    suggestion === undefined ? "leave it out" : `try ${suggestion}`
  }`;
}

// Commander keeps its search for similar names to itself, but tells the result in its error.
function suggestFlag(name: string, flags: readonly Flag[]): string | undefined {
  if (flags.some((flag) => `--${flag.name}` === name)) return name;
  try {
    createCommand(flags).parse([name], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return /\(Did you mean (?:one of )?(?<names>[^()]+)\?\)$/.exec(error.message)?.groups?.names;
  }
  return undefined;
}

/** Columns that the help fits into. */
const HELP_WIDTH = 96;

const HELP_FOOTER = `\
If a flag is given twice, the last one counts, except for those that may be repeated.
Values may also be given as in --port=9204. A duration is such as 500ms, 2s or 1m30s; a plain
number is seconds. Regular expressions are those of JavaScript, with the flag u; (?i) at the
beginning of one ignores case.

Examples:
  Serve the metrics of this host's instances on port 9204 and log to standard error:
    libvirt_nova_exporter --port 9204 --log -
  Look at the metrics page once, with the instances of libvirt's built-in test driver:
    libvirt_nova_exporter --once --uri test:///default
`;

/** Writes the text for `--help`: what the exporter is, its flags by group with their defaults, examples. */
export function helpText(flags: readonly Flag[] = ALL_FLAGS): string {
  const command = createCommand(flags);
  command.configureHelp({
    ...command.configureHelp(),
    visibleOptions: ({ options }) => options.filter((option) => !option.negate),
  });
  return `${command.helpInformation()}\n${HELP_FOOTER}`;
}
