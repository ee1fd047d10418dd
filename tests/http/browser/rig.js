/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the dashboard: a scratch directory, a real `tide run`, a real browser, and claims. */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [, , TIDE, BROWSER, PLACE, ...words] = process.argv;
const isPostgres = words[0] === 'postgres', wanted = words.slice(isPostgres ? 1 : 0); // claims; none: all of them
export const TOKEN = 'token-of-these-tests-0123', READ_TOKEN = 'reading-alone-of-these-tests';
export const pictures = path.join(PLACE, 'pictures');
fs.mkdirSync(pictures, { recursive: true });

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'board-'));
process.chdir(scratch);

export function write(name, text, mode = 0o644) {
	fs.writeFileSync(name, text);
	fs.chmodSync(name, mode);
}

export function tide(...args) {
	return tideWith(undefined, ...args);
}

export function tideWith(input, ...args) {
	return execFileSync(TIDE, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

/** The URL of a new store: a schema of the server, or a file. */
export function newStore(name) {
	const url = isPostgres ? `postgresql:///?schema=${name}` : `sqlite:${name}.db`;
	if (isPostgres)
		execFileSync('psql', ['-XAtqc', `CREATE SCHEMA ${name}`]);
	tide('--store', url, 'init');
	return url;
}

let imported = 0;
/** Events of so many orders, behind those that were imported before. */
export function importOrders(store, number, orders) {
	let lines = '';
	for (let i = 0; i < number; i++)
		lines += `${JSON.stringify({ event_id: `name:event ${++imported}`, event_type: 'OrderPlaced', aggregate_type: 'Order',
			aggregate_id: `name:order ${imported % orders}`, payload: { number: imported } })}\n`;
	tideWith(lines, '--store', store, 'import');
}

/** A projection that counts the events of each aggregate in a table of its own name. */
export function writeCounts(name) {
	write(`${name}.sql`, `-- init:
CREATE TABLE IF NOT EXISTS ${name} (id TEXT PRIMARY KEY, events INTEGER NOT NULL);
-- on: *
INSERT INTO ${name} VALUES (:aggregate_id, 1) ON CONFLICT (id) DO UPDATE SET events = ${name}.events + 1;
`);
}

/** Change a database beside everybody. */
export function sql(file, text) {
	execFileSync('sqlite3', ['-cmd', '.timeout 10000', file, text]);
}

/** What a query of a database gives, as text. */
export function sqlText(file, text) {
	return execFileSync('sqlite3', ['-cmd', '.timeout 10000', file, text], { encoding: 'utf8' }).trim();
}

export function same(got, expected) {
	const a = JSON.stringify(got), b = JSON.stringify(expected);
	if (a !== b)
		throw new Error(`${a} is not ${b}`);
}

export async function eventually(condition, what = condition, seconds = 30) {
	const end = Date.now() + seconds * 1000;
	for (;;) {
		const value = await condition();
		if (value)
			return value;
		if (Date.now() > end)
			throw new Error(`it never came true: ${what}`);
		await new Promise(resolve => setTimeout(resolve, 50));
	}
}

/* ---- A daemon -------------------------------------------------------------------------------- */

const daemons = new Set();

export class Daemon {
	constructor(name, configuration) {
		this.name = name;
		this.configuration = configuration;
		this.address = '127.0.0.1:0';
	}

	async start(address = this.address) {
		write(`${this.name}.conf`, this.configuration.replace('ADDRESS', address));
		this.log = `${this.name}.${Date.now()}.log`;
		const out = fs.openSync(this.log, 'w');
		this.process = spawn(TIDE, ['run', `${this.name}.conf`], { stdio: ['ignore', out, out] });
		this.ended = new Promise(resolve => this.process.once('exit', resolve));
		fs.closeSync(out);
		daemons.add(this);
		const found = await eventually(() => {
			if (this.process.exitCode !== null)
				throw new Error(this.text());
			return /listening url='http:\/\/[^']*:(\d+)'/.exec(this.text());
		}, 'the daemon listens');
		this.url = `http://127.0.0.1:${found[1]}`;
		this.address = `${address.split(':')[0]}:${found[1]}`;
	}

	text() {
		return fs.readFileSync(this.log, 'utf8');
	}

	async end(signal = 'SIGTERM') {
		this.process.kill(signal);
		await this.ended;
		daemons.delete(this);
	}
}

/* ---- Claims ---------------------------------------------------------------------------------- */

let failed = 0;

export async function claim(name, run, page) {
	if (wanted.length > 0 && !wanted.includes(name))
		return;
	try {
		await run();
		console.log('ok', name);
	} catch (error) {
		failed++;
		console.log('not ok', name);
		console.log(`    ${String(error.stack).replaceAll('\n', '\n    ')}`);
		await page?.screenshot({ path: path.join(pictures, `failed-${name}.png`) }).catch(() => {});
		await page?.goto('about:blank').catch(() => {});
	}
}

export async function openBrowser() {
	return chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
}

export async function finish(browser) {
	await browser.close();
	for (const daemon of daemons)
		await daemon.end('SIGKILL');
	process.chdir('/');
	fs.rmSync(scratch, { recursive: true, force: true });
	process.exit(failed ? 1 : 0);
}
