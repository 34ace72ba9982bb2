import { runCommand } from "../testing/command.ts";
import { StepError } from "../testing/progress.ts";
import { ROOT } from "../testing/set_up.ts";

/** Text as Markdown shows code. */
export function code(text: string): string {
  return `\`${text}\``;
}

/** Texts as code, one after the other. */
export function codes(texts: Iterable<string>): string {
  return Array.from(texts, code).join(", ");
}

/** Writes a Markdown table. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(header) + line(header.map(() => "---")) + rows.map(line).join("");
}

/**
 * Puts text between the markers `<!-- name:begin … -->` and `<!-- name:end -->` of a document.
 *
 * @throws {StepError} when one of the markers is missing
 */
export function replacePart(document: string, name: string, text: string): string {
  const begin = new RegExp(`^<!-- ${name}:begin\\b.*-->$`, "m").exec(document);
  const end = `<!-- ${name}:end -->`;
  const from = begin === null ? -1 : begin.index + begin[0].length;
  const to = document.indexOf(`\n${end}\n`, from);
  if (from < 0 || to < 0) {
    throw new StepError(
      `Markers "<!-- ${name}:begin -->" and "${end}" are missing: put them on lines of their own`,
    );
  }
  return `${document.slice(0, from)}\n\n${text.trim()}\n${document.slice(to)}`;
}

/**
 * Formats Markdown as `deno fmt` does, so that its check is content with what is generated.
 *
 * @throws {StepError} when the formatter refuses it
 */
export async function formatMarkdown(text: string): Promise<string> {
  const { code, output, errorOutput } = await runCommand(
    Deno.execPath(),
    ["fmt", "--ext=md", "-"],
    { workingDirectory: ROOT, input: text },
  );
  if (code !== 0) throw new StepError(errorOutput.trimEnd());
  return output;
}
