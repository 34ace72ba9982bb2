import assert from "node:assert/strict";
import { verifyPassword } from "../src/web/password_hash.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Written by Apache's htpasswd, by OpenBSD's way of writing the same, and with characters beyond ASCII. */
const HASHES: readonly (readonly [password: string, hash: string])[] = [
  ["secret", "$2y$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu"],
  ["secret", "$2b$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu"],
  ["secret", "$2a$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu"],
  ["fakepassword", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"],
  ["pässwörd \u{1f511}", "$2y$04$GNihd36rH5tICauhm9LRhOhDXY0CxRHPyJRTb3XOVtVKSJAaE0RHK"],
];

Deno.test("verifyPassword() tells the right password from others", async () => {
  for (const [password, hash] of HASHES) {
    assert.equal(await verifyPassword(bytes(password), hash), true, hash);
    for (const wrong of ["", `${password}x`, password.slice(1)]) {
      assert.equal(await verifyPassword(bytes(wrong), hash), false, `${wrong} ${hash}`);
    }
  }
});

Deno.test("verifyPassword() takes a malformed hash for that of no password", async () => {
  for (
    const hash of [
      "",
      "secret",
      "$2y$04$",
      "$2y$99$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu",
    ]
  ) {
    assert.equal(await verifyPassword(bytes("secret"), hash), false);
  }
});

Deno.test("verifyPassword() leaves the JavaScript thread free", async () => {
  let isOver = false;
  const comparison = verifyPassword(bytes("x"), HASHES[3]?.[1] ?? "").then(() => isOver = true);
  let turns = 0;
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    turns++;
  }
  await comparison;
  assert.ok(turns > 2, String(turns));
});
