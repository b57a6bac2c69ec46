import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { limited } from "../src/callOptions.js";
import { abandonedError, errorFrom } from "../src/errors.js";
import { createHandle } from "../src/handle.js";
import { createHttp, type Http } from "../src/http.js";
import { ActorError, createClient } from "../src/index.js";
import { byteLength } from "../src/limits.js";
import { createSocket } from "../src/socket.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

type Answer = { status?: number; body?: unknown; text?: string } | Error;

let requests: Array<{ method: string; url: string; body: unknown }>;
let answers: Answer[];

/** A fetch that takes its responses from a list; the last one is used for all further requests. */
const fakeFetch = (async (url: string, init: RequestInit) => {
  requests.push({ method: init.method ?? "GET", url, body: init.body && JSON.parse(init.body as string) });
  const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
  if (answer instanceof Error) throw answer;
  if (answer.status === 0) {
    return new Promise((_, reject) => init.signal!.addEventListener("abort", () => reject(init.signal!.reason)));
  }
  return new Response(answer.text ?? JSON.stringify(answer.body), { status: answer.status ?? 200 });
}) as typeof fetch;

beforeEach(() => {
  vi.useFakeTimers();
  requests = [];
  answers = [{ body: { result: 42 } }];
});
afterEach(() => vi.useRealTimers());

const client = createClient("http://troupe.test/base/", { fetch: fakeFetch });
const rooms = client["chatRoom"]!;
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail("resolved"),
    (error: ActorError) => error,
  );

