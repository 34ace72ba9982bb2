/**
 * The shell scripts around a private hypervisor. They keep every process of it in namespaces of its own, and make an end of
 * all of them when the tests end, in whatever way they end.
 *
 * The outer script reads its standard input until the tests close it or die. Inside, the first process of a process
 * namespace does the same; when it ends the kernel kills whatever else lives in there: libvirtd, virtlogd, every QEMU,
 * stopped or not. Their mounts, network devices and sockets go with them. What is left for the outer script is to
 * remove the control groups and the temporary directory.
 *
 * @module
 */

/** Where libvirtd writes its process id as seen in its own namespace, below the hypervisor's directory. */
export const LIBVIRTD_PROCESS_FILE = "run/libvirtd.pid";

/** The directories below the hypervisor's own that have to exist before it starts. */
export const DIRECTORIES: readonly string[] = [
  "cache",
  "consoles",
  "disks",
  "etc",
  "lib",
  "log",
  "run/libvirt",
  "sockets",
  "sysfs",
];

const SYSTEM_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH";

/** Prints the mount points of all control group hierarchies. */
const CONTROL_GROUP_MOUNTS = `
control_group_mounts() {
  while read -r _ point type _; do
    case $type in cgroup|cgroup2) printf '%s\\n' "$point";; esac
  done < /proc/self/mounts
}
`;

/**
 * The first process inside. It gives the private hypervisor its own view of what libvirt keeps state in.
 *
 * Arguments: the directory, the control group's name.
 */
const INSIDE = `
set -e
directory=$1 group=$2
${SYSTEM_PATH}
${CONTROL_GROUP_MOUNTS}
# /proc still is the one from outside, so this is the process id that counts there.
read -r process _ < /proc/self/stat

# Without these libvirtd sees network devices that are not in its network namespace.
mount -t sysfs sysfs "$directory/sysfs"
for part in class/net devices/virtual/net; do
  mount --bind "$directory/sysfs/$part" "/sys/$part"
done
umount "$directory/sysfs"

for point in $(control_group_mounts); do
  [ -d "$point/$group" ] || continue
  mount --bind "$point/$group" "$point"
  if [ -e "$point/cgroup.controllers" ]; then
    # A version 2 group cannot both hold processes and hand controllers to the guests' groups.
    # It is there already when this hierarchy is mounted a second time, as in a chroot.
    mkdir -p "$point/daemons"
    echo 0 > "$point/daemons/cgroup.procs"
  fi
done

mount -t proc proc /proc
# All of /run, so that libvirtd finds neither the machine's systemd nor its message bus nor its firewall service there.
mount --bind "$directory/run" /run
for part in lib log cache; do
  mkdir -p "/var/$part/libvirt"
  mount --bind "$directory/$part" "/var/$part/libvirt"
done
mount --bind "$directory/etc" /etc/libvirt
virtlogd -d 3>&-
echo "ready $process" >&3
exec 3>&-
cat > /dev/null
exit 0
`;

/**
 * The outer script. Its first line of output is `ready PROCESS` with the process id of the first process inside, or what went wrong.
 *
 * Arguments: the directory, the control group's name.
 */
export const SUPERVISOR_SCRIPT = `
directory=$1 group=$2
trap '' HUP INT PIPE TERM
${SYSTEM_PATH}
${CONTROL_GROUP_MOUNTS}
exec 3>&1 > "$directory/supervisor.log" 2>&1

# Each group that this makes, or that libvirt will make outside of them, goes on the list of what to remove.
join_control_groups() {
  for point in $(control_group_mounts); do
    mkdir "$point/$group" || continue
    if [ -e "$point/cgroup.controllers" ]; then
      # libvirt passes over a version 2 hierarchy without controllers, and accounts nothing when there is no other.
      if [ -z "$(cat "$point/$group/cgroup.controllers")" ] && ! grep -q cpuacct /proc/self/mounts; then
        rmdir "$point/$group"
        [ -d "$point/machine" ] || echo "$point/machine" >> "$directory/groups"
        continue
      fi
    elif [ -e "$point/cpuset.cpus" ]; then
      cat "$point/cpuset.cpus" > "$point/$group/cpuset.cpus"
      cat "$point/cpuset.mems" > "$point/$group/cpuset.mems"
    fi
    echo "$point/$group" >> "$directory/groups"
    echo 0 > "$point/$group/cgroup.procs"
  done
}

# A group can be removed a moment after the last process in it has ended.
remove_control_groups() {
  while read -r path; do
    attempts=0
    while [ -d "$path" ] && [ "$attempts" -lt 50 ]; do
      find "$path" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
      attempts=$((attempts + 1))
    done
  done < "$directory/groups"
}

(
  join_control_groups
  exec unshare --mount --net --pid --cgroup --fork --kill-child sh -c "$3" inside "$directory" "$group"
)
code=$?
[ "$code" -eq 0 ] || tail -n 20 "$directory/supervisor.log" >&3
remove_control_groups
rm -rf -- "$directory"
exit "$code"
`;

/** The arguments of `sh` that run the supervisor. */
export function supervisorArguments(directory: string, group: string): readonly string[] {
  return ["-c", SUPERVISOR_SCRIPT, "supervisor", directory, group, INSIDE];
}

const START_LIBVIRTD = `
${SYSTEM_PATH}
${CONTROL_GROUP_MOUNTS}
for point in $(control_group_mounts); do
  [ ! -d "$point/daemons" ] || point=$point/daemons
  echo 0 > "$point/cgroup.procs"
done
exec libvirtd --daemon --pid-file "/$1"
`;

/**
 * The arguments of `nsenter` that start libvirtd beside the first process inside. It returns when libvirtd listens.
 *
 * @param firstProcess the process id from outside
 */
export function startLibvirtdArguments(firstProcess: number): readonly string[] {
  return [
    `--target=${firstProcess}`,
    "--root",
    "--mount",
    "--net",
    "--pid",
    "--cgroup",
    "env",
    "--ignore-environment",
    "sh",
    "-c",
    START_LIBVIRTD,
    "libvirtd",
    LIBVIRTD_PROCESS_FILE,
  ];
}
