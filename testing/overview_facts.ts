// What the overview shows in tests: made-up instances that differ as real ones do.
import type { InstanceFacts, Overview } from "../src/once/overview.ts";
import type { OverviewFacts } from "../src/pages/overview_page.ts";

const ROLES = [
  "web-frontend",
  "postgres-primary",
  "kafka",
  "jenkins-agent",
  "数据库",
  "gpu-notebook",
];
const PROJECTS = ["webshop", "data-platform", "ci", "research", undefined];
const GIBIBYTE = 2 ** 30;

/** An instance that runs, and of which everything is known. */
export function instanceFacts(changes: Partial<InstanceFacts> = {}): InstanceFacts {
  return {
    name: "web-1",
    libvirtName: "instance-00000001",
    project: "webshop",
    isActive: true,
    state: "running",
    reason: undefined,
    incomplete: undefined,
    virtualCpus: 2,
    cores: 0.5,
    usedBytes: GIBIBYTE,
    memoryBytes: 4 * GIBIBYTE,
    readBytesPerSecond: 1_024,
    writtenBytesPerSecond: 2_048,
    receivedBytesPerSecond: 3_072,
    transmittedBytesPerSecond: 4_096,
    ...changes,
  };
}

/** Facts of one of many instances: the lower its number, the more it does; some are paused, some incomplete. */
function numberedInstance(number: number): InstanceFacts {
  const load = 1 / (1 + number / 4);
  const virtualCpus = 2 ** (number % 4);
  const memoryBytes = virtualCpus * 2 * GIBIBYTE;
  const isKnown = number % 11 !== 7;
  const isPaused = number % 13 === 9;
  const known = (value: number): number | undefined => isKnown ? value : undefined;
  return instanceFacts({
    name: `${ROLES[number % ROLES.length]}-${number + 1}`,
    libvirtName: `instance-${(0x1a0 + number).toString(16).padStart(8, "0")}`,
    project: PROJECTS[number % PROJECTS.length],
    state: isPaused ? "paused" : "running",
    reason: isPaused ? "user" : undefined,
    incomplete: isKnown ? undefined : "it did not answer in time",
    virtualCpus,
    cores: virtualCpus * load,
    usedBytes: known(memoryBytes * (0.2 + 0.7 * ((number * 7) % 10) / 10)),
    memoryBytes,
    readBytesPerSecond: known(load * 40e6 * ((number % 5) + 0.1)),
    writtenBytesPerSecond: known(load * 9e6 * ((number % 3) + 0.1)),
    receivedBytesPerSecond: load * 3e6 * ((number % 7) + 0.1),
    transmittedBytesPerSecond: load * 1e6 * ((number % 4) + 0.1),
  });
}

/** An overview of so many instances. */
export function overviewFacts(count: number, changes: Partial<Overview> = {}): Overview {
  return {
    host: {
      instances: count,
      inactive: 0,
      virtualCpus: count * 4,
      cpus: 128,
      allocatedBytes: count * 8 * GIBIBYTE,
      memoryBytes: 1024 * GIBIBYTE,
    },
    instances: Array.from({ length: count }, (_, number) => numberedInstance(number))
      .sort((left, right) => (right.cores ?? 0) - (left.cores ?? 0)),
    asked: { cpu: true, memory: true, disk: true, network: true },
    rateSeconds: 15,
    notes: [],
    ...changes,
  };
}

/** What a page about a hypervisor with so many instances shows, three seconds after the last collection. */
export function pageFacts(count: number, changes: Partial<OverviewFacts> = {}): OverviewFacts {
  return {
    status: {
      version: "1.2.3",
      runtime: "bun 1.4.5",
      isUp: true,
      reason: undefined,
      instances: count,
      unread: 0,
      filtered: 0,
      collectedAt: new Date("2026-11-24T12:00:00Z"),
      problems: [],
      pastProblems: [],
    },
    uri: "qemu:///system",
    seen: { overview: overviewFacts(count), ageSeconds: 3 },
    targets: [],
    filter: "",
    ...changes,
  };
}
