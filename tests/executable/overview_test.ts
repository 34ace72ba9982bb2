// The overview as the executable serves it, against libvirt's test driver. It is built by `npm run build`.
import assert from "node:assert/strict";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "../../testing/nova_domain.ts";
import { waitUntil } from "../../testing/wait_until.ts";

requireExecutable();

const DEMO = `test://${
  encodeURI(
    decodeURIComponent(new URL("../../contrib/demo/hypervisor.xml", import.meta.url).pathname),
  )
}`;
const UNREACHABLE = "qemu+unix:///system?socket=/nonexistent/sock";
/** Of the password "secret", with the fewest rounds that bcrypt has. */
const HASH = "$2y$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu";

Deno.test("the page at / shows the demo by itself, with rates at the second look", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--log", "-", "--uri", DEMO], { folder });
  // Nobody scrapes.
  await waitUntil("rates", async () => (await exporter.get("/")).body.includes("rates of "));
  const { status, headers, body } = await exporter.get("/");
  assert.equal(status, 200);
  assert.match(headers.get("content-type") ?? "", /^text\/html/);
  assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  assert.match(body, /13 instances, 43 vCPUs on 32 CPUs, 109 GiB of 256 GiB memory allocated/);
  assert.match(body, /This is a demo/);
  assert.equal(body.split("<th scope=row>").length - 1, 13);
  assert.match(body, /postgres-primary<small>instance-000001a6<\/small><td class=p>webshop/);
  // The test driver's counters grow with the time.
  assert.match(body, /postgres-primary.*<td class=r>\d\S* KiB<td class=w>\d/);
  assert.ok(body.includes("Bob&#39;s &quot;scratch&quot; box"));
  const filtered = await exporter.get("/?filter=webshop+postgres");
  assert.match(filtered.body, /“webshop postgres” is in 1 of 13 instances/);
  await exporter.stop();
  assertNothingRuns();
});

Deno.test("--web.landing-page=status shows no names", async () => {
  await using folder = await createTestFolder();
  const args = ["--log", "-", "--uri", DEMO, "--web.landing-page=status"];
  await using exporter = await startExecutable(args, { folder });
  await exporter.scrape();
  const { status, body } = await exporter.get("/");
  assert.equal(status, 200);
  assert.match(body, /<dd>13<\/dd>/);
  assert.ok(!/postgres|webshop|instance-0/.test(body), body);
  await exporter.stop();
});

Deno.test("--web.landing-page takes what there is and nothing else", async () => {
  await using folder = await createTestFolder();
  const { code, errorOutput } = await runExecutable(["--web.landing-page=table"], { folder });
  assert.equal(code, 2);
  assert.match(
    errorOutput,
    /^libvirt_nova_exporter: Invalid value "table" for --web.landing-page: give one of overview, status; see --help\n$/,
  );
});

Deno.test("the page at / says that libvirt is away, and finds it by itself when it is there", async () => {
  await using folder = await createTestFolder();
  const domain = novaDomainXml({ name: "instance-1", uuid: numberedUuid(1), novaName: "web-1" });
  const file = `${folder.path}/hypervisor.xml`;
  await using exporter = await startExecutable(["--log", "-", "--uri", `test://${file}`], {
    folder,
  });
  const isThere = async (text: string): Promise<boolean> =>
    (await exporter.get("/")).body.includes(text);
  await waitUntil("the outage on the page", () => isThere("libvirt is not available"));
  const { body } = await exporter.get("/");
  assert.match(
    body,
    /not available<\/span>[\s\S]* since <time [\s\S]*cannot read the test driver&#39;s file/,
  );
  assert.ok(!body.includes("<table"));
  await folder.write("hypervisor.xml", testDriverFile([domain]));
  await waitUntil("the instance on the page", () => isThere("web-1<small>instance-1</small>"));
  assert.match((await exporter.get("/")).body, /Over: libvirt is not available: cannot read/);
  await exporter.stop();
});

Deno.test("the page at / has the targets of /probe, and does not wait for one that hangs", async () => {
  await using folder = await createTestFolder();
  // It takes connections, and never says anything.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const targets = {
    other: "test:///default",
    hung: `qemu+tcp://127.0.0.1:${silent.addr.port}/system`,
    away: UNREACHABLE,
    never: "test:///default?never",
  };
  const args = Object.entries(targets).map(([name, uri]) => `--probe.target=${name}=${uri}`);
  await using exporter = await startExecutable(["--log", "-", "--uri", DEMO, ...args], { folder });
  const pageOf = async (): Promise<string> => (await exporter.get("/")).body;
  assert.match(await pageOf(), /target=other">other<\/a> <span class="idle">not asked yet/);
  const hung = exporter.get("/probe?target=hung");
  await Promise.all(["other", "away"].map((name) => exporter.get(`/probe?target=${name}`)));
  const meanwhile = await pageOf();
  assert.match(
    meanwhile,
    /target=other">other<\/a> <span class="good">connected<\/span>, 1 instance/,
  );
  assert.match(meanwhile, /target=away">away<\/a> <span class="bad">not available<\/span>: Failed/);
  assert.match(meanwhile, /target=never">never<\/a> <span class="idle">not asked yet/);
  assert.equal((await hung).status, 200);
  await waitUntil(
    "the target that hangs on the page",
    async () => /target=hung">hung<\/a> <span class="bad">not available/.test(await pageOf()),
  );
  await exporter.stop();
});

Deno.test("the page at / is behind the login of the metrics", async () => {
  await using folder = await createTestFolder();
  const file = await folder.write("web.yml", `basic_auth_users:\n  alice: ${HASH}\n`);
  const args = ["--log", "-", "--uri", DEMO, "--web.config.file", file];
  await using exporter = await startExecutable(args, { folder });
  const statusOf = async (login?: string): Promise<readonly [number, boolean]> => {
    const headers = new Headers(
      login === undefined ? {} : { authorization: `Basic ${btoa(login)}` },
    );
    const { status, body } = await exporter.get("/?filter=web", { headers });
    return [status, body.includes("web-frontend")];
  };
  assert.deepEqual(await statusOf(), [401, false]);
  assert.deepEqual(await statusOf("alice:wrong"), [401, false]);
  assert.deepEqual(await statusOf("alice:secret"), [200, true]);
  await exporter.stop();
});
