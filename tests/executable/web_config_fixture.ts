import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { runCommand } from "../../testing/command.ts";
import { makeCertificate, type TestCertificate } from "../../testing/certificates.ts";
import {
  assertNothingRuns,
  createTestFolder,
  type ServingExecutable,
  startExecutable,
  type StartOptions,
  type TestFolder,
} from "../../testing/executable.ts";

/** Of "fakepassword", at the usual cost. */
export const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/** The part of a web configuration that asks for the login of alice. */
export const USERS = `basic_auth_users:\n  alice: ${HASH}\n`;

/** The header `Authorization` of alice. */
export const RIGHT = `Basic ${btoa("alice:fakepassword")}`;

/** The part of a web configuration that serves TLS with the scene's certificate. */
export const TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/** What the log has when the executable serves. */
const READY = "message=Started";

/** The names that the server's certificate is for. */
export const NAMES = "DNS:localhost,IP:127.0.0.1";

/** What a request got. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Requests a page on a connection of its own; status 0 when there is none. */
export function request(options: RequestOptions & TlsOptions, isTls: boolean): Promise<Answer> {
  return new Promise((resolve) => {
    const send = isTls ? httpsRequest : httpRequest;
    const outgoing = send({ agent: false, ...options }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => body += chunk);
      response.on("error", () => resolve({ status: 0, body: "" }));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    outgoing.on("error", (error) => resolve({ status: 0, body: String(error) }));
    outgoing.end();
  });
}

/** What a client trusts and shows of itself, as PEM. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A folder with the server's certificate, in which executables can be started. */
export interface Scene {
  readonly folder: TestFolder;
  readonly server: TestCertificate;
  start(
    config: string,
    args?: readonly string[],
    options?: Partial<StartOptions>,
  ): Promise<ServingExecutable>;
}

/** Gives a scene, and fails when anything that was started in it still runs at its end. */
export async function withScene(use: (scene: Scene) => Promise<void>): Promise<void> {
  await using folder = await createTestFolder();
  const server = await makeCertificate(folder.path, "server", { names: NAMES });
  await use({
    folder,
    server,
    async start(config, args = [], options = {}): Promise<ServingExecutable> {
      const file = await folder.write("web.yml", config);
      const log = ["--uri", "test:///default", "--log", "-", "--log.level", "debug"];
      return await startExecutable([...log, "--web.config.file", file, ...args], {
        folder,
        readyWhen: READY,
        ...options,
      });
    },
  });
  assertNothingRuns();
}

/** Runs openssl's client against the executable; gives its exit code and all that it says. */
export async function sClient(
  { ports }: ServingExecutable,
  args: readonly string[],
  input = "",
): Promise<{ readonly code: number; readonly output: string }> {
  const parameters = ["s_client", "-connect", `127.0.0.1:${ports[0]}`, ...args];
  const { code, output, errorOutput } = await runCommand("openssl", parameters, { input });
  return { code, output: output + errorOutput };
}
