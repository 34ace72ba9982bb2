import { request as httpRequest } from "node:http";
import {
  type CertificateOptions,
  makeCertificate,
  type TestCertificate,
} from "../../testing/certificates.ts";
import { type Runtime, type ServerProcess, withServer } from "../../testing/web_server.ts";
import { type Client, openTlsClient, type TlsClientOptions } from "../../testing/web_client.ts";
import type { WebServerSetup } from "../../testing/web_server_process.ts";

/** Of "fakepassword", at the usual cost. */
export const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/** The part of a web configuration that asks for the login of alice. */
export const USERS = `basic_auth_users:\n  alice: ${HASH}\n`;

/** The header `Authorization` of alice. */
export const RIGHT = `Basic ${btoa("alice:fakepassword")}`;

/** The part of a web configuration that serves TLS with the scene's certificate. */
export const TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/** A whole request for the page. */
export const GET = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";

/** A server with a web configuration, and the certificates of its clients. */
export interface Scene {
  readonly server: ServerProcess;
  readonly folder: string;
  readonly certificates: Readonly<Record<string, TestCertificate>>;
  write(config: string): Promise<void>;
  /** Opens a TLS connection as one of the clients, or as nobody. */
  connect(client?: string): Promise<Client>;
  /** The status of a page for one of the clients; 0 when the server lets it not go on. */
  status(client?: string): Promise<number>;
}

/** The certificates of a scene: their names, what they are for, and who has signed them. */
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

/** Starts a server with a web configuration, and ends it after use. */
export async function withScene(
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
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Requests a page without TLS, on a connection of its own, from an address of this host. */
export function request(
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

/** Sends a request, returns its answer and closes the connection. */
export async function exchange(client: Client, text: string): ReturnType<Client["receive"]> {
  try {
    client.send(text);
    return await client.receive(1);
  } finally {
    client.close();
  }
}

/** A whole request for the server's state. */
export function stateRequest(headers = "Host: h\r\n"): string {
  return `GET /state HTTP/1.1\r\n${headers}\r\n`;
}
