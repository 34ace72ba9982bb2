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

/** Sets the path that programs of the system are found on. */
const SYSTEM_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH";

/** Defines the function `control_group_mounts`, which prints the mount points of all control group hierarchies. */
const CONTROL_GROUP_MOUNTS = `
control_group_mounts() {
  while read -r _ point type _; do
    case $type in cgroup|cgroup2) printf '%s\\n' "$point";; esac
  done < /proc/self/mounts
}
`;

/** How the first process in namespaces of its own begins; its arguments are the directory and the control group's name. */
export const FIRST_PROCESS = `
set -e
directory=$1 group=$2
${SYSTEM_PATH}
${CONTROL_GROUP_MOUNTS}
# /proc still is the one from outside, so this is the process id that counts there.
read -r process _ < /proc/self/stat
`;

/** Puts the group `$group` in the place of each control group hierarchy, in a mount namespace of its own. */
export const SEE_OWN_CONTROL_GROUPS = `
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
`;

/** The files of the configuration that make a system in a folder the root of the hypervisor, see {@link systemConfiguration}. */
const LOWER = "lower";
const SHARED = "shared";

/**
 * What makes the hypervisor run in a system that lies in a folder, which stays as it is.
 *
 * @param root the folder
 * @param shared folders of this machine that are seen in there at the same places
 */
export function systemConfiguration(
  root: string,
  shared: readonly string[],
): Readonly<Record<string, string>> {
  return { [LOWER]: root, [SHARED]: shared.map((folder) => `${folder}\n`).join("") };
}

/**
 * The first process inside. It gives the private hypervisor its own view of what libvirt keeps state in. Where the
 * configuration names a system in a folder, that becomes the root, under a layer that takes what is written.
 *
 * Arguments: the directory, the control group's name.
 */
const INSIDE = `${FIRST_PROCESS}
# Without these libvirtd sees network devices that are not in its network namespace.
mount -t sysfs sysfs "$directory/sysfs"
for part in class/net devices/virtual/net; do
  mount --bind "$directory/sysfs/$part" "/sys/$part"
done
umount "$directory/sysfs"

${SEE_OWN_CONTROL_GROUPS}

mount -t proc proc /proc
root=
if [ -e "$directory/etc/${LOWER}" ]; then
  root=$directory/root
  mkdir "$root" "$directory/upper" "$directory/work"
  mount -t overlay -o "lowerdir=$(cat "$directory/etc/${LOWER}"),upperdir=$directory/upper,workdir=$directory/work" \
    overlay "$root"
  for folder in /dev /proc /sys; do
    mount --rbind "$folder" "$root$folder"
  done
  while read -r folder; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
  done < "$directory/etc/${SHARED}"
  mkdir -p "$root$directory"
  mount --bind "$directory" "$root$directory"
fi
# All of /run, so that libvirtd finds neither the machine's systemd nor its message bus nor its firewall service there.
mount --bind "$directory/run" "$root/run"
for part in lib log cache; do
  mkdir -p "$root/var/$part/libvirt"
  mount --bind "$directory/$part" "$root/var/$part/libvirt"
done
mount --bind "$directory/etc" "$root/etc/libvirt"
[ -z "$root" ] || cd "$root"
exec \${root:+chroot "$root"} sh -c '
virtlogd -d 3>&-
echo "ready $1" >&3
exec 3>&-
cat > /dev/null
exit 0
' inside "$process"
`;

/**
 * The outer script. Its first line of output is `ready PROCESS` with the process id of the first process inside, or what went wrong.
 *
 * Arguments: the directory, the control group's name.
 */
const SUPERVISOR_SCRIPT = `
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

/**
 * The arguments of `sh` that run the supervisor.
 *
 * @param inside the script of the first process inside, when it is not that of a private hypervisor
 */
export function supervisorArguments(
  directory: string,
  group: string,
  inside: string = INSIDE,
): readonly string[] {
  return ["-c", SUPERVISOR_SCRIPT, "supervisor", directory, group, inside];
}

// A stand-in for a program that libvirt runs has its place before the system's.
const START_LIBVIRTD = `
${SYSTEM_PATH}
${CONTROL_GROUP_MOUNTS}
for point in $(control_group_mounts); do
  [ ! -d "$point/daemons" ] || point=$point/daemons
  echo 0 > "$point/cgroup.procs"
done
PATH=/run/programs:$PATH
[ ! -e "/etc/libvirt/$1.environment" ] || . "/etc/libvirt/$1.environment"
name=$1 process_file=$2
set --
# libvirtd listens to the network only when its command line says so as well.
! grep -q '^listen_tcp = 1$' "/etc/libvirt/$name.conf" || set -- --listen
exec "\${program:-libvirtd}" --daemon --config "/etc/libvirt/$name.conf" --pid-file "/$process_file" "$@"
`;

/** Where a daemon writes its process id as seen in its own namespace, below the hypervisor's directory. */
export function daemonProcessFile(name: string): string {
  return `run/${name}.pid`;
}

/**
 * The arguments of `nsenter` that start libvirtd beside the first process inside, as a daemon of this name: `NAME.conf` in the
 * hypervisor's folder `etc` is its configuration, and `NAME.environment` a script that sets variables for it, where there is
 * one. It returns when the daemon listens.
 *
 * @param firstProcess the process id from outside
 */
export function startDaemonArguments(firstProcess: number, name: string): readonly string[] {
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
    name,
    daemonProcessFile(name),
  ];
}
