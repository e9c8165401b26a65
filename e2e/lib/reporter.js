/** Prints tables and failures as they come, and counts tests in the last line. */
export default async function* reporter(source) {
  let [passed, failed] = [0, 0];
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // Tests that the name pattern leaves out are "skipped".
    if (data.skip !== undefined) continue;
    if (type === 'test:pass') {
      // A file that has tests in it is no test itself.
      if (data.name.endsWith('.test.js')) continue;
      passed++;
      yield `ok      ${data.name} (${(data.details.duration_ms / 1000).toFixed(1)} s)\n`;
    } else {
      failed++;
      yield `FAILED  ${data.name}\n${data.details.error?.cause?.stack ?? data.details.error?.stack ?? ''}\n`;
    }
  }
  yield `\n${passed} passed, ${failed} failed\n`;
}
