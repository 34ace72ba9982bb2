import assert from "node:assert/strict";
import { outputOf } from "../../testing/command.ts";
import { createTestFolder } from "../../testing/executable.ts";
import { StepError } from "../../testing/progress.ts";
import { checksums, packagedUnit, sourceDateEpoch } from "../../scripts/package.ts";

Deno.test("checksums() writes what sha256sum reads, in the order of the names", async () => {
  await using folder = await createTestFolder();
  const files = [await folder.write("b", "two\n"), await folder.write("a", "one\n")];
  await folder.write("SHA256SUMS", await checksums(files));
  const output = await outputOf("sha256sum", ["--check", "--strict", "SHA256SUMS"], {
    workingDirectory: folder.path,
  });
  assert.equal(output, "a: OK\nb: OK\n");
});

Deno.test("packagedUnit() points to /usr/bin and leaves out how to install it by hand", () => {
  const unit = "# Install it\n# by hand\n\n[Service]\n# Why\nExecStart=/usr/local/bin/x --log -\n";
  assert.equal(packagedUnit(unit), "[Service]\n# Why\nExecStart=/usr/bin/x --log -\n");
});

Deno.test("sourceDateEpoch() takes the variable, and refuses what is no number", async () => {
  const before = Deno.env.get("SOURCE_DATE_EPOCH");
  try {
    Deno.env.set("SOURCE_DATE_EPOCH", "1700000000");
    assert.equal(await sourceDateEpoch(), 1_700_000_000);
    for (const wrong of ["yesterday", "-1", "1.5", "99999999999"]) {
      Deno.env.set("SOURCE_DATE_EPOCH", wrong);
      await assert.rejects(sourceDateEpoch(), (error) => {
        assert.ok(error instanceof StepError);
        assert.ok(error.message.includes(`"${wrong}"`) && error.message.includes("1970"));
        return true;
      });
    }
    Deno.env.delete("SOURCE_DATE_EPOCH");
    const epoch = await sourceDateEpoch();
    assert.ok(Number.isInteger(epoch) && epoch > 1_600_000_000);
  } finally {
    if (before === undefined) Deno.env.delete("SOURCE_DATE_EPOCH");
    else Deno.env.set("SOURCE_DATE_EPOCH", before);
  }
});
