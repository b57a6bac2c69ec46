// Messages of the chat with a time: sent later, and those that delete themselves.

import { Chat } from "./chat";
import { everywhere, expect, online, test } from "./fixtures";

/** A time as the value of an input for a date and a time, in the time zone of pages: with seconds, unless they are 0. */
const toInput = (time: number) => {
  const date = new Date(time);
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace(/:00$/, "");
};

/** What waits, and the fields of the text box. */
class LaterChat extends Chat {
  readonly later = this.page.getByRole("region", { name: "Sent later" }).getByRole("listitem");
  readonly status = this.page.getByRole("status", { name: "Later" });
  readonly timing = this.page.getByRole("button", { name: "Timing" });
  readonly fields = this.page.getByRole("group", { name: "Timing" });

  /** Writes a message that is sent at a time. */
  async sayAt(time: number, text: string): Promise<void> {
    await this.timing.click();
    await this.fields.getByRole("combobox", { name: "Send" }).selectOption("At a time…");
    await this.fields.getByLabel("Date and time").fill(toInput(time));
    await this.input.fill(text);
    await this.page.getByRole("button", { name: "Send later" }).click();
  }
}

test("a message is sent later, though the server was killed meanwhile", everywhere, async ({ server, visit }) => {
  const url = `${server.url}/chat/general`;
  const ada = await new LaterChat(await visit(url)).join("Ada");
  const bob = await new LaterChat(await visit(url)).join("Bob");
  const due = Date.now() + 10_000;
  await ada.sayAt(due, "Curtain up!");
  await expect(ada.later).toHaveText([/Curtain up!/]);
  await expect(ada.status).toHaveText("1 message will be sent later");
  await expect(ada.fields, "the fields close").toHaveCount(0);
  await expect(bob.later, "others do not see it").toHaveCount(0);
  expect(Date.now(), "the test is too slow").toBeLessThan(due);

  await server.stop("SIGKILL");
  await expect.poll(() => Date.now()).toBeGreaterThan(due);
  await server.start();
  for (const person of [ada, bob]) {
    await online(person.page); // after so long, its next attempt may be half a minute away
    await expect(person.texts).toHaveText(["Curtain up!"]);
    await expect(person.later).toHaveCount(0);
  }
  await expect(bob.messages.first()).toContainText("Ada");
  await expect(ada.status).toHaveText("");
});

test("a message that waits is there after a reload, and can be canceled", async ({ server, visit }) => {
  const ada = await new LaterChat(await visit(`${server.url}/chat/general`)).join("Ada");
  await ada.sayAt(Date.now() + 3_600_000, "later");
  await ada.sayAt(Date.now() + 60_000, "sooner");
  await expect(ada.later).toHaveText([/sooner/, /later/]);
  await ada.page.reload();
  await ada.connected();
  await expect(ada.later).toHaveText([/sooner/, /later/]);
  await ada.later.first().getByRole("button", { name: "Cancel: sooner" }).press("Enter");
  await expect(ada.later).toHaveText([/later/]);
  await expect(ada.page.getByRole("region", { name: "Sent later" }), "the focus is not lost").toBeFocused();
  await expect(ada.texts).toHaveCount(0);
});

test("a message deletes itself", async ({ server, visit }) => {
  const page = await visit(`${server.url}/nowhere`);
  // A minute is long for a test, and two seconds are short for a page on a busy machine that has to show it.
  await page.routeWebSocket(/api\/socket/, (socket) => {
    const behind = socket.connectToServer();
    socket.onMessage((frame) => behind.send(String(frame).replace('"keepMs":60000', '"keepMs":6000')));
  });
  await page.goto(`${server.url}/chat/general`);
  const ada = await new LaterChat(page).join("Ada");
  const bob = await new LaterChat(await visit(`${server.url}/chat/general`)).join("Bob");
  await ada.timing.click();
  await ada.fields.getByRole("combobox", { name: "Disappears" }).selectOption("After a minute");
  await ada.input.fill("for your eyes only");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(bob.messages).toContainText([/for your eyes only.*Disappears/]);
  await expect(bob.messages).toHaveCount(0);
  await expect(ada.messages).toHaveCount(0);
});

test("the timing is chosen with the keyboard alone", async ({ server, visit }) => {
  const ada = await new LaterChat(await visit(`${server.url}/chat/general`)).join("Ada");
  await ada.timing.press("Enter");
  await expect(ada.timing).toHaveAttribute("aria-expanded", "true");
  const send = ada.fields.getByRole("combobox", { name: "Send" });
  await expect(send).toBeFocused();
  await send.selectOption("At a time…");
  await ada.fields.getByLabel("Date and time").fill(toInput(Date.now() - 3_600_000));
  await ada.input.fill("too late");
  await expect(ada.page.getByRole("alert")).toHaveText("Choose a time that is not over.");
  await expect(ada.page.getByRole("button", { name: "Send later" })).toBeDisabled();
  await send.press("Escape");
  await expect(ada.fields).toHaveCount(0);
  await expect(ada.timing).toBeFocused();
  await expect(ada.page.getByRole("button", { name: "Send", exact: true })).toBeEnabled();
});
