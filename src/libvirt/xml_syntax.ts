import { cut, messageOf, UNSAFE_CHARACTERS } from "../text.ts";

/**
 * The longest document that is read, in UTF-16 units: as many as libvirt's protocol allows bytes to a string. Most domain
 * documents have 5 to 50 thousand; hundreds of disks with long chains of backing files have millions.
 */
export const MAXIMUM_XML_LENGTH = 4_194_304;

/**
 * The most that is left of a document for the parser, in UTF-16 units. Parsing takes four times as long as checking, so
 * this is what bounds the time that one document holds up the rest. A disk or an interface leaves some hundreds.
 */
export const MAXIMUM_CONDENSED_LENGTH = 1_048_576;

/**
 * The deepest nesting that is read. It leaves room for the chain of 200 backing files that libvirt
 * allows to a disk, each of which nests one element deeper.
 */
export const MAXIMUM_XML_DEPTH = 256;

/** The longest piece of a document that a message repeats, in UTF-16 units. */
const MAXIMUM_EXCERPT_LENGTH = 60;

/** Says why a text is not an XML document that the exporter reads, in one line. */
export class XmlSyntaxError extends Error {
  override readonly name = "XmlSyntaxError";
}

// The classes hold both halves of surrogate pairs, so that names of other planes need no `u` flag,
// which makes these patterns slower.
const NAME_START =
  ":A-Z_a-z\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u02FF\\u0370-\\u037D\\u037F-\\u1FFF\\u200C\\u200D" +
  "\\u2070-\\u218F\\u2C00-\\u2FEF\\u3001-\\uDFFF\\uF900-\\uFDCF\\uFDF0-\\uFFFD";
const NAME = `[${NAME_START}][${NAME_START}\\-.0-9\\u00B7\\u0300-\\u036F\\u203F\\u2040]*`;
const SPACE = "[ \\t\\r\\n]";
const EQUALS = `${SPACE}*=${SPACE}*`;

const DECLARATION = new RegExp(
  `<\\?xml${SPACE}+version${EQUALS}(?:"1\\.[0-9]+"|'1\\.[0-9]+')` +
    `(?:${SPACE}+encoding${EQUALS}(?:"[A-Za-z][\\w.\\-]*"|'[A-Za-z][\\w.\\-]*'))?` +
    `(?:${SPACE}+standalone${EQUALS}(?:"(?:yes|no)"|'(?:yes|no)'))?${SPACE}*\\?>`,
  "y",
);
const INSTRUCTION_TARGET = new RegExp(`<\\?(${NAME})(?=${SPACE}|\\?>)`, "y");
const START_TAG_NAME = new RegExp(`<(${NAME})`, "y");
const ATTRIBUTE = new RegExp(`${SPACE}+(${NAME})${EQUALS}(?:"([^"<]*)"|'([^'<]*)')`, "y");
const START_TAG_END = new RegExp(`${SPACE}*(/?)>`, "y");
const END_TAG = new RegExp(`</(${NAME})${SPACE}*>`, "y");

const BYTE_ORDER_MARK = "\uFEFF";
const FORBIDDEN_CHARACTER = /[^\t\n\r -\uFFFD]/;
const NOT_SPACE = /[^ \t\r\n]/;
const REFERENCE = /&([^&;]*)(;?)/g;
const NUMERIC_REFERENCE = /^#(?:x([0-9A-Fa-f]+)|([0-9]+))$/;
const PREDEFINED_ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["apos", "'"],
  ["gt", ">"],
  ["lt", "<"],
  ["quot", '"'],
]);

/**
 * What is wanted inside an element: all of it, or the elements of these names, whatever their
 * prefix, each with what is wanted inside it.
 */
export type WantedElements = "everything" | ReadonlyMap<string, WantedElements>;

