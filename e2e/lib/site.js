import { readFile } from 'node:fs/promises';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import { listen } from './http.js';

const HERE = new URL('../', import.meta.url);

/** What is served, and from where. The SDKs are the unchanged files of their npm packages. */
const FILES = {
  '/': ['site/index.html', 'text/html'],
  '/sandboxed': ['site/index.html', 'text/html'],
  '/empty': ['site/empty.html', 'text/html'],
  '/app.js': ['site/app.js', 'text/javascript'],
  '/worker': ['site/worker.html', 'text/html'],
  '/worker.js': ['site/worker.js', 'text/javascript'],
  // The bundled builds: the others fetch their plugins from a CDN.
  '/sdk/v3.js': ['node_modules/@rudderstack/analytics-js/dist/npm/modern/bundled/esm/index.mjs', 'text/javascript'],
  '/sdk/service-worker.js': ['node_modules/@rudderstack/analytics-js-service-worker/dist/npm/modern/esm/index.mjs', 'text/javascript'],
  '/sdk/v1.js': ['node_modules/rudder-sdk-js/dist/npm/index.js', 'text/javascript'],
};

const SOURCE_CONFIG = JSON.stringify({
  source: { id: 'source', name: 'Website', config: {}, destinations: [], enabled: true, workspaceId: 'workspace' },
});

let shared;
after(() => shared?.then((site) => site.close()));

/** The website of the application, and the control plane from which SDKs fetch their configuration. */
export class Site {
  /** The site of all scenarios of a file. It has no state. */
  static shared() {
    return (shared ??= Site.start());
  }

  static async start() {
    const { url, close } = await listen(async (request, response) => {
      const { pathname } = new URL(request.url, 'http://localhost');
      // SDKs come from a CDN, which lets browsers keep them.
      response.setHeader('Cache-Control', pathname.startsWith('/sdk/') ? 'max-age=3600' : 'no-store');
      if (pathname === '/sandboxed') {
        // An opaque origin, as in a sandboxed frame: no cookies, no storage.
        response.setHeader('Content-Security-Policy', 'sandbox allow-scripts');
      }
      // Modules of such a page come from another origin.
      response.setHeader('Access-Control-Allow-Origin', '*');
      if (pathname.startsWith('/sourceConfig')) {
        response.setHeader('Access-Control-Allow-Origin', '*');
        response.setHeader('Access-Control-Allow-Headers', 'authorization');
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(request.method === 'OPTIONS' ? '' : SOURCE_CONFIG);
        return;
      }
      const file = FILES[pathname];
      if (!file) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'Content-Type': `${file[1]}; charset=utf-8` });
      response.end(await readFile(fileURLToPath(new URL(file[0], HERE))));
    });
    return Object.assign(new Site(), { url, close });
  }
}
