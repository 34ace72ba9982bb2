// TLS and logins of the web server, under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import {
  type CertificateOptions,
  makeCertificate,
  type TestCertificate,
} from "./support/certificates.ts";
import { type Runtime, RUNTIMES, type ServerProcess, withServer } from "./support/web_server.ts";
import {
  type Client,
  eventually,
  openClient,
  openTlsClient,
  type TlsClientOptions,
} from "./web_client.ts";
import type { WebServerSetup } from "./web_server_process.ts";

/** Of "fakepassword", at the usual cost. */
const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
const USERS = `basic_auth_users:\n  alice: ${HASH}\n`;
const RIGHT = `Basic ${btoa("alice:fakepassword")}`;
const TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
const GET = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";

interface Scene {
  readonly server: ServerProcess;
  readonly folder: string;
  readonly certificates: Readonly<Record<string, TestCertificate>>;
  write(config: string): Promise<void>;
  /** Opens a TLS connection as one of the clients, or as nobody. */
  connect(client?: string): Promise<Client>;
  /** The status of a page for one of the clients; 0 when the server lets it not go on. */
  status(client?: string): Promise<number>;
}

const CERTIFICATES:
  readonly (readonly [name: string, options: CertificateOptions, signer?: string])[] = [
    ["server", { names: "DNS:localhost,IP:127.0.0.1" }],
    ["other_server", { names: "DNS:localhost,IP:127.0.0.1" }],
    ["authority", {}],
    ["other_authority", {}],
    ["known", { names: "DNS:prom.example", usage: "clientAuth" }, "authority"],
    ["expired", { isExpired: true }, "authority"],
    ["server_only", { usage: "serverAuth" }, "authority"],
    ["stranger", {}, "other_authority"],
    ["self_made", {}],
  ];

