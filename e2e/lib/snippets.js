import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { listen } from './http.js';
import { CONSUMED, NONE, START } from './check.js';
import { isControl, labelOf } from './messages.js';
import { messageRows } from './rows.js';
import { WRITE_KEY } from './world.js';

const PAGE = new URL('../../docs/sdks.md', import.meta.url);
const HANDLER = 'https://events.example.com';

/** The fenced blocks of the page: [{section, language, code}]. */
export const BLOCKS = blocksOf(readFileSync(PAGE, 'utf8'));

function blocksOf(text) {
  const blocks = [];
  let section;
  let open;
  for (const line of text.split('\n')) {
    const fence = /^```(\w*)$/.exec(line);
    if (fence && open) open = undefined;
    else if (fence) blocks.push((open = { section, language: fence[1], code: '' }));
    else if (open) open.code += `${line}\n`;
    else if (line.startsWith('### ')) section = line.slice(4);
  }
  if (open) throw new Error(`docs/sdks.md: a block under ${section} is not closed`);
  return blocks;
}

/** The blocks of a section, with write key and address filled in, and the events that each promises. */
export function snippets(section, url) {
  const blocks = BLOCKS.filter((block) => block.section === section);
  if (blocks.length === 0) throw new Error(`docs/sdks.md has no snippet under ${section}`);
  return blocks.map(({ code }) => ({
    code: code.replaceAll('WRITE_KEY', WRITE_KEY).replaceAll(HANDLER, url),
    promised: promisesIn(code),
  }));
}

/** What the comments of a snippet say about the events before them, in the form of check(). */
function promisesIn(code) {
  return code.split('\n').flatMap((line) => {
    const comment = /(?:\/\/|#) (no session|sessionId (\d+)(, sessionStart)?)$/.exec(line);
    if (!comment) return [];
    const page = /\.page\('([^']+)'\)/.exec(line);
    const name = page ? `page ${page[1]}` : eventIn(line.slice(0, comment.index));
    if (!name) throw new Error(`docs/sdks.md: no event in ${line}`);
    if (!comment[2]) return [[name, NONE]];
    return [[name, Number(comment[2]), ...(comment[3] ? [START] : [])]];
  });
}

/** The name of the track in a line: the string after `track(` or `event`, in any language. */
const eventIn = (line) => /(?:track\(|["']?event["']?\s*:\s*)["']([^"']+)["']/i.exec(line)?.[1];

/** Every message must be promised by the page, or be a control call, which is not forwarded. */
export function expectations(world, promised) {
  const left = [...promised];
  const expected = messageRows(world).map(({ message }) => {
    const label = labelOf(message);
    if (isControl(message)) return [label, CONSUMED];
    const at = left.findIndex(([name]) => name === label);
    if (at < 0) throw new Error(`docs/sdks.md says nothing of ${label}`);
    return left.splice(at, 1)[0];
  });
  if (left.length > 0) throw new Error(`never sent: ${left.map(([name]) => name).join(', ')}`);
  return expected;
}

const SDKS = {
  '@rudderstack/analytics-js': '@rudderstack/analytics-js/dist/npm/modern/bundled/esm/index.mjs',
  '@rudderstack/analytics-js-service-worker': '@rudderstack/analytics-js-service-worker/dist/npm/modern/esm/index.mjs',
  'rudder-sdk-js': 'rudder-sdk-js/dist/npm/index.es.js',
};

/** A website with a snippet as a script or as a service worker. It does the work of a bundler. */
export async function website(world, code) {
  const script = code.replace(/ from '([^']+)'/, (_, name) => ` from '/sdk/${name}'`);
  const { url, close } = await listen((request, response) => {
    const sdk = SDKS[request.url.replace('/sdk/', '')];
    const isPage = request.url === '/';
    response.setHeader('Content-Type', isPage ? 'text/html' : 'text/javascript');
    if (sdk) response.end(readFileSync(fileURLToPath(new URL(`../node_modules/${sdk}`, import.meta.url))));
    else if (isPage) response.end('<!doctype html><title>Snippet</title>');
    else if (request.url === '/snippet.js') response.end(script);
    else response.writeHead(404).end();
  });
  world.closers.push(close);
  return url;
}
