import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type DomainRecord, isActive, type Snapshot } from "../../libvirt/snapshot.ts";
import { reasonName, stateName } from "../domain_state.ts";
import type { Collector, HostFamily, Label } from "../family.ts";
import { sampleOf, sumOf } from "../host.ts";

const LABELS = ["novaproject", "project_id"] as const;

/** The instances of a project that run on this host. */
interface Project {
  readonly labels: readonly Label[];
  readonly instances: readonly DomainRecord[];
}

/**
 * Why an instance is paused here that runs on another host: it has not come yet, or has gone before its memory (post-copy),
 * which may have failed.
 */
const ELSEWHERE: readonly string[] = ["migration", "postcopy", "postcopy_failed"];

/**
 * The active instances that run here. While one migrates, both hosts have it, and it shall count once in the cloud.
 */
function residents({ domains, dictionary, value }: Snapshot): readonly DomainRecord[] {
  const [state, reason] = ["state.state", "state.reason"].map((name) => dictionary.number(name));
  const number = (domain: number, field: number | undefined): number | undefined =>
    field === undefined ? undefined : value(domain, field);
  return domains.filter((record, domain) => {
    const [is, because] = [number(domain, state), number(domain, reason)];
    const runsElsewhere = is !== undefined && because !== undefined &&
      stateName(is) === "paused" && ELSEWHERE.includes(reasonName(is, because));
    return isActive(record) && !runsElsewhere;
  });
}

/** The projects that have instances here; those without metadata of Nova belong to none. */
function projectsOf(snapshot: Snapshot): readonly Project[] {
  const projects = new Map<string, Project & { readonly instances: DomainRecord[] }>();
  for (const instance of residents(snapshot)) {
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
  name: string,
  help: string,
  unit: string,
  source: string,
  total: (instances: readonly DomainRecord[]) => number | undefined,
): HostFamily {
  return {
    name,
    type: "gauge",
    help,
    unit,
    names: LABELS,
    source,
    samples: (snapshot) =>
      projectsOf(snapshot).flatMap(({ labels, instances }) => sampleOf(total(instances), labels)),
  };
}

/** What each project has on this host. The state tells which instances run on another one. */
export const project: Collector = {
  name: "project",
  description: "instances, vCPUs and memory of each project on this host",
  byDefault: false,
  groups: StatisticsGroup.state,
  families: [],
  hostFamilies: [
    family(
      "libvirt_nova_project_instances",
      "Active instances of the project on this host; one that migrates counts where it runs",
      "number",
      "the list of domains, state.*",
      (instances) => instances.length,
    ),
    family(
      "libvirt_nova_project_vcpus",
      "vCPUs of the project's active instances on this host; those of one that migrates count where it runs",
      "vCPUs",
      "<vcpu current> of the instances",
      (instances) => sumOf(instances.map(({ description }) => description?.currentVirtualCpus)),
    ),
    family(
      "libvirt_nova_project_memory_bytes",
      "Memory that the project's active instances on this host can have; that of one that migrates counts where it runs",
      "bytes",
      "<memory> of the instances",
      (instances) => sumOf(instances.map(({ description }) => description?.memoryBytes)),
    ),
  ],
};
