import { childElements, textOf, type XmlElement } from "./xml_namespace.ts";
import { excerpt } from "./xml_syntax.ts";

/** Says in one line why a domain's XML could not be read. */
export class DomainXmlError extends Error {
  override readonly name = "DomainXmlError";
}

/** The namespace of libvirt's own elements. */
export const NO_NAMESPACE = "";

/** The elements of this name; of no namespace unless one is given. */
export function elementsNamed(
  elements: readonly XmlElement[],
  localName: string,
  namespace: string | undefined = NO_NAMESPACE,
): readonly XmlElement[] {
  return elements.filter((element) =>
    element.localName === localName && element.namespace === namespace
  );
}

/**
 * The one element of this name, if there is one.
 *
 * @throws {DomainXmlError} when there are two: nobody could say which one counts
 */
export function onlyElement(
  elements: readonly XmlElement[],
  localName: string,
  namespace: string | undefined = NO_NAMESPACE,
): XmlElement | undefined {
  let found: XmlElement | undefined;
  for (const element of elements) {
    if (element.localName !== localName || element.namespace !== namespace) continue;
    if (found !== undefined) throw duplicate(element);
    found = element;
  }
  return found;
}

/** The error about an element that stands twice in its parent. */
export function duplicate(element: XmlElement): DomainXmlError {
  const parent = excerpt(element.parent?.localName ?? "");
  return new DomainXmlError(
    `Domain XML has element ${
      excerpt(element.localName)
    } twice inside ${parent}, remove one of them`,
  );
}

/** The children of an element; none where there is no element. */
export function childrenOf(element: XmlElement | undefined): readonly XmlElement[] {
  return element === undefined ? [] : childElements(element);
}

/** The text of an element; empty where there is no element. */
export function textIn(element: XmlElement | undefined): string {
  return element === undefined ? "" : textOf(element);
}

/** An attribute of an element; empty where there is none. */
export function attributeOf(element: XmlElement | undefined, name: string): string {
  return element?.attributes.get(name) ?? "";
}

/** The first of these attributes that is not empty. */
export function firstAttribute(element: XmlElement | undefined, names: readonly string[]): string {
  return names.map((name) => attributeOf(element, name)).find((value) => value !== "") ?? "";
}

/** A plain decimal integer; undefined for any other text. */
export function toInteger(text: string): number | undefined {
  const digits = text.trim();
  if (!/^[0-9]+$/.test(digits)) return undefined;
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : undefined;
}
