import assert from "node:assert/strict";
import {
  type HandshakeResult,
  parseAlternativeNames,
  problemOfClient,
} from "../../../src/web/settings/client_certificate.ts";
import { CLIENT_AUTH_TYPES, type ClientAuthType } from "../../../src/web/settings/web_config.ts";

const NONE: HandshakeResult = {
  authorized: false,
  authorizationError: "UNABLE_TO_GET_ISSUER_CERT",
  certificate: undefined,
};
const UNKNOWN: HandshakeResult = { ...NONE, certificate: { subjectaltname: "DNS:prom.example" } };
const KNOWN: HandshakeResult = { ...UNKNOWN, authorized: true, authorizationError: null };

/** Whether a client without, with an unknown, and with a known certificate may go on. */
const MAY: Readonly<Record<ClientAuthType, readonly [boolean, boolean, boolean]>> = {
  NoClientCert: [true, true, true],
  RequestClientCert: [true, true, true],
  RequireAnyClientCert: [false, true, true],
  VerifyClientCertIfGiven: [true, false, true],
  RequireAndVerifyClientCert: [false, false, true],
};

Deno.test("problemOfClient() lets clients go on as Go's ClientAuthType says", async (test) => {
  for (const clientAuthType of CLIENT_AUTH_TYPES) {
    await test.step(clientAuthType, () => {
      const policy = { clientAuthType, clientAllowedNames: undefined };
      const may = [NONE, UNKNOWN, KNOWN].map((result) =>
        problemOfClient(policy, result) === undefined
      );
      assert.deepEqual(may, MAY[clientAuthType]);
    });
  }
});

Deno.test("problemOfClient() asks for one of the allowed names", () => {
  const allow = (...clientAllowedNames: readonly string[]): boolean =>
    problemOfClient(
      { clientAuthType: "RequireAndVerifyClientCert", clientAllowedNames },
      {
        ...KNOWN,
        certificate: {
          subjectaltname:
            "DNS:prom.example, URI:spiffe://a/b, email:a@b.c, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1",
        },
      },
    ) === undefined;
  for (const name of ["prom.example", "spiffe://a/b", "a@b.c", "10.0.0.1", "2001:db8::1"]) {
    assert.ok(allow("other", name), name);
  }
  for (const name of ["PROM.example", "prom", "DNS:prom.example", "10.0.0.2"]) {
    assert.ok(!allow(name), name);
  }
  assert.ok(!allow());
});

Deno.test("problemOfClient() refuses a certificate without names when names are asked for", () => {
  const policy = { clientAuthType: "RequireAnyClientCert", clientAllowedNames: ["a"] } as const;
  assert.match(problemOfClient(policy, { ...KNOWN, certificate: {} }) ?? "", /client_allowed_sans/);
});

Deno.test("parseAlternativeNames() does not take a name with a comma for two", () => {
  const text =
    'DNS:"evil.example\\u002c DNS:prom.example", DNS:other.example, othername:<unsupported>';
  assert.deepEqual(parseAlternativeNames(text), [
    "evil.example, DNS:prom.example",
    "other.example",
  ]);
});

Deno.test("parseAlternativeNames() finds no name in a text of another form", () => {
  for (
    const text of [
      "",
      "prom.example",
      "DNS:a, prom.example",
      'DNS:a"b',
      "DNS:a,DNS:b",
      'DNS:prom.example, DNS:"\\x"',
      'DNS:"a\nb"',
    ]
  ) assert.deepEqual(parseAlternativeNames(text), [], text);
});

Deno.test("problemOfClient() throws for no name that a client puts into its certificate", () => {
  const policy = {
    clientAuthType: "RequireAnyClientCert",
    clientAllowedNames: ["fe80::1%eth0"],
  } as const;
  for (const name of ["fe80::1%a", "fe80::1%25a", "::1%]", "::", '"\\u12"', "[", "%", "é"]) {
    const certificate = { subjectaltname: `DNS:${name}` };
    assert.match(problemOfClient(policy, { ...KNOWN, certificate }) ?? "", /client_allowed_sans/);
  }
  const certificate = { subjectaltname: "DNS:fe80::1%eth0" };
  assert.equal(problemOfClient(policy, { ...KNOWN, certificate }), undefined);
});
