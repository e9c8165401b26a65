import { fault, faultOfRepeat } from './check.js';
import { rowsOf } from './rows.js';

const arrow = (from, to) => `${from ?? '-'} -> ${to ?? '-'}`;

/** The cells of a row, for people. */
function cells(row, expectation) {
  if (row.call) return [`* ${row.call}`, '', row.asked.length > 60 ? `${row.asked.slice(0, 57)}...` : row.asked, '', row.answer, ''];
  const forwarded = row.got ? row.upstream : row.control ? 'consumed' : 'lost';
  return [
    row.label,
    `..${String(row.message.messageId).slice(-6)}`,
    row.got ? arrow(row.sent.id, row.got.id) : `${row.sent.id ?? '-'} -> (${forwarded})`,
    row.got ? arrow(row.sent.start, row.got.start) : '',
    !row.got || row.status === row.upstream ? `${row.status}` : arrow(row.upstream, row.status),
    row.repeats ? (faultOfRepeat(row) ?? 'sent again') : expectation ? (fault(row, expectation) ?? 'ok') : '?',
  ];
}

export const HEAD = ['message', 'messageId', 'sessionId: sent -> got', 'start mark', 'answer', 'verdict'];

/** What was sent and what the data plane got, as rows of cells. */
export function tableOf(world) {
  let next = 0;
  return rowsOf(world).map((row) => cells(row, row.call || row.repeats ? undefined : world.expected?.[next++]));
}

/** The same as text. */
export function render(world) {
  const rows = [HEAD, ...tableOf(world)];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  const lines = rows.map((row) => `  ${row.map((cell, i) => (cell ?? '').padEnd(widths[i])).join('  ').trimEnd()}`);
  lines.splice(1, 0, `  ${widths.map((width) => '-'.repeat(width)).join('  ')}`);
  return lines.join('\n');
}
