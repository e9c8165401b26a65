const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
/** How many entries of a long list are printed. */
const NAMED = 20;

/**
 * Prints tables, results and failures as they come; at the end the slowest
 * scenarios, the names of those that failed, and, in the last line, how many there were.
 */
export default async function* reporter(source) {
  const [passed, failed] = [[], []];
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // Tests that the name pattern leaves out are "skipped".
    if (data.skip !== undefined) continue;
    const { name, details: { type: kind, duration_ms: ms, error } } = data;
    // A suite is no scenario, and fails by itself only if it cannot be read.
    if (kind === 'suite' && (type === 'test:pass' || error?.failureType === 'subtestsFailed')) continue;
    if (type === 'test:pass') {
      // A file that contains tests is not a test itself.
      if (name.endsWith('.test.js')) continue;
      passed.push({ name, ms });
      yield `ok      ${name} (${seconds(ms)})\n`;
    } else {
      failed.push({ name, ms });
      yield `FAILED  ${name} (${seconds(ms)})\n${error?.cause?.stack ?? error?.stack ?? ''}\n`;
    }
  }
  yield '\n';
  const slowest = [...passed, ...failed].sort((a, b) => b.ms - a.ms).slice(0, 10);
  for (const { name, ms } of slowest) yield `slow    ${name} (${seconds(ms)})\n`;
  for (const { name } of failed.slice(0, NAMED)) yield `FAILED  ${name}\n`;
  if (failed.length > NAMED) yield `FAILED  ${failed.length - NAMED} more\n`;
  yield `\n${passed.length} passed, ${failed.length} failed\n`;
}
