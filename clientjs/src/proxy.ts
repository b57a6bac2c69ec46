/** Names that other code looks up on any object. With a value, the proxy would be mistaken for a promise, an element, … */
const HIDDEN = /^(then|catch|finally|toJSON|constructor|\$\$typeof|nodeType|asymmetricMatch)$/;

/**
 * Returns a proxy of target that has a value for every other name, too. make creates that value, once per name, so
 * that methods keep their identity. They may be destructured.
 */
export function callable<T extends object, V>(target: T, make: (name: string) => V): T & Record<string, V> {
  const made = new Map<string, V>();
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === "symbol" || (HIDDEN.test(name) && !Object.hasOwn(target, name))) return undefined;
      if (name in target) return target[name as keyof T];
      let value = made.get(name);
      if (!value) made.set(name, (value = make(name)));
      return value;
    },
  }) as T & Record<string, V>;
}
