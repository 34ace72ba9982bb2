/** The longest document that is read, in UTF-16 units. Real domain documents have 5 to 50 thousand. */
export const MAXIMUM_XML_LENGTH = 1_048_576;

/**
 * The deepest nesting that is read. It leaves room for the chain of 200 backing files that libvirt
 * allows to a disk, each of which nests one element deeper.
 */
export const MAXIMUM_XML_DEPTH = 256;

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
 * declaration, and everything beyond {@link MAXIMUM_XML_LENGTH} and {@link MAXIMUM_XML_DEPTH}. The
 * time it takes grows with the length of the text and with nothing else.
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
  const openElements: OpenElement[] = [];
  const kept: string[] = [];
  let hasRoot = false;
  let position = endOfXmlDeclaration(xml);
  let keptFrom = position;
  let leftOut: OpenElement | undefined;
  const leaveOut = (start: number, end: number): void => {
    if (leftOut !== undefined) return;
    kept.push(xml.slice(keptFrom, start));
    keptFrom = end;
  };

  while (position < xml.length) {
    const next = xml.indexOf("<", position);
    const start = next === -1 ? xml.length : next;
    checkText(xml, position, start, openElements.length > 0);
    if (next === -1) break;

    switch (xml.charAt(start + 1)) {
      case "/": {
        const element = openElements.pop();
        position = endOfEndTag(xml, start, element?.name);
        if (element === leftOut) {
          leftOut = undefined;
          keptFrom = position;
        }
        break;
      }
      case "?":
        position = endOfInstruction(xml, start);
        leaveOut(start, position);
        break;
      case "!":
        position = endOfDeclaration(xml, start, openElements.length > 0);
        if (xml.startsWith("<!--", start)) leaveOut(start, position);
        break;
      default: {
        checkPlace(xml, start, openElements.length, hasRoot);
        hasRoot = true;
        const tag = readStartTag(xml, start);
        const wanted = wantedInside(tag.name, openElements.at(-1), wantedInRoot);
        const element = { name: tag.name, wanted };
        position = tag.end;
        if (!tag.isEmpty) openElements.push(element);
        if (wanted === undefined) {
          leaveOut(start, position);
          if (!tag.isEmpty) leftOut ??= element;
        }
      }
    }
  }

  const unclosed = openElements.at(-1);
  if (unclosed !== undefined) {
    refuse(xml, xml.length, `The document ends inside element ${quote(unclosed.name)}, close it`);
  }
  if (!hasRoot) refuse(xml, 0, "The document has no element, give it a root element");
  kept.push(xml.slice(keptFrom));
  return kept.join("");
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
    refuse(xml, start, "A second root element follows the first, remove it");
  }
  if (depth >= MAXIMUM_XML_DEPTH) {
    refuse(xml, start, `Elements nest deeper than ${MAXIMUM_XML_DEPTH} levels, flatten them`);
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
    refuse(xml, forbidden.index, `XML does not allow the character U+${codePoint}, remove it`);
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
        `The reference ${quote(reference)} stands for no character, write "&amp;" for an ampersand`,
      );
    }
    return character;
  });
}

/** Quotes a piece of a document for a message: shortened, and on one line whatever it holds. */
export function quote(text: string): string {
  const shortened = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return `"${shortened.toWellFormed().replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\uFFFD")}"`;
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
    refuse(xml, start, `Text stands outside the root element: ${quote(text.trim())}, remove it`);
  }
  if (text.includes("]]>")) refuse(xml, start, 'Text holds "]]>", write "]]&gt;" instead');
  checkReferences(xml, start, text);
}

function checkReferences(xml: string, start: number, text: string): void {
  if (!text.includes("&")) return;
  try {
    decodeReferences(text);
  } catch (error) {
    refuse(xml, start, error instanceof Error ? error.message : String(error));
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
    return refuse(xml, start, `No element name follows "<", write "&lt;" for a less-than sign`);
  }
  const [whole, name = ""] = tag;
  let position = start + whole.length;
  const attributes = new Set<string>();
  let attribute = matchAt(ATTRIBUTE, xml, position);
  while (attribute !== undefined) {
    const [all, attributeName = "", doubleQuoted, singleQuoted = ""] = attribute;
    if (attributes.has(attributeName)) {
      refuse(
        xml,
        position,
        `Element ${quote(name)} has attribute ${quote(attributeName)} twice, remove one`,
      );
    }
    attributes.add(attributeName);
    checkReferences(xml, position, doubleQuoted ?? singleQuoted);
    position += all.length;
    attribute = matchAt(ATTRIBUTE, xml, position);
  }
  const end = matchAt(START_TAG_END, xml, position);
  if (end === undefined) {
    return refuse(xml, position, `The start tag of element ${quote(name)} is broken, repair it`);
  }
  return { name, isEmpty: end[1] === "/", end: position + end[0].length };
}

function endOfEndTag(xml: string, start: number, openElement: string | undefined): number {
  const tag = matchAt(END_TAG, xml, start);
  if (tag === undefined) return refuse(xml, start, "An end tag is broken, repair it");
  const [whole, name = ""] = tag;
  if (openElement === undefined) {
    return refuse(xml, start, `Element ${quote(name)} ends but never began, remove its end tag`);
  }
  if (name !== openElement) {
    refuse(xml, start, `Element ${quote(openElement)} is closed as ${quote(name)}, match the tags`);
  }
  return start + whole.length;
}

function endOfInstruction(xml: string, start: number): number {
  const target = matchAt(INSTRUCTION_TARGET, xml, start)?.[1];
  if (target === undefined) {
    return refuse(xml, start, "A processing instruction has no name, remove it");
  }
  if (target.toLowerCase() === "xml") {
    return refuse(
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
      : refuse(xml, start, 'A comment holds "--", remove it');
  }
  if (isInsideRoot && xml.startsWith("<![CDATA[", start)) {
    return endOf(xml, start + 9, "]]>", "CDATA section");
  }
  return refuse(
    xml,
    start,
    `Refusing the declaration ${quote(xml.slice(start, start + 20))}, remove it`,
  );
}

function endOf(xml: string, from: number, terminator: string, what: string): number {
  const end = xml.indexOf(terminator, from);
  return end === -1
    ? refuse(xml, from, `A ${what} never ends, close it with "${terminator}"`)
    : end + terminator.length;
}

function matchAt(pattern: RegExp, text: string, position: number): RegExpExecArray | undefined {
  pattern.lastIndex = position;
  return pattern.exec(text) ?? undefined;
}

function refuse(xml: string, position: number, reason: string): never {
  const line = xml.slice(0, position).split("\n").length;
  throw new XmlSyntaxError(`${reason} (line ${line})`);
}
