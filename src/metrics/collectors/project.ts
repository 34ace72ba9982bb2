import { type DomainRecord, isActive, type Snapshot } from "../../libvirt/snapshot.ts";
import type { Collector, HostFamily, Label } from "../family.ts";
import { sampleOf, sumOf } from "../host.ts";

const LABELS = ["novaproject", "project_id"] as const;

/** The active instances of a project. */
interface Project {
  readonly labels: readonly Label[];
  readonly instances: readonly DomainRecord[];
}

/** The projects that have active instances; those without metadata of Nova belong to none. */
function projectsOf({ domains }: Snapshot): readonly Project[] {
  const projects = new Map<string, Project & { readonly instances: DomainRecord[] }>();
  for (const instance of domains.filter(isActive)) {
    const nova = instance.description?.nova;
    if (nova === undefined) continue;
    const { projectName, projectId } = nova;
    const key = JSON.stringify([projectName, projectId]);
    const project = projects.get(key) ??
      { labels: [[LABELS[0], projectName], [LABELS[1], projectId]], instances: [] };
    projects.set(key, project);
    project.instances.push(instance);
  }
  return [...projects.values()];
}

function family(
  what: string,
  help: string,
  unit: string,
  source: string,
  total: (instances: readonly DomainRecord[]) => number | undefined,
): HostFamily {
  return {
    name: `libvirt_nova_project_${what}`,
    type: "gauge",
    help,
    unit,
    names: LABELS,
    source,
    samples: (snapshot) =>
      projectsOf(snapshot).flatMap(({ labels, instances }) => sampleOf(total(instances), labels)),
  };
}

/** What each project has on this host. */
export const project: Collector = {
  name: "project",
  description: "instances, vCPUs and memory of each project on this host",
  byDefault: false,
  groups: 0,
  families: [],
  hostFamilies: [
    family(
      "instances",
      "Active instances of the project on this host",
      "number",
      "the list of domains",
      (instances) => instances.length,
    ),
    family(
      "vcpus",
      "vCPUs of the project's active instances on this host",
      "vCPUs",
      "<vcpu current> of the instances",
      (instances) => sumOf(instances.map(({ description }) => description?.currentVirtualCpus)),
    ),
    family(
      "memory_bytes",
      "Memory that the project's active instances on this host can have",
      "bytes",
      "<memory> of the instances",
      (instances) => sumOf(instances.map(({ description }) => description?.memoryBytes)),
    ),
  ],
};
