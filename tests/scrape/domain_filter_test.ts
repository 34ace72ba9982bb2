import assert from "node:assert/strict";
import { filterFlags, passesByDefinition, passesByName } from "../../src/scrape/domain_filter.ts";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import type { DomainDescription } from "../../src/libvirt/domain_description.ts";
import { ALL_DOMAINS } from "../../src/config/config.ts";

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
  const namespace = 'xmlns:nova="http://openstack.org/xmlns/libvirt/nova/unknown"';
  const unreadable = parseDomainXml(
    `<domain><name>i</name><uuid>${uuid}</uuid><metadata><nova:instance ${namespace}/></metadata></domain>`,
  );
  assert.notEqual(unreadable.novaProblem, undefined);
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
    [unreadable, { novaOnly: true }, true],
  ];
  for (const [description, options, passes] of cases) {
    assert.equal(
      passesByDefinition({ description }, { ...ALL_DOMAINS, ...options }),
      passes,
      JSON.stringify(Object.entries(options).map(String)),
    );
  }
});

Deno.test("filterFlags() names the flags that are set, and no other", () => {
  assert.deepEqual(filterFlags(ALL_DOMAINS), []);
  assert.deepEqual(filterFlags({ ...ALL_DOMAINS, exclude: /a/u, novaOnly: true }), [
    "--domain.exclude",
    "--domain.nova-only",
  ]);
  assert.deepEqual(
    filterFlags({ ...ALL_DOMAINS, include: /a/u, projectInclude: /a/u, projectExclude: /a/u }),
    ["--domain.include", "--domain.project-include", "--domain.project-exclude"],
  );
});