describe("a handle", () => {
  it("sends nothing until it is used", () => {
    rooms.getOrCreate("a").withOptions({});
    rooms.create("a", 1);
    expect(requests).toEqual([]);
  });

  it("calls actions over HTTP", async () => {
    expect(await rooms.getOrCreate(["a b", "ü"])["sendMessage"]!("ada", "hello")).toBe(42);
    answers = [{ body: {} }];
    expect(await rooms.get("x").call("weird/name")).toBeUndefined();
    await rooms.getForId("id=1")["hello"]!();
    expect(requests).toEqual([
      {
        method: "POST",
        url: "http://troupe.test/base/api/actors/chatRoom/actions/sendMessage?key=a+b&key=%C3%BC",
        body: { args: ["ada", "hello"] },
      },
      {
        method: "POST",
        url: "http://troupe.test/base/api/actors/chatRoom/actions/weird%2Fname?key=x&create=false",
        body: { args: [] },
      },
      {
        method: "POST",
        url: "http://troupe.test/base/api/actors/chatRoom/actions/hello?id=id%3D1",
        body: { args: [] },
      },
    ]);
  });

  it("rejects with the action's error", async () => {
    answers = [{ status: 400, body: { code: "empty_message", message: "a message needs a text", metadata: [1] } }];
    expect(await failure(rooms.get("x")["say"]!())).toMatchObject({
      code: "empty_message",
      message: "a message needs a text",
      metadata: [1],
    });
  });

  it("rejects with the server's timeout when the action timed out there", async () => {
    answers = [{ status: 504, body: { code: "timeout", message: "the action took too long" } }];
    expect(await failure(rooms.get("x")["say"]!())).toMatchObject({
      code: "timeout",
      message: "the action took too long",
    });
  });

  it("rejects with maybe_ran if there is no response, and does not repeat the call", async () => {
    answers = [new TypeError("fetch failed")];
    expect(await failure(rooms.get("x")["say"]!())).toMatchObject({ code: "maybe_ran", metadata: { reason: "link" } });
    answers = [{ status: 502, text: "<html>bad gateway</html>" }];
    expect((await failure(rooms.get("x")["say"]!())).code).toBe("maybe_ran");
    expect(requests).toHaveLength(2);
  });

  it("rejects a call without a response after its time-out", async () => {
    answers = [{ status: 0 }];
    void rooms.get("x").withOptions({ timeoutMs: Infinity })["say"]!().then(expect.fail, expect.fail);
    const slow = failure(rooms.get("x")["say"]!());
    const quick = failure(rooms.get("x").withOptions({ timeoutMs: 1000 })["say"]!());
    await vi.advanceTimersByTimeAsync(1000);
    expect(await quick).toMatchObject({ code: "maybe_ran", metadata: { reason: "timeout" } });
    await vi.advanceTimersByTimeAsync(59_000);
    expect(await slow).toMatchObject({ code: "maybe_ran", metadata: { reason: "timeout" } });
  });

  it("can be aborted, before and after it was sent", async () => {
    answers = [{ status: 0 }];
    const abort = new AbortController();
    const view = rooms.get("x").withOptions({ signal: abort.signal });
    const sent = failure(view["say"]!());
    await vi.advanceTimersByTimeAsync(0);
    abort.abort(new Error("enough"));
    expect(await sent).toMatchObject({ code: "maybe_ran", metadata: { reason: "aborted" } });
    expect(await failure(view["say"]!())).toMatchObject({ code: "not_sent", metadata: { reason: "aborted" } });
    expect(requests).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("without a key names the actor that has none", async () => {
    answers = [{ body: { result: 1 } }];
    await rooms.getOrCreate()["hello"]!();
    await rooms.get()["hello"]!();
    await rooms.getOrCreate([])["hello"]!();
    answers = [{ body: { id: "abc" } }];
    await rooms.create();
    expect(requests.map(({ url, body }) => [url.replace(/.*actors/, ""), body])).toEqual([
      ["/chatRoom/actions/hello?key", { args: [] }],
      ["/chatRoom/actions/hello?key&create=false", { args: [] }],
      ["/chatRoom/actions/hello?key", { args: [] }],
      ["/chatRoom", { key: [] }],
    ]);
  });

  it("of create tells at the first await whether the actor exists", async () => {
    answers = [{ body: { id: "abc" } }, { body: { result: 1 } }];
    const handle = await rooms.create("new", { input: 7 });
    expect(requests.map((r) => r.body)).toEqual([{ key: ["new"], input: 7 }]);
    expect(await handle).toBe(handle); // a plain one, which awaiting does not create again
    expect(await handle["hello"]!()).toBe(1);
    answers = [{ status: 409, body: { code: "exists", message: "there is one" } }];
    const taken = (await failure(Promise.resolve(rooms.create("old")))) as ActorError;
    expect(taken.code).toBe("exists");
    expect(requests).toHaveLength(3);
  });

  it("takes the input in the same form for create and getOrCreate; create takes the older one, too", async () => {
    answers = [{ body: { id: "abc" } }];
    await rooms.create("a", { input: { size: 1 } });
    await rooms.create("b", { size: 1 });
    await rooms.create("c", "large");
    await rooms.create("d", undefined);
    await rooms.create("d", {});
    await rooms.create("f", 7);
    await rooms.create("f", []);
    await rooms.create("f", null);
    await rooms.getOrCreate("e", { input: { size: 1 } }).resolve();
    expect(requests.map((r) => r.body)).toEqual([
      { key: ["a"], input: { size: 1 } },
      { key: ["b"], input: { size: 1 } },
      { key: ["c"], input: "large" },
      { key: ["d"] },
      { key: ["d"] },
      { key: ["f"], input: 7 },
      { key: ["f"], input: [] },
      { key: ["f"], input: null },
      { key: ["e"], input: { size: 1 } },
      undefined,
    ]);
  });

  it("of getOrCreate creates the actor to resolve its id, and that of get does not", async () => {
    const missing = { status: 404, body: { code: "not_found", message: "there is none" } };
    answers = [missing, { status: 201, body: { id: "abc" } }];
    expect(await rooms.getOrCreate("new").resolve()).toBe("abc");
    expect(requests.map(({ method, body }) => [method, body])).toEqual([
      ["GET", undefined],
      ["POST", { key: ["new"] }],
    ]);
    // Somebody else was faster.
    answers = [missing, { status: 409, body: { code: "exists", message: "" } }, { body: { id: "theirs" } }];
    expect(await rooms.getOrCreate("new").resolve()).toBe("theirs");
    answers = [missing];
    expect((await failure(rooms.get("new").resolve())).code).toBe("not_found");
    expect(requests).toHaveLength(6);
  });

  it("resolves to the actor's id", async () => {
    answers = [{ body: { id: "abc" } }];
    expect(await rooms.get(["a", "b"]).resolve()).toBe("abc");
    expect(await rooms.getForId("xyz").resolve()).toBe("xyz");
    expect(requests).toEqual([
      { method: "GET", url: "http://troupe.test/base/api/actors/chatRoom?key=a&key=b", body: undefined },
    ]);
  });

  it("creates the actor once, before the first call", async () => {
    answers = [{ body: { id: "abc" } }, { body: { result: 1 } }];
    const handle = rooms.create("new", { size: 3 });
    expect(await Promise.all([handle["hello"]!(), handle["hello"]!()])).toEqual([1, 1]);
    expect(requests.map((r) => [r.url.replace(/.*actors/, ""), r.body])).toEqual([
      ["/chatRoom", { key: ["new"], input: { size: 3 } }],
      ["/chatRoom/actions/hello?key=new", { args: [] }],
      ["/chatRoom/actions/hello?key=new", { args: [] }],
    ]);
  });

  it("rejects with exists if the key is taken, unless getOrCreate made the handle", async () => {
    answers = [{ status: 409, body: { code: "exists", message: "there is one" } }, { body: { result: 1 } }];
    expect((await failure(rooms.create("old")["hello"]!())).code).toBe("exists");
    answers = [{ status: 409, body: { code: "exists", message: "there is one" } }, { body: { result: 1 } }];
    expect(await rooms.getOrCreate("old", { input: 1 })["hello"]!()).toBe(1);
  });

  it("accepts an existing actor after a creation without a response, but not one that existed before", async () => {
    const taken = { status: 409, body: { code: "exists", message: "there is one" } };
    answers = [new TypeError("fetch failed"), taken, { body: { result: 1 } }];
    const handle = rooms.create("new");
    expect(await failure(handle["hello"]!())).toMatchObject({
      code: "not_sent", // the action; the creation may have run
      metadata: { reason: "link" },
      cause: { code: "maybe_ran" },
    });
    expect(await handle["hello"]!()).toBe(1);
    answers = [
      { status: 503, body: { code: "unavailable", message: "it had no effect" } },
      taken,
      { body: { result: 1 } },
    ];
    const other = rooms.create("old");
    expect((await failure(other["hello"]!())).code).toBe("unavailable");
    expect((await failure(other["hello"]!())).code).toBe("exists");
  });

  it("a call that waits for the creation has its own time-out and signal", async () => {
    answers = [{ status: 0 }];
    const handle = rooms.create("new", 7);
    const abort = new AbortController();
    const settled: unknown[] = [];
    const track = (promise: Promise<unknown>) =>
      void promise.catch((e: ActorError) =>
        settled.push([e.code, (e.metadata as { reason: string }).reason, performance.now()]),
      );
    const start = performance.now();
    track(handle.withOptions({ timeoutMs: 1000 })["hello"]!());
    track(handle.withOptions({ timeoutMs: 2000 }).resolve());
    track(handle.withOptions({ signal: abort.signal })["hello"]!());
    await vi.advanceTimersByTimeAsync(500);
    abort.abort();
    await vi.advanceTimersByTimeAsync(2000);
    expect(settled).toEqual([
      ["not_sent", "aborted", start + 500],
      ["not_sent", "timeout", start + 1000],
      ["not_sent", "timeout", start + 2000],
    ]);
    expect(requests).toHaveLength(1); // they share the creation, which is not aborted
    track(handle["hello"]!());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(settled).toHaveLength(4);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a call that waits while the code for HTTP is loaded has its own time-out and signal", async () => {
    let loaded: (http: Http) => void;
    const tools = { errorFrom, abandonedError, limited, byteLength, now: () => performance.now() };
    const http = createHttp({ fetch: fakeFetch }, tools);
    const slow = (isNew: boolean) =>
      createHandle(
        {
          socket: createSocket(
            () => expect.fail("not used"),
            () => "",
            0,
            {},
          ),
          base: () => "http://troupe.test",
          loadHttp: () => new Promise((resolve) => (loaded = resolve)),
          random: undefined,
          options: { timeoutMs: 60_000 },
        },
        { actor: "chatRoom", key: ["x"] },
        isNew,
      );
    const handle = slow(false);
    const abort = new AbortController();
    const settled: unknown[] = [];
    const start = performance.now();
    const track = (promise: PromiseLike<unknown>) =>
      void promise.then(
        () => expect.fail("resolved"),
        (e: ActorError) => settled.push([e.code, (e.metadata as { reason: string }).reason, performance.now() - start]),
      );
    track(handle.withOptions({ timeoutMs: 1000 })["hello"]!());
    track(handle.withOptions({ timeoutMs: 2000 }).resolve());
    track(handle.withOptions({ signal: abort.signal })["hello"]!());
    track(slow(true) as unknown as PromiseLike<unknown>); // awaiting it creates the actor
    await vi.advanceTimersByTimeAsync(500);
    abort.abort(null);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(settled).toEqual([
      ["not_sent", "aborted", 500],
      ["not_sent", "timeout", 1000],
      ["not_sent", "timeout", 2000],
      ["not_sent", "timeout", 60_000],
    ]);
    expect(requests).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);

    // The time that the load takes is part of the time-out.
    answers = [{ status: 0 }];
    const late = failure(handle.withOptions({ timeoutMs: 3000 })["hello"]!());
    await vi.advanceTimersByTimeAsync(2000);
    loaded!(http);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await late).toMatchObject({ code: "maybe_ran", metadata: { reason: "timeout" } });
    expect(requests).toHaveLength(1);
  });

  it("resolve() that creates the actor has its own time-out and signal", async () => {
    const missing = { status: 404, body: { code: "not_found", message: "there is none" } };
    const abort = new AbortController();
    const views = [{ signal: abort.signal }, { timeoutMs: 500 }];
    const ends = views.map((options) => {
      answers = [missing, { status: 0 }];
      return failure(rooms.getOrCreate("new").withOptions(options).resolve());
    });
    answers = [missing, missing, { status: 0 }];
    await vi.advanceTimersByTimeAsync(100);
    expect(requests.map((r) => r.method)).toEqual(["GET", "GET", "POST", "POST"]);
    abort.abort("enough");
    expect(await ends[0]).toMatchObject({ code: "maybe_ran", metadata: { reason: "aborted" }, cause: "enough" });
    await vi.advanceTimersByTimeAsync(400);
    expect(await ends[1]).toMatchObject({ code: "maybe_ran", metadata: { reason: "timeout" } });
  });

  it("can be aborted with any reason, or none, also if fetch or headers ignore the signal", async () => {
    const hang = () => new Promise<never>(() => {});
    for (const options of [{ fetch: hang }, { headers: hang }]) {
      const deaf = createClient("http://troupe.test", options)["chatRoom"]!;
      for (const reason of [null, undefined, "enough", new Error("enough")]) {
        const abort = new AbortController();
        const ended = failure(deaf.get("x").withOptions({ signal: abort.signal })["say"]!());
        await vi.advanceTimersByTimeAsync(0);
        abort.abort(reason);
        expect(await ended).toMatchObject({ code: "maybe_ran", metadata: { reason: "aborted" } });
      }
    }
  });

  it("keeps an option if the new one is undefined", async () => {
    answers = [{ status: 0 }];
    const abort = new AbortController();
    const view = rooms
      .get("x")
      .withOptions({ signal: abort.signal })
      .withOptions({ timeoutMs: undefined, signal: undefined });
    const slow = failure(view["say"]!());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await slow).toMatchObject({ code: "maybe_ran", metadata: { reason: "timeout" } });
    abort.abort();
    expect((await failure(view["say"]!())).code).toBe("not_sent");
  });

  it("releases timers and signals once it has a response", async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    expect(await rooms.get("x").withOptions({ signal })["say"]!()).toBe(42);
    expect(vi.getTimerCount()).toBe(0);
    expect(add).toHaveBeenCalledTimes(1); // for the loading of the code and the request
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });

  it("encodes the name of any definition in the path", async () => {
    await client["a/b c"]!.get("x")["say"]!();
    expect(requests[0]!.url).toBe("http://troupe.test/base/api/actors/a%2Fb%20c/actions/say?key=x&create=false");
  });

  it("throws bad_key for an invalid key", () => {
    for (const key of [[1], [undefined], undefined, null, { a: 1 }, 7]) {
      for (const use of ["get", "getOrCreate", "create"] as const) {
        expect(() => rooms[use](key as never), use).toThrow(expect.objectContaining({ code: "bad_key" }));
      }
    }
  });
});