async function withScene(
  runtime: Runtime,
  config: string,
  use: (scene: Scene) => Promise<void>,
  setup: Partial<WebServerSetup> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const certificates: Record<string, TestCertificate> = {};
    for (const [name, options, signer] of CERTIFICATES) {
      const authority = signer === undefined ? undefined : certificates[signer];
      certificates[name] = await makeCertificate(folder, name, {
        ...options,
        ...(authority === undefined ? {} : { authority }),
      });
    }
    const webConfigFile = `${folder}/web.yml`;
    const write = (text: string): Promise<void> => Deno.writeTextFile(webConfigFile, text);
    await write(config);
    await withServer(runtime, { ...setup, webConfigFile }, async (server) => {
      const connect = (client?: string): Promise<Client> => {
        const { server: own, other_server: other } = certificates;
        const ca = [own?.certificate ?? "", other?.certificate ?? ""];
        const shown = client === undefined ? undefined : certificates[client];
        const options: TlsClientOptions = shown === undefined
          ? { ca }
          : { ca, cert: shown.certificate, key: shown.key };
        return openTlsClient(server.port, options);
      };
      await use({
        server,
        folder,
        certificates,
        write,
        connect,
        async status(client): Promise<number> {
          const connection = await connect(client);
          try {
            connection.send(GET);
            const { answers } = await connection.receive(1);
            return answers[0]?.status ?? 0;
          } finally {
            connection.close();
          }
        },
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A status and the value of one header. */
interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Requests a page without TLS, on a connection of its own, from an address of this host. */
function request(
  port: number,
  path: string,
  authorization: string | undefined,
  localAddress = "127.0.0.1",
): Promise<PlainAnswer> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const outgoing = httpRequest(
      { host: "127.0.0.1", port, path, headers, localAddress, agent: false },
      (response) => {
        response.resume();
        response.on(
          "end",
          () => resolve({ status: response.statusCode ?? 0, headers: response.headers }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}

const CLIENTS = [undefined, "known", "expired", "server_only", "stranger", "self_made"] as const;

/** Which of the clients get a page. */
const ADMITTED: readonly (readonly [type: string, config: string, clients: readonly string[]])[] = [
  ["NoClientCert", "", ["nobody", "known", "expired", "server_only", "stranger", "self_made"]],
  [
    "RequestClientCert",
    "",
    ["nobody", "known", "expired", "server_only", "stranger", "self_made"],
  ],
  ["RequireAnyClientCert", "", ["known", "expired", "server_only", "stranger", "self_made"]],
  ["VerifyClientCertIfGiven", "  client_ca_file: authority.crt\n", ["nobody", "known"]],
  ["RequireAndVerifyClientCert", "  client_ca_file: authority.crt\n", ["known"]],
];

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} admits clients by certificate as client_auth_type says`, async (test) => {
    await withScene(runtime, TLS, async ({ write, status, server, connect }) => {
      for (const [type, more, expected] of ADMITTED) {
        await test.step(type, async () => {
          await write(`${TLS}  client_auth_type: ${type}\n${more}# ${type}\n`);
          await eventually("the change is in force", async () => {
            const admitted: string[] = [];
            for (const client of CLIENTS) {
              if (await status(client) === 200) admitted.push(client ?? "nobody");
            }
            return admitted.join() === expected.join();
          });
        });
      }
      const { answers } = await exchange(await connect("known"), stateRequest());
      const state = JSON.parse(answers[0]?.body ?? "");
      assert.ok(
        state.log.some((line: string) => /Refused a client.*sent no certificate/.test(line)),
      );
      assert.ok(state.log.some((line: string) => /Refused a client.*not accepted/.test(line)));
      assert.ok(server.port > 0);
    });
  });

  Deno.test(`the server under ${runtime.name} closes the connections of a client whose authority is no longer trusted`, async () => {
    const config = (authority: string): string =>
      `${TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ${authority}.crt\n`;
    await withScene(runtime, config("authority"), async ({ write, connect, status }) => {
      const client = await connect("known");
      client.send(GET);
      assert.equal((await client.receive(1)).answers[0]?.status, 200);
      await write(config("other_authority"));
      assert.equal((await client.receiveUntilClosed()).answers.length, 1);
      assert.equal(await status("known"), 0);
      assert.equal(await status("stranger"), 200);
    });
  });

  Deno.test(`the server under ${runtime.name} changes its certificate under load without losing a request`, async () => {
    await withScene(runtime, TLS, async ({ folder, certificates, connect, server }) => {
      const kept = await connect();
      kept.send(GET);
      await kept.receive(1);
      let isOver = false;
      let requests = 0;
      const serials = new Set<string>();
      const load = async (): Promise<void> => {
        while (!isOver) {
          const client = await connect();
          serials.add(serverName(client));
          client.send(GET);
          const { answers } = await client.receive(1);
          client.close();
          assert.equal(answers[0]?.status, 200);
          requests++;
        }
      };
      const clients = [load(), load(), load()];
      for (const name of ["other_server", "server", "other_server"]) {
        const before = requests;
        const next = certificates[name];
        assert.ok(next);
        for (const [file, text] of [["crt", next.certificate], ["key", next.key]] as const) {
          await Deno.writeTextFile(`${folder}/new`, text);
          await Deno.rename(`${folder}/new`, `${folder}/server.${file}`);
        }
        await eventually(`the certificate of ${name} is shown`, async () => {
          const client = await connect();
          const shown = serverName(client);
          client.close();
          return shown === name;
        });
        await eventually(
          "there were requests meanwhile",
          () => Promise.resolve(requests > before + 3),
        );
      }
      isOver = true;
      await Promise.all(clients);
      assert.deepEqual([...serials].sort(), ["other_server", "server"]);
      kept.send(GET);
      assert.equal((await kept.receive(2)).answers[1]?.status, 200);
      kept.close();
      assert.ok(server.port > 0);
    });
  });

  Deno.test(`the server under ${runtime.name} switches TLS and logins on while it runs`, async () => {
    await withScene(runtime, "", async ({ server, write, status }) => {
      const plain = await openClient(server.port);
      plain.send(GET);
      assert.equal((await plain.receive(1)).answers[0]?.status, 200);
      await write(`${TLS}${USERS}`);
      assert.equal((await plain.receiveUntilClosed()).answers.length, 1);
      assert.equal(await status(), 401);
    });
  });

  Deno.test(`the server under ${runtime.name} holds its limits with TLS and logins`, async (test) => {
    const impatient = {
      headersMilliseconds: 300,
      requestMilliseconds: 600,
      idleMilliseconds: 700,
      stallMilliseconds: 300,
      maximumConnections: 20,
      maximumRequestsInFlight: 10,
    };
    const authorized = `Host: h\r\nAuthorization: ${RIGHT}\r\n`;
    await withScene(runtime, `${TLS}${USERS}`, async ({ server, connect }) => {
      const first = await exchange(await connect(), `GET /metrics HTTP/1.1\r\n${authorized}\r\n`);
      assert.equal(first.answers[0]?.status, 200);
      const cases: readonly (readonly [name: string, text: string, statuses: readonly number[]])[] =
        [
          ["no request at all", "", [408]],
          ["headers that stop", "GET /metrics HTTP/1.1\r\nHost: h\r\n", [408]],
          ["headers that are too large", `GET / HTTP/1.1\r\nA: ${"x".repeat(40_000)}\r\n\r\n`, [
            431,
          ]],
          ["a path that is too long", `GET /${"x".repeat(9_000)} HTTP/1.1\r\n${authorized}\r\n`, [
            414,
            408,
          ]],
          [
            "a body that is too large",
            `POST / HTTP/1.1\r\n${authorized}Content-Length: 99999999\r\n\r\n`,
            [413],
          ],
          ["a body that stops", `POST / HTTP/1.1\r\n${authorized}Content-Length: 10\r\n\r\nabc`, [
            408,
          ]],
          ["no HTTP", "\u0001\u0002\r\n\r\n", [400]],
          ["no host", "GET /metrics HTTP/1.1\r\n\r\n", [400]],
          ["no login", `GET /hold HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`, [401]],
          [
            "a wrong login",
            `GET /hold HTTP/1.1\r\nHost: h\r\nAuthorization: Basic ${
              btoa("alice:x")
            }\r\nConnection: close\r\n\r\n`,
            [401],
          ],
          [
            "a page that is not there, without a login",
            `GET /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`,
            [401],
          ],
        ];
      for (const [name, text, statuses] of cases) {
        await test.step(name, async () => {
          const client = await connect();
          if (text !== "") client.send(text);
          const { answers } = await client.receiveUntilClosed();
          const got = answers.map(({ status }) => status);
          assert.deepEqual(got, statuses.slice(0, got.length));
          assert.ok(got.length > 0);
        });
      }
      await test.step("a client that does not read", async () => {
        // The client of Deno reads on when it is told to pause.
        const client = new Deno.Command("openssl", {
          args: ["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`],
          stdin: "piped",
          stdout: "piped",
          stderr: "null",
        }).spawn();
        const input = client.stdin.getWriter();
        await input.write(new TextEncoder().encode(`GET /big HTTP/1.1\r\n${authorized}\r\n`));
        await eventually("the server has given it up", async () => {
          const { answers } = await exchange(await connect(), stateRequest(authorized));
          return JSON.parse(answers[0]?.body ?? "").debugMessages
            .includes("Could not send an answer: client too slow");
        });
        client.kill("SIGKILL");
        await Promise.all([client.stdout.cancel(), input.close().catch(() => {}), client.status]);
      });
      await test.step("a client that speaks no TLS, and one that says nothing", async () => {
        const speaker = await openClient(server.port);
        speaker.send(GET);
        assert.deepEqual((await speaker.receiveUntilClosed()).answers, []);
        const silent = await openClient(server.port);
        assert.deepEqual((await silent.receiveUntilClosed()).answers, []);
      });
      await test.step("a client whose handshake never ends, byte after byte", async () => {
        const client = await openClient(server.port);
        // A ClientHello that is announced as longer than what will ever come.
        client.send("\u0016\u0003\u0001\u0040\u0000\u0001\u0000\u003f\u00fc\u0003\u0003");
        const drip = setInterval(() => client.send("\u0000"), 20);
        try {
          assert.deepEqual((await client.receiveUntilClosed()).answers, []);
        } finally {
          clearInterval(drip);
        }
      });
      await test.step("more connections than the server takes, none of which finishes its handshake", async () => {
        const idle = await Promise.all(Array.from({ length: 60 }, () => openClient(server.port)));
        const { answers } = await exchange(await connect(), stateRequest(authorized));
        const state = JSON.parse(answers[0]?.body ?? "");
        assert.equal(state.held, 0, "no page was made without a login");
        assert.ok(await server.openFiles() < 60);
        for (const client of idle) client.close();
      });
    }, { limits: impatient });
  });

  Deno.test(`the server under ${runtime.name} answers who knows while others guess without end`, async () => {
    await withScene(runtime, USERS, async ({ server: { port } }) => {
      const outcomes = await underFlood(port, ["127.0.0.2", "127.0.0.3"], async () => {
        // Somebody else's first login, in the middle of the flood.
        assert.equal((await request(port, "/metrics", RIGHT)).status, 200);
        for (let count = 0; count < 50; count++) {
          // Once right, it is served from the address of the flood as well.
          const localAddress = count % 2 === 0 ? "127.0.0.1" : "127.0.0.2";
          assert.equal((await request(port, "/metrics", RIGHT, localAddress)).status, 200);
        }
      });
      assert.deepEqual([...outcomes.keys()].sort(), [401, 429]);
      const { held, log } = await stateOf(port);
      assert.equal(held, 0, "no page was made for a guess");
      // Once a minute each, whatever the flood.
      assert.ok(log.length <= 4, log.join("\n"));
      assert.ok(!log.join("\n").includes("guess"));
    });
  });

  Deno.test(`the server under ${runtime.name} lets who knows in from the very address of a flood, after a few tries`, async () => {
    await withScene(runtime, USERS, async ({ server: { port } }) => {
      await underFlood(port, ["127.0.0.1"], async () => {
        await eventually(
          "the right password is taken",
          async () => (await request(port, "/metrics", RIGHT)).status === 200,
        );
      });
    });
  });

  Deno.test(`the server under ${runtime.name} sends the headers of the configuration and asks for a login`, async () => {
    const config = `${USERS}http_server_config:\n  headers:\n    X-Frame-Options: deny\n`;
    await withScene(runtime, config, async ({ server: { port } }) => {
      for (
        const [authorization, status] of [
          [undefined, 401],
          ["Basic !", 401],
          ["Bearer abc", 401],
          [`Basic ${btoa("bob:fakepassword")}`, 401],
          [`Basic ${btoa("alice:fakepassword ")}`, 401],
          [RIGHT, 200],
        ] as const
      ) {
        const answer = await request(port, "/metrics", authorization);
        assert.equal(answer.status, status);
        assert.equal(answer.headers["x-frame-options"], "deny");
        const challenge = answer.headers["www-authenticate"];
        assert.equal(
          challenge,
          status === 401 ? 'Basic realm="libvirt_nova_exporter", charset="UTF-8"' : undefined,
        );
      }
    });
  });

  Deno.test(`the server under ${runtime.name} answers no more than rate_limit allows`, async () => {
    await withScene(
      runtime,
      "rate_limit:\n  interval: 1h\n  burst: 3\n",
      async ({ server: { port } }) => {
        const statuses: number[] = [];
        for (let count = 0; count < 5; count++) {
          statuses.push((await request(port, "/metrics", undefined)).status);
        }
        assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
        assert.equal((await request(port, "/metrics", undefined)).headers["retry-after"], "1");
      },
    );
  });
}

