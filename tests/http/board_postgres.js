/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard of a daemon whose PostgreSQL is stopped beneath it, and comes back. */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { claim, Daemon, eventually, finish, importOrders, openBrowser, pictures, same, tide, writeCounts } from './rig.js';

const STORE = 'postgresql:///?schema=board';
const psql = text => execFileSync('psql', ['-XAtqc', text], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

/* ---- A server that is stopped and started again ----------------------------------------------- */

const directory = psql('SHOW data_directory'), home = path.dirname(directory);
const options = fs.readFileSync(path.join(directory, 'postmaster.opts'), 'utf8').trim();
const owner = fs.statSync(directory).uid === process.getuid() ? [] : ['runuser', '-u', 'postgres', '--'];
let again = null;

function stopServer() {
	const control = path.join(path.dirname(options.split(' ')[0]), 'pg_ctl');
	const [command, ...words] = [...owner, control, 'stop', '-w', '-m', 'fast', '-D', directory];
	execFileSync(command, words, { cwd: home, stdio: 'pipe' });
}

async function startServer() {
	const [command, ...words] = [...owner, 'sh', '-c', `exec ${options}`];
	again = spawn(command, words, { cwd: home, stdio: 'ignore' });
	await eventually(() => {
		try {
			return psql('SELECT 1') === '1';
		} catch {
			return false;
		}
	}, 'the server is there again');
}

/* ---- The page -------------------------------------------------------------------------------- */

psql('CREATE SCHEMA board');
tide('--store', STORE, 'init');
importOrders(STORE, 300, 5);
writeCounts('counts');
writeCounts('shared');
const daemon = new Daemon('tide', `[daemon]\nhttp = ADDRESS\nlog_level = notice\n[store main]\nurl = ${STORE}\n` +
	'[projection counts]\nstore = main\nfile = counts.sql\n[projection shared]\nstore = main\nfile = shared.sql\nlanes = 3\n');
await daemon.start();
const browser = await openBrowser();
const page = await browser.newPage();
page.setDefaultTimeout(15000);
const sees = (locator, text) => eventually(async () => (await locator.allInnerTexts()).join('\n').includes(text), text, 60);
const row = page.locator('table.subscriptions tr', { has: page.getByRole('rowheader', { name: 'counts' }) });
const why = page.locator('table.subscriptions tr.why', { hasText: "'counts'" });

await claim('a_stopped_server_is_told_and_what_came_since_is_caught_up', async () => {
	await page.goto(`${daemon.url}/#/`);
	await sees(row, '300 of 300');
	await sees(row, 'live');
	stopServer();
	await sees(why, "'counts' waits for a database since");
	await page.screenshot({ path: path.join(pictures, 'overview-stopped.png') });
	const told = await (await fetch(`${daemon.url}/api/subscriptions/shared`)).json();
	same([told.lanes, told.members, told.lane_statuses], [3, null, null]);
	await page.goto(`${daemon.url}/#/subscriptions/shared`);
	await sees(page.getByLabel('Lanes', { exact: true }).first(), 'who has which lane is not known');
	await startServer();
	importOrders(STORE, 5, 5);
	await sees(page.getByLabel('Lanes', { exact: true }).first(), 'Run by 1 process.');
	await page.goto(`${daemon.url}/#/`);
	await sees(row, '305 of 305');
	await sees(row, 'live');
	await eventually(async () => await why.count() === 0, 'nothing is wrong any more', 60);
	await sees(page.locator('.store'), 'Head at position 305');
	await sees(page.locator('#connection'), 'live'); // to the daemon, all the time
}, page);

if (again) {
	stopServer();
	again.kill();
}
await finish(browser);
