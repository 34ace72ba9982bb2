import assert from "node:assert/strict";
import { WebConfigError } from "../../../src/web/settings/web_config.ts";
import { readFile } from "node:fs/promises";
import {
  type FollowOptions,
  followWebSettings,
  loadWebSettings,
  type WebSettingsSource,
} from "../../../src/web/settings/web_settings.ts";
import { waitUntil } from "../../../testing/wait_until.ts";
import { makeCertificate } from "../../../testing/certificates.ts";

const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
const INTERVAL = 10;

interface Scene {
  readonly folder: string;
  readonly file: string;
  readonly lines: string[];
  write(text: string): Promise<void>;
  follow(options?: Partial<FollowOptions>): Promise<WebSettingsSource>;
}

const users = (...names: readonly string[]): string =>
  `basic_auth_users:\n${names.map((name) => `  ${name}: ${HASH}\n`).join("")}`;

async function withFile(text: string, use: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/web.yml`;
  const lines: string[] = [];
  const record = (level: string) => (message: string, fields: unknown = {}): void => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  let source: WebSettingsSource | undefined;
  try {
    await Deno.writeTextFile(file, text);
    await use({
      folder,
      file,
      lines,
      write: (changed) => Deno.writeTextFile(file, changed),
      follow: async (options) =>
        source = await followWebSettings(file, {
          log: {
            debug: record("debug"),
            info: record("info"),
            warn: record("warn"),
            error: record("error"),
          },
          intervalMilliseconds: INTERVAL,
          ...options,
        }),
    });
  } finally {
    source?.close();
    // A look that is under way ends by itself.
    await source?.reload();
    await Deno.remove(folder, { recursive: true });
  }
}

const names = ({ current }: WebSettingsSource): string => [...current.users.keys()].join(" ");
const follows = (source: WebSettingsSource, expected: string): Promise<unknown> =>
  waitUntil(`the users are ${expected}`, () => names(source) === expected);

Deno.test("loadWebSettings() says what is wrong with the file or with one that it names", async () => {
  await assert.rejects(
    loadWebSettings("/nowhere/web.yml"),
    (error) =>
      error instanceof WebConfigError &&
      /"\/nowhere\/web.yml": there is no such file/.test(error.message),
  );
  await assert.rejects(loadWebSettings("/tmp"), /is a directory/);
  await assert.rejects(loadWebSettings("/dev/zero"), /neither a file nor a link/);
  await withFile(
    "tls_server_config:\n  cert_file: no.crt\n  key_file: no.key\n",
    async ({ file, folder }) => {
      await assert.rejects(
        loadWebSettings(file),
        (error) => error instanceof WebConfigError && error.message.includes(`${folder}/no.crt`),
      );
    },
  );
});

Deno.test("followWebSettings() takes over a file that is written anew", async () => {
  await withFile(users("a"), async ({ follow, write, lines }) => {
    const source = await follow();
    const told: string[] = [];
    source.onChange(({ users }) => told.push([...users.keys()].join(" ")));
    assert.equal(names(source), "a");
    await write(users("a", "b"));
    await follows(source, "a b");
    assert.deepEqual(told, ["a b"]);
    assert.equal(lines.filter((line) => line.includes("Took over")).length, 1);
  });
});

Deno.test("followWebSettings() takes over a file of the same size that is renamed into place", async () => {
  await withFile(users("a"), async ({ follow, file }) => {
    const source = await follow();
    await Deno.writeTextFile(`${file}.new`, users("b"));
    await Deno.rename(`${file}.new`, file);
    await follows(source, "b");
  });
});

Deno.test("followWebSettings() takes over files behind a symbolic link that changes, as in a Kubernetes secret", async () => {
  await withFile("", async ({ folder, file, follow }) => {
    await Deno.remove(file);
    for (const name of ["a", "b"]) {
      await Deno.mkdir(`${folder}/${name}`);
      await Deno.writeTextFile(`${folder}/${name}/web.yml`, users(name));
    }
    await Deno.symlink("a", `${folder}/data`);
    await Deno.symlink("data/web.yml", file);
    const source = await follow();
    assert.equal(names(source), "a");
    await Deno.symlink("b", `${folder}/data.new`);
    await Deno.rename(`${folder}/data.new`, `${folder}/data`);
    await follows(source, "b");
  });
});

Deno.test("followWebSettings() keeps what it has while a changed file cannot be used, and logs that once", async () => {
  await withFile(users("a"), async ({ follow, write, lines, file }) => {
    const source = await follow();
    const count = (text: string): number => lines.filter((line) => line.includes(text)).length;
    await write(`${users("b")}\n  oops`);
    await waitUntil("it complains", () => count("error Cannot use") === 1);
    await Deno.utime(file, 1, 1);
    // It has looked at the file once more when a further change is taken over.
    await write(`# still wrong\n${users("b")}\n  oops`);
    await waitUntil(
      "it complains of the other line",
      () => count("error Cannot use") === 2,
    );
    assert.equal(names(source), "a");
    await Deno.remove(file);
    await waitUntil("it misses the file", () => count("no such file") === 1);
    assert.equal(names(source), "a");
    await write(users("c"));
    await follows(source, "c");
    assert.equal(count("can be used again"), 1);
    assert.equal(count("error Cannot use"), 3);
  });
});

