import assert from "node:assert/strict";
import { explainFailure } from "../../src/libvirt/explain.ts";
import { outputOf } from "../../testing/command.ts";
import { withFolder } from "../../testing/with_folder.ts";
import {
  DEFAULT_SOCKET,
  DENIED,
  explainTransport,
  GIVE_KEY,
  LIBSSH,
  LIBSSH2,
  MISTYPED,
  OPEN,
  SSH,
  SYSTEM,
  TCP,
} from "./explain_fixture.ts";

const SESSION = "qemu:///session";

const MISTYPED_SOCKET = "Failed to connect socket to '/nonexistent/libvirt-sock-ro'";

const STORAGE_SOCKET = "Failed to connect socket to '/var/run/libvirt/virtstoraged-sock'";

const MISSING = "No such file or directory";

const ENTER_LOGIN = "enter authname and password for the daemon's host into libvirt's auth.conf, " +
  "where the exporter's user can read it";

const CORRECT_LOGIN = "correct authname and password of the daemon's host in libvirt's auth.conf";

const READ_LOGIN =
  "if authfile= in the URI or LIBVIRT_AUTH_FILE names a file, let the exporter's user read it";

const INSTALL_MECHANISM =
  "install the SASL mechanism that the daemon offers, such as Debian's package libsasl2-modules";

const KNOW_HOST = "enter the host's present key into the file of known_hosts= in the URI";

const CHANGED_HOST =
  "!!! SSH HOST KEY VERIFICATION FAILED !!!: Identity of host 'compute2:22' differs from stored identity.";

const RESTART_CONTAINER = "or restart the container if it has an old socket mounted";

const POOLS = "virConnectListAllStoragePools";

