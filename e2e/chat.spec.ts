import { Chat, onItsWay } from "./chat";
import { everywhere, expect, online, received, stopClock, test } from "./fixtures";

test("two people send and delete messages", everywhere, async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  await ada.said("Is anybody here?");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await expect(bob.texts, "the history").toHaveText(["Is anybody here?"]);
  await bob.said("I am.");
  await ada.said("Good <b>evening</b> & welcome");
  const all = ["Is anybody here?", "I am.", "Good <b>evening</b> & welcome"];
  await expect(ada.texts).toHaveText(all);
  await expect(bob.texts).toHaveText(all);
  await expect(bob.messages.first()).toContainText("Ada");

  await expect(
    bob.messages.first().getByRole("button", { name: "Delete message" }),
    "on what another one said",
  ).toHaveCount(0);
  await ada.messages.first().hover();
  await ada.messages.first().getByRole("button", { name: "Delete message" }).click();
  await expect(ada.texts).toHaveText(all.slice(1));
  await expect(bob.texts).toHaveText(all.slice(1));
});

test("three people see who is here", async ({ server, visit }) => {
  const url = `${server.url}/chat/general`;
  const ada = await new Chat(await visit(url)).join("Ada");
  await expect(ada.people).toHaveText([/Ada \(you\)/]);
  const bob = await new Chat(await visit(url)).join("Bob");
  const cleo = await new Chat(await visit(url)).join("Cleo");
  for (const person of [ada, bob, cleo]) {
    await expect(person.people).toHaveText([/Ada/, /Bob/, /Cleo/]);
  }
  await bob.page.close();
  await expect(ada.people).toHaveText([/Ada/, /Cleo/]);
  await expect(cleo.people).toHaveText([/Ada/, /Cleo \(you\)/]);
});

test("others see who is typing", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await bob.input.pressSequentially("Well");
  await expect(ada.page.getByText("Bob is typing…")).toBeVisible();
  await expect(bob.page.getByText("is typing…")).toHaveCount(0);
  await bob.input.press("Enter");
  await expect(ada.texts).toHaveText(["Well"]);
  await expect(ada.page.getByText("is typing…")).toHaveCount(0);
});

test("rooms are separate, and show how many messages are unread", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await ada.said("in general");
  const rooms = ada.page.getByRole("navigation", { name: "Rooms" });
  await rooms.getByRole("link", { name: /random/ }).click();
  await expect(ada.page).toHaveURL(/\/chat\/random$/);
  await ada.connected();
  await ada.said("in random");
  await expect(ada.texts).toHaveText(["in random"]);
  await expect(ada.people).toHaveText([/Ada/]);
  await expect(bob.texts).toHaveText(["in general"]);

  await bob.said("still in general");
  await expect(rooms.getByRole("link", { name: /general/ })).toContainText("1");
  await ada.page.goBack();
  await expect(ada.texts).toHaveText(["in general", "still in general"]);
  await expect(ada.people).toHaveText([/Bob/, /Ada/]);

  await rooms.getByRole("textbox", { name: "New room" }).fill("Tea & Cake");
  await rooms.getByRole("button", { name: "Add room" }).click();
  await expect(ada.page).toHaveURL(/\/chat\/tea-cake$/);
  await expect(ada.texts).toHaveCount(0);
});