/**
 * Checks a document and returns it without its declaration, comments, processing instructions, and
 * the elements that `wantedInRoot` does not want, so that a parser has less to do. What is left out
 * is checked like everything else.
 *
 * It refuses everything that is not one well-formed XML 1.0 document without a document type
 * declaration, and everything beyond {@link MAXIMUM_XML_LENGTH}, {@link MAXIMUM_CONDENSED_LENGTH} and
 * {@link MAXIMUM_XML_DEPTH}. The time it takes grows with the length of the text and with nothing else.
 *
 * fast-xml-parser reads whatever it can make some sense of, and even its validator accepts two root
 * elements, text behind the root element, `<` and bare `&` in attributes, unknown entities, control
 * characters and made-up `<!…>` markup; an apostrophe in a processing instruction makes it swallow
 * elements. A document that passes here leaves it nothing to guess.
 *
 * Document types are refused since libvirt writes none, and since entity declarations are the way
 * to documents that grow without bound or that pull in other files.
 *
 * @throws {XmlSyntaxError} that names the first thing wrong and its line
 */
export function condenseXml(xml: string, wantedInRoot: WantedElements): string {
  checkLengthAndCharacters(xml);
  const condensed = new Condenser(xml, wantedInRoot).condense();
  if (condensed.length > MAXIMUM_CONDENSED_LENGTH) {
    throw new XmlSyntaxError(
      `The parts of the document that are read have ${condensed.length} characters, ` +
        `shorten them to at most ${MAXIMUM_CONDENSED_LENGTH}`,
    );
  }
  return condensed;
}

/** Goes through a document from tag to tag. */
class Condenser {
  readonly #xml: string;
  readonly #wantedInRoot: WantedElements;
  readonly #openElements: OpenElement[] = [];
  readonly #kept: string[] = [];
  #hasRoot = false;
  #position: number;
  #keptFrom: number;
  /** The outermost element that is left out, while inside it. */
  #leftOut: OpenElement | undefined;

  constructor(xml: string, wantedInRoot: WantedElements) {
    this.#xml = xml;
    this.#wantedInRoot = wantedInRoot;
    this.#position = endOfXmlDeclaration(xml);
    this.#keptFrom = this.#position;
  }

