// The contract of what the client was built with, and of the server.
import type { Hello } from "./wire.js";

/** What a generated registry carries. */
export interface Contract {
  readonly "~contract"?: string;
  readonly "~parts"?: readonly string[];
}

/**
 * The names of what differs, as far as the server tells its parts; undefined if
 * the contracts are the same, or one of them is unknown.
 */
export function difference(ours: Contract, { contract, parts }: Hello): string[] | undefined {
  if (!contract || contract === (ours["~contract"] ?? contract)) return undefined;
  if (!parts) return [];
  const all = [...(ours["~parts"] ?? []), ...parts];
  const differs = all.filter((part) => all.indexOf(part) === all.lastIndexOf(part)).map((part) => part.split(":")[0]!);
  return [...new Set(differs)];
}