test("messages count as unread if others sent them and did not delete them", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/random`)).join("Bob");
  const hers = new Chat(await ada.page.context().newPage());
  await hers.page.goto(`${server.url}/chat/random`);
  await hers.said("from her other tab");
  await bob.said("from Bob");
  const random = ada.page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name: /random/ });
  await expect(random.getByLabel("1 unread")).toBeVisible();
  await bob.messages.last().hover();
  await bob.messages.last().getByRole("button", { name: "Delete message" }).click();
  await expect(random.getByLabel("unread")).toHaveCount(0);
});

test("a deleted message disappears at once, and comes back if the server refuses", async ({ server, visit }) => {
  const page = await visit(`${server.url}/nowhere`);
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  await page.routeWebSocket(/api\/socket/, (socket) => {
    const behind = socket.connectToServer();
    socket.onMessage(async (frame) => {
      if (String(frame).includes('"deleteMessage"')) await held;
      behind.send(String(frame).replace('"deleteMessage"', '"noSuchAction"'));
    });
  });
  await page.goto(`${server.url}/chat/general`);
  const chat = await new Chat(page).join("Ada");
  await chat.said("one");
  await chat.messages.first().hover();
  await chat.messages.first().getByRole("button", { name: "Delete message" }).click();
  await expect(chat.texts).toHaveCount(0);
  answer();
  await expect(chat.texts).toHaveText(["one"]);
  await expect(page.getByRole("alert")).toContainText("Not deleted");
});

test("messages that come while a button is pressed do not move it away", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await ada.said("mine");
  await ada.messages.first().hover();
  await ada.messages.first().getByRole("button", { name: "Delete message" }).hover();
  await stopClock(ada.page);
  await ada.page.mouse.down();
  for (const text of ["one", "two", "three"]) await bob.said(text);
  await expect.poll(() => received(ada.page).join(), "what Ada's page was told").toContain('"three"');
  await expect(ada.texts, "so far").toHaveText(["mine"]);
  await ada.page.mouse.up();
  await ada.page.clock.runFor(1_000);
  await expect(ada.texts).toHaveText(["one", "two", "three"]);
});

test("a message that is too long is not cut off", async ({ server, visit }) => {
  const { page, input } = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  await input.fill("🎭".repeat(1950));
  await expect(page.getByText("50 characters left")).toBeVisible();
  await input.fill("🎭".repeat(2001));
  await expect(page.getByRole("alert")).toContainText("1 character too long");
  await expect(page.getByRole("button", { name: "Send" })).toBeDisabled();
  await input.press("Enter");
  await expect(input).toHaveValue("🎭".repeat(2001));
});

test("a name can be changed, or kept", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const change = ada.page.getByRole("button", { name: "Change name" });
  const name = ada.page.getByRole("textbox", { name: "Your name" });
  await change.click();
  await name.fill("Lady A");
  await name.press("Escape");
  await expect(ada.people).toHaveText([/Ada \(you\)/]);
  await change.click();
  await name.fill("   ");
  await ada.page.getByRole("button", { name: "Save" }).click();
  expect(await name.evaluate((input: HTMLInputElement) => input.validationMessage)).toContain("Enter a name");
  await name.fill("Lady A");
  await ada.page.getByRole("button", { name: "Save" }).click();
  await expect(ada.people).toHaveText([/Lady A \(you\)/]);
});

test("a room that is opened while the link is down says so", async ({ link, visit }) => {
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  link.refuse();
  await expect(ada.notice).toContainText("The connection is lost");
  await ada.page
    .getByRole("navigation", { name: "Rooms" })
    .getByRole("link", { name: /random/ })
    .click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("# random");
  await expect(ada.notice).toContainText("There is no connection yet");
  await expect(ada.page.getByText("No messages yet")).toHaveCount(0);
  await ada.page.getByRole("button", { name: "Try now" }).click();
  await expect(ada.notice).toContainText("There is no connection yet");
  link.pass();
  await ada.connected();
});

test("a reload keeps name and messages", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  await ada.said("before");
  await ada.page.reload();
  await ada.connected();
  await expect(ada.texts).toHaveText(["before"]);
  await expect(ada.people).toHaveText([/Ada \(you\)/]);
  await ada.said("after");
  await expect(ada.texts).toHaveText(["before", "after"]);
});

test("messages sent while the link was down arrive once and in order", everywhere, async ({ server, link, visit }) => {
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  const cleo = await new Chat(await visit(`${server.url}/chat/general`)).join("Cleo");
  await ada.said("before");
  await expect(bob.texts).toHaveText(["before"]);

  link.refuse();
  await expect(ada.notice).toContainText("The connection is lost");
  await expect(bob.people).toHaveText([/Bob/, /Cleo/]);
  for (const word of ["one", "two", "three"]) {
    await bob.said(`${word} from Bob`);
    await cleo.said(`${word} from Cleo`);
  }
  await ada.say("from the other side");
  await expect(ada.messages.last()).toContainText(onItsWay);

  link.pass();
  await online(ada.page);
  await expect(ada.notice).toContainText("Back online. 6 messages you missed are here.");
  const missed = ["one", "two", "three"].flatMap((word) => [`${word} from Bob`, `${word} from Cleo`]);
  const all = ["before", ...missed, "from the other side"];
  for (const person of [ada, bob, cleo]) await expect(person.texts).toHaveText(all);
  await expect(ada.people).toHaveText([/Ada/, /Bob/, /Cleo/]);
});

test("unsent messages survive a change of rooms and a reload", async ({ link, visit }) => {
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  await ada.said("before");
  link.refuse();
  await expect(ada.notice).toContainText("The connection is lost");
  await ada.say("to nobody");
  const rooms = ada.page.getByRole("navigation", { name: "Rooms" });
  await rooms.getByRole("link", { name: /random/ }).click();
  await expect(ada.messages).toHaveCount(0);
  await rooms.getByRole("link", { name: /general/ }).click();
  await expect(ada.messages).toContainText(["to nobody"]);
  await expect(ada.messages).toContainText(["Not sent"]);

  link.pass();
  await ada.page.reload();
  await ada.connected();
  await expect(ada.texts).toHaveText(["before", "to nobody"]);
  await ada.page.getByRole("button", { name: "Retry" }).click();
  await expect(ada.messages.last().getByRole("button", { name: "Delete message" }), "the server has it").toHaveCount(1);
  await expect(ada.texts).toHaveText(["before", "to nobody"]);
  await ada.page.reload();
  await expect(ada.texts).toHaveText(["before", "to nobody"]);
  await expect(ada.page.getByRole("button", { name: "Retry" })).toHaveCount(0);
});

test("the user can read on while a message is being sent", async ({ link, visit }) => {
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  for (let n = 1; n <= 3; n++) await ada.said(`${n} ${"some words ".repeat(150)}`);
  link.refuse();
  await expect(ada.notice).toContainText("The connection is lost");
  const log = ada.page.getByRole("log", { name: "Messages" });
  const fromEnd = () => log.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
  await log.hover();
  await ada.page.mouse.wheel(0, -500);
  await expect.poll(fromEnd).toBeGreaterThan(300);
  await ada.say("on its way");
  await expect.poll(fromEnd, "the list scrolls to a new message of the user").toBeLessThan(60);
  await log.hover();
  await ada.page.mouse.wheel(0, -500);
  await expect.poll(fromEnd).toBeGreaterThan(300);
  await ada.input.fill("…"); // renders without scrolling
  expect(await fromEnd()).toBeGreaterThan(300);
});

/** The texts, in any order. */
const sorted = async (chat: Chat) => (await chat.texts.allTextContents()).sort();

test("the server is killed and restarted while two people talk", async ({ server, link, visit }) => {
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await ada.said("one");
  await bob.said("two");
  for (const person of [ada, bob]) await expect(person.texts).toHaveText(["one", "two"]);

  await server.stop("SIGKILL");
  link.refuse();
  for (const person of [ada, bob]) await expect(person.notice).toContainText("The connection is lost");
  await ada.say("from Ada to nobody");
  await bob.say("from Bob to nobody");
  for (const person of [ada, bob]) await expect(person.messages.last()).toContainText(onItsWay);

  // Bob reconnects first: Ada misses his messages.
  await server.start();
  await online(bob.page);
  await expect(bob.notice).toContainText("Back online");
  await bob.said("three");
  link.pass();
  await online(ada.page);
  await expect(ada.notice).toContainText("Back online. 2 messages you missed are here.");
  for (const person of [ada, bob]) {
    await expect(person.messages.filter({ hasText: onItsWay })).toHaveCount(0);
    await expect
      .poll(() => sorted(person))
      .toEqual(["from Ada to nobody", "from Bob to nobody", "one", "three", "two"]);
    await expect(person.people).toHaveText([/(Ada|Bob)/, /(Ada|Bob)/]);
    await expect(person.texts.nth(0)).toHaveText("one");
  }
  const order = await ada.texts.allTextContents();
  await expect(bob.texts).toHaveText(order);
  await bob.page.reload();
  await expect(bob.texts).toHaveText(order);
});

test("a deploy shows at most a short notice", async ({ server, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await ada.said("before");
  expect(await server.stop("SIGTERM"), "exit status").toBe(0);
  await server.start();
  await bob.said("after");
  for (const person of [ada, bob]) {
    await expect(person.texts).toHaveText(["before", "after"]);
    await expect(person.people).toHaveText([/(Ada|Bob)/, /(Ada|Bob)/]);
  }
});

test.describe("on the memory store", () => {
  test.use({ store: "memory" });

  test("everybody sees that a restarted server has lost the messages", async ({ server, visit }) => {
    const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
    const bob = await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
    await ada.said("before");
    await expect(bob.texts).toHaveText(["before"]);

    await server.stop("SIGKILL");
    for (const person of [ada, bob]) await expect(person.notice).toContainText("The connection is lost");
    await server.start();
    for (const person of [ada, bob]) {
      await expect(person.notice).toContainText("the server was restarted and no longer has them");
      await expect(person.people).toHaveText([/(Ada|Bob)/, /(Ada|Bob)/]);
    }
    await ada.said("after");
    await bob.said("indeed");
    for (const person of [ada, bob]) {
      await expect(person.texts).toHaveText(["after", "indeed"]);
      await person.page.reload();
      await expect(person.texts, "after a reload").toHaveText(["after", "indeed"]);
      await expect(person.notice).toBeEmpty();
    }
  });
});

test("everything works without a mouse", everywhere, async ({ server, visit }) => {
  const { page, texts, messages } = new Chat(await visit(`${server.url}/chat/general`));
  const { keyboard } = page;
  await expect(page.getByRole("textbox", { name: "Your name" })).toBeFocused();
  await keyboard.press("ControlOrMeta+a");
  await keyboard.type("Ada");
  await keyboard.press("Enter");
  await expect(page.getByRole("textbox", { name: "Message" })).toBeFocused();
  await keyboard.type("one");
  await keyboard.press("Shift+Enter");
  await keyboard.type("two");
  await keyboard.press("Enter");
  await keyboard.type("three");
  await keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Send" })).toBeFocused();
  await keyboard.press("Enter");
  await expect(texts).toHaveText(["one\ntwo", "three"]);
  await expect(messages.last()).not.toContainText(onItsWay);

  const remove = messages.last().getByRole("button", { name: "Delete message" });
  for (
    let presses = 0;
    presses < 10 && !(await remove.evaluate((button) => button === document.activeElement));
    presses++
  ) {
    await keyboard.press("Shift+Tab");
  }
  await expect(remove).toBeFocused();
  await keyboard.press("Enter");
  await expect(texts).toHaveText(["one\ntwo"]);
});
