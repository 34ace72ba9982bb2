import assert from "node:assert/strict";
import {
  DEFAULT_SOCKET,
  explainTransport,
  EXTERNAL,
  GIVE_KEY,
  OPEN,
  SSH,
} from "./explain_fixture.ts";

const KNOW_HOST_OF_SSH = "enter the host's present key into /etc/ssh/ssh_known_hosts";

const DROP_IN = "let the service start programs with the drop-in for ssh";

Deno.test("explainFailure() gives the last line of what ssh prints, and a remedy for its refusals only", () => {
  const cases: readonly (readonly [printed: string, expected: string])[] = [
    [
      "nova@compute2: Permission denied (publickey,gssapi-keyex,gssapi-with-mic,password).",
      `nova@compute2: Permission denied (publickey,gssapi-keyex,gssapi-with-mic,password).: ${GIVE_KEY}`,
    ],
    [
      'Load key "/var/lib/nova/.ssh/id": Permission denied\r\nnova@compute2: Permission denied (publickey).',
      `nova@compute2: Permission denied (publickey).: ${GIVE_KEY}`,
    ],
    [
      "@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.",
      `Host key verification failed.: ${KNOW_HOST_OF_SSH}`,
    ],
    [
      "Warning: Permanently added 'compute2' to the list of known hosts.\r\nssh: connect to host compute2 port 22: Connection timed out",
      "ssh: connect to host compute2 port 22: Connection timed out",
    ],
    [
      "ssh: connect to host 127.0.0.1 port 1: Connection refused",
      "ssh: connect to host 127.0.0.1 port 1: Connection refused",
    ],
    // Another program, at the other end, whose socket and user are those of that host.
    [
      "nc: unix connect failed: Permission denied\r\nnc: /var/run/libvirt/libvirt-sock-ro: Permission denied",
      "nc: /var/run/libvirt/libvirt-sock-ro: Permission denied",
    ],
    [
      `virt-ssh-helper: cannot connect to '/var/run/libvirt/libvirt-sock-ro': ${DEFAULT_SOCKET}: Permission denied`,
      `virt-ssh-helper: cannot connect to '/var/run/libvirt/libvirt-sock-ro': ${DEFAULT_SOCKET}: Permission denied`,
    ],
    [
      "Permission denied, please try again.\r\nPermission denied, please try again.\r",
      `Permission denied, please try again.: ${GIVE_KEY}`,
    ],
    ["sh: 1: nc: not found", "sh: 1: nc: not found: install nc on the host"],
    [
      "bash: line 1: nc: command not found",
      "bash: line 1: nc: command not found: install nc on the host",
    ],
    ["sh: 1: netcat: not found", "sh: 1: netcat: not found"],
  ];
  for (const [printed, expected] of cases) {
    for (
      const around of [
        (text: string) => `Cannot recv data: ${text}: Connection reset by peer`,
        (text: string) => `End of file while reading data: ${text}: Input/output error`,
      ]
    ) assert.equal(explainTransport(OPEN, around(printed), SSH), expected);
  }
  const noNetcat = "End of file while reading data: sh: 1: nc: not found: Input/output error";
  assert.equal(
    explainTransport(OPEN, noNetcat, `${SSH}?socket=/run/libvirt/libvirt-sock-ro`),
    "sh: 1: nc: not found: install nc on the host, or leave socket= out of the URI",
  );
  assert.equal(
    explainTransport(OPEN, "Cannot write data: Broken pipe", SSH),
    "Cannot write data: Broken pipe",
  );
});

Deno.test("explainFailure() tells of programs that libvirt may not start, and of none of them what is of ssh alone", () => {
  const capabilities = "libvirt:  error : internal error: cannot apply process capabilities -5";
  const cases: readonly (readonly [uri: string, printed: string, expected: string])[] = [
    [SSH, capabilities, `${capabilities}: ${DROP_IN}`],
    [EXTERNAL, capabilities, `${capabilities}: ${DROP_IN}`],
    [EXTERNAL, "starting\nHost key verification failed.", "Host key verification failed."],
    [EXTERNAL, "sh: 1: nc: not found", "sh: 1: nc: not found"],
  ];
  for (const [uri, printed, expected] of cases) {
    const message = `Cannot recv data: ${printed}: Connection reset by peer`;
    assert.equal(explainTransport(OPEN, message, uri), expected);
  }
});
