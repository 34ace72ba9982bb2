import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import {
  type Page,
  rawAnswer,
  type SendOptions,
  sendPage,
  textPage,
} from "../../src/web/answer.ts";

/** The part of a response that sendPage() uses; takes as many writes as it is told to before it stalls. */
interface FakeResponse extends EventEmitter {
  statusCode: number;
  sentHeaders: Record<string, unknown>;
  writes: Uint8Array[];
  writableFinished: boolean;
}

function createResponse(writesBeforeStall: number): FakeResponse & ServerResponse {
  const response = Object.assign(new EventEmitter(), {
    statusCode: 0,
    sentHeaders: {} as Record<string, unknown>,
    writes: [] as Uint8Array[],
    writableFinished: false,
    setHeader: (name: string, value: unknown): void => {
      response.sentHeaders[name] = value;
    },
    write: (piece: Uint8Array): boolean => {
      response.writes.push(piece);
      return response.writes.length < writesBeforeStall;
    },
    end: (piece?: Uint8Array): void => {
      if (piece !== undefined) response.writes.push(piece);
      response.writableFinished = response.writes.length < writesBeforeStall;
    },
  });
  return response as unknown as FakeResponse & ServerResponse;
}

const KIBIBYTE = 1024;
const NEVER_MILLISECONDS = 1_000_000;
const OPTIONS: SendOptions = {
  headersOnly: false,
  close: false,
  signal: new AbortController().signal,
  onStall: () => {},
  stallMilliseconds: NEVER_MILLISECONDS,
  answerMilliseconds: NEVER_MILLISECONDS,
};

function pageOf(...lengths: readonly number[]): Page {
  const chunks = lengths.map((length) => new Uint8Array(length));
  return { status: 200, contentType: "text/plain", chunks };
}

Deno.test("sendPage() sends the headers and the chunks in pieces", async () => {
  const response = createResponse(Infinity);
  const outcome = await sendPage(response, pageOf(1, 0, 130 * KIBIBYTE), OPTIONS);
  assert.equal(outcome, "sent");
  assert.equal(response.statusCode, 200);
  assert.deepEqual(response.sentHeaders, {
    "X-Content-Type-Options": "nosniff",
    "Content-Type": "text/plain",
    "Content-Length": 1 + 130 * KIBIBYTE,
  });
  assert.deepEqual(
    response.writes.map(({ byteLength }) => byteLength),
    [1, 64 * KIBIBYTE, 64 * KIBIBYTE, 2 * KIBIBYTE],
  );
});

Deno.test("sendPage() sends a small page as one piece", async () => {
  const response = createResponse(Infinity);
  assert.equal(await sendPage(response, pageOf(1, 2, 3), OPTIONS), "sent");
  assert.deepEqual(response.writes.map(({ byteLength }) => byteLength), [6]);
});

Deno.test("sendPage() sends the headers only when told to", async () => {
  const response = createResponse(Infinity);
  await sendPage(response, pageOf(5), { ...OPTIONS, headersOnly: true, close: true });
  assert.deepEqual(response.sentHeaders, {
    "X-Content-Type-Options": "nosniff",
    "Content-Type": "text/plain",
    "Content-Length": 5,
    Connection: "close",
  });
  assert.deepEqual(response.writes, []);
});

Deno.test("sendPage() writes the next piece only after the client took the one before", async () => {
  const response = createResponse(1);
  const stalls: boolean[] = [];
  const sending = sendPage(response, pageOf(64 * KIBIBYTE, 2), {
    ...OPTIONS,
    onStall: (stalled) => void stalls.push(stalled),
  });
  assert.deepEqual(response.writes.map(({ byteLength }) => byteLength), [64 * KIBIBYTE]);
  response.emit("drain");
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(response.writes.map(({ byteLength }) => byteLength), [64 * KIBIBYTE, 2]);
  response.emit("finish");
  assert.equal(await sending, "sent");
  assert.deepEqual(stalls, [true, false, true, false]);
  assert.deepEqual(response.eventNames(), []);
});

Deno.test("sendPage() tells when the client has gone", async () => {
  const controller = new AbortController();
  const sending = sendPage(createResponse(1), pageOf(1), { ...OPTIONS, signal: controller.signal });
  controller.abort();
  assert.equal(await sending, "client gone");
  const late = createResponse(1);
  assert.equal(
    await sendPage(late, pageOf(1), { ...OPTIONS, signal: controller.signal }),
    "client gone",
  );
  assert.deepEqual([late.sentHeaders, late.writes], [{}, []]);
});

Deno.test("sendPage() tells when the client is too slow", async (t) => {
  const cases: readonly (readonly [string, Partial<SendOptions>])[] = [
    ["to take a piece", { stallMilliseconds: 1 }],
    ["to take the whole answer", { answerMilliseconds: 1 }],
  ];
  for (const [name, limits] of cases) {
    await t.step(name, async () => {
      const response = createResponse(1);
      const outcome = await sendPage(response, pageOf(64 * KIBIBYTE, 1), {
        ...OPTIONS,
        ...limits,
      });
      assert.equal(outcome, "client too slow");
      assert.equal(response.writes.length, 1);
    });
  }
});

Deno.test("sendPage() throws when the page's headers cannot be sent", async () => {
  const response = createResponse(1);
  response.setHeader = (): never => {
    throw new TypeError("Invalid character");
  };
  await assert.rejects(sendPage(response, pageOf(1), OPTIONS), /Invalid character/);
});

Deno.test("rawAnswer() writes a page as a whole answer that closes the connection", () => {
  assert.equal(
    rawAnswer(textPage(405, "Not é", { Allow: "GET" })),
    "HTTP/1.1 405 Method Not Allowed\r\n" +
      "X-Content-Type-Options: nosniff\r\n" +
      "Content-Type: text/plain; charset=utf-8\r\n" +
      "Content-Length: 7\r\n" +
      "Allow: GET\r\n" +
      "Connection: close\r\n" +
      "\r\n" +
      "Not é\n",
  );
});
