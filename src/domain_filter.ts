import type { DomainRecord } from "./libvirt/snapshot.ts";

/** Which domains are exported; what is undefined lets all pass. */
export interface DomainFilterOptions {
  /** On libvirt's name; the expression may match anywhere in it. */
  readonly include: RegExp | undefined;
  readonly exclude: RegExp | undefined;
  /** On the name or the id of Nova's project. */
  readonly projectInclude: RegExp | undefined;
  readonly projectExclude: RegExp | undefined;
  /** Only domains with metadata of Nova. */
  readonly novaOnly: boolean;
}

/** Lets all domains pass. */
export const ALL_DOMAINS: DomainFilterOptions = {
  include: undefined,
  exclude: undefined,
  projectInclude: undefined,
  projectExclude: undefined,
  novaOnly: false,
};

/** Whether a domain passes as far as its libvirt name tells; of one that does not, not even the definition is read. */
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
  if (novaOnly && nova === undefined) return false;
  const project = [nova?.projectName ?? "", nova?.projectId ?? ""];
  const matches = (form: RegExp): boolean => project.some((text) => form.test(text));
  return (projectInclude === undefined || matches(projectInclude)) &&
    !(projectExclude !== undefined && matches(projectExclude));
}
