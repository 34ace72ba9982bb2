/**
 * A headless Chromium, steered through its DevTools protocol.
 *
 * @module
 */

import { BROWSER_PACKAGES, ensureDebianPackages } from "./packages.ts";
import { waitUntil } from "./wait_until.ts";
import { startCommand } from "./command.ts";

const START_BOUND_MILLISECONDS = 60_000;
const LOAD_BOUND_MILLISECONDS = 30_000;

/** How a page is looked at. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
}

/** A page that has been loaded. */
export interface BrowserPage extends AsyncDisposable {
  /** The value of a JavaScript expression, or what its promise gives; it has to be one that JSON has. */
  evaluate(expression: string): Promise<unknown>;
  /** Writes a text into what has the focus. */
  write(text: string): Promise<void>;
  /** Presses a key, such as `Tab`. */
  press(key: Key): Promise<void>;
  /** What a screen reader is told, in its order. */
  accessibleNodes(): Promise<readonly AccessibleNode[]>;
  /** A picture of it in PNG. */
  screenshot(): Promise<Uint8Array>;
  /** What the browser complained of, such as a violated policy. */
  readonly complaints: readonly string[];
}

/** Something that a screen reader is told of. */
export interface AccessibleNode {
  /** Such as `table` or `rowheader`. */
  readonly role: string;
  readonly name: string;
}

/** Keys that can be pressed, with what a browser is told of them. */
const KEYS = {
  Tab: { key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 },
  Enter: { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" },
} as const;

/** See {@linkcode BrowserPage.press}. */
export type Key = keyof typeof KEYS;

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

/**
 * Starts Debian's Chromium with a profile of its own. It reaches no other host than this one.
 *
 * @throws {Error} when Chromium is missing and cannot be installed
 */
export async function startBrowser(): Promise<Browser> {
  const packages = await ensureDebianPackages(BROWSER_PACKAGES);
  if (!packages.available) throw new Error(packages.reason);
  const profile = await Deno.makeTempDir();
  const child = startCommand("chromium", [
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
  ], { stderr: "null" });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.status;
    // Its own processes may still write for a moment.
    await waitUntil(
      "the profile to be removed",
      () => Deno.remove(profile, { recursive: true }).then(() => true, () => undefined),
      START_BOUND_MILLISECONDS,
    );
  };
  try {
    const port = await waitUntil("Chromium to start", async () => {
      const text = await Deno.readTextFile(`${profile}/DevToolsActivePort`).catch(() => "");
      return text.includes("\n") ? text.split("\n")[0] : undefined;
    }, START_BOUND_MILLISECONDS);
    return {
      open: (url, view) => openPage(`127.0.0.1:${port}`, url, view),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Talks the DevTools protocol with one page. */
class DevTools {
  /** What the browser logged about the page. */
  readonly complaints: string[] = [];
  isLoaded = false;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  static async connect(url: string): Promise<DevTools> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    return new DevTools(socket);
  }

  async command(method: string, params = {}): Promise<Message["result"]> {
    const id = ++this.#lastId;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async closePage(): Promise<void> {
    await this.command("Page.close");
    this.#socket.close();
  }

  #receive(message: Message): void {
    if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
    if (message.method === "Page.loadEventFired") this.isLoaded = true;
    if (message.method === "Log.entryAdded") this.complaints.push(JSON.stringify(message.params));
  }
}

async function load(page: DevTools, url: string, view: View): Promise<void> {
  await page.command("Page.enable");
  await page.command("Log.enable");
  await page.command("Emulation.setDeviceMetricsOverride", {
    width: view.width,
    height: view.height,
    deviceScaleFactor: 1,
    mobile: view.width < 600,
  });
  await page.command("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: view.scheme }],
  });
  await page.command("Page.navigate", { url });
  await waitUntil(
    "the page to be loaded",
    () => page.isLoaded ? true : undefined,
    LOAD_BOUND_MILLISECONDS,
  );
}

async function openPage(host: string, url: string, view: View): Promise<BrowserPage> {
  const response = await fetch(`http://${host}/json/new?about:blank`, { method: "PUT" });
  const { webSocketDebuggerUrl } = await response.json();
  const page = await DevTools.connect(webSocketDebuggerUrl);
  await load(page, url, view);
  return {
    complaints: page.complaints,
    async evaluate(expression): Promise<unknown> {
      const { result, exceptionDetails } = await page.command("Runtime.evaluate", {
        expression,
        returnByValue: true,
        awaitPromise: true,
      });
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    },
    [Symbol.asyncDispose]: () => page.closePage(),
    async write(text): Promise<void> {
      await page.command("Input.insertText", { text });
    },
    async press(key): Promise<void> {
      await page.command("Input.dispatchKeyEvent", { type: "keyDown", ...KEYS[key] });
      await page.command("Input.dispatchKeyEvent", { type: "keyUp", ...KEYS[key] });
    },
    async accessibleNodes(): Promise<readonly AccessibleNode[]> {
      const { nodes } = await page.command("Accessibility.getFullAXTree");
      // deno-lint-ignore no-explicit-any -- the browser's own type has much more
      return nodes.filter(({ ignored }: any) => !ignored).map(({ role, name }: any) => ({
        role: role?.value ?? "",
        name: name?.value ?? "",
      }));
    },
    async screenshot(): Promise<Uint8Array> {
      const { data } = await page.command("Page.captureScreenshot", {
        captureBeyondViewport: false,
      });
      return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    },
  };
}
