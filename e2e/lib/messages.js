import { gunzipSync } from 'node:zlib';

const EVENT_PATH = /^\/v1\/(identify|track|page|screen|group|alias)$/;
const BATCH_PATHS = new Set(['/v1/batch', '/beacon/v1/batch']);
const CONTROLS = new Set(['startSession', 'endSession', 'resetSession']);

/** The path of a request, without its query. */
export const pathOf = (request) => request.url.split('?')[0];

/** Whether a request is for events. */
export const bearsEvents = (request) =>
  request.method === 'POST' && (EVENT_PATH.test(pathOf(request)) || BATCH_PATHS.has(pathOf(request)));

/** The body of a request, decompressed. */
export function textOf(request) {
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(request.body) : request.body;
  return body.toString('utf8');
}

/** The messages in a request's body, each with a type: on single-event paths the path has it. */
export function messagesOf(request) {
  if (!bearsEvents(request)) return [];
  const body = JSON.parse(textOf(request));
  const single = EVENT_PATH.exec(pathOf(request));
  if (single) return [{ ...body, type: single[1] }];
  return Array.isArray(body.batch) ? body.batch : [body.batch];
}

/** Whether a message is a control call, for the handler and not for the data plane. */
export const isControl = (message) =>
  CONTROLS.has(message.type) || (message.type === 'track' && CONTROLS.has(message.event));

/** A label of a message for people. */
export function labelOf({ type, event, name, userId, groupId }) {
  switch (type) {
    case 'track':
      return event;
    case 'identify':
      return `identify ${userId}`;
    case 'group':
      return `group ${groupId}`;
    case 'page':
    case 'screen':
      return name ? `${type} ${name}` : type;
    default:
      return type;
  }
}

/** The two session fields, undefined if they are missing. */
export const sessionOf = (message) => ({ id: message.context?.sessionId, start: message.context?.sessionStart });

/** A copy of a message without the session fields. */
export function withoutSession(message) {
  if (message.context === null || typeof message.context !== 'object') return message;
  const { sessionId, sessionStart, ...context } = message.context;
  return { ...message, context };
}
