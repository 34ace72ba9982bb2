import assert from "node:assert/strict";
import {
  condenseXml,
  decodeReferences,
  MAXIMUM_CONDENSED_LENGTH,
  MAXIMUM_XML_DEPTH,
  MAXIMUM_XML_LENGTH,
  type WantedElements,
  XmlSyntaxError,
} from "../../src/libvirt/xml_syntax.ts";
import { excerpt } from "../../src/libvirt/xml_syntax.ts";

const WELL_FORMED: ReadonlyArray<readonly [string, string]> = [
  ["an empty element", "<a/>"],
  ["white space in tags", "<a \t\r\n><b\n/></a >"],
  ["both kinds of quotation marks", `<a b='"' c="'"/>`],
  ["white space around the equals sign", "<a b = '1' c\n=\t'2'/>"],
  ["a greater-than sign in a value and in text", "<a b='>'>></a>"],
  ["all predefined entities", "<a b='&lt;&gt;&amp;&apos;&quot;'>&lt;&gt;&amp;&apos;&quot;</a>"],
  ["character references", "<a b='&#10;&#xD;'>&#x1F600;&#xD800;&#9;</a>"],
  ["markup characters in a CDATA section", "<a><![CDATA[<b>&c;]] > <!DOCTYPE <?d]]></a>"],
  ["names outside ASCII", "<é·1 日本='1'><𠀀/></é·1>"],
  ["text outside the basic plane", "<a>😀</a>"],
  ["tags, references and quotation marks in a comment", `<a><!-- <b> &c; ' " - > --></a>`],
  ["white space behind the root element", "<a/>\r\n\t "],
];

Deno.test("condenseXml() returns a document as it is when everything is wanted", async (t) => {
  for (const [title, xml] of WELL_FORMED.filter(([, xml]) => !xml.includes("<!--"))) {
    await t.step(title, () => assert.equal(condenseXml(xml, "everything"), xml));
  }
});

Deno.test("condenseXml() leaves out what a parser need not see", async (t) => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ["a byte order mark", "\uFEFF<a/>", "<a/>"],
    ["an XML declaration", `<?xml version="1.0"?>\n<a/>`, "\n<a/>"],
    [
      "all parts of a declaration",
      `\uFEFF<?xml version = '1.1' encoding='UTF-8'\nstandalone="no" ?><a/>`,
      "<a/>",
    ],
    ["comments", "<!--1--><a>b<!----><c/><!-- - --></a><!--2-->", "<a>b<c/></a>"],
    ["processing instructions", `<?p?><a>b<?q it's "?>c<?xml-r ?></a><?s t??>`, "<a>bc</a>"],
  ];
  for (const [title, xml, expected] of cases) {
    await t.step(title, () => assert.equal(condenseXml(xml, "everything"), expected));
  }
});

Deno.test("condenseXml() keeps only the wanted elements", async (t) => {
  const wanted: WantedElements = new Map<string, WantedElements>([
    ["whole", "everything"],
    ["part", new Map([["inner", "everything" as const]])],
  ]);
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    [
      "a wanted one with all that is in it",
      "<r><whole>1<x/></whole></r>",
      "<r><whole>1<x/></whole></r>",
    ],
    ["an unwanted empty one", "<r>1<x/>2</r>", "<r>12</r>"],
    ["an unwanted one with content", "<r>1<x>2<y/><!--3--><whole/></x>4</r>", "<r>14</r>"],
    ["several in a row", "<r><x/><x></x><whole/><x></x></r>", "<r><whole/></r>"],
    ["an unwanted one of the same name inside", "<r><x><x>1</x>2</x>3</r>", "<r>3</r>"],
    [
      "wanted ones inside a wanted one",
      "<r><part>1<inner>2</inner><whole/>3</part></r>",
      "<r><part>1<inner>2</inner>3</part></r>",
    ],
    ["wanted ones of any prefix", "<r><p:whole/><p:x/><whole/></r>", "<r><p:whole/><whole/></r>"],
    ["comments around unwanted ones", "<r><!--1--><x/><!--2--><whole/></r>", "<r><whole/></r>"],
    ["names of JavaScript properties", "<r><constructor/><__proto__/></r>", "<r></r>"],
  ];
  for (const [title, xml, expected] of cases) {
    await t.step(title, () => assert.equal(condenseXml(xml, wanted), expected));
  }
});

