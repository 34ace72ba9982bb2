import assert from "node:assert/strict";
import {
  childElements,
  parseXml,
  textOf,
  type XmlElement,
} from "../../src/libvirt/xml_namespace.ts";

/** An element and those below it as `{namespace}name`, so that a test can show a whole tree. */
function outline(element: XmlElement): readonly unknown[] {
  const namespace = element.namespace === undefined ? "undeclared" : element.namespace;
  return [`{${namespace}}${element.localName}`, ...childElements(element).map(outline)];
}

Deno.test("childElements() resolves names by the declarations in scope", async (t) => {
  const cases: ReadonlyArray<readonly [string, string, readonly unknown[]]> = [
    ["without declarations", "<a><b/></a>", ["{}a", ["{}b"]]],
    [
      "with a prefix declared on the element",
      "<a><p:b xmlns:p='u'/></a>",
      ["{}a", ["{u}b"]],
    ],
    [
      "with a prefix declared further out",
      "<a xmlns:p='u'><b><p:c><p:d/><d/></p:c></b></a>",
      ["{}a", ["{}b", ["{u}c", ["{u}d"], ["{}d"]]]],
    ],
    [
      "with a default namespace, which children inherit",
      "<a><b xmlns='u'><c/></b><d/></a>",
      ["{}a", ["{u}b", ["{u}c"]], ["{}d"]],
    ],
    [
      "with a default namespace that ends",
      "<a xmlns='u'><b xmlns=''><c/></b></a>",
      ["{u}a", ["{}b", ["{}c"]]],
    ],
    [
      "with a prefix that is declared again",
      "<p:a xmlns:p='u'><p:b xmlns:p='v'><p:c/></p:b><p:d/></p:a>",
      ["{u}a", ["{v}b", ["{v}c"]], ["{u}d"]],
    ],
    [
      "with two prefixes for one namespace",
      "<p:a xmlns:p='u' xmlns:q='u'><q:b/></p:a>",
      ["{u}a", ["{u}b"]],
    ],
    ["with a prefix that nothing declares", "<p:a><b/></p:a>", ["{undeclared}a", ["{}b"]]],
    [
      "with a prefix whose declaration ends",
      "<a xmlns:p='u'><p:b xmlns:p=''/></a>",
      ["{}a", ["{undeclared}b"]],
    ],
    [
      "with references, spaces and line ends in the declaration",
      "<p:a xmlns:p=' u&#x3a;&amp;\nv'/>",
      ["{ u:& v}a"],
    ],
    [
      "with names of JavaScript properties",
      "<__proto__ xmlns:toString='u'><toString:constructor/><hasOwnProperty:prototype/></__proto__>",
      ["{}__proto__", ["{u}constructor"], ["{undeclared}prototype"]],
    ],
    [
      "with names that look like numbers and text nodes to a parser",
      "<_1><_0 xmlns='u'/>text<text/></_1>",
      ["{}_1", ["{u}_0"], ["{}text"]],
    ],
  ];
  for (const [title, xml, expected] of cases) {
    await t.step(title, () => assert.deepEqual(outline(parseXml(xml)), expected));
  }
});

Deno.test("parseXml() gives attributes by the name as written, references replaced", () => {
  const root = parseXml(
    `<a plain = "1>0" p:plain='2' xmlns:p="u" space=" x&#10;&#9;\n\ty " number="0x10"
      toString='&quot;&apos;&#xD800;&#xD83D;&#xDE00;' __proto__="3" empty=''/>`,
  );
  assert.deepEqual(
    root.attributes,
    new Map([
      ["plain", "1>0"],
      ["p:plain", "2"],
      ["xmlns:p", "u"],
      ["space", " x\n\t  y "],
      ["number", "0x10"],
      ["toString", "\"'\uFFFD😀"],
      ["__proto__", "3"],
      ["empty", ""],
    ]),
  );
});

Deno.test("parseXml() leaves out the elements that are not wanted", () => {
  const root = parseXml("<a><b><c/></b><d/></a>", new Map([["b", "everything"]]));
  assert.deepEqual(outline(root), ["{}a", ["{}b", ["{}c"]]]);
});

Deno.test("parseXml() throws when the document is not well-formed", () => {
  assert.throws(() => parseXml("<a><b></a>"), { name: "XmlSyntaxError" });
});

Deno.test("textOf() returns the character data of the element alone", async (t) => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ["nothing", "<a/>", ""],
    ["nothing between tags", "<a></a>", ""],
    ["white space", "<a> \t\n </a>", " \t\n "],
    ["a number", "<a> 0x10 </a>", " 0x10 "],
    ["references", "<a>&lt;b&gt;&amp;lt;&#x1F600;&#10;</a>", "<b>&lt;😀\n"],
    ["lone surrogates", "<a>&#xD800;x&#xDFFF;\uD800</a>", "\uFFFDx\uFFFD\uFFFD"],
    ["a pair of surrogates", "<a>&#xD83D;&#xDE00;</a>", "😀"],
    ["a CDATA section", "<a> <![CDATA[ <b>&lt; ]]> &lt;</a>", "  <b>&lt;  <"],
    ["CDATA sections only", "<a><![CDATA[1]]]]><![CDATA[>2]]></a>", "1]]>2"],
    ["an empty CDATA section", "<a><![CDATA[]]></a>", ""],
    ["comments and instructions between", "<a>1<!-- 2 -->3<?four it's?>5</a>", "135"],
    ["elements between", "<a> 1 <b>2</b> 3 </a>", " 1  3 "],
    ["line ends", "<a>1\r\n2\r3&#13;4</a>", "1\n2\n3\r4"],
  ];
  for (const [title, xml, expected] of cases) {
    await t.step(title, () => assert.equal(textOf(parseXml(xml)), expected));
  }
});
