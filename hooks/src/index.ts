"use client";

export { createHooks, type Hooks } from "./createHooks.js";
export type { ActorStatus } from "./actorStore.js";
export type { UseActor, UseActorOptions } from "./useActor.js";
export { useEvent, type EventActor } from "./useEvent.js";
export { useActorState } from "./useActorState.js";
export { useOptimisticAction } from "./useOptimisticAction.js";
export type { ActorState, StateOptions, UseActorState } from "./actorState.js";
