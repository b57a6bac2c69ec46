/** The actors of backend/readme, as types. */
export const registry = {} as {
  counter: {
    actions: { add(n: number): number; get(): number };
    events: { changed: { value: number } };
    params: undefined;
    input: undefined;
  };
};
