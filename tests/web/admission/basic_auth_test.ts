import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  Authenticator,
  clientKey,
  type LoginOutcome,
  parseBasicAuth,
} from "../../../src/web/admission/basic_auth.ts";

const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
const USERS = new Map([["alice", HASH]]);
const encode = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

/** Comparisons that a test answers one by one. */
class Comparisons {
  readonly asked: { readonly password: string; readonly hash: string }[] = [];
  readonly #answers: ((isRight: boolean) => void)[] = [];

  readonly verify = (password: Uint8Array, hash: string): Promise<boolean> => {
    this.asked.push({ password: Buffer.from(password).toString(), hash });
    return new Promise((resolve) => this.#answers.push(resolve));
  };

  /** Answers the running comparison, and waits until the next one, if any, has begun. */
  async answer(isRight?: boolean): Promise<void> {
    const last = this.asked.at(-1)?.password;
    assert.equal(this.#answers.length, 1, "one comparison runs at a time");
    this.#answers.shift()?.(isRight ?? last === "right");
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  get running(): number {
    return this.#answers.length;
  }
}

function open(comparisons: Comparisons, queue = { total: 64, perClient: 8 }): Authenticator {
  return new Authenticator({ verifyPassword: comparisons.verify, queue });
}

function check(
  authenticator: Authenticator,
  password: string,
  { user = "alice", client = "a", users = USERS, signal = new AbortController().signal } = {},
): Promise<LoginOutcome> {
  return authenticator.check({ credentials: { user, password }, users, client, signal });
}

Deno.test("Authenticator compares credentials once, whether they are right or wrong", async () => {
  for (const [password, outcome] of [["right", "right"], ["wrong", "wrong"]] as const) {
    const comparisons = new Comparisons();
    const authenticator = open(comparisons);
    const first = check(authenticator, password);
    const alongside = check(authenticator, password);
    await comparisons.answer();
    assert.deepEqual(await Promise.all([first, alongside]), [outcome, outcome]);
    assert.equal(await check(authenticator, password), outcome);
    assert.equal(comparisons.asked.length, 1);
  }
});

Deno.test("Authenticator compares anew when the user's hash has changed", async () => {
  const comparisons = new Comparisons();
  const authenticator = open(comparisons);
  const first = check(authenticator, "right");
  await comparisons.answer();
  await first;
  const users = new Map([["alice", HASH.replace("QOau", "QOav")]]);
  const second = check(authenticator, "right", { users });
  await comparisons.answer(false);
  assert.equal(await second, "wrong");
  const third = check(authenticator, "right", { users: new Map() });
  await comparisons.answer();
  assert.equal(await third, "wrong");
});

Deno.test("Authenticator compares for an unknown user too, at the same cost, and lets it in never", async () => {
  const comparisons = new Comparisons();
  const authenticator = open(comparisons);
  for (const users of [USERS, new Map([["bob", HASH.replace("$10$", "$12$")]])]) {
    const outcome = check(authenticator, "right", { user: "mallory", users });
    await comparisons.answer(true);
    assert.equal(await outcome, "wrong");
    assert.equal(await check(authenticator, "right", { user: "mallory", users }), "wrong");
  }
  assert.deepEqual(comparisons.asked.map(({ hash }) => hash.slice(0, 7)), ["$2y$10$", "$2y$12$"]);
  assert.ok(comparisons.asked.every(({ hash }) => hash.length === HASH.length));
});

Deno.test("Authenticator takes a comparison that fails for a wrong password", async () => {
  const authenticator = new Authenticator({
    verifyPassword: () => Promise.reject(new Error("broken")),
  });
  assert.equal(await check(authenticator, "right"), "wrong");
});

Deno.test("Authenticator knows credentials that were right before while others guess without end", async () => {
  const comparisons = new Comparisons();
  const authenticator = open(comparisons);
  const first = check(authenticator, "right");
  await comparisons.answer();
  await first;
  const guesses = Array.from(
    { length: 1_000 },
    (_, index) => check(authenticator, `guess ${index}`),
  );
  assert.equal(await check(authenticator, "right"), "right");
  assert.equal(comparisons.running, 1);
  const turnedAway = await Promise.all(guesses.map((guess) => Promise.race([guess, "waits"])));
  assert.equal(turnedAway.filter((outcome) => outcome === "busy").length, 1_000 - 9);
});

Deno.test("Authenticator gives a client its turn while another one guesses without end", async () => {
  const comparisons = new Comparisons();
  const authenticator = open(comparisons);
  for (let index = 0; index < 100; index++) check(authenticator, `guess ${index}`);
  const login = check(authenticator, "right", { client: "b" });
  for (let index = 100; index < 200; index++) check(authenticator, `guess ${index}`);
  await comparisons.answer();
  await comparisons.answer();
  await comparisons.answer();
  assert.equal(await login, "right");
});

Deno.test("Authenticator compares credentials first that were told to come again", async () => {
  const comparisons = new Comparisons();
  // One may wait, so of two that come while a comparison runs one is turned away.
  const authenticator = open(comparisons, { total: 2, perClient: 1 });
  check(authenticator, "running");
  check(authenticator, "guess 1");
  let outcome: LoginOutcome | undefined;
  for (let index = 2; outcome !== "busy" && index < 500; index++) {
    check(authenticator, "right").then((result) => outcome = result);
    check(authenticator, `guess ${index}`);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
  assert.equal(outcome, "busy");
  const again = check(authenticator, "right");
  for (let index = 500; index < 600; index++) check(authenticator, `guess ${index}`);
  await comparisons.answer();
  await comparisons.answer();
  assert.equal(await again, "right");
});

Deno.test("Authenticator drops a login whose client has gone", async () => {
  const comparisons = new Comparisons();
  const authenticator = open(comparisons);
  check(authenticator, "running");
  const gone = new AbortController();
  const outcome = check(authenticator, "right", { signal: gone.signal });
  gone.abort();
  assert.equal(await outcome, "busy");
  await comparisons.answer();
  assert.equal(comparisons.running, 0);
});

Deno.test("Authenticator lets go of a login when all its clients have gone, and of none that is being compared", async () => {
  const cases: readonly (readonly [
    isCompared: boolean,
    gone: readonly number[],
    outcomes: readonly LoginOutcome[],
    later: LoginOutcome | "compared",
  ])[] = [
    [false, [0], ["busy", "right"], "right"],
    [false, [1], ["right", "busy"], "right"],
    [false, [0, 1], ["busy", "busy"], "compared"],
    [true, [0], ["busy", "right"], "right"],
    [true, [0, 1], ["busy", "busy"], "right"],
  ];
  for (const [isCompared, gone, outcomes, later] of cases) {
    const comparisons = new Comparisons();
    const authenticator = open(comparisons);
    if (!isCompared) check(authenticator, "running");
    const clients = [new AbortController(), new AbortController()] as const;
    const logins = clients.map(({ signal }) => check(authenticator, "right", { signal }));
    for (const client of gone) {
      clients[client]?.abort();
      assert.equal(await logins[client], "busy");
    }
    while (comparisons.running > 0) await comparisons.answer();
    assert.deepEqual(await Promise.all(logins), outcomes);
    const again = check(authenticator, "right");
    assert.equal(comparisons.running > 0 ? "compared" : await again, later);
  }
});

Deno.test("parseBasicAuth() reads a user and a password with any characters", () => {
  for (
    const [text, user, password] of [
      ["alice:secret", "alice", "secret"],
      ["alice:a:b", "alice", "a:b"],
      [":", "", ""],
      ["ä:ö\u{1f600}", "ä", "ö\u{1f600}"],
    ] as const
  ) {
    assert.deepEqual(parseBasicAuth(encode(text)), { user, password });
  }
  assert.deepEqual(parseBasicAuth("bASIC  YTpi  "), { user: "a", password: "b" });
});

Deno.test("parseBasicAuth() reads nothing from a header of another form", () => {
  for (
    const header of [
      undefined,
      "",
      "Basic",
      "Basic ",
      "Bearer YTpi",
      "Basic YTpi YTpi",
      "Basic ä",
      "Basic YTpix",
      "Basic YTpiYw",
      "Basic YTp=iYw==",
      "Basic YWxpY2U=",
      `${encode("a:b")}, ${encode("a:b")}`,
    ]
  ) assert.equal(parseBasicAuth(header), undefined, String(header));
});

Deno.test("parseBasicAuth() takes a header apart in time that grows with its length only", () => {
  // With the square of it, these would take hours.
  for (const filling of [" ", "A", "= ", "A "]) {
    for (const scheme of ["Basic", "Basic "]) {
      assert.equal(parseBasicAuth(`${scheme}${filling.repeat(3_000_001)}!`), undefined);
    }
  }
});

Deno.test("clientKey() takes what usually is one machine for one client", () => {
  for (
    const [address, key] of [
      ["10.0.0.1", "10.0.0.1"],
      ["::ffff:10.0.0.1", "10.0.0.1"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
      ["2001:db8::6", "2001:db8:0:0"],
      ["fe80::1%eth0", "fe80:0:0:0"],
      ["::1", "0:0:0:0"],
      ["1:2:3:4:5:6:7::", "1:2:3:4"],
      [undefined, "unix"],
    ] as const
  ) assert.equal(clientKey(address), key);
});
