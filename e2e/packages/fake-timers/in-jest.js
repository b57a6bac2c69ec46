import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { define } from "./suite.js";

define({ timers: jest, test, expect, beforeEach, afterEach }, process.env.SERVER, process.env.ROOM);
