import { read, write } from "../ui/storage";

const ROLES = ["Harlequin", "Columbina", "Pierrot", "Pantalone", "Scaramouche", "Pulcinella", "Brighella", "Isabella"];

const KEY = "troupe.player";
const session = () => sessionStorage;

let mine = "";

/**
 * Returns the name of this tab's player. It is stored only while the page is unloaded, so that a reload keeps it:
 * a new tab may start with a copy of the storage of the tab that opened it, but must be another player.
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
