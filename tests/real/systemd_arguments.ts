/**
 * What a real systemd makes of an environment file: the arguments that the service's command gets.
 *
 * @module
 */

import { ROOT } from "../../testing/set_up.ts";
import { createTestFolder } from "../../testing/executable.ts";
import { outputOf } from "../../testing/command.ts";

/**
 * Starts a systemd for services of a user, in namespaces and with control groups of its own, has it start services, and ends
 * it. The control groups are a hierarchy that exists for this alone, and goes with the last group in it.
 */
const SCRIPT = `set -e
wait_for() {
  n=0
  until "$@" 2> "$home/reason"; do
    n=$((n + 1))
    [ $n -lt 200 ] || { echo "Waited in vain for: $*" >&2; cat "$home/reason" "$home/log" >&2; exit 1; }
    sleep 0.05
  done
}
home=$1
hierarchy=$2
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir -p /run/systemd/system /run/user /sys/fs/cgroup/systemd
groups() { mount -t cgroup -o "none,name=$hierarchy" cgroup /sys/fs/cgroup/systemd; }
groups
export HOME="$1" XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME="$1/config"
/lib/systemd/systemd --user --unit=basic.target > "$1/log" 2>&1 &
manager=$!
wait_for test -S /run/user/systemd/private
shift 2
systemctl --user start "$@" || { systemctl --user status "$@"; exit 1; }
kill $manager
wait $manager || true
# The manager has put this shell there, too.
echo $$ > /sys/fs/cgroup/systemd/cgroup.procs
wait_for rmdir /sys/fs/cgroup/systemd/init.scope
umount /sys/fs/cgroup/systemd
# The kernel had not quite forgotten the group then, so the hierarchy goes when it is unmounted once more.
is_gone() { grep -q "name=$hierarchy:" /proc/self/cgroup || return 0; groups; sleep 0.5; umount /sys/fs/cgroup/systemd; return 1; }
wait_for is_gone
`;

/**
 * Hands the shipped unit's command line to systemd with each of some environment files, and tells what systemd starts.
 *
 * @param environmentFiles texts of `/etc/default/libvirt_nova_exporter`
 * @returns for each of them the arguments after those that the unit itself gives
 */
export async function systemdArguments(
  environmentFiles: readonly string[],
): Promise<readonly (readonly string[])[]> {
  await using folder = await createTestFolder();
  const units = `${folder.path}/config/systemd/user`;
  await Deno.mkdir(units, { recursive: true });
  await Deno.writeTextFile(`${units}/basic.target`, "[Unit]\nDescription=All that is started\n");
  const recorder = await folder.write(
    "recorder",
    `#!/bin/sh\nprintf '%s\\0' "$@" > "$RECORD"\n`,
  );
  await Deno.chmod(recorder, 0o755);
  const unit = await Deno.readTextFile(`${ROOT}/contrib/systemd/libvirt_nova_exporter.service`);
  const line = (name: string): string =>
    new RegExp(`^${name}=.*$`, "m").exec(unit)?.[0] ?? `# no ${name}`;
  const names = await Promise.all(environmentFiles.map(async (text, index) => {
    const environment = await folder.write(`environment-${index}`, text);
    const service = [
      "[Service]",
      "Type=oneshot",
      `Environment=RECORD=${folder.path}/arguments-${index}`,
      line("Environment"),
      line("EnvironmentFile").replace("/etc/default/libvirt_nova_exporter", environment),
      line("ExecStart").replace("/usr/local/bin/libvirt_nova_exporter", recorder),
    ];
    await Deno.writeTextFile(`${units}/flags-${index}.service`, `${service.join("\n")}\n`);
    return `flags-${index}.service`;
  }));
  await outputOf("unshare", [
    ...["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", SCRIPT, "sh"],
    ...[folder.path, `flags-${crypto.randomUUID()}`, ...names],
  ]);
  return await Promise.all(names.map(async (_, index) => {
    const given = (await folder.read(`arguments-${index}`)).split("\0").slice(0, -1);
    return given.slice(2);
  }));
}
