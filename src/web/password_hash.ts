/** Compares a password with a bcrypt hash; resolves whatever both hold. */
export type PasswordVerifier = (password: Uint8Array, hash: string) => Promise<boolean>;

interface Addon {
  readonly verifyPassword: PasswordVerifier;
}

/**
 * Compares by the shim, on a thread of its own: at the usual cost of 10 it takes about 60 milliseconds of a processor.
 * See {@linkcode PasswordVerifier}.
 */
export async function verifyPassword(password: Uint8Array, hash: string): Promise<boolean> {
  const module = await import("../libvirt/addon.cjs");
  return await (module.default as Addon).verifyPassword(password, hash);
}
