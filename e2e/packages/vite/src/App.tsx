import { StrictMode } from "react";
import { Room } from "./Room"; // the example of @troupe/react's README

export function App() {
  return (
    <StrictMode>
      <Room name="general" me="ada" />
    </StrictMode>
  );
}
