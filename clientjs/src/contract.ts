// Compares the contract that the client was built with and the server's.
import type { Hello } from "./wire.js";

/** The fields of a generated registry that describe its contract. */
export interface Contract {
  readonly "~contract"?: string;
  readonly "~parts"?: readonly string[];
}

/**
 * Returns the names of the parts that differ, or an empty array if the server does not list its parts.
 * Returns undefined if the contracts are the same, or one of them is unknown.
 */
export function compareContracts(ours: Contract, { contract, parts }: Hello): string[] | undefined {
  if (!contract || contract === (ours["~contract"] ?? contract)) return undefined;
  if (!parts) return [];
  const all = [...(ours["~parts"] ?? []), ...parts];
  const differs = all.filter((part) => all.indexOf(part) === all.lastIndexOf(part));
  return [...new Set(differs.map((part) => part.split(":")[0]!))];
}
