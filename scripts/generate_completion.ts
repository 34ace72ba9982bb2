import { type Flag, FLAGS, ONCE_FORMATS } from "../src/config/flags.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../src/log/line.ts";
/** Writes the completions of the shells from the table of flags. */

const PROGRAM = "libvirt_nova_exporter";

/** What is offered for a flag's value, by the flag's name or else the value's: words, or files; else it is any text. */
const VALUES: Readonly<Record<string, readonly string[] | "files">> = {
  FILE: "files",
  LEVEL: LOG_LEVELS,
  [FLAGS.logFormat.name]: LOG_FORMATS,
  [FLAGS.onceFormat.name]: ONCE_FORMATS,
};

/** A flag as shells know it. */
interface Option {
  /** With the dashes; the letter first. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined for a switch. */
  readonly values: readonly string[] | "files" | "any" | undefined;
}

function toOption(flag: Flag): readonly Option[] {
  const { name, description } = flag;
  if ("valueName" in flag) {
    const values = VALUES[name] ?? VALUES[flag.valueName] ?? "any";
    return [{ names: [`--${name}`], description, values }];
  }
  const letter = flag.letter === undefined ? [] : [`-${flag.letter}`];
  const on = { names: [...letter, `--${name}`], description, values: undefined };
  if (flag.negatable !== true) return [on];
  return [on, { names: [`--no-${name}`], description: `Not: ${description}`, values: undefined }];
}

/** The completion of Bash, for its package bash-completion or without. */
export function bashCompletion(flags: readonly Flag[]): string {
  const options = flags.flatMap(toOption);
  const cases = options.flatMap(({ names, values }) => {
    if (values === undefined) return [];
    const reply = values === "any"
      ? ":"
      : values === "files"
      ? `mapfile -t COMPREPLY < <(compgen -f -- "$word")`
      : `mapfile -t COMPREPLY < <(compgen -W ${quote(values.join(" "))} -- "$word")`;
    return [`    ${names.join("|")})\n      ${reply}\n      return\n      ;;\n`];
  });
  const names = options.flatMap((option) => option.names);
  return `\
# Completion of ${PROGRAM} for Bash
_${PROGRAM}() {
  local word=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # Bash takes the equals sign of --flag=value for a word of its own.
  if [[ $word == = ]]; then word=; fi
  if [[ $flag == = ]]; then flag=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  case $flag in
${cases.join("")}  esac
  mapfile -t COMPREPLY < <(compgen -W ${quote(names.join(" "))} -- "$word")
}
complete -F _${PROGRAM} ${PROGRAM}
`;
}

/** The completion of Zsh. */
export function zshCompletion(flags: readonly Flag[]): string {
  const specifications = flags.flatMap((flag) =>
    toOption(flag).map(({ names, description, values }) => {
      const isRepeatable = "repeatable" in flag && flag.repeatable === true;
      const text = description.replaceAll(/[[\]:\\]/g, "\\$&");
      const valueName = "valueName" in flag ? flag.valueName.toLowerCase() : "";
      const action = values === undefined
        ? ""
        : values === "files"
        ? `:${valueName}:_files`
        : values === "any"
        ? `:${valueName}: `
        : `:${valueName}:(${values.join(" ")})`;
      const suffix = values === undefined ? "" : "=";
      const forms = names.map((name) => `${name}${suffix}`);
      const specification = `[${text}]${action}`;
      if (forms.length > 1) {
        const excluded = quote(`(${names.join(" ")})`);
        return `  ${excluded}{${forms.join(",")}}${quote(specification)}`;
      }
      return `  ${quote(`${isRepeatable ? "*" : ""}${forms[0]}${specification}`)}`;
    })
  );
  return `\
#compdef ${PROGRAM}
# Completion of ${PROGRAM} for Zsh
_arguments \\
${specifications.join(" \\\n")}
`;
}

/** The completion of fish. */
export function fishCompletion(flags: readonly Flag[]): string {
  const lines = flags.flatMap(toOption).map(({ names, description, values }) => {
    const forms = names.map((name) =>
      name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
    );
    const value = values === undefined
      ? ""
      : values === "files"
      ? " -r -F"
      : values === "any"
      ? " -x"
      : ` -x -a ${quoteForFish(values.join(" "))}`;
    return `complete -c ${PROGRAM} ${forms.join(" ")}${value} -d ${quoteForFish(description)}\n`;
  });
  return `# Completion of ${PROGRAM} for fish\ncomplete -c ${PROGRAM} -f\n${lines.join("")}`;
}

/** One word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function quoteForFish(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
