import type { FormatCost, PageParts } from "../../scripts/fleet_result.ts";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { getText } from "../../testing/prometheus/service.ts";
import { deployedEnvironment } from "../../testing/deployed_environment.ts";
import { processorNanoseconds } from "../processes.ts";
import { mean } from "../statistics.ts";
import {
  byCollector,
  familiesOf,
  labelsOf,
  sizeOf,
  withNamesOnce,
  withoutComments,
  withoutFamilies,
} from "./page_parts.ts";
import { ACCEPT } from "./page_source.ts";

const FLAGS: readonly string[] = [
  "",
  "--no-collector.seed",
  "--collector.vcpu --collector.paging --collector.block_capacity --collector.storage_pool",
  "--collector.disable-defaults --collector.seed --collector.node",
];

const LARGEST = 8;
const WARM_UP_ROUNDS = 5;
const ROUNDS = 40;

/** Measures the pages of a hypervisor. */
export async function measurePageCosts(uri: string): Promise<PageParts> {
  const flags: PageParts["flags"][number][] = [];
  let page = "";
  for (const choice of FLAGS) {
    const text = await pageWith(uri, choice);
    if (page === "") page = text;
    flags.push({ flags: choice, ...sizeOf(text) });
  }
  const variants: readonly (readonly [string, string])[] = [
    ["as it is", page],
    ["without help and types", withoutComments(page)],
    ["Nova's names in the info family alone", withNamesOnce(page)],
    [
      "without the exporter's own families, by relabelling",
      withoutFamilies(page, /^(libvirt_nova_exporter|process)_/),
    ],
  ];
  return {
    collectors: byCollector(familiesOf(page)),
    families: familiesOf(page).slice(0, LARGEST),
    labels: labelsOf(page).slice(0, LARGEST),
    flags,
    variants: variants.map(([variant, text]) => ({ variant, ...sizeOf(text) })),
    formats: await measureFormats(uri),
  };
}

async function pageWith(uri: string, flags: string): Promise<string> {
  const args = ["--libvirt.timeout", "60s", ...flags.split(" ").filter((flag) => flag !== "")];
  await using exporter = await startExporterProcess(uri, args);
  await exporter.scrape();
  return (await getText(`http://${exporter.target}/metrics`)).text;
}

/** Asks one exporter for all forms in turns. */
async function measureFormats(uri: string): Promise<readonly FormatCost[]> {
  await using exporter = await startExporterProcess(uri, ["--libvirt.timeout", "60s"], {
    environment: deployedEnvironment(),
  });
  const forms = (["text", "openMetrics"] as const).flatMap((format) =>
    [false, true].map((isZipped) => ({ format, isZipped, bytes: 0, nanoseconds: [] as number[] }))
  );
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const form of forms) {
      const before = processorNanoseconds([exporter.processId]);
      form.bytes = await bodyBytes(exporter.target, form);
      const after = processorNanoseconds([exporter.processId]);
      if (round >= WARM_UP_ROUNDS) form.nanoseconds.push(after - before);
    }
  }
  return forms.map(({ format, isZipped, bytes, nanoseconds }) => ({
    format,
    isZipped,
    bytes,
    processorSeconds: mean(nanoseconds) / 1e9,
  }));
}

/** Reads a page as it crosses the wire: `fetch` would unpack it. */
async function bodyBytes(
  target: string,
  { format, isZipped }: Pick<FormatCost, "format" | "isZipped">,
): Promise<number> {
  const [hostname = "", port = ""] = target.split(":");
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const lines = [
    "GET /metrics HTTP/1.1",
    `Host: ${target}`,
    `Accept: ${ACCEPT[format]}`,
    ...(isZipped ? ["Accept-Encoding: gzip"] : []),
    "Connection: close",
    "",
    "",
  ];
  await connection.write(new TextEncoder().encode(lines.join("\r\n")));
  const answer = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  const head = new TextDecoder("latin1").decode(answer.subarray(0, 4_096));
  return answer.length - (head.indexOf("\r\n\r\n") + 4);
}
