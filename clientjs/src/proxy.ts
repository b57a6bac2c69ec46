/** Names that other code asks any object for; an answer would make it take the proxy for something else. */
const HIDDEN = /^(then|catch|finally|toJSON|constructor|\$\$typeof|nodeType|asymmetricMatch)$/;

/**
 * Returns target with every name that it does not have itself answered by make,
 * once per name: methods keep their identity and may be destructured.
 */
export function callable<T extends object, V>(target: T, make: (name: string) => V): T & Record<string, V> {
  const made = new Map<string, V>();
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === "symbol" || HIDDEN.test(name)) return undefined;
      if (name in target) return target[name as keyof T];
      let value = made.get(name);
      if (!value) made.set(name, (value = make(name)));
      return value;
    },
  }) as T & Record<string, V>;
}
