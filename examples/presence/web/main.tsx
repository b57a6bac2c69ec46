import { createRoot } from "react-dom/client";
import { Presence } from "./Presence";

const name = prompt("Your name?") || "Someone";
createRoot(document.querySelector("main")!).render(<Presence room="lobby" name={name} />);
