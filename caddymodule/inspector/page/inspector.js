// Everything that comes from outside is put in as text, never as HTML.

const $ = (id) => document.getElementById(id);

function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// label has each cell say which column it is in, for where columns are not beside
// each other.
function label(row, head) {
  [...row.cells].forEach((cell, i) => cell.setAttribute('data-label', head[i]));
  return row;
}

async function ask(what, body = {}) {
  const response = await fetch('api/' + what, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `answered ${response.status}`);
  return answer;
}

const pad = (n, width = 2) => String(n).padStart(width, '0');

function moment(ms) {
  const d = new Date(ms);
  if (Number.isNaN(d.getTime())) return String(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(d)}`;
}

const clock = (d) => `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;

const modes = {
  manual: 'manual session', automatic: 'session of the proxy', adopted: 'session of the SDK', ended: 'ended', none: 'no session of the proxy',
};
const origins = {
  control: 'a control call', event: 'an event', restart: 'a cold start of the app', identify: 'identify with another userId',
  logout: 'a logout', update: 'a cold start after an update of the app', opening: 'the SDK, which began a session',
};

// whom is the user that was searched for last.
let whom = null;

$('search').addEventListener('submit', async (submitted) => {
  submitted.preventDefault();
  const form = new FormData(submitted.target);
  whom = { write_key: form.get('write_key'), [form.get('kind')]: form.get('id') };
  try {
    showTimelines(await ask('session', whom));
  } catch (e) {
    $('answer').replaceChildren(el('p', { class: 'error' }, `It could not be looked up: ${e.message}`));
  }
  $('answer').focus({ preventScroll: true });
  drawDecisions();
  countNow();
});

// showTimelines shows a timeline and those that it has with it: where some sites
// share sessions and others do not, a user has two.
function showTimelines(line) {
  const lines = [line, ...(line.also ?? [])];
  $('answer').replaceChildren(...lines.flatMap((l, i) => showTimeline(l, i === 0 ? '' : `-${i + 1}`)));
}

function showTimeline(line, suffix) {
  const where = line.sites
    ? `, ${line.shared ? 'in shared sessions' : 'in sessions of this write key'} (${line.sites.join(', ')})` : '';
  const name = `${line.anonymous_id ?? line.user_id ?? whom.anonymous_id ?? whom.user_id}${where}`;
  if (!line.known) {
    return [
      el('h3', {}, `Nothing is known of ${name}`),
      el('p', {}, 'No control call or session of this id was seen under this write key, or it was forgotten. ' +
        'An SDK’s own automatic sessions are not kept.')];
  }
  const current = line.current === null
    ? el('p', { class: 'current without' }, 'No session is current.')
    : el('p', { class: 'current' }, 'Current session: ', el('strong', {}, String(line.current)));
  const head = ['From', 'State', 'Session id', 'Begun by', 'Last event or end', 'Start mark'];
  const rows = line.segments.map((s) => label(el('tr', {},
    el('td', { class: 'time' }, moment(s.from)),
    el('td', {}, el('span', { class: `mode ${s.mode}` }, s.mode)),
    el('td', {}, s.session_id ? String(s.session_id) : '–'),
    el('td', {}, origins[s.origin] ?? s.origin),
    el('td', { class: 'time' }, s.last ? moment(s.last) : '–'),
    el('td', {}, s.session_id ? (s.mark ? 'given' : 'not given yet') : '–')), head));
  const timeline = rows.length === 0
    ? [el('p', {}, 'There is no session of this id’s own.')]
    : [el('div', { class: 'scroll' }, drawTimeline(line)),
      table(`segments${suffix}`, `Timeline as a table${where}`, head, rows)];
  return [
    el('h3', {}, `Timeline of ${name}`),
    current,
    ...timeline,
    ...showLinks(line.links ?? [], suffix, where),
    el('p', { class: 'quiet' }, `Last seen about ${moment(line.seen)}. ` +
      (line.truncated ? 'Older segments are not remembered.' : 'Times are those of this browser’s time zone.'))];
}

function table(id, name, head, rows) {
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': name },
    el('table', { id },
      el('thead', {}, el('tr', {}, ...head.map((h) => el('th', { scope: 'col' }, h)))),
      el('tbody', {}, ...rows)));
}

