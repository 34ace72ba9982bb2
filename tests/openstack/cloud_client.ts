/**
 * The interfaces of the cloud, as an operator's client uses them.
 *
 * @module
 */

import { waitUntil } from "../../testing/wait_until.ts";
import { ADDRESS, PASSWORD } from "./configuration.ts";

/** A service of the cloud. */
export type ServiceName = "compute" | "identity" | "image" | "network" | "placement" | "volume";

/** An answer in JSON; what asks knows what is in it. */
// deno-lint-ignore no-explicit-any
export type Answer = any;

/** Someone who has logged in. */
export interface CloudClient {
  readonly projectId: string;
  readonly userId: string;
  /**
   * Asks a service and returns its answer; `undefined` when that has no body.
   *
   * @throws {RefusedError} when it refuses
   */
  ask(method: string, service: ServiceName, path: string, body?: unknown): Promise<Answer>;
  /** Sends the content of a file to Glance. */
  upload(imageId: string, file: string): Promise<void>;
  /** Asks for an action on a server. */
  act(serverId: string, action: string, value?: unknown): Promise<Answer>;
  /** Waits until a server has one of these states and no task is under way, and returns it. */
  awaitServer(serverId: string, ...wanted: readonly string[]): Promise<Answer>;
  /** Waits until something that has a `status` (a volume, a snapshot, an image) has this one. */
  awaitStatus(service: ServiceName, path: string, wanted: string): Promise<Answer>;
  /** Waits until Nova or Cinder no longer knows something. */
  awaitGone(service: ServiceName, path: string): Promise<void>;
}

/** A service has refused. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  /** HTTP's status. */
  readonly status: number;

  /** @param status HTTP's status */
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

const BOUND_MILLISECONDS = 240_000;
const INTERVAL_MILLISECONDS = 300;

/** The newest version of Nova's interface that Nova 26 knows has most to tell. */
const VERSIONS: Readonly<Partial<Record<ServiceName, string>>> = {
  compute: "compute 2.92",
  volume: "volume 3.70",
};

/**
 * Logs in.
 *
 * @param user the name of a user of the domain `Default`
 * @param project the name of a project that the user has a role in
 */
export async function logIn(user: string, project: string): Promise<CloudClient> {
  const domain = { id: "default" };
  const response = await fetch(`http://${ADDRESS}:5000/v3/auth/tokens`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      auth: {
        identity: {
          methods: ["password"],
          password: { user: { name: user, domain, password: PASSWORD } },
        },
        scope: { project: { name: project, domain } },
      },
    }),
  });
  const text = await response.text();
  if (!response.ok) throw new RefusedError(`Keystone refuses "${user}": ${text}`, response.status);
  const token = response.headers.get("X-Subject-Token") ?? "";
  const { project: { id: projectId }, user: { id: userId } } = JSON.parse(text).token;
  return new TokenClient(token, projectId, userId);
}

/** What is sent to a service. */
interface Content {
  readonly type: string;
  readonly body: BodyInit;
}

/** A {@linkcode CloudClient} that shows Keystone's token. */
class TokenClient implements CloudClient {
  readonly projectId: string;
  readonly userId: string;
  readonly #token: string;
  readonly #addresses: Readonly<Record<ServiceName, string>>;

  constructor(token: string, projectId: string, userId: string) {
    this.projectId = projectId;
    this.userId = userId;
    this.#token = token;
    this.#addresses = {
      compute: `http://${ADDRESS}:8774/v2.1`,
      identity: `http://${ADDRESS}:5000/v3`,
      image: `http://${ADDRESS}:9292/v2`,
      network: `http://${ADDRESS}:9696/v2.0`,
      placement: `http://${ADDRESS}:8778`,
      volume: `http://${ADDRESS}:8776/v3/${projectId}`,
    };
  }

  ask(method: string, service: ServiceName, path: string, body?: unknown): Promise<Answer> {
    const content = body === undefined
      ? undefined
      : { type: "application/json", body: JSON.stringify(body) };
    return this.#send(method, service, path, content);
  }

  async upload(imageId: string, file: string): Promise<void> {
    const body = await Deno.readFile(file);
    const path = `/images/${imageId}/file`;
    await this.#send("PUT", "image", path, { type: "application/octet-stream", body });
  }

  act(serverId: string, action: string, value: unknown = null): Promise<Answer> {
    return this.ask("POST", "compute", `/servers/${serverId}/action`, { [action]: value });
  }

  awaitServer(serverId: string, ...wanted: readonly string[]): Promise<Answer> {
    return waitForCloud(`server ${serverId} to be ${wanted.join(" or ")}`, async () => {
      const { server } = await this.ask("GET", "compute", `/servers/${serverId}`);
      if (wanted.includes(server.status) && server["OS-EXT-STS:task_state"] === null) return server;
      if (server.status === "ERROR") {
        throw new Error(`Server ${serverId} failed: ${JSON.stringify(server.fault)}`);
      }
      return undefined;
    });
  }

  awaitStatus(service: ServiceName, path: string, wanted: string): Promise<Answer> {
    return waitForCloud(`${path} to be ${wanted}`, async () => {
      const answer = await this.ask("GET", service, path);
      // All but Glance wrap what they answer in its name.
      const thing = answer.status === undefined ? Object.values<Answer>(answer)[0] : answer;
      if (thing.status === wanted) return thing;
      if (String(thing.status).startsWith("error")) {
        throw new Error(`${path} failed: ${JSON.stringify(thing)}`);
      }
      return undefined;
    });
  }

  async awaitGone(service: ServiceName, path: string): Promise<void> {
    await waitForCloud(`${path} to be gone`, async () => {
      try {
        await this.ask("GET", service, path);
        return undefined;
      } catch (error) {
        if (error instanceof RefusedError && error.status === 404) return true;
        throw error;
      }
    });
  }

  async #send(
    method: string,
    service: ServiceName,
    path: string,
    content: Content | undefined,
  ): Promise<Answer> {
    const version = VERSIONS[service];
    const answer = await fetch(this.#addresses[service] + path, {
      method,
      headers: {
        "X-Auth-Token": this.#token,
        ...(content === undefined ? {} : { "Content-Type": content.type }),
        ...(version === undefined ? {} : { "OpenStack-API-Version": version }),
      },
      ...(content === undefined ? {} : { body: content.body }),
    });
    const text = await answer.text();
    if (!answer.ok) {
      const message = `${method} ${path} of ${service}: ${answer.status} ${text.slice(0, 600)}`;
      throw new RefusedError(message, answer.status);
    }
    return text === "" ? undefined : JSON.parse(text);
  }
}

function waitForCloud(what: string, look: () => Promise<Answer>): Promise<Answer> {
  return waitUntil(what, look, BOUND_MILLISECONDS, INTERVAL_MILLISECONDS);
}
