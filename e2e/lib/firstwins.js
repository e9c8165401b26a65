const TOKEN = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}[\],:"]+))/y;

/**
 * Parses JSON like the gateway: of a repeated key the first one counts, while JSON.parse
 * takes the last. Throws a SyntaxError like JSON.parse. It does not recurse, because the
 * gateway accepts bodies that nest 20000 deep.
 */
export function parse(text) {
  JSON.parse(text); // Throws if it is not JSON.
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

/** Whether a value contains a number too large for a float64: JSON.parse turns 1e400 into Infinity. */
export function overflows(value) {
  for (const rest = [value]; rest.length > 0; ) {
    const it = rest.pop();
    if (it === Infinity || it === -Infinity) return true;
    if (it !== null && typeof it === 'object') rest.push(...Object.values(it));
  }
  return false;
}
