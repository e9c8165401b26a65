// Draws the panels of the Grafana dashboard, in its own grid, with what a Prometheus has: for a
// machine without Grafana, and for the picture in docs/operations.md.
//
//   node dashboard.js http://127.0.0.1:9090 5 picture.png      the last five minutes

import { readFile } from 'node:fs/promises';

import { chromium } from 'playwright-core';

import { LAUNCH } from './lib/browser.js';

const [prometheus, minutes, out] = process.argv.slice(2);
const dashboard = JSON.parse(await readFile(new URL('../deploy/grafana/rudder-session.json', import.meta.url), 'utf8'));

const end = Date.now() / 1000;
const start = end - 60 * minutes;
const POINTS = 120;

async function query(target) {
  const expression = target.expr.replaceAll('$__rate_interval', '20s').replaceAll('$job', '.*').replaceAll('$instance', '.*');
  const parameters = new URLSearchParams({ query: expression, start, end, step: (end - start) / POINTS });
  const answer = await (await fetch(`${prometheus}/api/v1/query_range?${parameters}`)).json();
  if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
  return answer.data.result.map(({ metric, values }) => ({
    name: (target.legendFormat || '').replace(/{{(\w+)}}/g, (_, label) => metric[label] ?? ''),
    values: values.map(([at, value]) => [at, Number(value)]).filter(([, value]) => Number.isFinite(value)),
  }));
}

const panels = await Promise.all(
  dashboard.panels.map(async (panel) => ({
    title: panel.title, type: panel.type, grid: panel.gridPos,
    unit: panel.fieldConfig?.defaults.unit, stacked: panel.fieldConfig?.defaults.custom?.stacking.mode === 'normal',
    series: (await Promise.all((panel.targets ?? []).map(query))).flat(),
  })),
);

/** Runs in the page: draws panels as Grafana lays them out. */
function draw({ panels, start, end }) {
  const NS = 'http://www.w3.org/2000/svg';
  const COLOURS = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#b877d9', '#8ab8ff', '#ffa6b0', '#c0d8ff', '#96d98d'];
  const UNIT = 36;
  const svg = (name, attributes, text) => {
    const e = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const show = (value, unit) => {
    if (unit === 'percentunit') return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
    if (unit === 's') return Math.abs(value) < 0.001 ? `${(value * 1e6).toFixed(0)} µs` : `${(value * 1000).toFixed(1)} ms`;
    if (unit === 'bytes') return value < 1024 ? `${value.toFixed(0)} B` : `${(value / 1024).toFixed(1)} KiB`;
    return value >= 1000 ? `${(value / 1000).toFixed(1)} K` : value.toFixed(value < 10 ? 1 : 0);
  };
  document.body.style.cssText = 'margin:0;background:#111217;color:#d5d6dc;font:13px system-ui,sans-serif;position:relative';
  const width = document.body.clientWidth;
  let bottom = 0;
  for (const panel of panels) {
    const { x, y, w, h } = panel.grid;
    bottom = Math.max(bottom, (y + h) * UNIT);
    const box = document.createElement('div');
    const flat = panel.type === 'row';
    box.style.cssText = `position:absolute;box-sizing:border-box;left:${(x / 24) * width + 4}px;top:${y * UNIT + 4}px;` +
      `width:${(w / 24) * width - 8}px;height:${h * UNIT - 8}px;padding:6px 8px;overflow:hidden;` +
      (flat ? 'font-weight:600' : 'background:#181b1f;border:1px solid #2c3235;border-radius:3px');
    const title = document.createElement('div');
    title.textContent = panel.title;
    title.style.fontWeight = '600';
    box.append(title);
    document.body.append(box);
    if (flat) continue;
    const last = (s) => s.values.at(-1)?.[1] ?? 0;
    if (panel.type === 'stat') {
      const value = document.createElement('div');
      value.style.cssText = 'font-size:34px;text-align:center;margin-top:18px;color:#73bf69';
      value.textContent = panel.series.length ? show(last(panel.series[0]), panel.unit) : 'no data';
      box.append(value);
      continue;
    }
    const pw = (w / 24) * width - 80, ph = h * UNIT - 80;
    const picture = svg('svg', { width: pw + 60, height: ph + 18 });
    const sums = new Map();
    const drawn = panel.series.map((s) => s.values.map(([at, value]) => {
      const base = panel.stacked ? (sums.get(at) ?? 0) : 0;
      sums.set(at, base + value);
      return [at, base + value, base];
    }));
    const top = Math.max(1e-9, ...drawn.flat().map(([, value]) => value)) * 1.1;
    const low = Math.min(0, ...drawn.flat().map(([, value]) => value)) * 1.1;
    const px = (at) => 50 + ((at - start) / (end - start)) * pw;
    const py = (value) => ph - ((value - low) / (top - low)) * (ph - 8);
    for (const value of low < 0 ? [low, top] : [0, top / 2, top]) {
      picture.append(svg('line', { x1: 50, x2: 50 + pw, y1: py(value), y2: py(value), stroke: '#2c3235' }),
        svg('text', { x: 46, y: py(value) + 4, 'text-anchor': 'end', fill: '#9fa7b3', 'font-size': 10 }, show(value, panel.unit)));
    }
    for (const at of [start, (start + end) / 2]) {
      picture.append(svg('text', { x: px(at), y: ph + 14, fill: '#9fa7b3', 'font-size': 10 }, new Date(at * 1000).toISOString().slice(11, 16)));
    }
    drawn.forEach((points, i) => {
      if (points.length === 0) return;
      const colour = COLOURS[i % COLOURS.length];
      const line = points.map(([at, value]) => `${px(at)},${py(value)}`);
      const back = points.toReversed().map(([at, , base]) => `${px(at)},${py(base)}`);
      picture.append(svg('polygon', { points: [...line, ...back].join(' '), fill: colour, opacity: panel.stacked ? 0.25 : 0.06 }),
        svg('polyline', { points: line.join(' '), fill: 'none', stroke: colour, 'stroke-width': 1.5 }));
    });
    box.append(picture);
    const legend = document.createElement('div');
    legend.style.cssText = 'font-size:11px;white-space:nowrap;overflow:hidden';
    panel.series.forEach((s, i) => {
      const mark = document.createElement('span');
      mark.textContent = '■ ';
      mark.style.color = COLOURS[i % COLOURS.length];
      legend.append(mark, `${s.name}   `);
    });
    box.append(legend);
  }
  document.body.style.height = `${bottom + 8}px`;
}

const browser = await chromium.launch(LAUNCH);
try {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  await page.evaluate(draw, { panels, start, end });
  await page.screenshot({ path: out, fullPage: true });
} finally {
  await browser.close();
}
