import assert from "node:assert/strict";
import { WebServerError } from "../../src/web/listen_address.ts";
import { type ProcessFacts, systemdSockets } from "../../src/service/systemd_socket.ts";

const facts = (
  environment: Readonly<Record<string, string>>,
  targets: Readonly<Record<number, string>> = { 3: "socket:[1]", 4: "socket:[2]", 5: "/dev/null" },
): ProcessFacts => ({
  environment,
  processId: 42,
  target(fileDescriptor): string {
    const target = targets[fileDescriptor];
    if (target === undefined) throw new Error("EBADF");
    return target;
  },
});

Deno.test("systemdSockets() finds the sockets that were passed to this process", () => {
  assert.deepEqual(systemdSockets(facts({ LISTEN_PID: "42", LISTEN_FDS: "2" })), [
    { fileDescriptor: 3 },
    { fileDescriptor: 4 },
  ]);
});

Deno.test("systemdSockets() says what to do when there is none", () => {
  for (
    const environment of [
      {},
      { LISTEN_FDS: "1" },
      { LISTEN_PID: "41", LISTEN_FDS: "1" },
      { LISTEN_PID: "42" },
      { LISTEN_PID: "42", LISTEN_FDS: "0" },
      { LISTEN_PID: "42", LISTEN_FDS: "-1" },
      { LISTEN_PID: "42", LISTEN_FDS: "99" },
    ]
  ) {
    assert.throws(
      () => systemdSockets(facts(environment)),
      (error) =>
        error instanceof WebServerError &&
        /--web\.systemd-socket.*\.socket unit/.test(error.message),
    );
  }
});

Deno.test("systemdSockets() refuses a file descriptor that is no socket or not open", () => {
  for (const count of ["3", "4"]) {
    const environment = { LISTEN_PID: "42", LISTEN_FDS: count };
    assert.throws(() => systemdSockets(facts(environment)), /file descriptor 5 is no socket/);
  }
});
