import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range that systems use for outgoing connections, which could take a port while its server is stopped. */
const FIRST = 10_000;
const COUNT = 10_000;

/**
 * A port of 127.0.0.1 that nobody listens on. As long as this process runs, no other call
 * returns it, in any process: the UDP port 10,000 above it is in use for as long, and
 * tells the others, among them the Go tests (internal/freeport).
 */
export async function claimPort() {
  for (let attempt = 1; ; attempt++) {
    const port = randomInt(FIRST, FIRST + COUNT);
    const claim = createSocket('udp4');
    const server = createServer();
    try {
      claim.bind({ port: port + COUNT, address: '127.0.0.1', exclusive: true });
      await once(claim, 'listening');
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    } catch (error) {
      claim.close();
      if (attempt === 1000) throw error;
      continue;
    }
    claim.unref();
    server.close();
    await once(server, 'close');
    return port;
  }
}
