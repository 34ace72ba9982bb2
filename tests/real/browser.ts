/**
 * A headless Chromium, steered through its DevTools protocol.
 *
 * @module
 */

import { waitUntil } from "./wait_until.ts";

const START_BOUND_MILLISECONDS = 60_000;
const LOAD_BOUND_MILLISECONDS = 30_000;

/** How a page is looked at. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
}

/** A page that has been loaded. */
export interface BrowserPage {
  /** The value of a JavaScript expression, which has to be one that JSON has. */
  evaluate(expression: string): Promise<unknown>;
  /** A picture of it in PNG. */
  screenshot(): Promise<Uint8Array>;
  /** What the browser complained of, such as a violated policy. */
  readonly complaints: readonly string[];
}

/** A running browser. */
export interface Browser extends AsyncDisposable {
  open(url: string, view: View): Promise<BrowserPage>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  // deno-lint-ignore no-explicit-any -- each command has another result
  readonly result?: any;
  readonly error?: { readonly message: string };
}

/** Starts Debian's Chromium with a profile of its own. It reaches no other host than this one. */
export async function startBrowser(): Promise<Browser> {
  const profile = await Deno.makeTempDir();
  const child = new Deno.Command("chromium", {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      `--user-data-dir=${profile}`,
      "--remote-debugging-port=0",
      "about:blank",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.status;
    // Its own processes may still write for a moment.
    await waitUntil(
      "the profile to be removed",
      START_BOUND_MILLISECONDS,
      () => Deno.remove(profile, { recursive: true }).then(() => true, () => undefined),
    );
  };
  try {
    const port = await waitUntil("Chromium to start", START_BOUND_MILLISECONDS, async () => {
      const text = await Deno.readTextFile(`${profile}/DevToolsActivePort`).catch(() => "");
      return text.includes("\n") ? text.split("\n")[0] : undefined;
    });
    return {
      open: (url, view) => openPage(`127.0.0.1:${port}`, url, view),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openPage(host: string, url: string, view: View): Promise<BrowserPage> {
  const response = await fetch(`http://${host}/json/new?about:blank`, { method: "PUT" });
  const { webSocketDebuggerUrl } = await response.json();
  const socket = new WebSocket(webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const waiting = new Map<number, (message: Message) => void>();
  const complaints: string[] = [];
  let isLoaded = false;
  socket.onmessage = ({ data }) => {
    const message: Message = JSON.parse(data);
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    if (message.method === "Page.loadEventFired") isLoaded = true;
    if (message.method === "Log.entryAdded") complaints.push(JSON.stringify(message.params));
  };
  let lastId = 0;
  async function command(method: string, params = {}): Promise<Message["result"]> {
    const id = ++lastId;
    const answer = new Promise<Message>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }
  await command("Page.enable");
  await command("Log.enable");
  await command("Emulation.setDeviceMetricsOverride", {
    width: view.width,
    height: view.height,
    deviceScaleFactor: 1,
    mobile: view.width < 600,
  });
  await command("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: view.scheme }],
  });
  await command("Page.navigate", { url });
  await waitUntil(
    "the page to be loaded",
    LOAD_BOUND_MILLISECONDS,
    () => isLoaded ? true : undefined,
  );
  return {
    complaints,
    async evaluate(expression): Promise<unknown> {
      const { result } = await command("Runtime.evaluate", { expression, returnByValue: true });
      return result.value;
    },
    async screenshot(): Promise<Uint8Array> {
      const { data } = await command("Page.captureScreenshot", { captureBeyondViewport: false });
      return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    },
  };
}
