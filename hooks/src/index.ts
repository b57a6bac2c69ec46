"use client";

export { createHooks, type Hooks } from "./createHooks.js";
export type { ActorStatus } from "./actorStore.js";
export type { UseActor, UseActorOptions } from "./useActor.js";
export { useEvent, type EventActor } from "./useEvent.js";
export { useActorPages } from "./useActorPages.js";
export type { ActorPages, ItemChange, Page, PageItem, PageKey, PagesOptions } from "./actorPages.js";
export { useActorState } from "./useActorState.js";
export { useOptimisticAction } from "./useOptimisticAction.js";
export type { ActorState, StateOptions, UseActorState } from "./actorState.js";
