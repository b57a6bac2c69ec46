// One client for the page, and its hooks.

import { createClient } from "@troupe/client";
import { createHooks } from "@troupe/react";
import { registry } from "./registry.gen";

export const client = createClient<typeof registry>(undefined, { registry });
export const { useActor, useEvent } = createHooks(client);
