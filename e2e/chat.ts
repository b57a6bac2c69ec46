// The chat page, by roles and accessible names.

import { expect, type Locator, type Page } from "@playwright/test";

/** The texts on messages that the server does not have yet. */
export const onItsWay = /(sending|waiting for the connection)…/;

export class Chat {
  /** The list of messages, and their texts. */
  readonly messages: Locator;
  readonly texts: Locator;
  readonly people: Locator;
  readonly notice: Locator;
  readonly input: Locator;

  constructor(readonly page: Page) {
    this.messages = page.getByRole("log", { name: "Messages" }).getByRole("listitem");
    this.texts = this.messages.getByRole("paragraph");
    this.people = page.getByRole("region", { name: "Who is here" }).getByRole("listitem");
    this.notice = page.getByRole("status", { name: "Notice" });
    this.input = page.getByRole("textbox", { name: "Message" });
  }

  /** Enters the room under a name, and returns once connected. */
  async join(name: string): Promise<this> {
    await this.page.getByRole("textbox", { name: "Your name" }).fill(name);
    await this.page.getByRole("button", { name: "Join" }).click();
    await this.connected();
    return this;
  }

  async connected(): Promise<void> {
    await expect(this.page.getByRole("status", { name: "Connection" })).toHaveText("Connected");
  }

  async say(text: string): Promise<void> {
    await this.input.fill(text);
    await this.page.getByRole("button", { name: "Send" }).click();
  }

  /** Sends a message and waits until the server has it. */
  async said(text: string): Promise<void> {
    await this.say(text);
    await expect(this.messages.filter({ hasText: text })).not.toContainText(onItsWay);
  }
}
