/* SPDX-License-Identifier: Apache-2.0 */
/* How soon the dashboard shows 500 subscriptions: tests/http/browser/run tests/bench/board.js SOURCE SHOWN DIRECTORY */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { openBrowser } from './rig.js';

const shown = spawn(process.argv[2], ['-n', '500'], { stdio: ['pipe', 'pipe', 'inherit'] });
const url = (await createInterface({ input: shown.stdout })[Symbol.asyncIterator]().next()).value;
const browser = await openBrowser();
for (let i = 0; i < 5; i++) {
	const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
	await page.goto(url);
	await page.waitForFunction(() => document.querySelectorAll('table.subscriptions th[scope=row]').length === 500);
	const [first, all] = await page.evaluate(() =>
		[performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.now()]);
	console.log(`first picture after ${Math.round(first)} ms, 500 subscriptions after ${Math.round(all)} ms`);
	await page.close();
}
await browser.close();
shown.stdin.end();
