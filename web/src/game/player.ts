import { read, write } from "../ui/storage";

const ROLES = ["Harlequin", "Columbina", "Pierrot", "Pantalone", "Scaramouche", "Pulcinella", "Brighella", "Isabella"];

const KEY = "troupe.player";
const session = () => sessionStorage;

let mine = "";

/**
 * The name of this tab's player. It is in the storage only while the page is away, for
 * a reload: a new tab may start with a copy of the storage of the one that opened it,
 * and is to be a player of its own.
 */
export function tabPlayerId(): string {
  if (!mine) {
    const role = ROLES[Math.floor(Math.random() * ROLES.length)]!;
    mine = read(KEY, "", session) || `${role} ${10 + Math.floor(Math.random() * 90)}`;
    write(KEY, "", session);
    addEventListener("pagehide", () => write(KEY, mine, session));
  }
  return mine;
}
