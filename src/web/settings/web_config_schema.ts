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
import { quote } from "../../text.ts";

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
  return new NodeValue(source, document.contents as Node | null, "", 1);
}

/** Says in one line what is wrong in a line of the file. */
export function configError(file: string, line: number, problem: string): WebConfigError {
  return new WebConfigError(`Web configuration ${quote(file)} line ${line}: ${problem}`);
}

class NodeValue implements Value {
  readonly isEmpty: boolean;
  readonly #source: Source;
  readonly #node: Node | null | undefined;
  readonly #path: string;
  readonly #line: number;

  /**
   * @param written the node as it stands, which may be an alias; undefined where the file has none
   * @param path the keys that lead to it
   */
  constructor(
    source: Source,
    written: Node | null | undefined,
    path: string,
    lineOfKey: number,
  ) {
    const { document, lines } = source;
    const node = isAlias(written) ? written.resolve(document) : written;
    const range = written?.range as Range | null | undefined;
    this.#source = source;
    this.#node = node;
    this.#path = path;
    this.isEmpty = node === undefined || node === null || (isScalar(node) && node.value === null);
    this.#line = this.isEmpty || !range ? lineOfKey : lines.linePos(range[0]).line;
  }

  error(problem: string): WebConfigError {
    const place = this.#path === "" ? problem : `${this.#path}: ${problem}`;
    return configError(this.#source.file, this.#line, place);
  }

  fields<Key extends string>(known: readonly Key[]): Readonly<Record<Key, Value>> {
    const missing = known.map((key) => [key, this.#child(key, undefined, this.#line)]);
    const present = this.#pairs().map(({ name, line, child }) => {
      if (known.some((key) => key === name)) return [name, child];
      const place = this.#path === "" ? "" : `${this.#path}: `;
      throw configError(
        this.#source.file,
        line,
        `${place}unknown key ${quote(withoutSecret(name))}, use one of ${known.join(", ")}`,
      );
    });
    return Object.fromEntries([...missing, ...present]);
  }

  entries(): readonly (readonly [key: string, value: Value])[] {
    return this.#pairs().map(({ name, child }) => [name, child] as const);
  }

  items(): readonly Value[] {
    if (this.isEmpty) return [];
    if (!isSeq(this.#node)) {
      throw this.error('expected a list, with a line such as "- value" for each');
    }
    return this.#node.items.map((item, index) =>
      new NodeValue(this.#source, item as Node | null, `${this.#path}[${index}]`, this.#line)
    );
  }

  text(): string | undefined {
    const text = this.anyText();
    return text === "" ? undefined : text;
  }

  anyText(): string {
    if (this.isEmpty) return "";
    const value = this.#scalar("a text");
    if (typeof value !== "string") throw this.error("expected a text: put it in double quotes");
    return value;
  }

  boolean(otherwise: boolean): boolean {
    if (this.isEmpty) return otherwise;
    const value = this.#scalar("true or false");
    if (typeof value !== "boolean") throw this.error("expected true or false");
    return value;
  }

  numberOrText(): string | undefined {
    if (this.isEmpty) return undefined;
    const value = this.#scalar("a number or a text");
    if (typeof value !== "number" && typeof value !== "string") {
      throw this.error("expected a number or a text");
    }
    return value === "" ? undefined : String(value);
  }

  choice<Choice extends string>(choices: readonly Choice[]): Choice | undefined {
    const text = this.anyText();
    if (text === "") return undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw this.error(`unknown value, use one of ${choices.join(", ")}`);
    return found;
  }

  #child(key: string, written: Node | null | undefined, line: number): NodeValue {
    const path = this.#path === "" ? key : `${this.#path}.${key}`;
    return new NodeValue(this.#source, written, path, line);
  }

  #scalar(expected: string): unknown {
    if (!isScalar(this.#node)) throw this.error(`expected ${expected}`);
    return this.#node.value;
  }

  #pairs(): readonly Pair[] {
    if (this.isEmpty) return [];
    if (!isMap(this.#node)) throw this.error('expected keys with values, such as "key: value"');
    const { file, lines } = this.#source;
    return this.#node.items.map(({ key, value }) => {
      const line = lines.linePos((key as Node).range?.[0] ?? 0).line;
      if (!isScalar(key)) throw configError(file, line, "a key has to be a text");
      const name = String(key.value);
      return { name, line, child: this.#child(quoteKey(name), value as Node | null, line) };
    });
  }
}

interface Pair {
  readonly name: string;
  readonly line: number;
  readonly child: Value;
}

const UNQUOTED_KEY = /^[\w-]+$/;

function quoteKey(name: string): string {
  return UNQUOTED_KEY.test(name) ? name : quote(withoutSecret(name));
}

/** A password or a hash may stand in a key by mistake, as in htpasswd's `user:hash` or with user and hash exchanged. */
function withoutSecret(key: string): string {
  return key.replace(/[:$].*/s, "…");
}
