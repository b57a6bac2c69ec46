import { Component, type ReactNode } from "react";

/**
 * Shows what failed while its children were rendered, and a way on. Without it, React removes everything.
 * Give it a key that changes with what it shows.
 */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <div className="card not-found" role="alert">
        <h1 tabIndex={-1}>This page has failed</h1>
        <p>{`What you sent has arrived, or is kept until the page is loaded again. (${String(error)})`}</p>
        <button type="button" className="primary" onClick={() => location.reload()}>
          Reload
        </button>
      </div>
    );
  }
}
