const TOKEN = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}[\],:"]+))/y;

/**
 * Parses JSON as the gateway does: of a key that stands twice, the first one
 * counts. JSON.parse takes the last. Throws a SyntaxError as JSON.parse does.
 * It does not recurse: the gateway takes bodies that nest 20000 deep.
 */
export function parse(text) {
  JSON.parse(text); // From here on it is known to be JSON.
  const root = {};
  const open = [{ into: root, key: 'value' }];
  const put = (value) => {
    const { into, key } = open.at(-1);
    if (Array.isArray(into)) into.push(value);
    else if (!Object.hasOwn(into, key)) Object.defineProperty(into, key, { value, enumerable: true });
  };
  for (TOKEN.lastIndex = 0; ; ) {
    const token = TOKEN.exec(text);
    if (!token) return root.value;
    const [, punctuation, string, literal] = token;
    const top = open.at(-1);
    if (punctuation === '{' || punctuation === '[') {
      const into = punctuation === '[' ? [] : {};
      put(into);
      open.push({ into, awaitsKey: punctuation === '{' });
    } else if (punctuation === '}' || punctuation === ']') {
      open.pop();
    } else if (punctuation === ',') {
      top.awaitsKey = !Array.isArray(top.into);
    } else if (top.awaitsKey && string) {
      top.key = JSON.parse(string);
      top.awaitsKey = false;
    } else if (string || literal) {
      put(JSON.parse(string ?? literal));
    }
  }
}

/** Whether a number in a value is none of a float64: JSON.parse makes Infinity of 1e400. */
export function overflows(value) {
  for (const rest = [value]; rest.length > 0; ) {
    const it = rest.pop();
    if (it === Infinity || it === -Infinity) return true;
    if (it !== null && typeof it === 'object') rest.push(...Object.values(it));
  }
  return false;
}
