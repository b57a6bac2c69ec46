/** The actors of backend/readme, as types. */
export const registry = {} as {
  counter: {
    actions: { add(by: string, n: number): number };
    events: { changed: { value: number; by: string } };
    params: undefined;
    input: undefined;
  };
};
