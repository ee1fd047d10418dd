/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard of a daemon that shares the lanes of a subscription with another process, which is killed. */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { claim, Daemon, eventually, finish, importOrders, newStore, openBrowser, pictures, same, sql, writeCounts } from './rig.js';

const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const STORE = newStore('board_lanes'), TIDE = process.argv[2];

importOrders(STORE, 1000, 61);
writeCounts('counts');
writeCounts('plain');
const daemon = new Daemon('tide', `[daemon]\nhttp = ADDRESS\nlog_level = notice\n[store main]\nurl = ${STORE}\n` +
	'[projection counts]\nstore = main\nfile = counts.sql\nlanes = 4\n[projection plain]\nstore = main\nfile = plain.sql\n');
await daemon.start();
const browser = await openBrowser();
const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, reducedMotion: 'reduce' });
page.setDefaultTimeout(15000);
const claims = (name, run) => claim(name, run, page);
const panel = page.getByLabel('Lanes', { exact: true }).first();
const sees = (locator, text) => eventually(async () => (await locator.allInnerTexts()).join('\n').includes(text), text, 60);
/* The cells of each lane as they are shown. */
const shown = () => panel.locator('tbody tr').evaluateAll(rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim())));
const owners = async () => (await shown()).map(cells => cells[4]);
const sqlOfStore = text => STORE.startsWith('sqlite') ? sql('board_lanes.db', text)
	: execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', 'SET search_path = board_lanes', '-c', text]);
const here = `pid ${daemon.process.pid} (here)`;
let other = null;

await claims('each_lane_is_shown_with_where_it_is_and_who_runs_it', async () => {
	await page.goto(`${daemon.url}/#/subscriptions/counts`);
	await eventually(async () => (await owners()).join() === [here, here, here, here].join(), 'all lanes are here');
	await eventually(async () => (await shown()).every(cells => cells[2] === '1,000'), 'all are at the end');
	same(await panel.getByRole('columnheader').allInnerTexts(), ['Lane', 'State', 'Position', 'Behind', 'Owner', 'Host', 'Since']);
	const rows = await shown();
	same(rows.map(cells => [cells[0], cells[1], cells[3], cells[5]]), [0, 1, 2, 3].map(i => [`${i}/4`, 'live', '0', os.hostname()]));
	for (const cells of rows)
		if (!/\d\d:\d\d:\d\d$/.test(cells[6]))
			throw new Error(cells[6]);
	await sees(panel, `Run by 1 process. pid ${daemon.process.pid} on ${os.hostname()} (here): 4 lanes.`);
});

await claims('lanes_that_another_process_takes_are_shown_as_its', async () => {
	other = spawn(TIDE, ['--store', STORE, 'project', 'counts.sql', '--lanes', '4'], { stdio: 'ignore' });
	const there = `pid ${other.pid}`;
	await eventually(async () => (await owners()).filter(one => one === there).length === 2, 'two lanes are elsewhere', 60);
	importOrders(STORE, 200, 61);
	await eventually(async () => (await shown()).every(cells => cells[2] === '1,200' && cells[3] === '0'), 'each goes on', 60);
	same((await owners()).sort(), [here, here, there, there].sort());
	same((await shown()).map(cells => [cells[1], cells[4]]).filter(([, owner]) => owner === there), [['–', there], ['–', there]]);
	await sees(panel, 'Run by 2 processes.');
	await sees(panel, `pid ${other.pid} on ${os.hostname()}: 2 lanes`);
	await page.screenshot({ path: path.join(pictures, 'lanes.png'), fullPage: true });
	await page.getByRole('link', { name: 'Subscriptions', exact: true }).click();
	await sees(page.locator('table.subscriptions tr', { has: page.getByRole('rowheader', { name: 'counts' }) }), '2 of 4 lanes here');
	await sees(page.locator('table.subscriptions tr', { has: page.getByRole('rowheader', { name: 'plain' }) }), 'here');
});

/* As containers have it, where each daemon is the first process. */
await claims('a_lane_of_another_host_is_not_here_whatever_its_number', async () => {
	await page.goto(`${daemon.url}/#/subscriptions/counts`);
	await sees(panel, 'Run by 2 processes.');
	sqlOfStore(`UPDATE subscription_leases SET pid = ${daemon.process.pid}, host = 'elsewhere' WHERE pid = ${other.pid}`);
	const there = `pid ${daemon.process.pid}`;
	await eventually(async () => (await owners()).sort().join() === [here, here, there, there].sort().join(), 'two lanes are elsewhere', 60);
	same((await shown()).filter(cells => cells[4] === there).map(cells => cells[5]), ['elsewhere', 'elsewhere']);
});

await claims('lanes_are_accessible_and_fit_on_a_phone', async () => {
	const bad = [];
	for (const [look, options] of Object.entries({
		dark: { viewport: { width: 1280, height: 1000 }, colorScheme: 'dark' }, phone: { viewport: { width: 390, height: 844 } } })) {
		const context = await browser.newContext({ ...options, bypassCSP: true, reducedMotion: 'reduce' });
		const one = await context.newPage();
		await one.goto(`${daemon.url}/#/subscriptions/counts`);
		await sees(one.getByLabel('Lanes', { exact: true }).first(), 'Run by 2 processes.');
		await one.screenshot({ path: path.join(pictures, `lanes-${look}.png`), fullPage: true });
		const over = await one.evaluate(() => document.documentElement.scrollWidth - innerWidth);
		if (over > 0)
			bad.push(`${over} pixels too wide (${look})`);
		await one.evaluate(axeSource);
		const { violations } = await one.evaluate(() => window.axe.run());
		for (const found of violations.filter(found => ['serious', 'critical'].includes(found.impact)))
			bad.push(`${look}: ${found.id}: ${found.nodes[0].target} ${found.nodes[0].failureSummary}`);
		await context.close();
	}
	same(bad, []);
});

await claims('lanes_of_one_that_is_killed_come_back', async () => {
	await page.goto(`${daemon.url}/#/subscriptions/counts`);
	await sees(panel, 'Run by 2 processes.');
	other.kill('SIGKILL');
	await eventually(async () => (await owners()).join() === [here, here, here, here].join(), 'all lanes are here again', 60);
	await sees(panel, 'Run by 1 process.');
});

await claims('one_without_lanes_has_no_table_of_them', async () => {
	await page.goto(`${daemon.url}/#/subscriptions/plain`);
	await sees(page.locator('main'), 'Read ahead');
	same(await panel.isVisible(), false);
});

other?.kill('SIGKILL');
await finish(browser);
