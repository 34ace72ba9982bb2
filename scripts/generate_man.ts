/** Writes the man page from the table of flags. */
import { type Flag, FLAG_GROUP_TITLES, type FlagGroup } from "../src/config/flags.ts";

/** What a page tells besides the flags. */
export interface ManPageOptions {
  readonly version: string;
  /** When the page was last changed, as `2026-11-24`. */
  readonly date: string;
}

/** The page of section 1, in the language of man(7). */
export function manPage(flags: readonly Flag[], { version, date }: ManPageOptions): string {
  const groups = (Object.keys(FLAG_GROUP_TITLES) as FlagGroup[])
    .map((group) => flags.filter((flag) => flag.group === group))
    .filter((members) => members.length > 0);
  return `\
.TH LIBVIRT_NOVA_EXPORTER 1 "${date}" "libvirt_nova_exporter ${version}" "User Commands"
.SH NAME
libvirt_nova_exporter \\- Prometheus exporter for the instances of an OpenStack compute host
.SH SYNOPSIS
.B libvirt_nova_exporter
[\\fIflags\\fR]
.SH DESCRIPTION
Asks libvirt about every instance of this host and serves the values as metrics for Prometheus, labelled with the names
that Nova knows the instances and their projects by. It reads only: the connection to libvirt is read\\-only, and the
exporter needs no privileges but the right to use libvirt's read\\-only socket.
.PP
Whatever libvirt does, a page comes within \\fB\\-\\-libvirt.timeout\\fR. What libvirt did not say is left out.
.SH OPTIONS
If a flag is given twice, the last one counts, unless its description says that it may be repeated. Values may also be given as
in \\fB\\-\\-port=9204\\fR. A duration is such as 500ms, 2s or 1m30s; a plain number is seconds. Regular expressions are those
of JavaScript, with the flag u; (?i) at the beginning of one ignores case.
${groups.map(groupSection).join("")}${OPERATION}${EXAMPLES}`;
}

/** What the exporter reads and obeys besides flags, and how it ends. */
const OPERATION = `\
.SH FILES
.TP
.I /etc/default/libvirt_nova_exporter
Flags of the systemd service, as in EXPORTER_FLAGS="\\-\\-port 9204". systemd takes backslashes and quotes out twice, so
write four backslashes for one, and a backslash before each double quote around a value with white space.
.SH SIGNALS
.TP
.B SIGTERM\\fR, \\fBSIGINT
Answer the open requests and end; a second one ends at once.
.TP
.B SIGHUP
Open the log file anew, and read the web configuration file again.
.SH EXIT STATUS
.TP
.B 0
Stopped by a signal; with \\fB\\-\\-once\\fR, libvirt answered.
.TP
.B 1
It could not start, or a second signal ended it; with \\fB\\-\\-once\\fR, libvirt did not answer.
.TP
.B 2
The command line was wrong.
`;

/** The examples, and what to read further. */
const EXAMPLES = `\
.SH EXAMPLES
Serve on port 9204 and log to standard error:
.PP
.RS
.EX
libvirt_nova_exporter \\-\\-port 9204 \\-\\-log \\-
.EE
.RE
.PP
Look at the page once, with the instance of libvirt's built\\-in test driver:
.PP
.RS
.EX
libvirt_nova_exporter \\-\\-once \\-\\-uri test:///default
.EE
.RE
.SH SEE ALSO
.BR virsh (1),
.BR systemd.service (5)
`;

function groupSection(flags: readonly Flag[]): string {
  const [first] = flags;
  const heading = first === undefined ? "" : FLAG_GROUP_TITLES[first.group];
  return `.SS ${escapeRoff(heading)}\n${flags.map(flagEntry).join("")}`;
}

function flagEntry(flag: Flag): string {
  const description = escapeRoff(`${flag.description}.`);
  if ("valueName" in flag) {
    const byDefault = flag.default === undefined
      ? ""
      : `\nDefault: \\fB${escapeRoff(flag.default)}\\fR.`;
    return `.TP\n\\fB${escapeRoff(`--${flag.name}`)}\\fR \\fI${
      escapeRoff(flag.valueName)
    }\\fR\n${description}${byDefault}\n`;
  }
  const names = [
    ...(flag.letter === undefined ? [] : [`-${flag.letter}`]),
    `--${flag.name}`,
    ...(flag.negatable === true ? [`--no-${flag.name}`] : []),
  ].map((name) => `\\fB${escapeRoff(name)}\\fR`);
  const byDefault = flag.negatable === true ? `\nDefault: ${flag.default ? "on" : "off"}.` : "";
  return `.TP\n${names.join(", ")}\n${description}${byDefault}\n`;
}

/** Makes any text roff's: no character of it is a command, and a hyphen can be copied into a shell. */
export function escapeRoff(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  // A line that begins with one of these would be a request.
  return escaped.replaceAll(/^([.'])/gm, "\\&$1");
}