// showLinks shows the devices of a user, or the users of a device, newest first.
function showLinks(links, suffix, where) {
  if (links.length === 0) return [];
  const ofUser = links.some((l) => Object.keys(l).some((name) => name.startsWith('anonymous_id')));
  const head = ofUser ? ['From', 'Device (anonymousId)', 'Newest event'] : ['From', 'User (userId)', 'Newest event'];
  const rows = links.toReversed().map((l) => {
    const [, id] = Object.entries(l).find(([name]) => /_id(_hex|_sha256)?$/.test(name));
    return label(el('tr', {},
      el('td', { class: 'time' }, moment(l.from)), el('td', {}, id), el('td', { class: 'time' }, moment(l.last))), head);
  });
  return [el('h4', {}, ofUser ? 'Where this user was active' : 'Whose device it was'),
    table(`links${suffix}`, (ofUser ? 'Devices' : 'Users') + where, head, rows)];
}

// drawTimeline draws segments beside each other, each as wide as its share of
// the time, but wide enough to be seen.
function drawTimeline(line) {
  const width = 900, height = 74, least = 70;
  const segments = line.segments.map((s, i) => ({
    ...s, to: i + 1 < line.segments.length ? line.segments[i + 1].from : Math.max(line.now, s.from),
  }));
  const whole = Math.max(1, segments.at(-1).to - segments[0].from);
  const free = Math.max(0, width - least * segments.length);
  const picture = svg('svg', {
    viewBox: `0 0 ${Math.max(width, least * segments.length)} ${height}`, role: 'img',
    'aria-label': `${segments.length} segments, last: ${modes[segments.at(-1).mode]}. The table has them all.`,
  });
  let x = 0;
  for (const s of segments) {
    const w = least + free * (s.to - s.from) / whole;
    picture.append(
      svg('rect', { x: x + 2, y: 20, width: w - 4, height: 26, rx: 4, class: `fill-${s.mode}` },
        svg('title', {}, `${modes[s.mode]} ${s.session_id ?? ''} from ${moment(s.from)}`)),
      svg('text', { x: x + 2, y: 14 }, s.mode),
      svg('text', { x: x + 2, y: 62 }, moment(s.from).slice(11, 19)));
    x += w;
  }
  return picture;
}

// --- decisions

const reasons = {
  store_error: 'The session could not be looked up.',
  manual_session: 'A manual session is current at the event’s time.',
  automatic_session: 'The proxy’s automatic session is current.',
  adopted_session: 'The session that its SDK began itself.',
  invalid_own_id: 'The session id that it brought is not valid.',
  session_ended: 'endSession was called, or there is nothing to end or replace.',
  automatic_off: 'There is no manual session, and automatic ones are off.',
  left_to_sdk: 'There is no manual session; the SDK’s own is left as it is.',
  device_session: 'The session of the device where its user was last active.',
  own_session: 'It brought a session id itself; no manual session says otherwise.',
  no_device_session: 'Its user is in no session on a device.',
  no_session: 'There is no session that it is in.',
  too_old: 'It is older than what is remembered, or its moment is.',
  applied: 'Carried out.',
  repeated: 'It had been carried out before.',
  limited: 'Too many sessions were started under this id in a minute.',
  other_type: 'Messages of this type have no session.',
  job: 'It is of a reverse ETL or cloud extract job.',
  no_id: 'It has neither an anonymousId nor a userId.',
  odd_context: 'Its context is no object.',
  too_large: 'With the fields the body would be too large.',
};

const period = 2000;
let shown = [];
let timer = 0;

$('toggle').addEventListener('click', () => {
  const on = $('toggle').getAttribute('aria-pressed') !== 'true';
  $('toggle').setAttribute('aria-pressed', String(on));
  $('toggle').textContent = on ? 'Pause' : 'Show decisions';
  $('decisions').hidden = false;
  clearTimeout(timer);
  if (on) pollDecisions();
  else $('decisions-status').textContent = 'Paused.';
});
$('only').addEventListener('change', drawDecisions);

async function pollDecisions() {
  if (!document.hidden) {
    try {
      shown = await ask('decisions');
      drawDecisions();
    } catch (e) {
      $('decisions-status').textContent = `They could not be had: ${e.message}`;
    }
  }
  if ($('toggle').getAttribute('aria-pressed') === 'true') timer = setTimeout(pollDecisions, period);
}

const isTheirs = (d) => whom && d.write_key === whom.write_key &&
  (whom.anonymous_id !== undefined ? d.anonymous_id === whom.anonymous_id : d.user_id === whom.user_id);

// timingNote says when a message happened, and how that was found.
function timingNote(d) {
  const t = d.timing;
  const by = { clock: ' Its own clock decided.', event_time: ' Its event time decided.' }[t.compared] ?? '';
  const at = `It happened at ${clock(new Date(d.at))}.`;
  if (!t.clock) return at + by;
  return `${at.slice(0, -1)}: ${clock(new Date(t.original))} by the ${t.clock}’s clock, sent at ` +
    `${clock(new Date(t.sent_at))}, lag ${t.lag ?? 0} ms, way ${t.way ?? 0} ms.${by}`;
}

