import assert from "node:assert/strict";
import { explainFailure } from "../src/libvirt/explain.ts";

const SOCKET = "Failed to connect socket to '/nonexistent/libvirt-sock-ro'";

Deno.test("explainFailure() adds what to do to the reasons that operators meet", () => {
  const cases: readonly (readonly [string, string])[] = [
    [
      `${SOCKET}: Permission denied`,
      `${SOCKET}: Permission denied: add the exporter's user to the group "libvirt"`,
    ],
    [
      "Cannot recv data: a@b: Permission denied (publickey,password).: Connection reset by peer",
      "Cannot recv data: a@b: Permission denied (publickey,password).: Connection reset by peer: " +
      "give the exporter's user a key that the host accepts",
    ],
    [
      "access denied by policy",
      'access denied by policy: add the exporter\'s user to the group "libvirt"',
    ],
    [
      `${SOCKET}: No such file or directory`,
      `${SOCKET}: No such file or directory: start libvirtd or virtqemud, or mount its socket into the container`,
    ],
    [
      `${SOCKET}: Connection refused`,
      `${SOCKET}: Connection refused: start libvirtd or virtqemud`,
    ],
    ["something else", "something else"],
    ["first line\nsecond line", "first line"],
    ["", ""],
  ];
  for (const [message, expected] of cases) assert.equal(explainFailure({ message }), expected);
});

Deno.test("explainFailure() names the group that the socket belongs to", () => {
  const group = /^([^:\n]+):[^:\n]*:([1-9]\d*):/m.exec(Deno.readTextFileSync("/etc/group"));
  if (Deno.uid() !== 0 || group === null) return;
  const path = Deno.makeTempFileSync();
  try {
    Deno.chownSync(path, null, Number(group[2]));
    const message = `Failed to connect socket to '${path}': Permission denied`;
    assert.match(explainFailure({ message }), new RegExp(`to the group "${group[1]}"$`));
  } finally {
    Deno.removeSync(path);
  }
});