const CASES: ReadonlyArray<readonly [string, string, RegExp]> = [
  ["nothing", "", /has no element/],
  ["only white space", " \n", /has no element/],
  ["only text", "text", /outside the root element: "text"/],
  ["only a comment", "<!-- a -->", /has no element/],
  ["text before the root element", "x<a/>", /outside the root element: "x"/],
  ["text behind the root element", "<a/>x", /outside the root element: "x"/],
  ["a reference behind the root element", "<a/>&#32;", /outside the root element: "&#32;"/],
  ["CDATA behind the root element", "<a/><![CDATA[]]>", /declaration "<!\[CDATA\[/],
  ["two root elements", "<a/>\n<b/>", /second root element .*\(line 2\)$/],
  ["two root elements with end tags", "<a></a><b></b>", /second root element/],
  ["an element that never ends", "<a>\n<b></b>\n", /ends inside element "a".*\(line 3\)$/],
  ["an end tag alone", "</a>", /"a" ends but never began/],
  ["an end tag too many", "<a></a></a>", /"a" ends but never began/],
  ["end tags in the wrong order", "<a><b></a></b>", /"b" is closed as "a"/],
  ["end tags in other letters", "<a></A>", /"a" is closed as "A"/],
  ["an end tag with an attribute", "<a></a b=''>", /end tag is broken/],
  ["an end tag without a name", "<a></>", /end tag is broken/],
  ["an end tag cut off", "<a></a", /end tag is broken/],
  ["a start tag cut off", "<a b='1'", /start tag of element "a" is broken/],
  ["an attribute cut off", "<a b='1", /start tag of element "a" is broken/],
  ["an attribute without a value", "<a b></a>", /start tag of element "a" is broken/],
  ["an attribute without quotation marks", "<a b=1></a>", /start tag of element "a" is broken/],
  ["attributes that touch", "<a b='1'c='2'/>", /start tag of element "a" is broken/],
  ["a slash in a start tag", "<a / b='1'>", /start tag of element "a" is broken/],
  ["an attribute twice", `<a b='1' c='2' b="3"/>`, /"a" has attribute "b" twice/],
  ["a less-than sign in a value", "<a b='<'/>", /start tag of element "a" is broken/],
  ["a bare ampersand in a value", "<a b='1&2'/>", /reference "&2" stands for no character/],
  ["a bare ampersand in text", "<a>\n1 & 2</a>", /reference "& 2" stands .*\(line 1\)$/],
  ["an ampersand at the end of text", "<a>&</a>", /reference "&" stands for no character/],
  ["a reference in two pieces", "<a>&am<!-- -->p;</a>", /reference "&am" stands for no/],
  ["an unknown entity", "<a>&nbsp;</a>", /reference "&nbsp;" stands for no character/],
  ["an entity named like a property", "<a>&constructor;</a>", /"&constructor;" stands for no/],
  ["a reference to U+0000", "<a>&#0;</a>", /reference "&#0;" stands for no character/],
  ["a reference to a control character", "<a>&#x1B;</a>", /"&#x1B;" stands for no character/],
  ["a reference beyond Unicode", "<a>&#x110000;</a>", /"&#x110000;" stands for no character/],
  ["a reference with a capital X", "<a>&#X41;</a>", /"&#X41;" stands for no character/],
  ["a less-than sign in text", "<a>1 < 2</a>", /No element name follows "<"/],
  ["a name that begins with a digit", "<a><1/></a>", /No element name follows "<"/],
  ["the end of a CDATA section in text", "<a>]]></a>", /Text holds "\]\]>"/],
  ["a CDATA section cut off", "<a><![CDATA[ ]]</a>", /CDATA section never ends/],
  ["a comment cut off", "<a><!-- </a>", /comment never ends/],
  ["two hyphens in a comment", "<a><!-- -- --></a>", /comment holds "--"/],
  ["an instruction cut off", "<a><?b </a>", /processing instruction never ends/],
  ["an instruction without a name", "<a><? b?></a>", /processing instruction has no name/],
  ["a late XML declaration", ` <?xml version="1.0"?><a/>`, /XML declaration is broken or not/],
  ["a broken XML declaration", "<?xml?><a/>", /XML declaration is broken or not/],
  ["a document type", "<!DOCTYPE a><a/>", /declaration "<!DOCTYPE a>/],
  ["a document type behind the root", "<a/><!DOCTYPE a>", /declaration "<!DOCTYPE a>/],
  ["an entity declaration", "<a><!ENTITY b 'c'></a>", /declaration "<!ENTITY b 'c'>/],
  ["a made-up section", "<a><![IGNORE[ ]]></a>", /declaration "<!\[IGNORE\[ /],
  ["U+0000", "<a>\n\u0000</a>", /character U\+0000, remove it \(line 2\)$/],
  ["a control character", "<a b='\u001b'/>", /character U\+001B/],
  ["a noncharacter", "<a>\uFFFF</a>", /character U\+FFFF/],
];

Deno.test("condenseXml() refuses what is not well-formed, also where it is not wanted", async (t) => {
  for (const [title, xml, message] of CASES) {
    await t.step(title, () => {
      for (const wanted of ["everything", new Map()] as const) {
        assert.throws(() => condenseXml(xml, wanted), { name: "XmlSyntaxError", message });
      }
    });
  }
});

Deno.test("condenseXml() reads documents up to its limits and refuses longer and deeper ones", () => {
  const ofLength = (length: number): string => `<a>${"b".repeat(length - 7)}</a>`;
  const ofDepth = (depth: number): string => "<a>".repeat(depth) + "</a>".repeat(depth);
  const nothing = new Map();
  const inside = (inner: string): string => `<a>${inner}</a>`;
  assert.equal(condenseXml(inside(ofLength(MAXIMUM_XML_LENGTH - 7)), nothing), "<a></a>");
  assert.equal(
    condenseXml(ofLength(MAXIMUM_CONDENSED_LENGTH), "everything").length,
    MAXIMUM_CONDENSED_LENGTH,
  );
  assert.equal(condenseXml(ofDepth(MAXIMUM_XML_DEPTH), "everything"), ofDepth(MAXIMUM_XML_DEPTH));
  assert.throws(
    () => condenseXml(inside(ofLength(MAXIMUM_XML_LENGTH - 6)), nothing),
    new XmlSyntaxError("The document has 4194305 characters, shorten it to at most 4194304"),
  );
  assert.throws(
    () => condenseXml(ofLength(MAXIMUM_CONDENSED_LENGTH + 1), "everything"),
    new XmlSyntaxError(
      "The parts of the document that are read have 1048577 characters, shorten them to at most 1048576",
    ),
  );
  assert.throws(
    () => condenseXml(ofDepth(MAXIMUM_XML_DEPTH + 1), "everything"),
    new XmlSyntaxError("Elements nest deeper than 256 levels, flatten them (line 1)"),
  );
});

Deno.test("decodeReferences() replaces each reference once", async (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["plain; text", "plain; text"],
    ["&lt;&gt;&amp;&apos;&quot;", "<>&'\""],
    ["&amp;lt; &#38;amp;", "&lt; &amp;"],
    ["&#65;&#x42;&#x00043;&#x1f600;&#10;", "ABC😀\n"],
    ["&#xD83D;&#xDE00;", "😀"],
    ["a&#xD83D;", "a\uD83D"],
  ];
  for (const [text, expected] of cases) {
    await t.step(text, () => assert.equal(decodeReferences(text), expected));
  }
});

Deno.test("decodeReferences() throws when a reference stands for no character", () => {
  assert.throws(
    () => decodeReferences("a &b; c"),
    new XmlSyntaxError(
      'The reference "&b;" stands for no character, write "&amp;" for an ampersand',
    ),
  );
});

Deno.test("excerpt() keeps a message short and on one line", async (t) => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ["plain text", "дом 😀", '"дом 😀"'],
    ["line ends and control characters", "a\r\n\u2028\u009Bb", '"a\uFFFD\uFFFD\uFFFD\uFFFDb"'],
    ["lone surrogates", "a\uD800", '"a\uFFFD"'],
    ["long text", "x".repeat(61), `"${"x".repeat(60)}…"`],
  ];
  for (const [title, text, expected] of cases) {
    await t.step(title, () => assert.equal(excerpt(text), expected));
  }
});