function drawDecisions() {
  if ($('decisions').hidden) return;
  const wanted = $('only').checked ? shown.filter(isTheirs) : shown;
  const head = [...$('decisions').tHead.rows[0].cells].map((cell) => cell.textContent);
  const most = 200;
  const rows = wanted.slice(-most).reverse().map((d) => {
    const notes = [reasons[d.reason] ?? d.reason];
    if (d.session_start) notes.push(d.again ? 'First event of the session, sent again.' : 'First event of the session.');
    if (d.began) notes.push('It begins the session.');
    if (d.ended) notes.push(d.type === 'endSession' ? 'It ends the session.' : 'It ends the one before.');
    if (d.had_session_id !== undefined) notes.push(`It came with sessionId ${JSON.stringify(d.had_session_id)}.`);
    if (d.timing) notes.push(timingNote(d));
    if (d.shadow) notes.push('Shadow: nothing was done.');
    const name = d.event && d.event !== d.type ? `${d.type} “${d.event}”` : d.type ?? '–';
    return label(el('tr', {},
      el('td', { class: 'time' }, clock(new Date(d.received))),
      el('td', { class: 'text' }, d.anonymous_id ?? (d.user_id ? `userId ${d.user_id}` : '–')),
      el('td', { class: 'text' }, name),
      el('td', {}, el('span', { class: d.action }, d.action), d.session_id ? ` ${d.session_id}` : ''),
      el('td', { class: 'text' }, notes.join(' '))), head);
  });
  $('decisions').tBodies[0].replaceChildren(...rows);
  if ($('toggle').getAttribute('aria-pressed') === 'true') {
    $('decisions-status').textContent = wanted.length === 0 ? 'None yet.' : `${wanted.length} kept, the newest first.`;
  }
}

// --- counts

const kinds = { stamped: 'stamped', cleared: 'cleared', untouched: 'untouched', consumed: 'control calls' };

async function countNow() {
  try {
    drawCounts(await ask('counts'));
  } catch (e) {
    $('counts-status').textContent = `They could not be had: ${e.message}`;
  }
}

async function pollCounts() {
  if (!document.hidden) await countNow();
  setTimeout(pollCounts, 5 * period);
}

function drawCounts({ now, minutes, table }) {
  const down = table.store_down > 0 ? ` ${Math.round(table.store_down * 100)} % of the store does not answer.` : '';
  $('table').textContent = `Table ${table.table}: ${table.sessions} of ${table.capacity} users in memory.${down}`;
  const total = (m) => m.stamped + m.cleared + m.untouched + m.consumed;
  const all = minutes.reduce((n, m) => n + total(m), 0);
  $('counts-status').textContent = all === 0 ? 'No events.' : `${all} messages in ${minutes.length} minutes with any.`;
  const width = 900, height = 140, bar = width / 60, highest = Math.max(1, ...minutes.map(total));
  const first = Math.floor(now / 60000) - 59;
  const picture = svg('svg', {
    viewBox: `0 0 ${width} ${height + 20}`, role: 'img', 'aria-label': `Messages by minute, at most ${highest}. The table has the numbers.`,
  });
  for (const m of minutes) {
    const x = (m.minute / 60000 - first) * bar;
    let y = height;
    for (const kind of Object.keys(kinds)) {
      const h = m[kind] / highest * (height - 16);
      y -= h;
      if (h > 0) picture.append(svg('rect', { x: x + 1, y, width: bar - 2, height: h, class: `bar-${kind}` }));
    }
  }
  picture.append(
    svg('line', { x1: 0, x2: width, y1: height, y2: height, class: 'axis' }),
    svg('text', { x: 0, y: 2, 'dominant-baseline': 'hanging' }, String(highest)),
    svg('text', { x: 0, y: height + 16 }, moment(first * 60000).slice(11, 16)),
    svg('text', { x: width, y: height + 16, 'text-anchor': 'end' }, moment(now).slice(11, 16)));
  const legend = el('ul', { class: 'legend' }, ...Object.entries(kinds).map(([kind, name]) => el('li', { class: kind }, name)));
  $('chart').replaceChildren(picture, legend);
  $('counts').tBodies[0].replaceChildren(...minutes.toReversed().map((m) => el('tr', {},
    el('td', {}, moment(m.minute).slice(0, 16)),
    ...['requests', 'stamped', 'cleared', 'untouched', 'consumed', 'started', 'ended', 'errors'].map((k) => el('td', {}, String(m[k]))))));
}

pollCounts();
