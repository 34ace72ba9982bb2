/**
 * Bringing up the services of the cloud inside the namespaces, without systemd.
 *
 * @module
 */

import { waitUntil } from "../../testing/wait_until.ts";
import { isAlive } from "../../testing/processes.ts";
import { outputOf, startCommand } from "../../testing/command.ts";
import { ADDRESS, CONFIGURATION, DATABASES, databaseUrl, PASSWORD } from "./configuration.ts";

/** The services of the cloud, each in the root. */
export interface Services {
  /** Runs a command in the root and returns its output; throws when it fails. */
  run(...command: readonly string[]): Promise<string>;
  /** Starts MariaDB, RabbitMQ, memcached and libvirt, and makes the databases with their tables. */
  startFoundation(): Promise<void>;
  /** Starts Keystone and Placement; users and services can be registered then. */
  startIdentity(): Promise<void>;
  /** Starts everything else, which needs its user in Keystone. */
  startRest(): Promise<void>;
}

const PORT_BOUND_MILLISECONDS = 180_000;
const COMMAND_BOUND_MILLISECONDS = 600_000;
const NETWORK_PLUGIN_FILES = [
  "--config-file=/etc/neutron/neutron.conf",
  "--config-file=/etc/neutron/plugins/ml2/ml2_conf.ini",
] as const;

/** Grants each database to its user; Nova's two others belong to the user of the first. */
const DATABASE_STATEMENTS = DATABASES.map((name) =>
  ["localhost", "%"].map((host) =>
    `CREATE DATABASE IF NOT EXISTS ${name} CHARACTER SET utf8mb3;
     GRANT ALL ON ${name}.* TO '${name}'@'${host}' IDENTIFIED BY '${PASSWORD}';
     GRANT ALL ON ${name}.* TO 'nova'@'${host}' IDENTIFIED BY '${PASSWORD}';`
  ).join("\n")
).join("\n");

/**
 * The folders that the services want, the bridge of the network, and what mounts the volumes instead of NFS, for which a
 * kernel may lack the client and the server.
 */
const FOLDERS = `set -e
mkdir -p /run/mysqld /run/lock /var/log/cloud /volumes /etc/keystone/fernet-keys /etc/keystone/credential-keys
mkdir -p /var/lib/glance/images /var/lib/nova/instances /var/lib/nova/mnt /var/lib/cinder/mnt
chown mysql /run/mysqld
chown keystone: /etc/keystone/fernet-keys /etc/keystone/credential-keys
for service in cinder glance neutron nova; do mkdir -p /var/lib/$service/tmp; done
mount -t tmpfs -o mode=777,size=4g tmpfs /volumes
printf '#!/bin/sh\\nexec mount --bind /volumes "$2"\\n' > /usr/sbin/mount.nfs
chmod 755 /usr/sbin/mount.nfs
ip link add bridge0 type bridge
ip link set bridge0 up
`;

/** The tables of all services, and what else they keep in their databases from the start. */
const TABLES = `set -e
keystone-manage db_sync
keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone
keystone-manage credential_setup --keystone-user keystone --keystone-group keystone
keystone-manage bootstrap --bootstrap-password ${PASSWORD} --bootstrap-region-id RegionOne \
  --bootstrap-admin-url http://${ADDRESS}:5000/v3/ --bootstrap-internal-url http://${ADDRESS}:5000/v3/ \
  --bootstrap-public-url http://${ADDRESS}:5000/v3/
placement-manage db sync
glance-manage db_sync
neutron-db-manage ${NETWORK_PLUGIN_FILES.join(" ")} upgrade heads
nova-manage api_db sync
nova-manage cell_v2 map_cell0 --database_connection ${databaseUrl("nova_cell0", "nova")}
nova-manage cell_v2 create_cell --name cell1
nova-manage db sync
cinder-manage db sync
`;

function uwsgi(port: number, program: string): readonly string[] {
  const address = `--http-socket=${ADDRESS}:${port}`;
  return ["uwsgi_python3", "--ini=/etc/uwsgi.ini", address, `--wsgi-file=/usr/bin/${program}`];
}

function asUser(user: string): readonly string[] {
  return ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
}

const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", TMPDIR: "/tmp" };

/** Starts programs in a root. */
class Launcher {
  readonly #root: string;
  readonly #report: (line: string) => void;

  constructor(root: string, report: (line: string) => void) {
    this.#root = root;
    this.#report = report;
  }

