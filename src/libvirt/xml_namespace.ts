import { XMLParser } from "fast-xml-parser";
import {
  condenseXml,
  decodeReferences,
  MAXIMUM_XML_DEPTH,
  type WantedElements,
} from "./xml_syntax.ts";

/** One element of a document, with its name resolved by "Namespaces in XML 1.0". */
export interface XmlElement {
  /** The name without its prefix. */
  readonly localName: string;
  /** The URI of its namespace: `""` for none, `undefined` when nothing declares its prefix. */
  readonly namespace: string | undefined;
  /** Values by name as written, prefix included, `xmlns` declarations too; references are replaced. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly parent: XmlElement | undefined;
  /** What fast-xml-parser found inside; read it with {@link childElements} and {@link textOf}. */
  readonly content: readonly ParsedNode[];
}

/** A node of fast-xml-parser's ordered output: one key that says what it is, and perhaps `:@`. */
export type ParsedNode = Readonly<Record<string, unknown>>;

const ATTRIBUTES_KEY = ":@";
const ATTRIBUTE_MARK = "@";
// With this mark no element's name can be one of those that the parser refuses, or renames, because
// they are names of JavaScript properties ("constructor"), nor be taken for a text node.
const ELEMENT_MARK = "<";
const TEXT_KEY = "#text";
const CHARACTER_DATA_KEY = "#cdata";

const PARSER = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: ATTRIBUTE_MARK,
  // The parser asks twice about the name of an empty element.
  transformTagName: (name) => name.startsWith(ELEMENT_MARK) ? name : ELEMENT_MARK + name,
  textNodeName: TEXT_KEY,
  cdataPropName: CHARACTER_DATA_KEY,
  parseTagValue: false,
  trimValues: false,
  // The parser leaves unknown entities standing and drops references to surrogates.
  processEntities: false,
  maxNestedTags: MAXIMUM_XML_DEPTH,
  jPath: false,
});

/**
 * Reads a document and returns its root element, without the elements that are not wanted. Names of
 * the elements below are resolved when {@link childElements} visits them.
 *
 * @throws {XmlSyntaxError} when {@link condenseXml} refuses the document
 */
export function parseXml(xml: string, wantedInRoot: WantedElements = "everything"): XmlElement {
  const document: readonly ParsedNode[] = PARSER.parse(condenseXml(xml, wantedInRoot));
  const [root] = elementsAmong(document, undefined);
  if (root === undefined) throw new Error("The parser found no root element in a checked document");
  return root;
}

/** The elements directly inside `element`, in document order. */
export function childElements(element: XmlElement): readonly XmlElement[] {
  return elementsAmong(element.content, element);
}

/**
 * The character data directly inside `element`, exactly as written but for references, which are
 * replaced, and line ends, which are line feeds. Lone surrogates become U+FFFD.
 */
export function textOf(element: XmlElement): string {
  return element.content.map(characterData).join("").toWellFormed();
}

function elementsAmong(
  nodes: readonly ParsedNode[],
  parent: XmlElement | undefined,
): readonly XmlElement[] {
  const elements: XmlElement[] = [];
  for (const node of nodes) {
    const key = keyOf(node);
    if (key.startsWith(ELEMENT_MARK)) elements.push(toElement(key, node, parent));
  }
  return elements;
}

function toElement(key: string, node: ParsedNode, parent: XmlElement | undefined): XmlElement {
  const name = key.slice(ELEMENT_MARK.length);
  const colon = name.indexOf(":");
  const prefix = colon === -1 ? "" : name.slice(0, colon);
  const attributes = attributesOf(node);
  return {
    localName: name.slice(colon + 1),
    namespace: namespaceOf(prefix, attributes, parent),
    attributes,
    parent,
    content: childNodes(node[key]),
  };
}

/** Walks outwards instead of copying the declarations in scope: hostile documents have thousands. */
function namespaceOf(
  prefix: string,
  attributes: ReadonlyMap<string, string>,
  parent: XmlElement | undefined,
): string | undefined {
  const declaration = prefix === "" ? "xmlns" : `xmlns:${prefix}`;
  let uri = attributes.get(declaration);
  for (let outer = parent; uri === undefined && outer !== undefined; outer = outer.parent) {
    uri = outer.attributes.get(declaration);
  }
  if (prefix === "") return uri ?? "";
  return uri === "" ? undefined : uri;
}

function attributesOf(node: ParsedNode): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const [key, value] of Object.entries(node[ATTRIBUTES_KEY] ?? {})) {
    attributes.set(key.slice(ATTRIBUTE_MARK.length), attributeValue(String(value)));
  }
  return attributes;
}

/** Line ends and tabs of a value are spaces unless they are written as references (XML 1.0, 3.3.3). */
function attributeValue(raw: string): string {
  return decodeReferences(raw.replace(/[\t\n]/g, " ")).toWellFormed();
}

function characterData(node: ParsedNode): string {
  switch (keyOf(node)) {
    case TEXT_KEY:
      return decodeReferences(String(node[TEXT_KEY]));
    case CHARACTER_DATA_KEY:
      return childNodes(node[CHARACTER_DATA_KEY]).map((part) => String(part[TEXT_KEY])).join("");
    default:
      return "";
  }
}

function keyOf(node: ParsedNode): string {
  for (const key in node) {
    if (key !== ATTRIBUTES_KEY) return key;
  }
  return "";
}

function childNodes(value: unknown): readonly ParsedNode[] {
  return Array.isArray(value) ? value : [];
}
