/** The parts of a native keydown event that tell whether it belongs to an input method. */
export type Press = Pick<KeyboardEvent, "key" | "isComposing" | "keyCode">;

/**
 * Whether a keydown is a press of this key. With an input method, Enter and Escape may only end the composition of a
 * character. In Safari such a keydown comes after the composition has ended, and only its keyCode, 229, tells.
 */
export const isPress = (event: Press, key: string): boolean =>
  event.key === key && !event.isComposing && event.keyCode !== 229;
