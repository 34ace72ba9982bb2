import type { DomainFilterOptions } from "../config/config.ts";
import type { DomainRecord } from "../libvirt/snapshot.ts";

/** The flags of the filters that are set. */
export function filterFlags(options: DomainFilterOptions): readonly string[] {
  const { include, exclude, projectInclude, projectExclude, novaOnly } = options;
  const flags: readonly (readonly [flag: string, isSet: boolean])[] = [
    ["--domain.include", include !== undefined],
    ["--domain.exclude", exclude !== undefined],
    ["--domain.project-include", projectInclude !== undefined],
    ["--domain.project-exclude", projectExclude !== undefined],
    ["--domain.nova-only", novaOnly],
  ];
  return flags.filter(([, isSet]) => isSet).map(([flag]) => flag);
}

/**
 * Whether a domain passes as far as its libvirt name tells; of an active one that does not, not even the definition is read. One
 * that is shut off may be renamed.
 */
export function passesByName(
  { name }: Pick<DomainRecord, "name">,
  { include, exclude }: DomainFilterOptions,
): boolean {
  return (include === undefined || include.test(name)) && !(exclude?.test(name) ?? false);
}

/**
 * Whether a domain passes as far as its definition tells. One without metadata of Nova has the empty project, and so has one
 * whose definition cannot be had.
 */
export function passesByDefinition(
  { description }: Pick<DomainRecord, "description">,
  { projectInclude, projectExclude, novaOnly }: DomainFilterOptions,
): boolean {
  const nova = description?.nova;
  // What Nova has made is its own, also when its metadata cannot be understood.
  if (novaOnly && nova === undefined && description?.novaProblem === undefined) return false;
  const project = [nova?.projectName ?? "", nova?.projectId ?? ""];
  const matches = (form: RegExp): boolean => project.some((text) => form.test(text));
  return (projectInclude === undefined || matches(projectInclude)) &&
    !(projectExclude !== undefined && matches(projectExclude));
}
