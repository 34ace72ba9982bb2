import assert from "node:assert/strict";
import { parsePage } from "../../testing/parse_page.ts";
import { assertInTime, startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

const OWN = "instance-00000001";
const OTHER = "instance-00000002";

/** What a target's page says. */
interface Probe {
  readonly up: number | undefined;
  readonly instances: readonly (string | undefined)[];
  readonly milliseconds: number;
}

async function probe(target: string, name: string): Promise<Probe> {
  const started = performance.now();
  const response = await fetch(`http://${target}/probe?target=${name}`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const families = parsePage(text);
  return {
    up: families.get("libvirt_nova_up")?.samples[0]?.value,
    instances: families.get("libvirt_nova_instance_cpu_time_total")?.samples
      .map(({ labels }) => labels["libvirtname"]) ?? [],
    milliseconds: performance.now() - started,
  };
}

if (host.available) {
  Deno.test("one exporter serves two hypervisors, and trouble of one costs the other nothing", async (context) => {
    await using own = await startHypervisor({ guests: [{ name: OWN, start: "paused" }] });
    await using other = await startHypervisor({ guests: [{ name: OTHER, start: "paused" }] });
    await using exporter = await startExporterProcess(own.readOnlyUri, [
      "--probe.target",
      `other=${other.readOnlyUri}`,
      "--probe.target",
      "missing=qemu+unix:///system?socket=/nowhere/libvirt-sock-ro",
    ]);
    const { target } = exporter;
    const assertOwn = async (): Promise<void> => {
      const scrape = await exporter.scrape();
      assertInTime(scrape);
      assert.equal(scrape.up, 1);
      assert.deepEqual(scrape.labelValues("libvirt_nova_instance_cpu_time_total", "libvirtname"), [
        OWN,
      ]);
    };

    await context.step("each page has the instances of its hypervisor", async () => {
      await assertOwn();
      const { up, instances } = await probe(target, "other");
      assert.deepEqual([up, instances], [1, [OTHER]]);
      await assertOwn();
    });

    await context.step("a target that is not there is a page that says so", async () => {
      const { up, instances } = await probe(target, "missing");
      assert.deepEqual([up, instances], [0, []]);
    });

    await context.step("no request reaches a hypervisor that is not on the list", async () => {
      for (const name of ["", "qemu:///system", encodeURIComponent(other.readOnlyUri), "Other"]) {
        const response = await fetch(`http://${target}/probe?target=${name}`);
        assert.equal(response.status, 400);
        assert.match(await response.text(), /: \/probe\?target= with one of other, missing\n$/);
      }
    });

    await context.step(
      "a daemon that hangs costs its own page only, within its deadline",
      async () => {
        await other.killLibvirtd("SIGSTOP");
        try {
          const [stopped] = await Promise.all([probe(target, "other"), assertOwn(), assertOwn()]);
          assertInTime({ ...await exporter.scrape(), milliseconds: stopped.milliseconds });
          assert.equal(stopped.up, 0);
        } finally {
          await other.killLibvirtd("SIGCONT");
        }
        const { up, instances } = await probe(target, "other");
        assert.deepEqual([up, instances], [1, [OTHER]]);
      },
    );
  });
}