  run(...command: readonly string[]): Promise<string> {
    return outputOf("chroot", [this.#root, ...command], {
      environment: ENVIRONMENT,
      boundMilliseconds: COMMAND_BOUND_MILLISECONDS,
    });
  }

  /** Starts a service, and returns when it listens on its port. */
  async start(name: string, command: readonly string[], port?: number): Promise<void> {
    this.#report(`Starting ${name}`);
    const log = `${this.#root}/var/log/cloud/${name}.log`;
    const redirect = 'log=$1; shift; exec setsid "$@" > "$log" 2>&1';
    const parameters = ["-c", redirect, "start", log, "chroot", this.#root, ...command];
    const child = startCommand("sh", parameters, {
      env: { ...ENVIRONMENT, LC_ALL: "C.UTF-8" },
      stderr: "null",
    });
    child.unref();
    if (port === undefined) return;
    await waitUntil(
      `${name} to listen on port ${port}`,
      async () => {
        if (!isAlive(child.pid)) {
          throw new Error(`${name} has ended: ${(await Deno.readTextFile(log)).slice(-2000)}`);
        }
        const connection = await Deno.connect({ hostname: ADDRESS, port }).catch(() => undefined);
        connection?.close();
        return connection === undefined ? undefined : true;
      },
      PORT_BOUND_MILLISECONDS,
      200,
    );
  }
}

/**
 * Prepares to start the services. Whoever calls this is in the namespaces; what is started ends with them.
 *
 * @param root the root of the namespaces
 * @param report told what is being done
 */
export function prepareServices(root: string, report: (line: string) => void): Services {
  const launcher = new Launcher(root, report);
  return {
    run: (...command) => launcher.run(...command),
    async startFoundation(): Promise<void> {
      for (const [path, content] of Object.entries(CONFIGURATION)) {
        await Deno.writeTextFile(`${root}/etc/${path}`, content);
      }
      await launcher.run("sh", "-c", FOLDERS);
      const database = ["mariadbd", "--user=mysql", `--bind-address=${ADDRESS}`];
      const quick = ["--max-connections=500", "--innodb-flush-log-at-trx-commit=0"];
      await launcher.start("mariadb", [...database, ...quick, "--skip-log-bin"], 3306);
      await launcher.start("rabbitmq", [
        ...asUser("rabbitmq"),
        "env",
        "HOME=/var/lib/rabbitmq",
        "RABBITMQ_NODENAME=rabbit@localhost",
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
      ], 5672);
      await launcher.start(
        "memcached",
        ["memcached", "-u", "nobody", "-l", ADDRESS, "-p", "11211"],
        11211,
      );
      await launcher.start("virtlogd", ["virtlogd"]);
      await launcher.start("libvirtd", ["libvirtd"]);
      await launcher.run("mariadb", "--execute", DATABASE_STATEMENTS);
      report("Making the tables of all services");
      await launcher.run("sh", "-c", TABLES);
      // libvirt tries all emulators once before it answers this, for longer than nova-compute waits.
      report("Asking libvirt for its capabilities");
      await launcher.run("virsh", "--connect=qemu:///system", "capabilities");
    },
    async startIdentity(): Promise<void> {
      await launcher.start("keystone", uwsgi(5000, "keystone-wsgi-public"), 5000);
      await launcher.start("placement", uwsgi(8778, "placement-api"), 8778);
    },
    async startRest(): Promise<void> {
      await launcher.start("glance", ["glance-api"], 9292);
      await launcher.start("neutron", ["neutron-server", ...NETWORK_PLUGIN_FILES], 9696);
      await launcher.start("linuxbridge", [
        "neutron-linuxbridge-agent",
        "--config-file=/etc/neutron/neutron.conf",
        "--config-file=/etc/neutron/plugins/ml2/linuxbridge_agent.ini",
      ]);
      await launcher.start("nova-conductor", ["nova-conductor"]);
      await launcher.start("nova-api", ["nova-api"], 8774);
      await launcher.start("nova-scheduler", ["nova-scheduler"]);
      await launcher.start("nova-compute", ["nova-compute"]);
      await launcher.start("cinder-api", uwsgi(8776, "cinder-wsgi"), 8776);
      await launcher.start("cinder-scheduler", ["cinder-scheduler"]);
      await launcher.start("cinder-volume", ["cinder-volume"]);
    },
  };
}