  condense(): string {
    const xml = this.#xml;
    while (this.#position < xml.length) {
      const next = xml.indexOf("<", this.#position);
      const start = next === -1 ? xml.length : next;
      checkText(xml, this.#position, start, this.#openElements.length > 0);
      if (next === -1) break;
      this.#readMarkup(start);
    }
    const unclosed = this.#openElements.at(-1);
    if (unclosed !== undefined) {
      throwAt(
        xml,
        xml.length,
        `The document ends inside element ${excerpt(unclosed.name)}, close it`,
      );
    }
    if (!this.#hasRoot) throwAt(xml, 0, "The document has no element, give it a root element");
    this.#kept.push(xml.slice(this.#keptFrom));
    return this.#kept.join("");
  }

  #readMarkup(start: number): void {
    const xml = this.#xml;
    switch (xml.charAt(start + 1)) {
      case "/":
        this.#readEndTag(start);
        break;
      case "?":
        this.#position = endOfInstruction(xml, start);
        this.#leaveOut(start);
        break;
      case "!":
        this.#position = endOfDeclaration(xml, start, this.#openElements.length > 0);
        if (xml.startsWith("<!--", start)) this.#leaveOut(start);
        break;
      default:
        this.#readStartTag(start);
    }
  }

  #readEndTag(start: number): void {
    const element = this.#openElements.pop();
    this.#position = endOfEndTag(this.#xml, start, element?.name);
    if (element !== this.#leftOut) return;
    this.#leftOut = undefined;
    this.#keptFrom = this.#position;
  }

  #readStartTag(start: number): void {
    checkPlace(this.#xml, start, this.#openElements.length, this.#hasRoot);
    this.#hasRoot = true;
    const { name, end, isEmpty } = readStartTag(this.#xml, start);
    const wanted = wantedInside(name, this.#openElements.at(-1), this.#wantedInRoot);
    const element = { name, wanted };
    this.#position = end;
    if (!isEmpty) this.#openElements.push(element);
    if (wanted !== undefined) return;
    this.#leaveOut(start);
    if (!isEmpty) this.#leftOut ??= element;
  }

  /** Leaves out what was read from `start` on, unless it is in something that is left out. */
  #leaveOut(start: number): void {
    if (this.#leftOut !== undefined) return;
    this.#kept.push(this.#xml.slice(this.#keptFrom, start));
    this.#keptFrom = this.#position;
  }
}

interface OpenElement {
  readonly name: string;
  /** `undefined` when the element itself is not wanted. */
  readonly wanted: WantedElements | undefined;
}

function wantedInside(
  name: string,
  parent: OpenElement | undefined,
  wantedInRoot: WantedElements,
): WantedElements | undefined {
  if (parent === undefined) return wantedInRoot;
  if (typeof parent.wanted !== "object") return parent.wanted;
  return parent.wanted.get(name.slice(name.indexOf(":") + 1));
}

function checkPlace(xml: string, start: number, depth: number, hasRoot: boolean): void {
  if (depth === 0 && hasRoot) {
    throwAt(xml, start, "A second root element follows the first, remove it");
  }
  if (depth >= MAXIMUM_XML_DEPTH) {
    throwAt(xml, start, `Elements nest deeper than ${MAXIMUM_XML_DEPTH} levels, flatten them`);
  }
}

function checkLengthAndCharacters(xml: string): void {
  if (xml.length > MAXIMUM_XML_LENGTH) {
    throw new XmlSyntaxError(
      `The document has ${xml.length} characters, shorten it to at most ${MAXIMUM_XML_LENGTH}`,
    );
  }
  const forbidden = FORBIDDEN_CHARACTER.exec(xml);
  if (forbidden !== null) {
    const codePoint = forbidden[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    throwAt(xml, forbidden.index, `XML does not allow the character U+${codePoint}, remove it`);
  }
}

function endOfXmlDeclaration(xml: string): number {
  const start = xml.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
  return start + (matchAt(DECLARATION, xml, start)?.[0].length ?? 0);
}

/**
 * Replaces the five predefined entities and all character references in character data or in an
 * attribute's value. Halves of surrogate pairs come out as they stand: make the result well-formed
 * when it is complete.
 *
 * @throws {XmlSyntaxError} when an entity is unknown or a reference names no XML character
 */
export function decodeReferences(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(REFERENCE, (reference, name: string, semicolon: string) => {
    const character = semicolon === "" ? undefined : referencedCharacter(name);
    if (character === undefined) {
      throw new XmlSyntaxError(
        `The reference ${
          excerpt(reference)
        } stands for no character, write "&amp;" for an ampersand`,
      );
    }
    return character;
  });
}

/** Quotes a piece of a document for a message: shortened, and on one line whatever it holds. */
export function excerpt(text: string): string {
  return `"${cut(text, MAXIMUM_EXCERPT_LENGTH).replaceAll(UNSAFE_CHARACTERS, "\uFFFD")}"`;
}

function referencedCharacter(name: string): string | undefined {
  const numeric = NUMERIC_REFERENCE.exec(name);
  if (numeric === null) return PREDEFINED_ENTITIES.get(name);
  const [, hexadecimal, decimal = ""] = numeric;
  const codePoint = hexadecimal === undefined
    ? Number.parseInt(decimal, 10)
    : Number.parseInt(hexadecimal, 16);
  if (codePoint > 0x10FFFF) return undefined;
  const character = String.fromCodePoint(codePoint);
  return FORBIDDEN_CHARACTER.test(character) ? undefined : character;
}

function checkText(xml: string, start: number, end: number, isInsideRoot: boolean): void {
  if (start === end) return;
  const text = xml.slice(start, end);
  if (!isInsideRoot && NOT_SPACE.test(text)) {
    throwAt(xml, start, `Text stands outside the root element: ${excerpt(text.trim())}, remove it`);
  }
  if (text.includes("]]>")) throwAt(xml, start, 'Text holds "]]>", write "]]&gt;" instead');
  checkReferences(xml, start, text);
}

function checkReferences(xml: string, start: number, text: string): void {
  if (!text.includes("&")) return;
  try {
    decodeReferences(text);
  } catch (error) {
    throwAt(xml, start, messageOf(error));
  }
}

interface StartTag {
  readonly name: string;
  readonly isEmpty: boolean;
  readonly end: number;
}

function readStartTag(xml: string, start: number): StartTag {
  const tag = matchAt(START_TAG_NAME, xml, start);
  if (tag === undefined) {
    return throwAt(xml, start, `No element name follows "<", write "&lt;" for a less-than sign`);
  }
  const [whole, name = ""] = tag;
  let position = start + whole.length;
  const attributes = new Set<string>();
  let attribute = matchAt(ATTRIBUTE, xml, position);
  while (attribute !== undefined) {
    const [all, attributeName = "", doubleQuoted, singleQuoted = ""] = attribute;
    if (attributes.has(attributeName)) {
      throwAt(
        xml,
        position,
        `Element ${excerpt(name)} has attribute ${excerpt(attributeName)} twice, remove one`,
      );
    }
    attributes.add(attributeName);
    checkReferences(xml, position, doubleQuoted ?? singleQuoted);
    position += all.length;
    attribute = matchAt(ATTRIBUTE, xml, position);
  }
  const end = matchAt(START_TAG_END, xml, position);
  if (end === undefined) {
    return throwAt(xml, position, `The start tag of element ${excerpt(name)} is broken, repair it`);
  }
  return { name, isEmpty: end[1] === "/", end: position + end[0].length };
}

function endOfEndTag(xml: string, start: number, openElement: string | undefined): number {
  const tag = matchAt(END_TAG, xml, start);
  if (tag === undefined) return throwAt(xml, start, "An end tag is broken, repair it");
  const [whole, name = ""] = tag;
  if (openElement === undefined) {
    return throwAt(xml, start, `Element ${excerpt(name)} ends but never began, remove its end tag`);
  }
  if (name !== openElement) {
    throwAt(
      xml,
      start,
      `Element ${excerpt(openElement)} is closed as ${excerpt(name)}, match the tags`,
    );
  }
  return start + whole.length;
}

function endOfInstruction(xml: string, start: number): number {
  const target = matchAt(INSTRUCTION_TARGET, xml, start)?.[1];
  if (target === undefined) {
    return throwAt(xml, start, "A processing instruction has no name, remove it");
  }
  if (target.toLowerCase() === "xml") {
    return throwAt(
      xml,
      start,
      "The XML declaration is broken or not at the start, repair or move it",
    );
  }
  return endOf(xml, start + 2, "?>", "processing instruction");
}

function endOfDeclaration(xml: string, start: number, isInsideRoot: boolean): number {
  if (xml.startsWith("<!--", start)) {
    const end = endOf(xml, start + 4, "--", "comment");
    return xml.charAt(end) === ">"
      ? end + 1
      : throwAt(xml, start, 'A comment holds "--", remove it');
  }
  if (isInsideRoot && xml.startsWith("<![CDATA[", start)) {
    return endOf(xml, start + 9, "]]>", "CDATA section");
  }
  return throwAt(
    xml,
    start,
    `Refusing the declaration ${excerpt(xml.slice(start, start + 20))}, remove it`,
  );
}

function endOf(xml: string, from: number, terminator: string, what: string): number {
  const end = xml.indexOf(terminator, from);
  return end === -1
    ? throwAt(xml, from, `A ${what} never ends, close it with "${terminator}"`)
    : end + terminator.length;
}

function matchAt(pattern: RegExp, text: string, position: number): RegExpExecArray | undefined {
  pattern.lastIndex = position;
  return pattern.exec(text) ?? undefined;
}

function throwAt(xml: string, position: number, reason: string): never {
  const line = xml.slice(0, position).split("\n").length;
  throw new XmlSyntaxError(`${reason} (line ${line})`);
}
