import { code, codes, table } from "./markdown.ts";
import { type PeerExporter, PEERS } from "./peer_families.ts";

/** The section of docs/metrics.md on other exporters' families. */
export function migrationSection(peers: readonly PeerExporter[] = PEERS): string {
  return `## Coming from other exporters

What other exporters call their families, and what to write instead. Where there is a file of recording rules, it brings the
old names back for the families that dashboards use most, so that a dashboard works while you rewrite it.

${peers.map(peerSection).join("\n")}`;
}

function peerSection({ name, rules, labels, families }: PeerExporter): string {
  const file = rules === undefined
    ? "All its families are still there, in the collector \`seed\`."
    : `Recording rules:
[contrib/prometheus/migration_rules/${rules}](../contrib/prometheus/migration_rules/${rules}).`;
  return `### From ${name}

${file}

${table(["Label", "Here"], labels.map(([theirs, ours]) => [namesOf(theirs), namesOf(ours)]))}
${
    table(
      ["Family", "Here", "Differs in"],
      families.map(({ name: theirs, ours, note }) => [code(theirs), code(ours), note]),
    )
  }`;
}

/** Names separated by commas, as code; the family that they are of behind them. */
function namesOf(text: string): string {
  if (text === "the same") return text;
  const [names = "", family] = text.split(" of ");
  return `${codes(names.split(", "))}${family === undefined ? "" : ` of ${code(family)}`}`;
}
