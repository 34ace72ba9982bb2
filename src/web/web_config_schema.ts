import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type Range,
} from "yaml";

/** The web configuration file cannot be used; its message is one line that names the file, the line and the key. */
export class WebConfigError extends Error {
  override readonly name = "WebConfigError";
}

/** A place in the file: what errors about it begin with. */
export interface Place {
  /** Makes an error about this place. Its problem must not repeat a value, which may be a secret. */
  error(problem: string): WebConfigError;
}

/** A value of the file, with the keys that lead to it; every method throws {@linkcode WebConfigError}. */
export interface Value extends Place {
  /** Whether nothing stands there. */
  readonly isEmpty: boolean;
  /** The values of a mapping that has none but the known keys. */
  fields<Key extends string>(known: readonly Key[]): Readonly<Record<Key, Value>>;
  /** The entries of a mapping with keys of any text, in their order. */
  entries(): readonly (readonly [key: string, value: Value])[];
  /** The values of a list; none when it is empty. */
  items(): readonly Value[];
  /** A text; `undefined` when it is missing or empty. */
  text(): string | undefined;
  /** A text as it stands, also an empty one. */
  anyText(): string;
  boolean(otherwise: boolean): boolean;
  /** A number or a text, as a text; `undefined` when it is missing or empty. */
  numberOrText(): string | undefined;
  /** One of some texts; `undefined` when it is missing or empty. */
  choice<Choice extends string>(choices: readonly Choice[]): Choice | undefined;
}

/** What the values of one file share. */
interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

/** Presents a parsed YAML file as a value. */
export function documentValue(file: string, document: Document, lines: LineCounter): Value {
  const source = { file, document, lines };
  return nodeValue(source, document.contents as Node | null, "", 1);
}

/** Says in one line what is wrong in a line of the file. */
export function configError(file: string, line: number, problem: string): WebConfigError {
  return new WebConfigError(`Web configuration ${quoteText(file)} line ${line}: ${problem}`);
}

function nodeValue(
  source: Source,
  written: Node | null | undefined,
  path: string,
  lineOfKey: number,
): Value {
  const { file, document, lines } = source;
  const node = isAlias(written) ? written.resolve(document) : written;
  const range = written?.range as Range | null | undefined;
  const isEmpty = node === undefined || node === null || (isScalar(node) && node.value === null);
  const line = isEmpty || !range ? lineOfKey : lines.linePos(range[0]).line;
  const error = (problem: string): WebConfigError =>
    configError(file, line, path === "" ? problem : `${path}: ${problem}`);

  function pairs(): readonly Pair[] {
    if (isEmpty) return [];
    if (!isMap(node)) throw error('expected keys with values, such as "key: value"');
    return node.items.map(({ key, value }) => {
      const keyLine = lines.linePos((key as Node).range?.[0] ?? 0).line;
      if (!isScalar(key)) throw configError(file, keyLine, "a key has to be a text");
      const name = String(key.value);
      const childPath = path === "" ? quoteKey(name) : `${path}.${quoteKey(name)}`;
      const child = nodeValue(source, value as Node | null, childPath, keyLine);
      return { name, line: keyLine, child };
    });
  }

  function scalar(expected: string): unknown {
    if (!isScalar(node)) throw error(`expected ${expected}`);
    return node.value;
  }

  function anyText(): string {
    if (isEmpty) return "";
    const value = scalar("a text");
    if (typeof value !== "string") throw error("expected a text: put it in double quotes");
    return value;
  }

  return {
    isEmpty,
    error,
    fields<Key extends string>(known: readonly Key[]): Readonly<Record<Key, Value>> {
      const missing = known.map((key) => [
        key,
        nodeValue(source, undefined, path === "" ? key : `${path}.${key}`, line),
      ]);
      const present = pairs().map(({ name, line, child }) => {
        if (!known.some((key) => key === name)) {
          const place = path === "" ? "" : `${path}: `;
          throw configError(
            file,
            line,
            `${place}unknown key ${quoteText(withoutSecret(name))}, use one of ${known.join(", ")}`,
          );
        }
        return [name, child];
      });
      return Object.fromEntries([...missing, ...present]);
    },
    entries: () => pairs().map(({ name, child }) => [name, child] as const),
    items(): readonly Value[] {
      if (isEmpty) return [];
      if (!isSeq(node)) throw error('expected a list, with a line such as "- value" for each');
      return node.items.map((item, index) =>
        nodeValue(source, item as Node | null, `${path}[${index}]`, line)
      );
    },
    text(): string | undefined {
      const text = anyText();
      return text === "" ? undefined : text;
    },
    anyText,
    boolean(otherwise): boolean {
      if (isEmpty) return otherwise;
      const value = scalar("true or false");
      if (typeof value !== "boolean") throw error("expected true or false");
      return value;
    },
    numberOrText(): string | undefined {
      if (isEmpty) return undefined;
      const value = scalar("a number or a text");
      if (typeof value !== "number" && typeof value !== "string") {
        throw error("expected a number or a text");
      }
      return value === "" ? undefined : String(value);
    },
    choice<Choice extends string>(choices: readonly Choice[]): Choice | undefined {
      const text = anyText();
      if (text === "") return undefined;
      const found = choices.find((choice) => choice === text);
      if (found === undefined) throw error(`unknown value, use one of ${choices.join(", ")}`);
      return found;
    },
  };
}

interface Pair {
  readonly name: string;
  readonly line: number;
  readonly child: Value;
}

const BARE_KEY = /^[\w-]+$/;

function quoteKey(name: string): string {
  return BARE_KEY.test(name) ? name : quoteText(withoutSecret(name));
}

/** A password or a hash may stand in a key by mistake, as in htpasswd's `user:hash` or with user and hash exchanged. */
function withoutSecret(key: string): string {
  return key.replace(/[:$].*/s, "…");
}

/** Longest part of a text from the file or of its path that a message repeats. */
const MAXIMUM_SHOWN_LENGTH = 200;

/** Writes a text in double quotes on one line. */
export function quoteText(text: string): string {
  const cut = text.length > MAXIMUM_SHOWN_LENGTH ? `${text.slice(0, MAXIMUM_SHOWN_LENGTH)}…` : text;
  return JSON.stringify(cut.toWellFormed()).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
