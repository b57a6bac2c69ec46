import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { define } from "./suite.js";

define({ timers: vi, test, expect, beforeEach, afterEach }, process.env.SERVER, process.env.ROOM);
