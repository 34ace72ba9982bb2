/**
 * Writes what the executable is made of (a software bill of materials) as CycloneDX 1.5: npm's own list of the packages,
 * the JavaScript runtime among them, and the crates of the shim from cargo's.
 */

/** A part of the executable, as CycloneDX writes it; further members are npm's. */
export interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly [member: string]: unknown;
}

/** A part and the parts that it uses, by `bom-ref`. */
export interface Dependency {
  readonly ref: string;
  readonly dependsOn: readonly string[];
}

/** What `npm sbom --sbom-format cyclonedx` prints. */
export interface NpmBill {
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly Dependency[];
}

/** The members of `cargo metadata --format-version 1` that count here. */
export interface CargoMetadata {
  readonly packages: readonly {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly license: string | null;
    readonly description: string | null;
  }[];
  readonly resolve: {
    readonly root: string;
    readonly nodes: readonly {
      readonly id: string;
      readonly deps: readonly {
        readonly pkg: string;
        readonly dep_kinds: readonly { readonly kind: string | null }[];
      }[];
    }[];
  };
}

/** What the bill is about. */
export interface BillOptions {
  /** Seconds since 1970 that the bill is dated to. */
  readonly epochSeconds: number;
  /** The npm package that the runtime inside the executable comes from, which need not be the one for this machine. */
  readonly runtimePackage: string;
}

/** The members of package-lock.json that count here. */
export interface PackageLock {
  readonly packages: Readonly<
    Record<string, {
      readonly version?: string;
      readonly integrity?: string;
      readonly license?: string;
    }>
  >;
}

/**
 * The bill as JSON, the same for the same input.
 *
 * @param packageLock where the runtime is described
 * @param cargoLock the text of Cargo.lock, for the checksums
 */
export function billOfMaterials(
  npm: NpmBill,
  packageLock: PackageLock,
  cargo: CargoMetadata,
  cargoLock: string,
  { epochSeconds, runtimePackage }: BillOptions,
): string {
  // npm lists the runtimes for the machine that it runs on.
  const runtimes = new Set(
    npm.components.filter(({ name }) => name.startsWith("@oven/")).map((part) => part["bom-ref"]),
  );
  const runtime = runtimeComponent(packageLock, runtimePackage);
  const { crates, dependencies: crateDependencies, root: shim } = crateParts(cargo, cargoLock);
  const program: Component = {
    ...npm.metadata.component,
    type: "application",
    name: "libvirt_nova_exporter",
  };
  const npmDependencies = npm.dependencies
    .filter(({ ref }) => !runtimes.has(ref))
    .map(({ ref, dependsOn }) => ({
      ref,
      dependsOn: [
        ...dependsOn.filter((part) => !runtimes.has(part)),
        ...(ref === program["bom-ref"] ? [shim, runtime["bom-ref"]] : []),
      ].sort(),
    }));
  const bill = {
    $schema: `http://cyclonedx.org/schema/bom-${npm.specVersion}.schema.json`,
    bomFormat: "CycloneDX",
    specVersion: npm.specVersion,
    version: 1,
    metadata: {
      timestamp: new Date(epochSeconds * 1_000).toISOString(),
      component: program,
    },
    components: [
      ...npm.components.filter((part) => !runtimes.has(part["bom-ref"])),
      runtime,
      ...crates,
    ].sort((left, right) => compare(left["bom-ref"], right["bom-ref"])),
    dependencies: [
      ...npmDependencies,
      { ref: runtime["bom-ref"], dependsOn: [] },
      ...crateDependencies,
    ]
      .sort((left, right) => compare(left.ref, right.ref)),
  };
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

function runtimeComponent({ packages }: PackageLock, name: string): Component {
  const entry = packages[`node_modules/${name}`];
  const { version, integrity, license } = entry ?? {};
  if (version === undefined || integrity === undefined || !integrity.startsWith("sha512-")) {
    throw new Error(
      `The runtime "${name}" is not in package-lock.json: see which one is compiled in`,
    );
  }
  const hash = Uint8Array.fromBase64(integrity.slice("sha512-".length)).toHex();
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return {
    "bom-ref": `${name}@${version}`,
    type: "framework",
    name,
    version,
    scope: "required",
    purl,
    hashes: [{ alg: "SHA-512", content: hash }],
    ...(license === undefined ? {} : { licenses: [{ license: { id: license } }] }),
  };
}

/** The crates that are linked into the shim: those that it uses, not those that its build and tests use. */
function crateParts(
  { packages, resolve }: CargoMetadata,
  cargoLock: string,
): {
  readonly crates: readonly Component[];
  readonly dependencies: readonly Dependency[];
  readonly root: string;
} {
  const checksums = readChecksums(cargoLock);
  const used = new Map(
    resolve.nodes.map(({ id, deps }) => [
      id,
      deps.filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind === null))
        .map((dependency) => dependency.pkg),
    ]),
  );
  const reached = new Set<string>();
  const toVisit = [resolve.root];
  for (let id = toVisit.pop(); id !== undefined; id = toVisit.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    toVisit.push(...used.get(id) ?? []);
  }
  const linked = packages.filter(({ id }) => reached.has(id));
  const references = new Map(
    linked.map(({ id, name, version }) => [id, `pkg:cargo/${name}@${version}`]),
  );
  const reference = (id: string): string => references.get(id) ?? id;
  const crates = linked.map(({ id, name, version, license, description }): Component => {
    const checksum = checksums.get(`${name} ${version}`);
    return {
      "bom-ref": reference(id),
      type: "library",
      name,
      version,
      scope: "required",
      purl: reference(id),
      ...(description === null ? {} : { description: description.trim() }),
      // Older crates write "MIT/Apache-2.0".
      ...(license === null
        ? {}
        : { licenses: [{ expression: license.replaceAll(/\s*\/\s*/g, " OR ") }] }),
      ...(checksum === undefined ? {} : { hashes: [{ alg: "SHA-256", content: checksum }] }),
    };
  });
  const dependencies = linked.map(({ id }) => ({
    ref: reference(id),
    dependsOn: [...new Set((used.get(id) ?? []).map(reference))].sort(),
  }));
  return { crates, dependencies, root: reference(resolve.root) };
}

function readChecksums(cargoLock: string): ReadonlyMap<string, string> {
  const entry =
    /^name = "(?<name>.+)"\nversion = "(?<version>.+)"\n.*\nchecksum = "(?<sum>\w+)"$/gm;
  return new Map(
    Array.from(cargoLock.matchAll(entry), ({ groups }) => {
      const { name = "", version = "", sum = "" } = groups ?? {};
      return [`${name} ${version}`, sum];
    }),
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
