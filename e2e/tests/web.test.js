import { readdir } from 'node:fs/promises';
import { describe } from 'node:test';

const FILES = new URL('web/', import.meta.url);

// All scenarios with web pages are in one process: one browser, and one Playwright, which take
// seconds to get going. They mostly wait, so some are on their way at once.
describe('web', { concurrency: Number(process.env.E2E_CONCURRENCY ?? 4) }, async () => {
  for (const name of await readdir(FILES)) await import(new URL(name, FILES));
});
