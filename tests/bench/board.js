/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How heavy the dashboard is, and how soon it shows what there is:
 *
 *	tests/http/browser/run tests/bench/board.js SOURCE SHOWN DIRECTORY [SUBSCRIPTIONS EVENTS LOADS STORE]
 *
 * SHOWN is bench-shown. It appends the events to STORE, else to a SQLite file below TMPDIR, 400 bytes each. Each load is of a new page.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { finish, openBrowser } from './rig.js';

const [subscriptions, events, loads] = [500, 10000000, 5].map((usual, i) => Number(process.argv[5 + i] ?? usual));
const shown = spawn(process.argv[2], ['-n', subscriptions, '-e', events, '-s', process.argv[8] ?? 'sqlite:shown.db'], { stdio: ['pipe', 'pipe', 'inherit'] });
const { value: url } = await createInterface({ input: shown.stdout })[Symbol.asyncIterator]().next();
const browser = await openBrowser();

const median = numbers => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/* One load: until the first picture, until so many rows are there, bytes of the page itself and of what it asked for. */
async function load(hash, rows, count) {
	const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
	await page.goto(`${url}/${hash}`);
	await page.waitForFunction(([all, wanted]) => document.querySelectorAll(all).length === wanted, [rows, count], { timeout: 120000 });
	const told = await page.evaluate(() => {
		const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
		const bytes = isAsked => all.filter(one => (one.initiatorType === 'fetch') === isAsked).reduce((sum, one) => sum + one.decodedBodySize, 0);
		return { all: performance.now(), first: performance.getEntriesByName('first-contentful-paint')[0].startTime,
			own: bytes(false), asked: bytes(true) };
	});
	await page.close();
	return told;
}

async function measure(what, hash, rows, count) {
	const told = [];
	for (let i = 0; i < loads; i++)
		told.push(await load(hash, rows, count));
	const of = key => Math.round(median(told.map(one => one[key])));
	console.log(`${what}: first picture after ${of('first')} ms, ${count} rows after ${of('all')} ms (the first time ${
		Math.round(told[0].all)} ms); ${Math.round(of('own') / 1000)} kB of page, ${Math.round(of('asked') / 1000)} kB of answers`);
}

const { global_position: stored } = await (await fetch(`${url}/api/store`)).json();
console.log(`${subscriptions} subscriptions, ${stored} events, ${loads} loads each`);
await measure('subscriptions', '#/', 'table.subscriptions th[scope=row]', subscriptions);
await measure('events', '#/events', 'main tbody tr', Math.min(50, stored));
shown.stdin.end();
await new Promise(resolve => shown.once('exit', resolve));
await finish(browser);