describe("a created actor's connection", () => {
  it("opens after the actor was created", async () => {
    const server = new FakeServer();
    answers = [new TypeError("fetch failed"), { body: { id: "abc" } }];
    const own = server.createClient({ fetch: fakeFetch });
    const connection = (own as typeof client)["chatRoom"]!.create("new", 7).connect();
    const seen = lifecycle(connection);
    await settle(2000);
    expect(seen).toEqual(["error maybe_ran", "connected"]);
    expect(server.got("open")).toMatchObject([{ actor: "chatRoom", key: ["new"], input: 7 }]);
    own.dispose();
  });

  it("opens an actor that was created by a request whose response was lost", async () => {
    const server = new FakeServer();
    answers = [new TypeError("fetch failed"), { status: 409, body: { code: "exists", message: "there is one" } }];
    const own = server.createClient({ fetch: fakeFetch });
    const seen = lifecycle((own as typeof client)["chatRoom"]!.create("new", 7).connect());
    await settle(2000);
    expect(seen).toEqual(["error maybe_ran", "connected"]);
    own.dispose();
  });

  it("calls the params function once the actor exists, if the attempt is not obsolete", async () => {
    const server = new FakeServer();
    const own = server.createClient({ fetch: fakeFetch }) as typeof client;
    answers = [{ body: { id: "abc" } }];
    const params = vi.fn(() => {
      // An error of the params function, for example of an action that returns tokens, does not count as one of the creation.
      if (params.mock.calls.length === 1) throw new ActorError("no_token", "come again");
    });
    const connection = own["chatRoom"]!.create("new").connect(params);
    const seen = lifecycle(connection);
    await settle(2000);
    expect(seen).toEqual(["error no_token", "connected"]);

    let create: (answer: Response) => void = () => {};
    const slow = server.createClient({ fetch: () => new Promise((resolve) => (create = resolve)) }) as typeof client;
    const late = vi.fn();
    const gone = slow["chatRoom"]!.create("new").connect(late);
    await settle();
    gone.dispose();
    create(new Response("{}"));
    await settle();
    expect(late).not.toHaveBeenCalled();
    own.dispose();
  });

  it.each(["unavailable", "overloaded", "rate_limited", "shutdown", "timeout"])(
    "tries again when the creation fails with %s",
    async (code) => {
      const server = new FakeServer();
      answers = [{ status: 503, body: { code, message: "later" } }, { body: { id: "abc" } }];
      const own = server.createClient({ fetch: fakeFetch });
      const seen = lifecycle((own as typeof client)["chatRoom"]!.create("new").connect());
      await settle(2000);
      expect(seen).toEqual([`error ${code}`, "connected"]);
      own.dispose();
    },
  );

  it("is closed when the key is taken", async () => {
    const server = new FakeServer();
    answers = [{ status: 409, body: { code: "exists", message: "there is one" } }];
    const own = server.createClient({ fetch: fakeFetch });
    const seen = lifecycle((own as typeof client)["chatRoom"]!.create("old").connect());
    await settle(2000);
    expect(seen).toEqual(["error exists", "closed exists"]);
    expect(server.got("open")).toEqual([]);
  });
});

describe("createClient", () => {
  it("reports a missing URL", async () => {
    const nowhere = createClient();
    expect(() => nowhere["chatRoom"]!.get("x").connect()).toThrow(/needs a URL/);
    expect((await failure(nowhere["chatRoom"]!.get("x")["hello"]!())).message).toMatch(/needs a URL/);
    for (const url of ["localhost:8080", "http://host/?room=1", "http://host/#top", "ftp://host", "http:"]) {
      const wrong = createClient(url, { WebSocket: vi.fn() as never });
      expect(() => wrong["chatRoom"]!.get("x").connect(), url).toThrow(/needs a URL/);
    }
  });

  it("takes a URL object", async () => {
    answers = [{ body: { result: 42 } }];
    const own = createClient(new URL("http://troupe.test/base/"), { fetch: fakeFetch });
    expect(await own["chatRoom"]!.get("x")["hello"]!()).toBe(42);
    expect(requests[0]!.url).toMatch("http://troupe.test/base/api/");
  });
});
