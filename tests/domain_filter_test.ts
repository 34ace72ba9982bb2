import assert from "node:assert/strict";
import { ALL_DOMAINS, passesByDefinition, passesByName } from "../src/domain_filter.ts";
import { type DomainDescription, parseDomainXml } from "../src/libvirt/domain_xml.ts";
import { novaDomainXml, numberedUuid } from "./support/nova_domain.ts";

Deno.test("passesByName() lets pass what is included and not excluded, anywhere in the name", () => {
  const cases: readonly (readonly [
    name: string,
    include: RegExp | undefined,
    exclude: RegExp | undefined,
    passes: boolean,
  ])[] = [
    ["instance-1", undefined, undefined, true],
    ["instance-1", /instance/u, undefined, true],
    ["instance-1", /^nstance/u, undefined, false],
    ["instance-1", undefined, /-1$/u, false],
    ["instance-1", undefined, /-2$/u, true],
    ["instance-1", /instance/u, /-1$/u, false],
    ["", /^$/u, undefined, true],
  ];
  for (const [name, include, exclude, passes] of cases) {
    assert.equal(
      passesByName({ name }, { ...ALL_DOMAINS, include, exclude }),
      passes,
      `${name} ${include} ${exclude}`,
    );
  }
});

Deno.test("passesByDefinition() looks at the project's name and id, and at whether there is metadata", () => {
  const uuid = numberedUuid(1);
  const ours = parseDomainXml(
    novaDomainXml({ name: "i", uuid, novaName: "web", novaProject: "webshop" }),
  );
  const plain = parseDomainXml(`<domain><name>i</name><uuid>${uuid}</uuid></domain>`);
  const id = ours.nova?.projectId ?? "";
  assert.notEqual(id, "");
  const cases: readonly (readonly [
    description: DomainDescription | undefined,
    options: Partial<typeof ALL_DOMAINS>,
    passes: boolean,
  ])[] = [
    [ours, {}, true],
    [plain, {}, true],
    [undefined, {}, true],
    [ours, { projectInclude: /shop$/u }, true],
    [ours, { projectInclude: new RegExp(`^${id}$`, "u") }, true],
    [ours, { projectInclude: /other/u }, false],
    [plain, { projectInclude: /shop/u }, false],
    [undefined, { projectInclude: /shop/u }, false],
    [ours, { projectExclude: /shop/u }, false],
    [ours, { projectExclude: new RegExp(id, "u") }, false],
    [ours, { projectExclude: /other/u }, true],
    [plain, { projectExclude: /shop/u }, true],
    [ours, { novaOnly: true }, true],
    [plain, { novaOnly: true }, false],
    [undefined, { novaOnly: true }, false],
  ];
  for (const [description, options, passes] of cases) {
    assert.equal(
      passesByDefinition({ description }, { ...ALL_DOMAINS, ...options }),
      passes,
      JSON.stringify(Object.entries(options).map(String)),
    );
  }
});
