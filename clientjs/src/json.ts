import { ActorError, type Code } from "./errors.js";

/**
 * Encodes a value as JSON; undefined if it is undefined. Throws an ActorError with this code if it is not JSON, and
 * also where JSON.stringify would lose something silently: a Map or a Set, a function, NaN, an invalid Date, …
 */
export function toJSON(code: Code, value: unknown): string {
  try {
    return JSON.stringify(value, checkPart);
  } catch (cause) {
    throw new ActorError(code, `not JSON: ${cause}`, undefined, { cause });
  }
}

/** A replacer that throws for a part that JSON does not have. Classes count as plain objects. */
function checkPart(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const type = Object.prototype.toString.call(value).slice(8, -1);
  const isLost = type === "Number" ? !isFinite(value as number) : value === null && this[key] !== null;
  if (isLost || !/^(Object|Array|String|Number|Boolean|Null|Undefined)$/.test(type)) {
    throw new TypeError(`${key || "value"} is ${isLost ? this[key] : `a ${type}`}`);
  }
  return value;
}
