// Runs before every test of all packages.
import { beforeEach } from "vitest";
import { seedRandom } from "./random.js";
// The client loads it when it needs it; here it is there already, because loading takes real time.
import "../src/http.js";

beforeEach(() => seedRandom());