// Each message, code and origin is one that libvirt 9.0 gave.
const FAILURES: readonly (readonly [
  uri: string,
  call: string,
  origin: number,
  code: number,
  message: string,
  remedy: string | undefined,
])[] = [
  [
    SYSTEM,
    OPEN,
    7,
    38,
    `${DEFAULT_SOCKET}: ${MISSING}`,
    "start libvirtd or virtqemud, or mount its socket into the container",
  ],
  [
    SYSTEM,
    OPEN,
    7,
    38,
    `${DEFAULT_SOCKET}: Connection refused`,
    `start libvirtd or virtqemud, ${RESTART_CONTAINER}`,
  ],
  [
    "xen:///system",
    OPEN,
    7,
    38,
    `${DEFAULT_SOCKET}: Connection refused`,
    `start libvirtd, ${RESTART_CONTAINER}`,
  ],
  [
    SYSTEM,
    OPEN,
    7,
    38,
    "Failed to connect socket to '/var/run/libvirt/virtqemud-sock-ro': " +
    "Connection refused",
    `start virtqemud, ${RESTART_CONTAINER}`,
  ],
  [
    MISTYPED,
    OPEN,
    7,
    38,
    `${MISTYPED_SOCKET}: ${MISSING}`,
    'correct the path after "socket=" in the URI, or start the daemon that listens there',
  ],
  [
    MISTYPED,
    OPEN,
    7,
    38,
    `${MISTYPED_SOCKET}: Connection refused`,
    "start the daemon that listens there",
  ],
  // Whose group would help cannot be seen.
  [MISTYPED, OPEN, 7, 38, `${MISTYPED_SOCKET}: ${DENIED}`, undefined],
  // A daemon on the way misses another one.
  [SYSTEM, POOLS, 7, 38, `${STORAGE_SOCKET}: ${MISSING}`, "start virtstoraged"],
  [SYSTEM, POOLS, 7, 38, `${STORAGE_SOCKET}: Connection refused`, "start virtstoraged"],
  [SYSTEM, POOLS, 7, 38, `${STORAGE_SOCKET}: ${DENIED}`, undefined],
  [MISTYPED, OPEN, 7, 38, `${STORAGE_SOCKET}: ${MISSING}`, "start virtstoraged"],
  [SYSTEM, POOLS, 7, 38, `${DEFAULT_SOCKET}: ${MISSING}`, undefined],
  // The same words, of another part of libvirt or about something else.
  [
    SYSTEM,
    "virStoragePoolListAllVolumes",
    18,
    38,
    `cannot open path '/mnt/images': ${DENIED}`,
    undefined,
  ],
  [SYSTEM, OPEN, 10, 38, `${DEFAULT_SOCKET}: ${MISSING}`, undefined],
  [SYSTEM, OPEN, 7, 1, `${DEFAULT_SOCKET}: ${MISSING}`, undefined],
  [
    "test:///private.xml",
    OPEN,
    0,
    0,
    `cannot read the test driver's file "/private.xml": ` +
    `${DENIED}: name another file in --uri`,
    undefined,
  ],
  ["test:///default", POOLS, 7, 38, `${DEFAULT_SOCKET}: ${MISSING}`, undefined],
  [
    "qemu+tcp://127.0.0.1:1/system",
    OPEN,
    7,
    38,
    "unable to connect to server at '127.0.0.1:1': Connection refused",
    undefined,
  ],
  [
    "qemu://host/system",
    OPEN,
    7,
    38,
    `Cannot read CA certificate '/etc/pki/CA/cacert.pem': ${DENIED}`,
    undefined,
  ],
  ["alias", OPEN, 7, 38, `${DEFAULT_SOCKET}: ${MISSING}`, undefined],
  // A session of an operator's own user, with or without a home.
  [
    SESSION,
    OPEN,
    7,
    38,
    `Cannot create user runtime directory '/run/user/7/libvirt': ${DENIED}`,
    'use "qemu:///system", which has Nova\'s instances',
  ],
  [
    SESSION,
    OPEN,
    7,
    38,
    `${DEFAULT_SOCKET}: ${MISSING}`,
    'use "qemu:///system", which has Nova\'s instances',
  ],
  [SESSION, POOLS, 18, 38, `cannot open path '/mnt/images': ${DENIED}`, undefined],
  // The rules of polkit, and those of libvirt itself.
  [
    SYSTEM,
    OPEN,
    60,
    45,
    "authentication failed: access denied by policy",
    'let a rule of polkit allow "org.libvirt.unix.monitor" to the exporter\'s user',
  ],
  [
    SYSTEM,
    OPEN,
    60,
    94,
    "authentication unavailable: no polkit agent available to authenticate " +
    "action 'org.libvirt.unix.monitor'",
    'let a rule of polkit allow "org.libvirt.unix.monitor" to the exporter\'s user',
  ],
  [SSH, OPEN, 60, 45, "authentication failed: access denied by policy", undefined],
  [
    SYSTEM,
    OPEN,
    55,
    88,
    "access denied: 'QEMU' denied access",
    "let the rules of libvirt's \"access_drivers\" allow it to the exporter's user",
  ],
  [
    SYSTEM,
    "virConnectGetAllDomainStats",
    55,
    88,
    "access denied: 'QEMU' denied access",
    "let the rules of libvirt's \"access_drivers\" allow it to the exporter's user",
  ],
  [
    "qemu+foo:///system",
    OPEN,
    13,
    8,
    "invalid argument: remote_open: transport in URL not " +
    "recognised (should be tls|unix|ssh|ext|tcp|libssh2|libssh)",
    undefined,
  ],
  // A login that a daemon asks for.
  [TCP, OPEN, 13, 45, "authentication failed: Failed to collect auth credentials", ENTER_LOGIN],
  [
    SYSTEM,
    OPEN,
    13,
    45,
    "authentication failed: Failed to collect auth credentials",
    ENTER_LOGIN,
  ],
  [SSH, OPEN, 13, 45, "authentication failed: Failed to collect auth credentials", ENTER_LOGIN],
  [TCP, OPEN, 7, 45, "authentication failed: authentication failed", CORRECT_LOGIN],
  [SYSTEM, OPEN, 7, 45, "authentication failed: authentication failed", CORRECT_LOGIN],
  [LIBSSH, OPEN, 7, 45, "authentication failed: authentication failed", CORRECT_LOGIN],
  [
    TCP,
    OPEN,
    7,
    45,
    "authentication failed: Failed to start SASL negotiation: -4 (SASL(-4): no mechanism available: No worthy mechs found)",
    INSTALL_MECHANISM,
  ],
  [SYSTEM, OPEN, 0, 1, "An error occurred, but the cause is unknown", READ_LOGIN],
  // The same words, of another part of libvirt, of another call, or without such a login.
  [TCP, OPEN, 7, 45, "authentication failed: Failed to collect auth credentials", undefined],
  [TCP, OPEN, 13, 45, "authentication failed: authentication failed", undefined],
  [
    TCP,
    OPEN,
    7,
    38,
    "authentication failed: Failed to start SASL negotiation: -4 (SASL(-4): no mechanism available: No worthy mechs found)",
    undefined,
  ],
  [TCP, POOLS, 7, 45, "authentication failed: authentication failed", undefined],
  [SYSTEM, POOLS, 0, 1, "An error occurred, but the cause is unknown", undefined],
  ["test:///default", OPEN, 0, 1, "An error occurred, but the cause is unknown", undefined],
  [
    TCP,
    OPEN,
    13,
    45,
    "authentication failed: SASL mechanism gssapi not supported by server",
    undefined,
  ],
  [
    TCP,
    OPEN,
    7,
    45,
    "authentication failed: Failed to start SASL negotiation: -1 (SASL(-1): generic failure)",
    undefined,
  ],
  // libvirt's own clients for ssh.
  [
    LIBSSH,
    OPEN,
    66,
    98,
    "libssh transport error: failed to authenticate: Access denied for 'publickey'. Authentication that can continue: publickey,password",
    GIVE_KEY,
  ],
  [
    LIBSSH,
    OPEN,
    66,
    45,
    "authentication failed: error while reading private key '/etc/key'",
    GIVE_KEY,
  ],
  [
    LIBSSH2,
    OPEN,
    50,
    45,
    "authentication failed: authentication with private key '/etc/key' has failed: Username/PublicKey combination invalid",
    GIVE_KEY,
  ],
  [
    "qemu+libssh2://nova@compute2/system",
    OPEN,
    46,
    45,
    "authentication failed: Password request failed",
    GIVE_KEY,
  ],
  [
    LIBSSH,
    OPEN,
    66,
    98,
    "libssh transport error: no suitable callback for host key verification",
    KNOW_HOST,
  ],
  [
    LIBSSH2,
    OPEN,
    50,
    85,
    "SSH transport error: no suitable callback for host key verification",
    KNOW_HOST,
  ],
  [LIBSSH, OPEN, 66, 45, `authentication failed: ${CHANGED_HOST}`, KNOW_HOST],
  [LIBSSH2, OPEN, 50, 45, `authentication failed: ${CHANGED_HOST}`, KNOW_HOST],
  [
    LIBSSH,
    OPEN,
    66,
    98,
    "libssh transport error: Remote command terminated with non-zero code: 1",
    undefined,
  ],
  [LIBSSH2, OPEN, 50, 85, "SSH transport error: Failed to connect to ssh agent", undefined],
  [
    LIBSSH,
    OPEN,
    7,
    38,
    "unable to connect to server at 'compute2:22': Connection refused",
    undefined,
  ],
  ["esx://compute2/", OPEN, 46, 45, "authentication failed: Password request failed", undefined],
];

