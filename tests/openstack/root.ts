/**
 * A Debian 12 in a folder with OpenStack's packages, and namespaces in which it runs as a host of its own.
 *
 * @module
 */

import { ensureDebian } from "../../testing/debian.ts";
import { startSupervisor, type Supervisor } from "../../testing/libvirt/supervisor.ts";
import { isAlive } from "../../testing/processes.ts";
import { FIRST_PROCESS, SEE_OWN_CONTROL_GROUPS } from "../../testing/libvirt/supervisor_scripts.ts";

/** The release of Debian whose OpenStack is tested: Nova 26, "Zed". */
const SUITE = "bookworm";

const PACKAGES: readonly string[] = [
  "cinder-api",
  "cinder-scheduler",
  "cinder-volume",
  "glance-api",
  "iproute2",
  "keystone",
  "kmod",
  "libvirt-clients",
  "libvirt-daemon-system",
  "mariadb-server",
  "memcached",
  "neutron-linuxbridge-agent",
  "neutron-plugin-ml2",
  "neutron-server",
  "nova-api",
  "nova-compute",
  "nova-compute-qemu",
  "nova-conductor",
  "nova-scheduler",
  "placement-api",
  "procps",
  "python3-pymysql",
  "qemu-system-x86",
  "qemu-utils",
  "rabbitmq-server",
  "sudo",
  "uwsgi-core",
  "uwsgi-plugin-python3",
];

/** The name of the host inside, which is also Nova's name of it. */
export const HOST_NAME = "compute1";

/**
 * The first process inside: it lays a folder that may be written to over the root with the packages, and gives it mounts,
 * a loopback device and a name of its own.
 *
 * Arguments: the directory, the control group's name.
 */
const INSIDE = `${FIRST_PROCESS}${SEE_OWN_CONTROL_GROUPS}
mount -t proc proc /proc

root=$directory/root
mkdir "$root" "$directory/upper" "$directory/work" "$directory/temporary"
lower=$(cat "$directory/etc/lower")
mount -t overlay -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
# libvirt's sockets and its guests' process id files are then where the exporter looks for them outside of the root as well.
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --bind "$root/run" /run
echo "127.0.0.1 localhost ${HOST_NAME}" > "$root/etc/hosts"
ip link set lo up

exec unshare --uts --ipc sh -c '
hostname ${HOST_NAME}
echo "ready $1" >&3
exec 3>&-
cat > /dev/null
exit 0
' inside "$process"
`;

/**
 * Returns the folder with the root, and unpacks it at the first call: a download of some 500 MB and 2.3 GB on the disk.
 *
 * @throws {Error} with the reason when it cannot be had
 */
export function ensureRoot(): Promise<string> {
  return ensureDebian({ suite: SUITE, packages: PACKAGES });
}

/** The namespaces with the root in them, in which nothing runs yet. */
export interface Host extends AsyncDisposable {
  /** The root as it is seen in there, though not changed to. */
  readonly root: string;
  /** A folder for temporary files, which goes with the namespaces. */
  readonly temporary: string;
  /** The words before a command that run it in there, but with the files of outside where the root does not cover them. */
  readonly enter: readonly string[];
}

/**
 * Makes the namespaces; whatever runs in them ends with them, as they end with this process.
 *
 * @param lower the folder of {@link ensureRoot}
 * @throws {Error} when the machine does not allow it
 */
export async function startHost(lower: string): Promise<Host> {
  const supervisor: Supervisor = await startSupervisor({ lower }, INSIDE);
  if (!isAlive(supervisor.firstProcess)) throw new Error("The namespaces have ended at once");
  return {
    root: `${supervisor.directory}/root`,
    temporary: `${supervisor.directory}/temporary`,
    enter: [
      "nsenter",
      `--target=${supervisor.firstProcess}`,
      "--mount",
      "--net",
      "--pid",
      "--uts",
      "--ipc",
      "--cgroup",
    ],
    [Symbol.asyncDispose]: () => supervisor.stop(),
  };
}
