import assert from "node:assert/strict";
import { RUNTIMES } from "../../testing/web_server.ts";
import { type Client } from "../../testing/web_client.ts";
import { exchange, GET, stateRequest, TLS, withScene } from "./secure_server.ts";
import { waitUntil } from "../../testing/wait_until.ts";

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
          await waitUntil("the change is in force", async () => {
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
}

for (const runtime of RUNTIMES) {
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
}

for (const runtime of RUNTIMES) {
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
        await waitUntil(`the certificate of ${name} is shown`, async () => {
          const client = await connect();
          const shown = serverName(client);
          client.close();
          return shown === name;
        });
        await waitUntil(
          "there were requests meanwhile",
          () => requests > before + 3,
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
}

/** The common name of the certificate that the server has shown. */
function serverName({ socket }: Client): string {
  assert.ok("getPeerCertificate" in socket && typeof socket.getPeerCertificate === "function");
  return socket.getPeerCertificate().subject?.CN ?? "";
}