/** Does something while many guess passwords; returns how often they got which status. */
async function underFlood(
  port: number,
  addresses: readonly string[],
  use: () => Promise<void>,
): Promise<ReadonlyMap<number, number>> {
  const outcomes = new Map<number, number>();
  let isOver = false;
  let guesses = 0;
  const guess = async (localAddress: string): Promise<void> => {
    while (!isOver) {
      const authorization = `Basic ${btoa(`alice:guess ${guesses++}`)}`;
      const { status } = await request(port, "/hold", authorization, localAddress);
      outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
    }
  };
  const flood = addresses.flatMap((address) => Array.from({ length: 24 }, () => guess(address)));
  try {
    await eventually(
      "guesses are turned away",
      () => Promise.resolve((outcomes.get(429) ?? 0) > 100),
    );
    await use();
  } finally {
    isOver = true;
    await Promise.allSettled(flood);
  }
  return outcomes;
}

async function exchange(client: Client, text: string): ReturnType<Client["receive"]> {
  try {
    client.send(text);
    return await client.receive(1);
  } finally {
    client.close();
  }
}

function stateRequest(headers = "Host: h\r\n"): string {
  return `GET /state HTTP/1.1\r\n${headers}\r\n`;
}

async function stateOf(port: number): ReturnType<ServerProcess["state"]> {
  const response = await fetch(`http://127.0.0.1:${port}/state`, {
    headers: { authorization: RIGHT },
  });
  return await response.json();
}

/** The common name of the certificate that the server has shown. */
function serverName({ socket }: Client): string {
  assert.ok("getPeerCertificate" in socket && typeof socket.getPeerCertificate === "function");
  return socket.getPeerCertificate().subject?.CN ?? "";
}