Deno.test("followWebSettings() lets no empty file take TLS or logins away, and a file without them with a warning", async () => {
  const tls = "tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n";
  const other = "rate_limit:\n  interval: 1s\n  burst: 5\n";
  const [stays, warns, informs] = [
    /^error Cannot .* is empty/,
    /^warn Took over/,
    /^info Took over/,
  ];
  const cases: readonly (readonly [before: string, after: string, line: RegExp])[] = [
    [users("a"), "", stays],
    [users("a"), "# to come\n", stays],
    [users("a"), "null\n", stays],
    [tls, "", stays],
    [tls, other, warns],
    [users("a"), other, warns],
    [users("a"), "{}\n", warns],
    [tls + users("a"), tls, warns],
    [tls + users("a"), users("a"), warns],
    [users("a", "b"), users("b"), informs],
    [users("a"), tls + users("a"), informs],
    [other, "", informs],
    ["", "", informs],
  ];
  for (const [before, after, line] of cases) {
    await withFile(before, async ({ folder, write, follow, lines }) => {
      if ((before + after).includes(tls)) await makeCertificate(folder, "a");
      const source = await follow();
      source.close();
      const { current } = source;
      await write(after);
      await source.reload();
      assert.match(lines.at(-1) ?? "", line, JSON.stringify([before, after]));
      assert.equal(source.current === current, line === stays);
      await write(users("c"));
      await source.reload();
      assert.equal(names(source), "c");
    });
  }
});

Deno.test("followWebSettings() tries files again that it could not read, whether they have changed or not", async () => {
  await withFile(users("a"), async ({ write, follow, lines }) => {
    let fails = false;
    const source = await follow({
      readFile: (path) =>
        fails ? Promise.reject(Object.assign(new Error(), { code: "EMFILE" })) : readFile(path),
    });
    // From here on the test looks itself.
    source.close();
    await write(users("b"));
    fails = true;
    for (let look = 0; look < 4; look++) await source.look();
    assert.equal(names(source), "a");
    assert.deepEqual(lines.slice(1).map((line) => line.split(" ", 2)), [["error", "Cannot"]]);
    fails = false;
    await source.look();
    assert.equal(names(source), "b");
    assert.match(lines.at(-1) ?? "", /can be used again/);
    await source.look();
    assert.equal(lines.length, 3);
  });
});

Deno.test("followWebSettings() takes a change over that has lasted for one look, and says nothing of what has not", async () => {
  await withFile("", async ({ folder, write, follow, lines }) => {
    const a = await makeCertificate(folder, "a");
    const b = await makeCertificate(folder, "b");
    await write("tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n");
    const source = await follow();
    // From here on the test looks itself.
    source.close();
    await source.look();
    await Deno.copyFile(b.certificateFile, a.certificateFile);
    await source.look();
    await Deno.copyFile(b.keyFile, a.keyFile);
    await source.look();
    assert.equal(source.current.tls?.options.cert, a.certificate);
    await source.look();
    assert.equal(source.current.tls?.options.cert, b.certificate);
    assert.deepEqual(lines.filter((line) => !line.startsWith("info ")), []);
  });
});

Deno.test("followWebSettings() takes over a certificate only together with its key", async () => {
  await withFile("", async ({ folder, write, follow, lines }) => {
    const a = await makeCertificate(folder, "a");
    const b = await makeCertificate(folder, "b");
    await write("tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n");
    const source = await follow();
    assert.equal(source.current.tls?.options.cert, a.certificate);
    await Deno.copyFile(b.certificateFile, a.certificateFile);
    await waitUntil(
      "it complains of the key",
      () => lines.some((line) => line.includes("does not belong")),
    );
    assert.equal(source.current.tls?.options.cert, a.certificate);
    await Deno.copyFile(b.keyFile, a.keyFile);
    await waitUntil(
      "it has the other certificate",
      () => source.current.tls?.options.cert === b.certificate,
    );
    assert.equal(source.current.tls?.options.key, b.key);
  });
});

Deno.test("followWebSettings() reads the files when it is asked to, and says how that went each time", async () => {
  await withFile(users("a"), async ({ follow, write, lines }) => {
    const source = await follow();
    source.close();
    await source.reload();
    assert.match(lines.at(-1) ?? "", /^info Took over/);
    await write(users("b"));
    await source.reload();
    assert.equal(names(source), "b");
    await write("oops");
    await source.reload();
    await source.reload();
    assert.equal(lines.filter((line) => line.startsWith("error Cannot use")).length, 2);
    assert.equal(names(source), "b");
  });
});

Deno.test("followWebSettings() says that HTTP/2 is not offered and that a certificate has expired", async () => {
  await withFile("", async ({ folder, write, follow, lines }) => {
    await makeCertificate(folder, "old", { isExpired: true });
    await write(
      "tls_server_config:\n  cert_file: old.crt\n  key_file: old.key\nhttp_server_config:\n  http2: true\n",
    );
    await follow();
    assert.ok(lines.some((line) => line.startsWith("info HTTP/2 is not offered")));
    assert.ok(lines.some((line) => line.startsWith("warn The server's certificate has expired")));
  });
});

Deno.test("no line of the log has a hash in it", async () => {
  await withFile(users("a"), async ({ follow, write, lines }) => {
    const source = await follow();
    await write(`${users("a")}  b: ${HASH}x\n`);
    await source.reload();
    assert.ok(lines.length >= 2);
    assert.ok(!lines.join("\n").includes("$2y$"), lines.join("\n"));
  });
});