Deno.test("explainFailure() says what to do about the failures that operators meet, and nothing where that is not sure", () => {
  for (const [uri, call, origin, code, message, remedy] of FAILURES) {
    const expected = remedy === undefined ? message : `${message}: ${remedy}`;
    assert.equal(explainFailure({ call, origin, code, message }, uri), expected);
  }
});

Deno.test("explainFailure() names no group that the exporter has already", async () => {
  // Only root may give a file and a process any group.
  if (Deno.uid() !== 0) return;
  const gid = 4_000_000_000;
  const cases: readonly (readonly [flags: readonly string[], remedy: string])[] = [
    [["--clear-groups"], `: add the exporter's user to the group ${gid}`],
    [["--groups", `${gid / 10}`], `: add the exporter's user to the group ${gid}`],
    [["--clear-groups", "--regid", `${gid}`], ""],
    [["--groups", `7,${gid},8`], ""],
  ];
  await withFolder(async (folder) => {
    const path = `${folder}/libvirt-sock-ro`;
    Deno.writeTextFileSync(path, "");
    Deno.chownSync(path, null, gid);
    Deno.chmodSync(path, 0o770);
    const message = `Failed to connect socket to '${path}': ${DENIED}`;
    const failure = JSON.stringify({ call: OPEN, origin: 7, code: 38, message });
    const script = `
      import { explainFailure } from "${new URL("../../src/libvirt/explain.ts", import.meta.url)}";
      console.log(explainFailure(${failure}, "${SYSTEM}"));
    `;
    for (const [flags, remedy] of cases) {
      const command = [Deno.execPath(), "eval", script];
      assert.equal(await outputOf("setpriv", [...flags, ...command]), `${message}${remedy}\n`);
    }
  });
});

Deno.test("explainFailure() gives the first line of everything else", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["first line\nsecond line", "first line"],
    ["first line\r\nsecond line", "first line"],
    ["", ""],
  ];
  for (const [message, expected] of cases) {
    assert.equal(explainTransport(OPEN, message, SYSTEM), expected);
  }
});
