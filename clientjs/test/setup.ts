// Runs before every test of all packages.
import { beforeEach } from "vitest";
import { seedRandom } from "./random.js";

beforeEach(() => seedRandom());
