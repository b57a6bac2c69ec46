/**
 * Listens to the page that the client runs in; the function returned stops that. Does nothing outside browsers.
 *
 * - onWake: the page became visible, was restored, or came online.
 * - onOffline: the browser lost its network.
 * - onFreeze: the page stops running, and may be restored.
 * - onUnload: the page is being unloaded and will not be restored.
 */
export function listenToPage(
  onWake: () => void,
  onOffline: () => void,
  onFreeze: () => void,
  onUnload: () => void,
): () => void {
  const stop = new AbortController();
  const listen = (name: string, handler: (event: Event) => void) =>
    // In the capture phase, events of the document pass the window, too.
    globalThis.addEventListener?.(name, handler, { capture: true, signal: stop.signal });
  const onShown = () => globalThis.document?.hidden || onWake();
  for (const name of ["online", "pageshow", "visibilitychange", "resume"]) listen(name, onShown);
  listen("offline", onOffline);
  listen("freeze", onFreeze);
  listen("pagehide", (event) => ((event as PageTransitionEvent).persisted ? onFreeze : onUnload)());
  return () => stop.abort();
}
