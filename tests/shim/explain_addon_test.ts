import assert from "node:assert/strict";
import { explainAddon, explainLibrary, UnpackingError } from "../../src/shim/explain_addon.ts";
import { ForeignPathError } from "../../src/shim/unpacked_addon.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: some reason, open '/proc/self/fd/7/shim.node'`), {
    code,
  });
}

Deno.test("explainAddon() says in one line what to do about a temporary directory", () => {
  const cases: readonly (readonly [cause: unknown, remedy: RegExp])[] = [
    [
      systemError("ENOSPC"),
      /: free 2 MB there, or set TMPDIR to a directory with room$/,
    ],
    [systemError("EDQUOT"), /: free 2 MB of the user's quota/],
    [systemError("EFBIG"), /: raise the limit of file sizes to 2 MB \(ulimit -f, or LimitFSIZE=/],
    [systemError("EROFS"), /: set TMPDIR to a directory that is not read-only$/],
    [systemError("ENOENT"), /: make that directory, or set TMPDIR to one that exists$/],
    [systemError("ENOTDIR"), /: set TMPDIR to a directory$/],
    [systemError("EACCES"), /: set TMPDIR to a directory that the exporter's user may write to$/],
    [systemError("EPERM"), /: set TMPDIR to a directory that the exporter's user may write to$/],
    [
      new ForeignPathError("/tmp/x"),
      /"\/tmp\/x" .*: remove it, or set TMPDIR to another directory$/,
    ],
    [
      new Error("/proc/self/fd/7: failed to map segment from shared object\nat a place"),
      /\(failed to map .*\): set TMPDIR to a directory that is not mounted noexec$/,
    ],
    [
      new Error("Error loading shared library /proc/self/fd/7: Operation not permitted"),
      /\(Error loading shared library: Operation not permitted\): set TMPDIR to .* not mounted noexec$/,
    ],
    // A name of a directory is no word of the loader.
    [new Error("EIO: '/tmp/libc.so.6'"), /: set TMPDIR to a directory that the shim can be/],
    [systemError("EIO"), /\(EIO: .*\): set TMPDIR to a directory that the shim can be/],
  ];
  for (const [cause, remedy] of cases) {
    const line = explainAddon(new UnpackingError("/tmp", cause));
    assert.match(
      line,
      /^Cannot load the libvirt shim from the temporary directory "\/tmp" \([^\n]+$/,
    );
    assert.match(line, remedy);
    assert.doesNotMatch(line, /proc\/self/);
  }
});

Deno.test("explainAddon() says in one line what to do about a shim that is not for this system", () => {
  const damaged =
    /: it was built for another system or is damaged: build the exporter for this one$/;
  const cases: readonly (readonly [said: string, remedy: RegExp])[] = [
    ["Cannot find module './x.node'", /: it is not built, run "npm run build:native"$/],
    [
      "/lib/libc.so.6: version `GLIBC_2.34' not found (required by /proc/self/fd/7)",
      /: this system has glibc 2\.31, and the shim needs 2\.34: take an executable that "npm run build" has/,
    ],
    [
      "libgcc_s.so.1: cannot open shared object file: No such file or directory",
      /: install "libgcc-s1" \(Debian.*"libgcc" \(RHEL.*Alpine\)$/,
    ],
    [
      "Error loading shared library libgcc_s.so.1: No such file or directory (needed by x)",
      /: install "libgcc-s1"/,
    ],
    ["/proc/self/fd/7: wrong ELF class: ELFCLASS32", damaged],
    ["/proc/self/fd/7: invalid ELF header", damaged],
    ["/proc/self/fd/7: file too short", damaged],
    ["Error loading shared library /proc/self/fd/7: Exec format error", damaged],
    ["Error loading shared library ld-linux-x86-64.so.2: No such file or directory", damaged],
    ["libc.musl-x86_64.so.1: cannot open shared object file", damaged],
    ["Error relocating /proc/self/fd/7: gnu_get_libc_version: symbol not found", damaged],
  ];
  for (const [said, remedy] of cases) {
    const line = explainAddon(new Error(`${said}\n    at some place`), "2.31");
    assert.match(line, /^Cannot load the libvirt shim \([^\n]+$/);
    assert.match(line, remedy);
    assert.doesNotMatch(line, /proc\/self/);
  }
});

Deno.test("explainAddon() repeats what it knows no remedy for", () => {
  assert.equal(
    explainAddon(new Error("something new")),
    "Cannot load the libvirt shim (something new)",
  );
});

Deno.test("explainAddon() does without the version of glibc where nothing tells it", () => {
  const line = explainAddon(new Error("libc.so.6: version `GLIBC_2.34' not found"));
  assert.match(line, /: this system has an older glibc, and the shim needs 2\.34: /);
});

Deno.test("explainAddon() shows no line feed and no control character of a directory's name", () => {
  const cause = Object.assign(new Error("ENOENT: mkdir '/tmp/a\nb'"), { code: "ENOENT" });
  const line = explainAddon(new UnpackingError("/tmp/a\nb\x1b[1m", cause));
  assert.doesNotMatch(line, /\p{C}/u);
  assert.match(
    line,
    /"\/tmp\/a\\nb\\u001b\[1m" \(ENOENT: mkdir '\/tmp\/a b'\): make that directory/,
  );
});

Deno.test("explainLibrary() says what to do about a client library that is not there, or not for this system", () => {
  const [libvirt, damaged] = [
    /: install "libvirt0" \(Debian/,
    /: it is damaged or for another system: /,
  ];
  const cases: readonly (readonly [said: string, remedy: RegExp])[] = [
    ["libvirt.so.0: cannot open shared object file: No such file or directory", libvirt],
    ["Error loading shared library libvirt.so.0: No such file or directory", libvirt],
    [
      "libdep13.so: cannot open shared object file: No such file or directory",
      /: install the package that has libdep13\.so$/,
    ],
    [
      "Error loading shared library libxml2.so.2: No such file or directory (needed by /lib/libvirt.so.0)",
      /: install the package that has libxml2\.so\.2$/,
    ],
    ["/lib/libc.so.6: version `GLIBC_9.2.5' not found (required by /a/libvirt.so.0)", damaged],
    ["/a/libvirt.so.0: file too short", damaged],
    ["/a/libvirt.so.0: undefined symbol: virTypedParamsClear", damaged],
    ["virInitialize failed", /^Cannot start libvirt's client library: virInitialize failed$/],
  ];
  for (const [said, remedy] of cases) assert.match(explainLibrary(new Error(said)), remedy);
});
